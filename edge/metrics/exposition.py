"""The text format of Prometheus, version 0.0.4: families of samples, each with its labels. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Of one family; a program that was taken over cannot fill somebody's disk.
MAX_SAMPLES, MAX_LABEL_CHARACTERS = 4096, 128
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(slots=True)
class Family:
    """One metric: its name without a prefix, what it says in one line of English, and a sample for each set of labels."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)

    def put(self, value: float | None, **labels: str) -> None:
        """Say ``value`` of these labels, once; what is not known is not said."""
        if value is not None and len(self.samples) < MAX_SAMPLES:
            self.samples[tuple(sorted(labels.items()))] = value


def text(families: Iterable[Family]) -> str:
    """Return what a scrape is answered with; a family without samples does not appear."""
    lines: list[str] = []
    for family in families:
        name = f"snowgate_{family.name}"
        if not _NAME.fullmatch(family.name) or (family.kind == "counter") != name.endswith("_total"):
            raise AssertionError(name)
        if family.samples:
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(family.samples.items())]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    said = ",".join(f'{name}="{_value(value)}"' for name, value in labels)
    return f"{{{said}}}" if said else ""


def _value(value: str) -> str:
    """Lone surrogates, which JSON can say and UTF-8 cannot, become question marks."""
    return value[:MAX_LABEL_CHARACTERS].encode("utf-8", "replace").decode("utf-8").translate(_ESCAPES)


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return repr(value)
