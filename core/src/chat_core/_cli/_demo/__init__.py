"""The demo's parts: its words, its client process, the three ways to play it, and the switch of the network."""
