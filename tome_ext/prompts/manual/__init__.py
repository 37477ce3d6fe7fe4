"""Groups written by hand: their grammar, and where they stand in a prompt."""
