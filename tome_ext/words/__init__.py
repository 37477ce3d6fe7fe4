"""Which words of a prompt belong together, and what the prompt says without them."""
