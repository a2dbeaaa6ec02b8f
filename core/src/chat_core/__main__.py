"""The command ``chat-core``, also ``python -m chat_core``."""

from __future__ import annotations

import sys

from chat_core._cli.table import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
