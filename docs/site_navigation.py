"""The navigation is what the front page lists: each of its sections becomes a part of it, in the order of its links.

So the front page is plain Markdown in a repository browser too, and a page that it does not list stops the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["setup"]

_SECTION = re.compile(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^\* \[([^\]]+)\]\(([^)#\s]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Extend Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _lead_to_the_front_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Append to an index a hidden table of contents for each of its lists of links."""
    del app
    if posixpath.basename(name) != "index":
        return
    for caption, text in _SECTION.findall(f"## \n{source[0]}"):
        entries = [
            f"{title} </{posixpath.normpath(posixpath.join(posixpath.dirname(name), page))}>"
            for title, page in _ENTRY.findall(text)
        ]
        if entries:
            listed = "\n".join(entries)
            options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
            source[0] += f"\n```{{toctree}}\n{options}\n{listed}\n```\n"


def _lead_to_the_front_page(app: Sphinx, error: Exception | None) -> None:
    """Write the file that whoever opens the site's folder gets."""
    if error is None and app.builder.format == "html":
        page = f"{app.config.root_doc}.html"
        text = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{app.config.project}</title>'
        text += f'<meta http-equiv="refresh" content="0; url={page}"><a href="{page}">{app.config.project}</a></html>\n'
        (Path(app.outdir) / "index.html").write_text(text, "utf-8")
