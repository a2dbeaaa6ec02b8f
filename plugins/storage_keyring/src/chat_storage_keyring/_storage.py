"""The storage ``keyring``: one item per profile, JSON in ASCII."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, TypeVar

from chat_core import (
    StateCorruptError,
    StorageCapacityError,
    StorageContext,
    StorageError,
    StorageLockedError,
    StorageUnavailableError,
)
from chat_storage_keyring._backends import HEADLESS, Backend, Chosen, choose, folds_case, limit_of, members
from chat_storage_keyring._calls import call
from chat_storage_keyring._errors import close_connections, needles_of, translate
from chat_storage_keyring.options import KeyringOptions

__all__ = ["USERNAME", "KeyringStorage", "item_name", "make_storage"]

T = TypeVar("T")

#: Every item's user name. Windows' backend moves items around when one service has several.
USERNAME: Final = "state"
#: What is written over an item that its backend cannot delete.
_CLEARED: Final = "null"
#: Times that deleting is tried: a Secret Service deletes one of several items with the same name.
_DELETIONS: Final = 3
_UNSAFE: Final = re.compile(r"[%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def item_name(service: str, profile: str, *, fold: bool = False) -> str:
    """Return an item's service name, ``<service>:<profile>``.

    ``%`` and control characters in the profile are percent-encoded, since C strings end at the first NUL, and with
    ``fold`` capitals too: two profiles never share an item.
    """

    def encode(text: str) -> str:
        return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))

    safe = _UNSAFE.sub(lambda match: encode(match.group()), profile)
    if fold:
        safe = "".join(encode(one) if one.lower() != one else one for one in safe)
    return f"{service}:{safe}"


class KeyringStorage:
    """One profile's state in a keyring.

    Its methods block, and the core calls them on a thread, one at a time, with a deadline. keyring is imported and the
    backend chosen at the first call.

    Args:
        profile: its name.
        options: see there.
        log: hears which backend was chosen and why.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        profile: str,
        options: KeyringOptions,
        *,
        log: Callable[..., None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._options = options
        self._log = log
        self._clock = clock
        #: Seconds for one call; the core reads it.
        self.deadline = options.timeout
        #: None until the first call.
        self._chosen: Chosen | None = None
        #: Whether a write of this storage was read back.
        self._trusted = False
        #: Until when a locked keyring is not asked to save.
        self._pause_until = -float("inf")

    def __repr__(self) -> str:
        name = self._chosen.name if self._chosen is not None else "not chosen yet"
        return f"<KeyringStorage {item_name(self._options.service, self._profile)!r}, backend {name}>"

    def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none.

        Raises:
            StateCorruptError: what is there is no state.
            StorageLockedError: the keyring is locked; there may be a state.
            StorageUnavailableError: there is no keyring that keeps anything.
            StorageTimeoutError: an earlier call hangs.
            StorageError: the backend failed otherwise.
        """
        with self._call("read"):
            text = self._get(self._backend(), "read")
            return None if text is None else _decode(text, self._chosen_name)

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state; None clears it.

        Raises:
            StorageCapacityError: it is too large; nothing was written.
            StorageLockedError, StorageUnavailableError, StorageTimeoutError, StorageError: as for ``read``.
        """
        if state is None:
            with self._call("clear"):
                self._clear(self._backend())
            return
        text = _encode(state)
        left = self._pause_until - self._clock()
        if left > 0:
            raise StorageLockedError(
                f"the keyring was locked and is not asked again for {left:.0f} s, since each time may show a prompt",
                advice="unlock it; see the option prompt_pause",
            )
        with self._call("write"):
            backend = self._backend()
            self._check_size(text, backend)
            try:
                self._set(backend, text, needles_of(state, text))
            except StorageLockedError:
                self._pause_until = self._clock() + self._options.prompt_pause
                raise
            if not self._trusted:
                self._check_kept(backend, text)

    @property
    def _chosen_name(self) -> str:
        return self._chosen.name if self._chosen is not None else ""

    def _place(self) -> Hashable:
        """Say which keyring is asked, before it is known: an object by itself, others by what they are chosen from."""
        backend = self._options.backend
        return backend if backend is None or isinstance(backend, str) else id(backend)

    def _call(self, doing: str) -> Any:
        return call(self._place(), owner=self, doing=doing, timeout=self._options.timeout, clock=self._clock)

    def _backend(self) -> Backend:
        if self._chosen is None:
            self._chosen = choose(self._options.backend)
            self._log("the state is kept in a keyring", self._chosen.name, self._chosen.reason)
        return self._chosen.backend

    @property
    def _item(self) -> str:
        fold = self._chosen is not None and folds_case(self._chosen.backend)
        return item_name(self._options.service, self._profile, fold=fold)

    def _get(self, backend: Backend, doing: str, needles: Iterable[str] = ()) -> str | None:
        item = self._item
        text: object = self._ask(doing, lambda: backend.get_password(item, USERNAME), needles)
        if text is not None and not isinstance(text, str):
            getattr(text, "close", lambda: None)()
            raise StorageUnavailableError(
                f"the keyring backend {self._chosen_name} returned a {type(text).__name__} in place of text or None",
                advice="its methods must be plain functions with keyring's signatures",
            )
        # Cleared by overwriting it is as good as absent.
        return None if text == _CLEARED else text

    def _set(self, backend: Backend, text: str, needles: Iterable[str]) -> None:
        item = self._item
        result: object = self._ask("write", lambda: backend.set_password(item, USERNAME, text), needles)
        getattr(result, "close", lambda: None)()

    def _ask(self, doing: str, function: Callable[[], T], needles: Iterable[str] = ()) -> T:
        failure: StorageError | None = None
        try:
            return function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - no exception of a backend or of what it uses escapes
            close_connections(error)
            failure = translate(error, doing=doing, backend=self._chosen_name, needles=needles)
        # Outside, so that a withheld error is not chained by being handled.
        raise failure

    def _check_size(self, text: str, backend: Backend) -> None:
        limit = self._options.max_bytes if self._options.max_bytes is not None else limit_of(backend)
        size = 2 * len(text)  # ASCII: two bytes of UTF-16 for each character
        if limit is not None and size > limit:
            raise StorageCapacityError(
                f"the state has {size} bytes in UTF-16 and the keyring backend {self._chosen_name} holds {limit}; "
                "nothing was written and what it held before is unharmed",
                advice='use state_storage="file", or name another backend with storage_options={"backend": ...}',
            )

    def _check_kept(self, backend: Backend, text: str) -> None:
        """Read the first write back: some backends take everything and keep nothing, or a part."""
        kept = self._get(backend, "read back", [text])
        if kept == text:
            self._trusted = True
            return
        if kept is None:
            raise StorageUnavailableError(
                f"the keyring backend {self._chosen_name} took the state without an error and kept nothing",
                advice=HEADLESS,
            )
        cut = text.startswith(kept)
        what = f"only the first {len(kept)}" if cut else f"{len(kept)} others"
        raise (StorageCapacityError if cut else StorageUnavailableError)(
            f"the keyring backend {self._chosen_name} was given {len(text)} characters and gave back {what}",
            advice='name another backend with storage_options={"backend": ...}, or use state_storage="file"',
        )

    def _clear(self, backend: Backend) -> None:
        """Delete the item wherever it is. That there is none is success; that it is still there is not."""
        # A chainer deletes from its first backend alone, and finds the item in the second.
        failures = [failure for one in members(backend) if (failure := self._remove(one)) is not None]
        if failures:
            raise failures[0]

    def _remove(self, backend: Backend) -> StorageError | None:
        """Delete the item from one backend; returns what went wrong."""
        item = self._item
        failure: StorageError | None = None
        for _ in range(_DELETIONS):
            try:
                result: object = self._ask("clear", lambda: backend.delete_password(item, USERNAME))
                getattr(result, "close", lambda: None)()
            except StorageLockedError:
                raise
            except StorageError as error:
                # There was none, or it could not be deleted: backends raise the same for both.
                failure = error
            if self._get(backend, "clear") is None:
                return None
            if failure is not None:
                break
        # What cannot be deleted is overwritten, so that at least the secrets are gone.
        self._set(backend, _CLEARED, ())
        if self._get(backend, "clear") is None:
            return None
        return failure or StorageError(
            f"the keyring backend {self._chosen_name} deleted the state without an error and still has it",
            advice=f"delete the item {item!r} by hand",
        )


def _encode(state: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(state), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(
            f"the state cannot be written as JSON: {type(error).__name__}", advice="a state holds JSON values only"
        ) from error


def _decode(text: str, backend: str) -> Mapping[str, Any]:
    """Read what ``_encode`` wrote; what it cannot be is damaged, never "no state"."""
    state: object = None
    with contextlib.suppress(ValueError, RecursionError):  # not chained: such an error carries the text along
        state = json.loads(text, parse_constant=_refuse)
    if not isinstance(state, dict):
        raise StateCorruptError(
            f"the keyring backend {backend} holds an item of {len(text)} characters that is no state of a session",
            advice="a new start_session replaces it; the old chat cannot be taken up without it",
        )
    return state


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def make_storage(context: StorageContext) -> KeyringStorage:
    """Make the storage; the provider's factory."""
    options = context.options if isinstance(context.options, KeyringOptions) else KeyringOptions()
    return KeyringStorage(context.profile, options, log=context.log.info)
