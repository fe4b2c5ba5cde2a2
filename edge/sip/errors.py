"""Whose fault it was: ours, or theirs."""

from __future__ import annotations


class LocalSipError(Exception):
    """We asked the machine for what it cannot do: a bug of ours."""


class RemoteSipError(Exception):
    """They sent what is no SIP message; ``rule`` names what it breaks, ``status_hint`` a fitting answer."""

    def __init__(self, rule: str, status_hint: int | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.status_hint = status_hint
