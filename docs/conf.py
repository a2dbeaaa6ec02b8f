"""How the site is built: the repository's own pages, and the reference from the docstrings.

The source directory is the root of the repository, so a link from page to page is the same in a repository browser and on the site.
"""

from __future__ import annotations

import sys
from pathlib import Path

import chat_core

sys.path.insert(0, str(Path(__file__).parent))

project = "chat-core"
author = "The chat-core authors"
version = release = chat_core.__version__

root_doc = "docs/index"
include_patterns = [
    *("docs/**.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("core/README.md", "gms/README.md", "sandbox/README.md", "plugins/*/README.md", "examples/*/README.md"),
]
exclude_patterns = ["docs/conformance.in.md", "docs/performance.in.md", ".*", "tests", "build", "**/src"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "site_navigation",
    "site_names",
]

# Pages. Headings have the anchors that repository browsers give them.
myst_heading_anchors = 4
myst_links_external_new_tab = False

# The reference. attrs classes list their fields below "Attributes", so those are no members of their own.
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 110
nitpicky = True

# What it looks like. Nothing is fetched, neither while building nor while reading.
html_theme = "furo"
html_title = "chat-core"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#17616b",
        "color-brand-content": "#17616b",
        "color-brand-visited": "#4b5f87",
        "color-api-name": "#17616b",
        "color-api-pre-name": "#5a6b70",
        "color-api-keyword": "#5a6b70",
        "color-code-background": "#f6f8f8",
    },
    "dark_css_variables": {
        "color-brand-primary": "#79c0c9",
        "color-brand-content": "#79c0c9",
        "color-brand-visited": "#a3b3d6",
        "color-api-name": "#79c0c9",
        "color-api-pre-name": "#96a4a8",
        "color-api-keyword": "#96a4a8",
    },
}
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
copybutton_prompt_text = "$ "
pygments_style = "friendly"
pygments_dark_style = "github-dark"
