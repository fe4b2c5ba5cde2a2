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


#: What the city is told of the hardware at enrolment: name -> where it stands.
_FACTS = (
    ("board", ("sys/class/dmi/id/board_serial", "proc/device-tree/serial-number", "sys/class/dmi/id/product_serial")),
    ("model", ("proc/device-tree/model", "sys/class/dmi/id/product_name")),
)
_STORAGE = ("sys/block/*/device/cid", "sys/block/*/device/serial", "sys/block/*/serial")
_PORTS = "sys/class/net/*"
MOST_PORTS, MAX_FACT_CHARACTERS = 4, 128


def fingerprint(root: Path = Path("/")) -> dict[str, str]:
    """Return what the hardware says of itself, where it can be read: board, storage, and the ports' own addresses."""
    found = {}
    for name, sources in _FACTS:
        said = next((text for source in sources if (text := _read(root / source)).lower() not in _DUMMIES), "")
        found[name] = said if name == "model" or _varied(said) else ""
    found["storage"] = next(
        (text for pattern in _STORAGE for path in sorted(root.glob(pattern)) if (text := _read(path))), ""
    )
    ports = [_read(path / "address") for path in sorted(root.glob(_PORTS)) if (path / "device").exists()]
    found |= {f"port-{at}": address for at, address in enumerate(ports[:MOST_PORTS], 1)}
    printable = {
        name: "".join(c for c in text if c.isprintable())[:MAX_FACT_CHARACTERS] for name, text in found.items()
    }
    return {name: text for name, text in printable.items() if text}
