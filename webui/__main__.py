"""``python -m webui``."""

from __future__ import annotations

from webui.process import main

if __name__ == "__main__":
    main()
