"""Many sessions on many workers; ``chat_core.fleet`` is its public face."""
