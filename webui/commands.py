"""``snowgate first-code`` and ``snowgate fingerprint``: what the installer reads off the box before the first visit."""

from __future__ import annotations

import argparse
import time

from edge.io.confirmed import add_places
from webui import accounts, certificate


def add_state(parser: argparse.ArgumentParser) -> None:
    add_places(parser, "state")


def first_code(args: argparse.Namespace) -> int:
    """Print a one-time code for the page's first password."""
    print(accounts.first_code(args.state / "web", time.time()))
    return 0


def fingerprint(args: argparse.Namespace) -> int:
    """Print the fingerprint of the page's key, to compare with what the browser shows."""
    print(certificate.fingerprint(args.state / "web"))
    return 0
