"""The page on which the visitor is: where the defaults of userData come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from attrs import field, frozen, validators

__all__ = ["PageContext"]

_text = validators.optional(validators.instance_of(str))


@frozen(kw_only=True)
class PageContext:
    """What the browser's library takes from ``document``.

    Attributes:
        title: the page's title, ``document.title``.
        url: the page's address, ``document.location``.
        referrer: the previous page's address, ``document.referrer``.
    """

    title: str | None = field(default=None, validator=_text)
    url: str | None = field(default=None, validator=_text)
    referrer: str | None = field(default=None, validator=_text)

    @classmethod
    def from_asgi(cls, scope: Mapping[str, Any], *, title: str | None = None) -> PageContext:
        """Take address and referrer from an ASGI ``http`` or ``websocket`` scope; what it lacks is None.

        Forwarding headers are not believed: let the server in front set the scope.
        """
        headers = _headers(scope.get("headers"))
        host = headers.get("host") or _server(scope.get("server"))
        path = scope.get("path")
        url = None
        if host and isinstance(path, str):
            query = scope.get("query_string") or b""
            suffix = "?" + query.decode("latin-1") if isinstance(query, bytes) and query else ""
            root = str(scope.get("root_path") or "")
            full = path if path.startswith(root) else root + path
            url = f"{scope.get('scheme') or 'http'}://{host}{quote(full, safe=_SAFE)}{suffix}"
        return cls(title=title, url=url, referrer=headers.get("referer"))

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], *, title: str | None = None) -> PageContext:
        """Take address and referrer from a WSGI environ; what it lacks is None."""
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME")
        url = None
        if isinstance(host, str) and host:
            path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
            query = environ.get("QUERY_STRING")
            suffix = f"?{query}" if query else ""
            path = quote(path.encode("latin-1", "replace"), safe=_SAFE)
            url = f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}{suffix}"
        referrer = environ.get("HTTP_REFERER")
        return cls(title=title, url=url, referrer=referrer if isinstance(referrer, str) else None)


_SAFE = "/:@!$&'()*+,;=~"


def _headers(raw: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        for name, value in raw or ():
            found.setdefault(bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1"))
    except (TypeError, ValueError):
        return {}
    return found


def _server(server: Any) -> str | None:
    if isinstance(server, list | tuple) and server and isinstance(server[0], str):
        return f"{server[0]}:{server[1]}" if len(server) > 1 and server[1] else server[0]
    return None
