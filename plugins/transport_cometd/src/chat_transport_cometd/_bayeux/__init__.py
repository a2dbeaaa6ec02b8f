"""The client's side of the Bayeux protocol, without I/O and without a clock."""
