"""Writes the reference pages for authors of plugins from the protocols: signatures and docstrings, nothing else."""

from __future__ import annotations

import enum
import inspect
import re
import textwrap
from typing import Any

import attrs

import chat_core
from chat_core import Kind

__all__ = ["logger_page", "storage_page", "transport_page"]

#: Capabilities, by kind: they stand in the order of the source, below a comment that names the kind.
_KINDS = {"transports": Kind.TRANSPORT, "storages": Kind.STORAGE}
_COMMANDS = [
    "SendMessageCommand",
    "TypingCommand",
    "LeaveCommand",
    "UserDataCommand",
    "GetUserDataCommand",
    "DeleteUserDataCommand",
    "NicknameCommand",
    "CustomNoticeCommand",
    "FileLimitsCommand",
    "SendFileCommand",
    "DownloadFileCommand",
    "DeleteFileCommand",
]
_REPORTS = ("Batch", "LinkDown", "LinkUp", "Ended")


def storage_page() -> str:
    """Return the page about storages."""
    return _page(
        "State storages",
        f"""
{_begin("storage", "chat_storages", "StorageProvider")}
{_classes("StorageProvider", "ProbeStep", "StorageContext")}
{_protocol("StateStorage")}
{_protocol("OwnedStorage")}
{_protocol("LeasedStorage")}
{_capabilities(Kind.STORAGE)}
{_errors("StorageError", "SessionInUseError", "LeaseLostError")}
""",
    )


def transport_page() -> str:
    """Return the page about transports."""
    return _page(
        "Transports",
        f"""
{_begin("transport", "chat_transports", "TransportProvider")}
{_classes("TransportProvider", "ProbeStep", "TransportContext")}
{_protocol("Transport")}
## What it is given and returns

{_classes("StartRequest", "Opened", "Reply", level=3)}
## What it reports

`incoming` yields these.

{_classes(*_REPORTS, level=3)}
## Commands

What `send` is given. All transports take `SendMessageCommand` and `LeaveCommand`; the others are sent to those alone that declare them.

{_classes(*_COMMANDS, level=3)}
## Events

What a `Batch` holds. Fields beside those of `Event`:

{_table_of_events()}

{_classes("Event", "Party", "ErrorInfo", level=3)}
{_capabilities(Kind.TRANSPORT)}
## Options

{_classes("ConnectionOptions", level=3)}
{_methods(chat_core.ConnectionOptions)}
A transport that is given addresses as options checks them with this:

{_function("check_server_url")}
## Reconnecting

{_classes("Backoff", level=3)}
{_methods(chat_core.Backoff)}
{_errors("TransportError", "UnsupportedCommandError", "StateCorruptError")}
""",
    )


def logger_page() -> str:
    """Return the page about loggers."""
    return _page(
        "Loggers",
        f"""
{_begin("logger", "chat_loggers", "LoggerProvider")}
The factory returns what a user may give as `logger`: a callable that takes any number of arguments of any type, as `console.log` does, or a `logging.Logger`.
Arguments are redacted before they get there. What a logger raises is swallowed.

{_classes("LoggerProvider", "LoggerContext")}
## What plugins log to

{_protocol("Log", level=3)}
""",
    )


def _page(title: str, text: str) -> str:
    made = "Made from the protocols by `docs/generate.py`."
    return f"# {title}: the contract\n\n{made}\n\n" + re.sub(r"\n{3,}(?!@)", "\n\n", text.strip()) + "\n"


def _begin(kind: str, hook: str, provider: str) -> str:
    from chat_core._plugins.hooks import HookSpecs  # noqa: PLC0415 - the one thing here that is not public

    words = inspect.getdoc(getattr(HookSpecs, hook)) or ""
    tutorials = {"storage": "[first storage](first-storage.md)", "transport": "[first transport](first-transport.md)"}
    first = f" Begin with your {tutorials[kind]}." if kind in tutorials else ""
    return f"""A {kind} plugin is a module with the hook `{hook}`, named by an entry point of the group `chat_core`.{first}

```python
from chat_core import {provider}, hookimpl


@hookimpl
def {hook}() -> list[{provider}]: ...
```

{words} A `{provider}` is a `Provider` whose `kind` is `Kind.{kind.upper()}`. Hooks are plain functions without arguments; `chat-core plugins` says [what is wrong](does-not-load.md) when one is not.
"""


def _classes(*names: str, level: int = 2) -> str:
    return "\n".join(f"{'#' * level} `{name}`\n\n{_class(getattr(chat_core, name))}" for name in names)


def _class(kind: type[Any]) -> str:
    text = _prose(kind)
    if issubclass(kind, enum.Enum):
        return text + "\nOne of " + ", ".join(f"`{one.value}`" for one in kind) + ".\n"
    inherited = [base for base in kind.__mro__[1:] if attrs.has(base) and "Attributes:" in (base.__doc__ or "")]
    for base in inherited:
        attributes = _sections(inspect.cleandoc(base.__doc__ or "")).get("Attributes")
        if attributes and base.__name__ != "Event":
            text += f"\n{_list(attributes)}"
    if attrs.has(kind) and not inherited and "Attributes:" not in (kind.__doc__ or "") and attrs.fields(kind):
        fields = ", ".join(f"`{one.name}`" for one in attrs.fields(kind))
        text += f"\nFields: {fields}.\n"
    return text


def _protocol(name: str, *, level: int = 2) -> str:
    kind = getattr(chat_core, name)
    return f"{'#' * level} `{name}`\n\n{_prose(kind)}\n{_methods(kind, level=level + 1)}"


def _methods(kind: type[Any], *, level: int = 4) -> str:
    parts = []
    members: dict[str, Any] = {}
    for base in kind.__mro__:
        members = {**members, **{name: value for name, value in vars(base).items() if name not in members}}
    for name, method in members.items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        coroutine = "async " if inspect.iscoroutinefunction(method) else ""
        parts.append(
            f"{'#' * level} `{name}`\n\n```text\n{coroutine}def {name}{_signature(method)}\n```\n\n{_prose(method)}"
        )
    return "\n".join(parts)


def _function(name: str, *, level: int = 3) -> str:
    function = getattr(chat_core, name)
    return f"{'#' * level} `{name}`\n\n```text\ndef {name}{_signature(function)}\n```\n\n{_prose(function)}"


def _signature(method: Any) -> str:
    signature = inspect.signature(method)
    shown = str(signature.replace(parameters=[one for one in signature.parameters.values() if one.name != "self"]))
    return shown.replace("'", "")


def _prose(thing: Any) -> str:
    """Return a docstring as Markdown: its paragraphs, and a list for each of its sections."""
    doc = inspect.cleandoc(thing.__doc__ or "")
    sections = _sections(doc)
    text = _markdown(sections.pop("", "")) + "\n"
    for name, body in sections.items():
        text += "\n" + ("" if name == "Attributes" else f"{name}:\n\n") + _list(body)
    return text


def _sections(doc: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in doc.splitlines():
        if re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", line):
            name = line[:-1]
            found[name] = ""
        else:
            found[name] = found.get(name, "") + line + "\n"
    return {name: textwrap.dedent(text).strip() for name, text in found.items()}


def _list(body: str) -> str:
    """Return ``name: words`` entries as a list; lines that go on are indented."""
    entries = re.split(r"\n(?=\S)", body)
    shown = []
    for entry in entries:
        name, colon, words = " ".join(entry.split()).partition(": ")
        shown.append(f"* `{name}`: {_markdown(words)}" if colon else f"* {_markdown(entry)}")
    return "\n".join(shown) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text).strip()


def _capabilities(kind: Kind) -> str:
    from chat_core._contracts import providers  # noqa: PLC0415 - comments are in the source alone

    rows, here = [], None
    source = inspect.getsource(providers).partition("class Capability")[2].partition("\n\n\n")[0]
    for line in source.splitlines():
        if heading := re.fullmatch(r"\s+# (\w+)", line):
            here = _KINDS[heading[1]]
        if (member := re.fullmatch(r'\s+(\w+) = "([^"]+)"(?:  #: (.*))?', line)) and here is kind:
            rows.append(f"| `{member[2]}` | `Capability.{member[1]}` | {_markdown(member[3] or '')} |")
    table = "\n".join(["| name | | meaning |", "| --- | --- | --- |", *rows])
    return f"## Capabilities\n\n{_markdown(chat_core.Capability.__doc__ or '')}\n\n{table}\n"


def _table_of_events() -> str:
    from chat_core._model import events  # noqa: PLC0415 - in the order of the source

    common = {one.name for one in attrs.fields(chat_core.Event)}
    # What the session says by itself; a transport does not.
    left_out = {"Event", "SessionEnded", "Interrupted", "Continued", "ContinuityLost"}
    rows = []
    for name, kind in vars(events).items():
        if isinstance(kind, type) and issubclass(kind, chat_core.Event) and name not in left_out:
            fields = ", ".join(f"`{one.name}`" for one in attrs.fields(kind) if one.name not in common)
            rows.append(f"| `{name}` | {fields} | {_markdown((kind.__doc__ or '').splitlines()[0])} |")
    return "\n".join(["| event | fields | meaning |", "| --- | --- | --- |", *rows])


def _errors(*roots: str) -> str:
    kinds = [kind for root in roots for kind in _tree(getattr(chat_core, root))]
    rows = [f"| `{kind.__name__}` | {_markdown((kind.__doc__ or '').splitlines()[0])} |" for kind in kinds]
    table = "\n".join(["| error | meaning |", "| --- | --- |", *rows])
    numbers = ", ".join(f"`{one}`" for one in chat_core.Origin)
    return f"""## Errors

An error that is not chat-core's never gets out: it is chained. `code` is a back end's number and `origin` says whose it is: an `Origin`, which is one of
{numbers}, or a text of your own that begins with `x-`.

{table}
"""


def _tree(kind: type[Exception]) -> list[type[Exception]]:
    found = [kind]
    for child in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
        if child.__name__ in chat_core.__all__:
            found += _tree(child)
    return found
