"""A backward pass through a host's frozen model: gradients where hosts forbid them, in the memory there is."""
