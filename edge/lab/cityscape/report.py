"""What the run measured: a row for each promise, the table at the end, and ``build/demo-city.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One promise. ``measured`` None: it could not be measured, and was not kept; ``note`` says more for a person."""

    name: str
    promise: str
    measured: float | None
    limit: float | None
    unit: str
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.measured is not None and (self.limit is None or self.measured <= self.limit)


@dataclass(slots=True)
class Report:
    """All rows of a run, in the story's order."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.faults and bool(self.rows) and all(row.kept for row in self.rows)

    def table(self) -> str:
        """Return the table that ends the run."""
        lines = [f"{'':<3}{'promise':<66}{'measured':>10}{'limit':>10}"]
        for row in self.rows:
            digits = 1 if row.unit == "s" else 0
            measured = "none" if row.measured is None else f"{row.measured:.{digits}f} {row.unit}"
            limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
            lines.append(f"{'ok' if row.kept else 'NO':<3}{row.promise:<66}{measured:>10}{limit:>10}")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {
            "good": self.good,
            "steps": [asdict(row) | {"kept": row.kept} for row in self.rows],
            "faults": self.faults,
        }
        path.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
