"""The built-in logger, and how any logger is called."""
