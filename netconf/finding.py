"""What is wrong, where, and how badly. The sentences stand in ``words``: a finding carries a code and its facts."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should know.

    ``path`` is a JSON pointer into the site file ("" for the whole), ``args`` the facts that the sentence names.
    """

    code: str
    path: str = ""
    severity: Severity = Severity.ERROR
    args: tuple[tuple[str, str], ...] = ()


def finding(code: str, path: str = "", severity: Severity = Severity.ERROR, **args: object) -> Finding:
    """Make a finding; the facts are turned into text."""
    return Finding(code, path, severity, tuple(sorted((name, str(value)) for name, value in args.items())))
