"""What differs between AUTOMATIC1111 and the Forge family."""
