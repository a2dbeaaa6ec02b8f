"""Launching: options are resolved, plugins chosen, a chat started or taken up."""
