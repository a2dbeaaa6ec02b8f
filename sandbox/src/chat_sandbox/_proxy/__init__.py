"""The fault proxy's parts: actions, rules, readers of HTTP and WebSocket, and the relay between two sockets."""
