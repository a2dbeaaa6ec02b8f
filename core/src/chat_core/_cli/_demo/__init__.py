"""The demo's three parts: its words, its client process, and the two ways to play it."""
