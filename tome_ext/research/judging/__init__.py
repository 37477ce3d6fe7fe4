"""Who says what is in a picture: by rules, by BLIP-VQA, by a vision-language model."""
