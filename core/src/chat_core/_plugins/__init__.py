"""Finding, loading and choosing plugins."""
