"""Which hardware this is, so that a backup knows its own board again: never the disk, which can move to another."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: By the firmware's table, or the device tree's on ARM; the machine's id only where neither says anything.
_SOURCES = (
    "sys/class/dmi/id/product_uuid",
    "sys/class/dmi/id/product_serial",
    "sys/class/dmi/id/board_serial",
    "proc/device-tree/serial-number",
)
_LAST_SOURCE = "etc/machine-id"
#: What makers of cheap boards leave in, on every board alike.
_DUMMIES = {"", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified", "0123456789",
            "03000200-0400-0500-0006-000700080009"}  # fmt: skip
MAX_BYTES = 256


def board(root: Path = Path("/")) -> str:
    """Return a digest of what the hardware says of itself; another board has another."""
    said = [text for source in _SOURCES if (text := _read(root / source)).lower() not in _DUMMIES and _varied(text)]
    said = said or [_read(root / _LAST_SOURCE)]
    return hashlib.sha256("\n".join(said).encode("utf-8")).hexdigest()


def _varied(text: str) -> bool:
    """Zeros or Fs alone are no number."""
    return len(set(text.lower()) - set("-: ")) > 1


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace").strip("\0 \r\n\t")
    except OSError:
        return ""
