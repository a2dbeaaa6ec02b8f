"""The ``transport_options`` that every transport of chat-core understands, checked before anything is sent."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen, validators

from chat_core._model.errors import OptionError, OptionTypeError

if TYPE_CHECKING:
    import ssl

__all__ = ["ConnectionOptions"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
#: RFC 9110, 5.1 and 5.5: what a header's name is made of, and what its value must not hold.
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that the transport alone can know.
_OURS: Final = frozenset({"content-length", "cookie", "host", "transfer-encoding"})


def _check_proxy(_: Any, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The address may hold a password, so it is not shown.
        raise OptionError(
            "transport_options: proxy must be the address of an HTTP proxy",
            advice="write it as http://host:port or http://user:password@host:port",
        )


def _check_headers(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise OptionTypeError(f"transport_options: headers must be a mapping, not {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise OptionTypeError("transport_options: names and values of headers must be text")
        if not _TOKEN.fullmatch(name):
            raise OptionError(f"transport_options: {name!r} is no name of a header")
        if _CONTROL.search(text):
            raise OptionError(f"transport_options: the value of the header {name!r} holds a control character")
        if name.lower() in _OURS:
            raise OptionError(f"transport_options: the header {name!r} is set by the transport", advice="leave it out")


def _check_auth(_: Any, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, tuple | list) or len(value) != 2 or not all(isinstance(one, str) for one in value):  # noqa: PLR2004
        raise OptionTypeError("transport_options: auth must be a pair of texts", advice="give (user, password)")
    if ":" in value[0]:
        raise OptionError("transport_options: a user name for HTTP basic authentication holds no colon (RFC 7617)")


def _check_seconds(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise OptionError(f"transport_options: {attribute.name} must be seconds above 0, not {value!r}")


@frozen(kw_only=True)
class ConnectionOptions:
    """The ``transport_options`` that every transport of chat-core understands.

    A transport's own options class derives from this one; the core checks ``server_url`` against ``allow_insecure``.

    Attributes:
        allow_insecure: permit ``http``/``ws`` to hosts other than loopback.
        ssl_context: an ``ssl.SSLContext`` of your own, in place of the shared default one.
        ca_file: path of a PEM file with the certificates of a private authority.
        proxy: address of an HTTP proxy, ``http://`` or ``https://``, with user and password if it needs them.
        headers: header lines sent with each request.
        auth: user name and password for HTTP basic authentication.
        connect_timeout: seconds for one connection to be made.
        start_timeout: seconds for a start or restore to succeed or fail.
        give_up_after: seconds without a connection after which the session is over (``SessionEnded``, reason ``lost``);
            None: tries go on until the server says that it is over (RP-8).
    """

    allow_insecure: bool = False
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False, validator=_check_proxy)
    headers: Mapping[str, str] = field(default=_NOTHING, repr=False, validator=_check_headers)
    auth: tuple[str, str] | None = field(default=None, repr=False, validator=_check_auth)
    connect_timeout: float = field(default=10.0, validator=_check_seconds)
    start_timeout: float = field(default=30.0, validator=_check_seconds)
    give_up_after: float | None = field(default=None, validator=validators.optional(_check_seconds))

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context in force: the caller's, or one that trusts ``ca_file`` or the system's authorities.

        Certificates and host names are always checked unless the caller's own context does not. Makes a new context at
        each call.

        Raises:
            OptionError: ``ca_file`` cannot be read.
        """
        import ssl  # noqa: PLC0415 - heavy, and needed by transports only

        if self.ssl_context is not None:
            return self.ssl_context
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise OptionError(
                f"transport_options: ca_file {self.ca_file!r} cannot be used: {error}",
                advice="give the path of a PEM file",
            ) from error

    def request_headers(self) -> dict[str, str]:
        """Return ``headers``, with ``auth`` as the header of HTTP basic authentication (RFC 7617). It holds secrets."""
        if self.auth is None or any(name.lower() == "authorization" for name in self.headers):
            return dict(self.headers)
        pair = b64encode(":".join(self.auth).encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}", **self.headers}
