"""What a WebUI shows: panel, preview, infotext, API, X/Y/Z axes."""
