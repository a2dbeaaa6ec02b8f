"""Where the application's parts are, and their colours."""

from __future__ import annotations

from chat_core._cli._tui.palette import DIM, FAINT, GROUND, LINE, MINE, RAISED, TEXT, THEIRS

__all__ = ["CSS"]

CSS = f"""
Screen {{ background: {GROUND}; color: {TEXT}; layers: base; }}
.bar {{ height: 1; padding: 0 1; }}
.bar .left {{ width: 1fr; height: 1; }}
.bar .right {{ width: auto; height: 1; padding-left: 2; }}
#header {{ background: {RAISED}; }}
#panes {{ height: 1fr; }}
Rows {{
    background: {GROUND};
    scrollbar-color: {LINE};
    scrollbar-color-hover: {FAINT};
    scrollbar-color-active: {FAINT};
    scrollbar-background: {GROUND};
    scrollbar-background-hover: {GROUND};
    scrollbar-background-active: {GROUND};
}}
#conversation {{ width: 1fr; height: 1fr; }}
#inspector {{ display: none; background: {GROUND}; border: solid {LINE}; border-title-color: {DIM}; }}
#inspector:focus-within {{ border: solid {THEIRS}; }}
#facts {{ height: auto; padding: 0 1; background: {GROUND}; text-wrap: nowrap; text-overflow: ellipsis; }}
.-low #facts {{ display: none; }}
#log {{ height: 1fr; padding: 0 1; }}
.inspecting #inspector {{ display: block; }}
.-narrow #panes {{ layout: vertical; }}
.-narrow #inspector {{ width: 1fr; height: 1fr; }}
.-wide #panes {{ layout: horizontal; }}
.-wide #inspector {{ width: 1fr; height: 1fr; }}
#bottom {{ height: auto; }}
#typed {{ height: 1; background: {RAISED}; padding: 0 1; }}
#prompt {{ width: 2; color: {MINE}; text-style: bold; }}
#line {{ width: 1fr; height: 1; border: none; padding: 0; background: {RAISED}; color: {TEXT}; }}
#line:focus {{ border: none; background-tint: transparent; }}
#line:disabled {{ opacity: 1; }}
#line > .input--placeholder {{ color: {DIM}; }}
#line > .input--cursor {{ background: {TEXT}; color: {GROUND}; text-style: none; }}
#line > .input--selection {{ background: {FAINT}; }}
"""
