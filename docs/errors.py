"""Writes the page of errors: every code and every exception, with what to do about it."""

from __future__ import annotations

from chat_core import (
    AmbiguousError,
    AmbiguousPluginError,
    ChatError,
    ConnectError,
    ConnectTimeoutError,
    ErrorCode,
    FileNotAllowedError,
    InvalidPluginError,
    LeaseLostError,
    LoginRefusedError,
    MissingOptionError,
    NoSessionToRestore,
    NotSentError,
    OptionError,
    OptionTypeError,
    PluginBlockedError,
    PluginConflictError,
    PluginError,
    PluginIncompatibleError,
    PluginLoadError,
    ProtocolError,
    RefusedError,
    SendError,
    SendExpiredError,
    SendRejectedError,
    SendUnknownError,
    SessionEndedError,
    SessionInUseError,
    StateCorruptError,
    StateVersionError,
    StorageCapacityError,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
    TransportError,
    UnknownPluginError,
    UnsupportedCommandError,
)
from chat_core import (
    __all__ as public,
)

__all__ = ["CODES", "REMEDIES", "errors_page"]

#: What each code means, and what to do.
CODES = {
    ErrorCode.NONE: ("nobody gave a code", "go by the exception's class"),
    ErrorCode.UNKNOWN_COMMAND: (
        "unknown command, or one that the transport does not offer",
        "use another transport, or do without; the [README](../plugins/transport_cometd/README.md) of a transport says what it offers",
    ),
    ErrorCode.PARAMETER_MISSING: ("a mandatory parameter is missing", "give it; the text names it"),
    ErrorCode.PARAMETER_INCORRECT: (
        "the value of a parameter is wrong",
        "correct it; the text names the value and the reason",
    ),
    ErrorCode.SESSION_UNKNOWN: (
        "the server does not know the chat session",
        "start a new one: the chat is over, or was too long without its visitor",
    ),
    ErrorCode.COMMAND_STOPPED: (
        "the command was stopped by a decorator of the server",
        "ask whoever runs the server; repeating is of no use",
    ),
    ErrorCode.COMMAND_FAILED: (
        "the server failed to execute the command",
        "try again later; the server's log says why",
    ),
    ErrorCode.SERVER_UNAVAILABLE: (
        "the chat server cannot be reached",
        "`chat-core doctor URL` tries address, name, TLS and service one by one",
    ),
    ErrorCode.LOGIN_FAILED: (
        "the login or handshake was refused",
        "check `auth` and `headers` in `transport_options`",
    ),
    ErrorCode.CONNECTION_INTERRUPTED: (
        "the connection was lost",
        "wait: the session connects again by itself; of a message the receipt tells what became of it",
    ),
    ErrorCode.IN_USE_HERE: (
        "a session of this process holds the profile",
        "give each chat a `profile` of its own, or leave or detach the other session first",
    ),
    ErrorCode.IN_USE_ELSEWHERE: (
        "another process holds the profile",
        "as above; where processes take turns, [try again](how-to/workers.md) once the other one has let go",
    ),
}

#: What to do about each exception.
REMEDIES: dict[type[ChatError], str] = {
    OptionError: "correct the option that the text names; [every option](launching.md)",
    MissingOptionError: "give it",
    OptionTypeError: "give it as the text says",
    FileNotAllowedError: "ask `file_limits` first, and send a smaller file or another type",
    PluginError: "`chat-core plugins` says what is wrong; [when a plugin does not load](plugins/does-not-load.md)",
    PluginLoadError: "install what is missing, or upgrade the plugin",
    PluginBlockedError: "take its name out of `CHAT_CORE_DISABLE_PLUGINS`, or into `CHAT_CORE_PLUGINS`",
    PluginConflictError: "uninstall one of the two, or switch it off with `CHAT_CORE_DISABLE_PLUGINS`",
    PluginIncompatibleError: "upgrade chat-core, or install an older release of the plugin",
    InvalidPluginError: "an instance of your own: add the methods that the text lists; a plugin: upgrade it or tell its author",
    UnknownPluginError: "install it, or correct the name; `chat-core plugins` lists what there is",
    AmbiguousPluginError: "name one",
    SendError: "look at `error.receipt`; the three below say what is known",
    SendRejectedError: "repeating is of no use; the server's code and words say why",
    SendExpiredError: "it surely did not arrive: send it again once there is a connection",
    SendUnknownError: "look for it with `get_transcript` before sending it again",
    LeaseLostError: "restore the session, here or elsewhere; until then another process may be its owner",
    SessionEndedError: "start a new session; `session.ended` says how this one ended",
    SessionInUseError: "give each chat a `profile` of its own, or wait until the owner has let go",
    NoSessionToRestore: "start a new session; `restore_or_start_session` does so by itself",
    StorageError: "`chat-core doctor` tries the storages; until it works no state is saved and nothing can be restored",
    StorageUnavailableError: "check the place, its owner and its mode, or give another one in `storage_options`",
    StorageLockedError: "unlock it, then do the same again",
    StorageCapacityError: "use a storage that holds more, such as `file`",
    StorageTimeoutError: "do the same again; a storage of your own may have a longer `deadline`",
    StateCorruptError: "start a new session, which replaces what is saved; the old chat cannot be taken up without it",
    StateVersionError: "restore it with the chat-core that wrote it, or upgrade this one",
    TransportError: "go by the class below that it has",
    ConnectError: "check the address and the network with `chat-core doctor URL`; the same again may succeed",
    ConnectTimeoutError: "as above, or allow more time: `connect_timeout` and `start_timeout` in `transport_options`",
    LoginRefusedError: "check `auth` and `headers` in `transport_options`",
    ProtocolError: "check the path of `server_url`: something answers there that is no chat server",
    NotSentError: "do the same again, after `retry_after` seconds where it is given",
    RefusedError: "the server's code and words say why; with `session_unknown` the chat is over",
    AmbiguousError: "look whether it was done before doing it again",
    UnsupportedCommandError: "use another transport, or do without",
}


def errors_page() -> str:
    """Return the page of errors."""
    codes = "\n".join(f"| {int(code)} | `{code.name}` | {CODES[code][0]} | {CODES[code][1]} |" for code in ErrorCode)
    branches = "\n".join(_branch(kind) for kind in _children(ChatError) if _children(kind))
    others = "\n".join(_row(kind) for kind in _children(ChatError) if not _children(kind))
    return f"""# Errors and remedies

Made from `chat_core.ErrorCode` and the exceptions by `docs/generate.py`.

Every error of chat-core is a `ChatError` with `description`, `code`, `origin`, `retryable` and `advice`, and its text ends with the advice. What it is about
was not done, unless its class says otherwise. Errors of libraries below never get out; they are chained.

<!-- run: tests/docs/test_readme.py executes this and compares the output -->
```python
from chat_core import ChatError, blocking

for options in (
    {{"server_url": "http://gms.example.com/genesys/cometd"}},
    {{"sever_url": "https://gms.example.com/genesys/cometd"}},
    {{"server_url": "http://127.0.0.1:9/genesys/cometd"}},
):
    try:
        blocking.start_session(state_storage="memory", **options)
    except ChatError as error:
        print(f"{{type(error).__name__}}, code {{error.code}}, retryable: {{error.retryable}}")
        print(f"    {{error.description}}", f"    {{error.advice}}", sep="\\n")
```

```text
OptionError, code 3, retryable: False
    server_url 'http://gms.example.com/genesys/cometd' would send the chat unencrypted to gms.example.com
    use https, or accept the risk with transport_options={{'allow_insecure': True}}
OptionTypeError, code 3, retryable: False
    there is no option 'sever_url'
    did you mean 'server_url'?
ConnectError, code 100, retryable: True
    the server at http://127.0.0.1:9/genesys/cometd cannot be reached: ConnectError: Connect call failed ('127.0.0.1', 9)
    check the address and the network; 'chat-core doctor URL' tries each step
```

## Codes

Codes that a server gives keep their number; `error.origin` says whose it is (`gwe`, `gms`, `http`, `bayeux`, `local`), because the ranges collide. These are
`local`, or the server's own words for the same.

| code | name | meaning | what to do |
| --- | --- | --- | --- |
{codes}

## Exceptions

Most are also the standard class beside their name, so that a program may catch that.

### Sessions

| exception | meaning | what to do |
| --- | --- | --- |
{others}

{branches}"""


def _children(kind: type[ChatError]) -> list[type[ChatError]]:
    known = (child for child in kind.__subclasses__() if child.__name__ in public)
    return sorted(known, key=lambda one: one.__name__)


def _branch(kind: type[ChatError]) -> str:
    rows = "\n".join(_row(one, depth) for one, depth in _below(kind))
    return f"### {kind.__name__}\n\n| exception | meaning | what to do |\n| --- | --- | --- |\n{rows}\n"


def _below(kind: type[ChatError], depth: int = 0) -> list[tuple[type[ChatError], int]]:
    return [(kind, depth), *(one for child in _children(kind) for one in _below(child, depth + 1))]


def _row(kind: type[ChatError], depth: int = 0) -> str:
    standard = [base.__name__ for base in kind.__bases__ if not issubclass(base, ChatError) and base is not Exception]
    also = f", a `{'`, `'.join(standard)}`" if standard else ""
    words = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    return f"| {'· ' * depth}`{kind.__name__}`{also} | {words} | {REMEDIES[kind]} |"
