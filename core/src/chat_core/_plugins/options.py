"""Makes a plugin's options from what a user gave: unknown keys and wrong types are named before anything happens."""

from __future__ import annotations

import collections.abc
import difflib
import ssl
import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs

from chat_core._model.errors import ChatError, MissingOptionError, OptionError, OptionTypeError

__all__ = ["build_options", "closest", "hints_of"]


def closest(name: str, names: collections.abc.Iterable[str]) -> str:
    """Return a sentence with the name that was probably meant, or with all there are."""
    names = sorted(names)
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"did you mean {match[0]!r}?"
    return f"known are {', '.join(names)}" if names else "there are none"


def build_options(options_class: type[Any] | None, given: Any, *, name: str, owner: str) -> Any:
    """Return an instance of a plugin's options class, None when it has none.

    Args:
        options_class: an attrs class, or None.
        given: a mapping, an instance of that class, or None.
        name: what the user calls it: ``transport_options`` or ``storage_options``.
        owner: whose options they are, for the text of an error.

    Raises:
        OptionError: a key is unknown or a value wrong; OptionTypeError, MissingOptionError accordingly.
    """
    if options_class is None:
        if given:
            raise OptionError(f"{owner} takes no {name}", advice=f"leave {name} out")
        return None
    if isinstance(given, options_class):
        return given
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise OptionTypeError(
            f"{name} must be a mapping or {options_class.__name__}, not {type(given).__name__}",
            advice=f'give it as {name}={{"key": value}}',
        )
    _check(options_class, given, name, owner)
    try:
        return options_class(**given)
    except ChatError:
        raise
    except TypeError as error:
        raise OptionTypeError(f"{name} for {owner}: {error}") from error
    except ValueError as error:
        raise OptionError(f"{name} for {owner}: {error}") from error


def _check(options_class: type[Any], given: Mapping[str, Any], name: str, owner: str) -> None:
    fields = {one.alias: one for one in attrs.fields(options_class)}
    hints = hints_of(options_class)
    for key, value in given.items():
        if key not in fields:
            raise OptionError(f"{name} has no key {key!r} for {owner}", advice=closest(str(key), fields))
        hint = hints.get(fields[key].name, Any)
        if not _fits(value, hint):
            raise OptionTypeError(
                f"{name}: {key} must be {_words(hint)}, not of type {type(value).__name__}",
                advice=f"see {options_class.__name__}",
            )
    for key, one in fields.items():
        if one.default is attrs.NOTHING and key not in given:
            raise MissingOptionError(f"{name}: {key} is missing for {owner}", advice=f'add {name}={{"{key}": ...}}')


def hints_of(options_class: type[Any]) -> dict[str, Any]:
    """Return the annotations; a class whose annotations cannot be resolved checks its values itself."""
    try:
        return typing.get_type_hints(options_class, localns={"ssl": ssl})
    except NameError:
        return {}


def _fits(value: object, hint: Any) -> bool:
    """Say whether a value fits an annotation, as far as can be told without running anything."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if hint is None or hint is types.NoneType:
        return value is None
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, one) for one in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple:
        return _fits_tuple(value, arguments)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, arguments[0]) and _fits(one, arguments[1]) for key, one in value.items()
        )
    if isinstance(origin, type):
        return isinstance(value, origin)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _fits_tuple(value: object, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple | list):
        return False
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return all(_fits(one, arguments[0]) for one in value)
    return len(value) == len(arguments) and all(_fits(one, hint) for one, hint in zip(value, arguments, strict=True))


def _words(hint: Any) -> str:
    names = {str: "text", bool: "True or False", float: "a number", int: "a whole number", types.NoneType: "None"}
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return " or ".join(_words(one) for one in typing.get_args(hint))
    if hint in names:
        return names[hint]
    return (
        str(hint).replace("collections.abc.", "") if typing.get_origin(hint) else getattr(hint, "__name__", str(hint))
    )
