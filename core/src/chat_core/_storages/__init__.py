"""The built-in state storages, and how any storage is called."""
