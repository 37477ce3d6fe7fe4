"""The parser that uses a spaCy model, where one is installed."""
