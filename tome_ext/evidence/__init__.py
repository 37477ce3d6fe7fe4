"""What the method does, measured: an embedded model, a binding benchmark, the paper's experiments, public benchmarks."""
