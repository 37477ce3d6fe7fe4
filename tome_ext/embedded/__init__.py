"""What comes with the project, so that it works offline: a vocabulary, and models small enough to carry."""
