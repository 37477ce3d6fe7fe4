"""Where the words of a prompt stand among the host's tokens."""
