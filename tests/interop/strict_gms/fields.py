"""Which operation has which fields: the tables of sections 2.2, 3.3 and 3.6, and the types of 2.1 to 2.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interop.strict_gms.violations import ViolationError

__all__ = ["COMETD", "CREDENTIALS", "NTF", "REST", "Rule", "check_names", "check_position", "check_time_zone"]

#: "cred" of 2.2: secureKey is required, the others are optional (2.1: deprecated since 8.5.112).
CREDENTIALS = frozenset({"secureKey", "userId", "alias"})


@dataclass(frozen=True)
class Rule:
    """The fields of one operation besides the credentials.

    Attributes:
        required: must be there, and not be empty.
        optional: may be there.
        user_data: whether ``userData`` may (True) or must ("required") be there.
        named: whether it needs a name: ``nickname``, or ``firstName`` and ``lastName``.
    """

    section: str
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    user_data: bool | str = False
    named: bool = False


def _rule(section: str, *required: str, optional: str = "", user_data: bool | str = False, named: bool = False) -> Rule:
    return Rule(section, frozenset(required), frozenset(optional.split()), user_data, named)


_PEOPLE = "nickname firstName lastName subject emailAddress"

#: 2.2, by the path below the service or the chat.
REST = {
    "create": _rule("2.2", optional=_PEOPLE, user_data=True, named=True),
    "send": _rule("2.2", "message", optional="messageType transcriptPosition"),
    "refresh": _rule("2.2", optional="transcriptPosition message"),
    "startTyping": _rule("2.2", optional="message"),
    "stopTyping": _rule("2.2", optional="message"),
    "disconnect": _rule("2.2"),
    "pushUrl": _rule("2.2", "pushUrl"),
    "updateNickname": _rule("2.2", "nickname"),
    "customNotice": _rule("2.2", "message"),
    "updateData": _rule("2.2", user_data="required"),
    "readReceipt": _rule("2.2", "transcriptPosition"),
    "file/limits": _rule("2.2"),
    "file": _rule("2.2", "file", user_data=True),
    "file/download": _rule("2.2"),
    "file/delete": _rule("2.2"),
}

#: 3.3, by ``operation``.
COMETD = {
    "requestChat": _rule("3.3", optional=f"{_PEOPLE} auth", user_data=True, named=True),
    "requestNotifications": _rule("3.3", optional="transcriptPosition", user_data=True),
    "sendMessage": _rule("3.3", "message", optional="messageType"),
    "startTyping": _rule("3.3", optional="message"),
    "stopTyping": _rule("3.3", optional="message"),
    "updateNickname": _rule("3.3", "nickname"),
    "updateData": _rule("3.3", user_data="required"),
    "pushUrl": _rule("3.3", "pushUrl"),
    "customNotice": _rule("3.3", "message"),
    "disconnect": _rule("3.3"),
}

#: 3.6, by ``operation``; both spellings of the first are to be accepted.
NTF = {
    "fileGetLimits": _rule("3.6"),
    "fileGetsLimits": _rule("3.6"),
    "fileUpload": _rule("3.6", "file", user_data=True),
    "fileDownload": _rule("3.6", "fileId"),
    "fileDelete": _rule("3.6", "fileId"),
}

_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_OFFSET = re.compile(r"0|-?[1-9][0-9]*")


def check_names(operation: str, rule: Rule, fields: Mapping[str, Any], user_data: object | None) -> None:
    """Only documented fields, and all required ones.

    Args:
        operation: for the sentence.
        rule: of the operation.
        fields: what came, without credentials and ``userData``.
        user_data: what came as ``userData``, None when nothing did.

    Raises:
        ViolationError: otherwise.
    """
    for name in fields:
        if name not in rule.required | rule.optional:
            raise ViolationError(rule.section, f"{operation} has no field {name!r}")
    for name in sorted(rule.required):
        if name not in fields or fields[name] in ("", None):
            raise ViolationError(rule.section, f"{operation} needs the field {name!r}")
    if user_data is not None and not rule.user_data:
        raise ViolationError(rule.section, f"{operation} has no userData")
    if rule.user_data == "required" and not user_data:
        raise ViolationError(rule.section, f"{operation} needs userData")
    if rule.named:
        _check_person(operation, fields)
    if operation == "refresh" and fields.get("message"):
        raise ViolationError("2.2", "the message of a refresh is empty")


def _check_person(operation: str, fields: Mapping[str, Any]) -> None:
    """2.1: ``nickname`` **or** ``firstName`` + ``lastName``; 102 and 103 are the errors (2.5)."""
    if not fields.get("nickname"):
        for name, code in (("firstName", 102), ("lastName", 103)):
            if not fields.get(name):
                raise ViolationError("2.1", f"{operation} needs nickname, or firstName and lastName", code=code)


def check_position(value: object) -> int:
    """2.2: a decimal; 0 none, 1 all, n from n on. A JSON number is checked by its caller (3.3).

    Raises:
        ViolationError: it is something else.
    """
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ViolationError("2.2", f"transcriptPosition must be a decimal, not {value!r}")
    return int(value)


def check_time_zone(user_data: Mapping[str, Any]) -> None:
    """2.1: the special key TimeZone has minutes.

    Raises:
        ViolationError: it has not.
    """
    value = user_data.get("TimeZone")
    if value is not None and not _OFFSET.fullmatch(str(value)):
        raise ViolationError("2.1", f"userData[TimeZone] must be minutes, not {value!r}")
