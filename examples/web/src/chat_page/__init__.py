"""A web page that chats, and the application behind it: an example of chat-core in a web back end."""

from __future__ import annotations

from chat_page._app import make_app
from chat_page._settings import Settings

__all__ = ["Settings", "make_app"]
