"""Hold a contact-centre chat from Python, with plugins for transports, state storages and loggers.

Names are resolved on first use (PEP 562): importing the package does no I/O, starts no loop and reads no entry point.
What type checkers see stands in ``__init__.pyi``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Where each public name lives.
_HOMES = {
    "chat_core._contracts.connection": "ConnectionOptions",
    "chat_core._contracts.logger": "Log LoggerContext",
    "chat_core._contracts.providers": (
        "Capability Kind LoggerProvider ProbeStep Provider StorageProvider TransportProvider"
    ),
    "chat_core._contracts.storage": "LeasedStorage OwnedStorage StateStorage StorageContext",
    "chat_core._contracts.transport": (
        "Batch Command CustomNoticeCommand DeleteFileCommand DeleteUserDataCommand "
        "DownloadFileCommand Ended FileLimitsCommand GetUserDataCommand LeaveCommand LinkDown LinkUp "
        "NicknameCommand Opened Reply SendFileCommand SendMessageCommand StartRequest Transport "
        "TransportContext TypingCommand UserDataCommand"
    ),
    "chat_core._launch.launchers": "restore_or_start_session restore_session start_session",
    "chat_core._launch.options": "ResolvedOptions",
    "chat_core._launch.page": "PageContext",
    "chat_core._launch.url": "check_server_url",
    "chat_core._model.backoff": "Backoff",
    "chat_core._model.errors": (
        "AmbiguousError AmbiguousPluginError ChatError ConnectError ConnectTimeoutError ErrorCode "
        "FileNotAllowedError InvalidPluginError LeaseLostError LoginRefusedError MissingOptionError "
        "NoSessionToRestore NotSentError OptionError OptionTypeError Origin PluginBlockedError PluginConflictError "
        "PluginError PluginIncompatibleError PluginLoadError ProtocolError RefusedError SendError SendExpiredError "
        "SendRejectedError SendUnknownError SessionEndedError SessionInUseError StateCorruptError "
        "StateVersionError StorageCapacityError StorageError StorageLockedError StorageTimeoutError "
        "StorageUnavailableError TransportError UnknownPluginError UnsupportedCommandError"
    ),
    "chat_core._model.events": (
        "AgentConnected AgentDisconnected AgentTyping Continued ContinuityLost CustomNotice EndReason "
        "ErrorInfo ErrorReported Event FileDeleted FileUploaded IdleAlert IdleClose Interrupted LossReason "
        "MessageReceived NicknameUpdated Notice ParticipantJoined ParticipantLeft ParticipantTyping Party "
        "PartyType PushUrl SessionEnded UnknownEvent"
    ),
    "chat_core._model.files": "FileLimits",
    "chat_core._plugins.hooks": "hookimpl",
    "chat_core._session.parts": "ConnectionState Guarantees",
    "chat_core._session.pending": "FailEvent Pending",
    "chat_core._session.receipts": "Receipt ReceiptState",
    "chat_core._session.session": "Session",
    "chat_core._session.subscriptions": "Subscription",
    "chat_core._session.transfer": "FileDownload",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME)  # noqa: PLE0605 - spelt out in the stub


def __getattr__(name: str) -> Any:
    if name == "blocking":
        return import_module("chat_core.blocking")
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'chat_core' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    if isinstance(value, type) and value.__module__ == module and not hasattr(value, "__attrs_attrs__"):
        # Users see, pickle and search for the public name. Not so where annotations are resolved in the class's module.
        value.__module__ = __name__
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
