"""A device's password as its side reads it: what is wrong with it is said, and the side goes on for all others."""

from __future__ import annotations

from pathlib import Path

from edge.io.log import Log
from netconf import secrets


def password(folder: Path, name: str, log: Log) -> str:
    """Return the password ``name``; "" when there is none, which no registration ever passes with."""
    try:
        found = secrets.read_password(folder, name)
    except (secrets.SecretDamaged, OSError):
        log.say("password_damaged", name)
        return ""
    if found is None:
        log.say("password_missing", name)
    return found or ""
