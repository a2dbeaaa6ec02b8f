"""What brings Bayeux messages to and fro: WebSocket and long polling."""
