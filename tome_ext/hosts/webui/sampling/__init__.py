"""What runs while a WebUI samples: a job, its sampling passes, the tokens of each text."""
