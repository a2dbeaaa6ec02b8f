"""Lists the plugins that are installed, without importing any of them."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint, distributions

from attrs import frozen

from chat_core._plugins.records import PluginSource

__all__ = ["GROUP", "Found", "canonical", "discover"]

GROUP = "chat_core"
#: Stands in place of the name of an entry point where the list of them is damaged.
UNREADABLE = "?"


@frozen
class Found:
    """An entry point and where it comes from; without one, ``fault`` says why the list of them cannot be read."""

    source: PluginSource
    entry_point: EntryPoint | None
    fault: Exception | None = None


def canonical(name: str) -> str:
    """Return a distribution's or plugin's name as it is compared: case, ``_`` and ``.`` make no difference."""
    return name.lower().replace("_", "-").replace(".", "-")


def discover() -> list[Found]:
    """Return every installed plugin, sorted by distribution and name.

    A distribution that stands on ``sys.path`` twice counts once, as the import system sees it: the first one wins.
    """
    found: dict[tuple[str, str], Found] = {}
    seen: set[str] = set()
    for distribution in _concerned():
        name = _field(distribution, "Name")
        if not name:
            continue  # left behind by an interrupted installation
        key = canonical(name)
        if key in seen:
            continue
        seen.add(key)
        version = _field(distribution, "Version")
        try:
            entry_points = tuple(distribution.entry_points)
        except Exception as error:  # noqa: BLE001 - damaged text fails in many ways, and must not hide the others
            if _mentions_us(distribution):
                source = PluginSource(distribution=name, version=version, entry_point=UNREADABLE)
                found[key, UNREADABLE] = Found(source, None, error)
            continue
        for entry_point in entry_points:
            if entry_point.group == GROUP:
                source = PluginSource(
                    distribution=name, version=version, entry_point=entry_point.name, value=entry_point.value
                )
                found.setdefault((key, entry_point.name), Found(source, entry_point))
    return [found[key] for key in sorted(found)]


def _concerned() -> list[Distribution]:
    """Return the distributions with entry points of ours, and those that may stand before one of them on the path.

    The metadata of all the others, which is what takes the time, is left alone.
    """
    named = [(_name(distribution), distribution) for distribution in distributions()]
    ours = {name for name, distribution in named if name is None or _mentions_us(distribution)}
    return [distribution for name, distribution in named if name in ours]


def _name(distribution: Distribution) -> str | None:
    """Return a name to compare, which most have in the name of a folder; None where it is not to be had."""
    try:
        return getattr(distribution, "_normalized_name", None)
    except Exception:  # noqa: BLE001 - it looks into the metadata, which may be absent or damaged in many ways
        return None


def _mentions_us(distribution: Distribution) -> bool:
    """Say whether a list of entry points, which may be damaged, is one that concerns chat-core."""
    try:
        return f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or "")
    except Exception:  # noqa: BLE001 - as above; a stranger's finder may raise anything
        return False


def _field(distribution: Distribution, name: str) -> str:
    """Return a field of the metadata, empty where there is none.

    The standard library has None for it. Where the package importlib_metadata was imported it answers in its place, for
    everybody, and raises.
    """
    try:
        return distribution.metadata[name] or ""
    except Exception:  # noqa: BLE001 - as above
        return ""
