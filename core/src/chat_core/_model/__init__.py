"""The lowest floor: values that everything else speaks about. Imports nothing of chat-core."""
