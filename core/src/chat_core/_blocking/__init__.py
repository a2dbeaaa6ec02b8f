"""The API without ``await``: a thin layer over the async classes; see ``chat_core.blocking``."""
