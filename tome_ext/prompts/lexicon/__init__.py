"""What is known of words: classes, kinds of things, what can belong to what."""
