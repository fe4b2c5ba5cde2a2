"""Where figures go: a table for the eye and ``build/bench.json`` for everything else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from netconf import durable

OUT = Path("build/bench.json")


def absent(peer: str) -> str:
    """Return what stands where a figure would, when a peer is not installed: it is said, never left out."""
    return f"not measured: peer absent ({peer})"


def show(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


def write(key: str, found: dict[str, Any]) -> None:
    """Write one room's figures beside the others'; what a key already holds stays, where it has other names."""
    others: dict[str, Any] = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    merged = {**others, key: {**others.get(key, {}), **found}}
    durable.write(OUT, json.dumps(merged, indent=1).encode() + b"\n", mode=0o644)


def verdict(broken: list[str]) -> int:
    """Say which limits are broken; return an exit status."""
    for key in broken:
        print(f"LIMIT BROKEN: {key}", file=sys.stderr, flush=True)
    return int(bool(broken))
