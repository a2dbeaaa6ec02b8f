"""The chats themselves, without I/O: one indexed event log each, seen by every view alike."""
