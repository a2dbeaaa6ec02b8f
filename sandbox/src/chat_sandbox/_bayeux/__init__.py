"""The server's side of the Bayeux protocol, without I/O."""
