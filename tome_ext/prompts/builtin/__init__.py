"""The built-in parser: binding groups without a language model, for sentences and for lists of tags."""
