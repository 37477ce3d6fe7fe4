"""Does ToMe help? Benchmark, judges, the paper's experiments, training and export of the embedded model.

For researchers: neither the hosts nor ``generate`` import it.
"""
