"""A second server of GMS Chat v2, written from the protocol page alone.

The project's client and sandbox share a codec and could share a misreading of the page. This one shares nothing with
them. It is strict about every request: what the page does not allow is put down in ``StrictGms.violations`` and
answered with an error. "Section" in its docstrings is a section of the page (wire-protocols.md).
"""

from interop.strict_gms import captures
from interop.strict_gms.chats import Chat
from interop.strict_gms.files import CAPTURED_LIMITS, Limits
from interop.strict_gms.quirks import Quirks
from interop.strict_gms.server import StrictGms

__all__ = ["CAPTURED_LIMITS", "Chat", "Limits", "Quirks", "StrictGms", "captures"]
