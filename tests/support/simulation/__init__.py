"""The whole client against the sandbox's server, in one process, on a virtual clock and a seeded scheduler.

A world is made from a seed: its chat, its faults, its latencies and the order in which tasks run. The same seed makes
the same world again: ``python tests/support/simulation/run.py SEED`` tells its story.
"""
