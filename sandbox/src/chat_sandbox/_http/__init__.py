"""The sandbox on the network: an ASGI application and a server for it."""
