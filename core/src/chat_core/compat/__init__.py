"""Other libraries' names for the same thing."""
