"""What the method costs: counted on full-size models without weights, estimated from the counts, and timed."""
