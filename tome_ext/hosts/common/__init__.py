"""What several hosts and the command line share. Nothing here imports a WebUI."""
