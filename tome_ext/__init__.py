"""ToMe: token merging for training-free semantic binding in text-to-image models (arXiv 2411.07132)."""

__version__ = "0.1.0"
