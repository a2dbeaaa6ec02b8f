"""What the application is told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen, validators

__all__ = ["Settings"]


def _origins(settings: Settings, attribute: Attribute[frozenset[str]], origins: frozenset[str]) -> None:
    del settings, attribute
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"origin {origin!r} cannot be used: write it as browsers do, such as https://shop.example")
    if len({origin.split(":", 1)[0] for origin in origins}) != 1:
        raise ValueError("give one origin or more, all of them http or all of them https: cookies are for one scheme")


@frozen(kw_only=True)
class Settings:
    """What the application is told.

    Attributes:
        server_url: the chat server.
        folder: where the encrypted states lie; made where it is missing, for this application alone.
        origins: under which origins browsers see the pages, such as ``https://shop.example``. No other page may talk to
            the application, and no other host name is answered.
        transport: the name of the transport.
        max_offline_duration: seconds for which a chat can be taken up after its last page, or the application, went.
        grace: seconds for which a chat is kept at hand after its last page went; then it is detached.
        max_visitors: chats at once.
        max_tabs: pages of one visitor at once.
    """

    server_url: str
    folder: Path
    origins: frozenset[str] = field(converter=frozenset, validator=_origins)
    transport: str = "cometd"
    max_offline_duration: float = field(default=300.0, validator=validators.gt(0))
    grace: float = field(default=10.0, validator=validators.ge(0))
    max_visitors: int = field(default=1000, validator=validators.ge(1))
    max_tabs: int = field(default=6, validator=validators.ge(1))

    @property
    def secure(self) -> bool:
        """Whether the pages come over https."""
        return all(origin.startswith("https:") for origin in self.origins)

    @property
    def hosts(self) -> list[str]:
        """The host names that are answered."""
        return sorted({urlsplit(origin).hostname or "" for origin in self.origins})
