"""Who is there: a random name and a random key, both of which only the visitor's cookie keeps."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final, Self

from attrs import field, frozen
from cryptography.fernet import Fernet
from starlette.requests import HTTPConnection
from starlette.responses import Response

from chat_page._settings import Settings

__all__ = ["Visitor"]

#: 128 bits that say who it is, and the 256 of the key without the padding that a cookie would have to quote.
_COOKIE: Final = re.compile(r"([\w-]{22})\.([\w-]{43})", re.ASCII)


@frozen(kw_only=True)
class Visitor:
    """One browser.

    Attributes:
        id: tells visitors apart.
        key: opens what is kept for this one. Never written anywhere but into the cookie.
    """

    id: str = field(repr=False)
    key: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Invent one."""
        return cls(id=secrets.token_urlsafe(16), key=Fernet.generate_key().decode().rstrip("="))

    @classmethod
    def of(cls, request: HTTPConnection, settings: Settings) -> Self | None:
        """Return who sent a request; None without a cookie of ours."""
        found = _COOKIE.fullmatch(request.cookies.get(_name(settings), ""))
        return None if found is None else cls(id=found[1], key=found[2])

    def give_cookie(self, response: Response, settings: Settings) -> None:
        """Let the browser remember who it is until it is closed; scripts never see the cookie, nor do other sites."""
        response.set_cookie(
            _name(settings), f"{self.id}.{self.key}", httponly=True, samesite="lax", secure=settings.secure
        )

    @property
    def file_name(self) -> str:
        """The name of this visitor's file: another key is another file, and neither can be guessed from it."""
        return hashlib.sha256(f"{self.id}.{self.key}".encode()).hexdigest()

    @property
    def fernet(self) -> Fernet:
        """What locks and unlocks this visitor's file."""
        return Fernet(self.key + "=")


def _name(settings: Settings) -> str:
    # A browser takes a cookie of that name only over https, for this host and all of its paths.
    return "__Host-chat" if settings.secure else "chat"
