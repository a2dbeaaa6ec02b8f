"""What the core asks of plugins and what it gives them. Imports only the model."""
