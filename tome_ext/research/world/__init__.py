"""The small world of coloured shapes: scenes, captions, prompts, drawing."""
