"""Part of chat-core."""
