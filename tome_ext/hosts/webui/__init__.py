"""AUTOMATIC1111's WebUI and the Forge family: what the user sees, and what happens during sampling."""
