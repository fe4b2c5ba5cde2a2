"""What a figure writes: ``build/bench-city.json`` and a table; each figure as soon as it is measured."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netconf import durable

OUT = Path("build/bench-city.json")


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure that must not be more than ``most``, nor less than ``least``; ``name`` is a key of what was found."""

    name: str
    most: float | None = None
    least: float | None = None

    def kept(self, found: dict[str, Any]) -> bool:
        """Say whether it holds; what was not measured does not."""
        value = found.get(self.name)
        if not isinstance(value, int | float):
            return False
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


def note(text: str) -> None:
    """Say how far a measurement is."""
    print(f"    {text}", file=sys.stderr, flush=True)


def measured(figure: str, shares: str, limits: tuple[Limit, ...], measure: Callable[[], dict[str, Any]]) -> int:
    """Measure one figure, write it, show it; 1 when a limit is broken or the measurement itself.

    ``shares``: who else uses the machine's cores meanwhile, besides what the load says.
    """
    began, before = time.monotonic(), os.getloadavg()[0]
    try:
        found = measure()
    except (OSError, RuntimeError, AssertionError) as wrong:
        found = {"broken": f"{type(wrong).__name__}: {wrong}"}
    found["shares"] = f"{os.cpu_count()} cores with: {shares}"
    found["load_before"], found["load_after"] = round(before, 2), round(os.getloadavg()[0], 2)
    found["seconds"] = round(time.monotonic() - began, 1)
    found["limits"] = {one.name: {"limit": str(one), "kept": one.kept(found)} for one in limits}
    write(figure, found)
    print("\n".join(table(figure, found)), flush=True)
    return int("broken" in found or not all(one.kept(found) for one in limits))


def write(figure: str, found: dict[str, Any]) -> None:
    """Put one figure beside the others."""
    others: dict[str, Any] = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({**others, figure: found}, indent=1, ensure_ascii=False).encode() + b"\n", 0o644)


def table(figure: str, found: dict[str, Any]) -> list[str]:
    """Return a figure's lines: a name, what was measured, and the limit where there is one."""
    limits = found.get("limits", {})
    lines = [f"{figure}  ({found.get('seconds')} s; load {found.get('load_before')} to {found.get('load_after')})"]
    for name, value in flat(found):
        limit = limits.get(name)
        word = "" if limit is None else f"{limit['limit']:>8}  {'ok' if limit['kept'] else 'BROKEN'}"
        lines.append(f"  {name:<56}{value:>14}{word:>18}".rstrip())
    lines += [f"  {name}: BROKEN, not measured" for name in limits if name not in found]
    return lines


def flat(found: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return what is a number, or a word on what went wrong, by its path."""
    lines = []
    for name, value in found.items():
        if name in ("limits", "seconds", "load_before", "load_after") and not before:
            continue
        if isinstance(value, dict):
            lines += flat(value, f"{before}{name}.")
        elif isinstance(value, bool | int | float) or name == "broken":
            lines.append((f"{before}{name}", f"{value:g}" if isinstance(value, float) else str(value)))
    return lines
