"""The world of the miniature: things, pictures, captions, and who judges what is in a picture."""
