"""Who calls the method: diffusers, AUTOMATIC1111's WebUI and the Forge family."""
