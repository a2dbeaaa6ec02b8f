"""Lists the plugins that are installed, without importing any of them."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint, distributions

from attrs import frozen

from chat_core._plugins.records import PluginSource

__all__ = ["GROUP", "Found", "discover"]

GROUP = "chat_core"


@frozen
class Found:
    """An entry point and where it comes from."""

    source: PluginSource
    entry_point: EntryPoint


def discover() -> list[Found]:
    """Return every installed plugin, sorted by distribution and name.

    A distribution that stands on ``sys.path`` twice counts once, as the import system sees it: the first one wins.
    """
    found: dict[tuple[str, str], Found] = {}
    seen: set[str] = set()
    for distribution in distributions():
        name = _field(distribution, "Name")
        if not name:
            continue  # left behind by an interrupted installation
        canonical = name.lower().replace("_", "-").replace(".", "-")
        if canonical in seen:
            continue
        seen.add(canonical)
        for entry_point in distribution.entry_points:
            if entry_point.group == GROUP:
                source = PluginSource(
                    distribution=name,
                    version=_field(distribution, "Version"),
                    entry_point=entry_point.name,
                    value=entry_point.value,
                )
                found.setdefault((canonical, entry_point.name), Found(source, entry_point))
    return [found[key] for key in sorted(found)]


def _field(distribution: Distribution, name: str) -> str:
    """Return a field of the metadata, empty where there is none.

    The standard library has None for it. Where the package importlib_metadata was imported it answers in its place, for
    everybody, and raises.
    """
    try:
        return distribution.metadata[name] or ""
    except (KeyError, OSError):
        return ""
