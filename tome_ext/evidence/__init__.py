"""What the method does, measured: an embedded model, a benchmark, the paper's experiments, public benchmarks."""
