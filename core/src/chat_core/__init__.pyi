from typing import Final

from chat_core import blocking as blocking
from chat_core._contracts.connection import ConnectionOptions as ConnectionOptions
from chat_core._contracts.logger import Log as Log
from chat_core._contracts.logger import LoggerContext as LoggerContext
from chat_core._contracts.providers import Capability as Capability
from chat_core._contracts.providers import Kind as Kind
from chat_core._contracts.providers import LoggerProvider as LoggerProvider
from chat_core._contracts.providers import ProbeStep as ProbeStep
from chat_core._contracts.providers import Provider as Provider
from chat_core._contracts.providers import StorageProvider as StorageProvider
from chat_core._contracts.providers import TransportProvider as TransportProvider
from chat_core._contracts.storage import LeasedStorage as LeasedStorage
from chat_core._contracts.storage import OwnedStorage as OwnedStorage
from chat_core._contracts.storage import StateStorage as StateStorage
from chat_core._contracts.storage import StorageContext as StorageContext
from chat_core._contracts.transport import Batch as Batch
from chat_core._contracts.transport import Command as Command
from chat_core._contracts.transport import CustomNoticeCommand as CustomNoticeCommand
from chat_core._contracts.transport import DeleteFileCommand as DeleteFileCommand
from chat_core._contracts.transport import DeleteUserDataCommand as DeleteUserDataCommand
from chat_core._contracts.transport import DownloadFileCommand as DownloadFileCommand
from chat_core._contracts.transport import Ended as Ended
from chat_core._contracts.transport import FileLimitsCommand as FileLimitsCommand
from chat_core._contracts.transport import GetUserDataCommand as GetUserDataCommand
from chat_core._contracts.transport import LeaveCommand as LeaveCommand
from chat_core._contracts.transport import LinkDown as LinkDown
from chat_core._contracts.transport import LinkUp as LinkUp
from chat_core._contracts.transport import NicknameCommand as NicknameCommand
from chat_core._contracts.transport import Opened as Opened
from chat_core._contracts.transport import Reply as Reply
from chat_core._contracts.transport import SendFileCommand as SendFileCommand
from chat_core._contracts.transport import SendMessageCommand as SendMessageCommand
from chat_core._contracts.transport import StartRequest as StartRequest
from chat_core._contracts.transport import Transport as Transport
from chat_core._contracts.transport import TransportContext as TransportContext
from chat_core._contracts.transport import TypingCommand as TypingCommand
from chat_core._contracts.transport import UserDataCommand as UserDataCommand
from chat_core._launch.launchers import restore_or_start_session as restore_or_start_session
from chat_core._launch.launchers import restore_session as restore_session
from chat_core._launch.launchers import start_session as start_session
from chat_core._launch.options import ResolvedOptions as ResolvedOptions
from chat_core._launch.page import PageContext as PageContext
from chat_core._launch.url import check_server_url as check_server_url
from chat_core._model.backoff import Backoff as Backoff
from chat_core._model.errors import AmbiguousError as AmbiguousError
from chat_core._model.errors import AmbiguousPluginError as AmbiguousPluginError
from chat_core._model.errors import ChatError as ChatError
from chat_core._model.errors import ConnectError as ConnectError
from chat_core._model.errors import ConnectTimeoutError as ConnectTimeoutError
from chat_core._model.errors import ErrorCode as ErrorCode
from chat_core._model.errors import FileNotAllowedError as FileNotAllowedError
from chat_core._model.errors import InvalidPluginError as InvalidPluginError
from chat_core._model.errors import LeaseLostError as LeaseLostError
from chat_core._model.errors import LoginRefusedError as LoginRefusedError
from chat_core._model.errors import MissingOptionError as MissingOptionError
from chat_core._model.errors import NoSessionToRestore as NoSessionToRestore
from chat_core._model.errors import NotSentError as NotSentError
from chat_core._model.errors import OptionError as OptionError
from chat_core._model.errors import OptionTypeError as OptionTypeError
from chat_core._model.errors import Origin as Origin
from chat_core._model.errors import PluginBlockedError as PluginBlockedError
from chat_core._model.errors import PluginConflictError as PluginConflictError
from chat_core._model.errors import PluginError as PluginError
from chat_core._model.errors import PluginIncompatibleError as PluginIncompatibleError
from chat_core._model.errors import PluginLoadError as PluginLoadError
from chat_core._model.errors import ProtocolError as ProtocolError
from chat_core._model.errors import RefusedError as RefusedError
from chat_core._model.errors import SendError as SendError
from chat_core._model.errors import SendExpiredError as SendExpiredError
from chat_core._model.errors import SendRejectedError as SendRejectedError
from chat_core._model.errors import SendUnknownError as SendUnknownError
from chat_core._model.errors import SessionEndedError as SessionEndedError
from chat_core._model.errors import SessionInUseError as SessionInUseError
from chat_core._model.errors import StateCorruptError as StateCorruptError
from chat_core._model.errors import StateVersionError as StateVersionError
from chat_core._model.errors import StorageCapacityError as StorageCapacityError
from chat_core._model.errors import StorageError as StorageError
from chat_core._model.errors import StorageLockedError as StorageLockedError
from chat_core._model.errors import StorageTimeoutError as StorageTimeoutError
from chat_core._model.errors import StorageUnavailableError as StorageUnavailableError
from chat_core._model.errors import TransportError as TransportError
from chat_core._model.errors import UnknownPluginError as UnknownPluginError
from chat_core._model.errors import UnsupportedCommandError as UnsupportedCommandError
from chat_core._model.events import AgentConnected as AgentConnected
from chat_core._model.events import AgentDisconnected as AgentDisconnected
from chat_core._model.events import AgentTyping as AgentTyping
from chat_core._model.events import Continued as Continued
from chat_core._model.events import ContinuityLost as ContinuityLost
from chat_core._model.events import CustomNotice as CustomNotice
from chat_core._model.events import EndReason as EndReason
from chat_core._model.events import ErrorInfo as ErrorInfo
from chat_core._model.events import ErrorReported as ErrorReported
from chat_core._model.events import Event as Event
from chat_core._model.events import FileDeleted as FileDeleted
from chat_core._model.events import FileUploaded as FileUploaded
from chat_core._model.events import IdleAlert as IdleAlert
from chat_core._model.events import IdleClose as IdleClose
from chat_core._model.events import Interrupted as Interrupted
from chat_core._model.events import LossReason as LossReason
from chat_core._model.events import MessageReceived as MessageReceived
from chat_core._model.events import NicknameUpdated as NicknameUpdated
from chat_core._model.events import Notice as Notice
from chat_core._model.events import ParticipantJoined as ParticipantJoined
from chat_core._model.events import ParticipantLeft as ParticipantLeft
from chat_core._model.events import ParticipantTyping as ParticipantTyping
from chat_core._model.events import Party as Party
from chat_core._model.events import PartyType as PartyType
from chat_core._model.events import PushUrl as PushUrl
from chat_core._model.events import SessionEnded as SessionEnded
from chat_core._model.events import UnknownEvent as UnknownEvent
from chat_core._model.files import FileLimits as FileLimits
from chat_core._plugins.hooks import hookimpl as hookimpl
from chat_core._session.parts import ConnectionState as ConnectionState
from chat_core._session.parts import Guarantees as Guarantees
from chat_core._session.pending import FailEvent as FailEvent
from chat_core._session.pending import Pending as Pending
from chat_core._session.receipts import Receipt as Receipt
from chat_core._session.receipts import ReceiptState as ReceiptState
from chat_core._session.session import Session as Session
from chat_core._session.subscriptions import Subscription as Subscription
from chat_core._session.transfer import FileDownload as FileDownload

__version__: Final[str]

__all__ = [
    "AgentConnected",
    "AgentDisconnected",
    "AgentTyping",
    "AmbiguousError",
    "AmbiguousPluginError",
    "Backoff",
    "Batch",
    "Capability",
    "ChatError",
    "Command",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionOptions",
    "ConnectionState",
    "Continued",
    "ContinuityLost",
    "CustomNotice",
    "CustomNoticeCommand",
    "DeleteFileCommand",
    "DeleteUserDataCommand",
    "DownloadFileCommand",
    "EndReason",
    "Ended",
    "ErrorCode",
    "ErrorInfo",
    "ErrorReported",
    "Event",
    "FailEvent",
    "FileDeleted",
    "FileDownload",
    "FileLimits",
    "FileLimitsCommand",
    "FileNotAllowedError",
    "FileUploaded",
    "GetUserDataCommand",
    "Guarantees",
    "IdleAlert",
    "IdleClose",
    "Interrupted",
    "InvalidPluginError",
    "Kind",
    "LeaseLostError",
    "LeasedStorage",
    "LeaveCommand",
    "LinkDown",
    "LinkUp",
    "Log",
    "LoggerContext",
    "LoggerProvider",
    "LoginRefusedError",
    "LossReason",
    "MessageReceived",
    "MissingOptionError",
    "NicknameCommand",
    "NicknameUpdated",
    "NoSessionToRestore",
    "NotSentError",
    "Notice",
    "Opened",
    "OptionError",
    "OptionTypeError",
    "Origin",
    "OwnedStorage",
    "PageContext",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantTyping",
    "Party",
    "PartyType",
    "Pending",
    "PluginBlockedError",
    "PluginConflictError",
    "PluginError",
    "PluginIncompatibleError",
    "PluginLoadError",
    "ProbeStep",
    "ProtocolError",
    "Provider",
    "PushUrl",
    "Receipt",
    "ReceiptState",
    "RefusedError",
    "Reply",
    "ResolvedOptions",
    "SendError",
    "SendExpiredError",
    "SendFileCommand",
    "SendMessageCommand",
    "SendRejectedError",
    "SendUnknownError",
    "Session",
    "SessionEnded",
    "SessionEndedError",
    "SessionInUseError",
    "StartRequest",
    "StateCorruptError",
    "StateStorage",
    "StateVersionError",
    "StorageCapacityError",
    "StorageContext",
    "StorageError",
    "StorageLockedError",
    "StorageProvider",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "Subscription",
    "Transport",
    "TransportContext",
    "TransportError",
    "TransportProvider",
    "TypingCommand",
    "UnknownEvent",
    "UnknownPluginError",
    "UnsupportedCommandError",
    "UserDataCommand",
    "check_server_url",
    "hookimpl",
    "restore_or_start_session",
    "restore_session",
    "start_session",
]
