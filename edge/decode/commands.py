"""``snowgate decode``: one JSON line a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge.decode.report import KINDS, report
from netconf import durable, words

MAX_FILE_BYTES = 1 << 17


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what the files hold: whole SIP messages, or bodies alone")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--strict", action="store_true", help="refuse what deviates from the standard")


def run(args: argparse.Namespace) -> int:
    """Print a report a file: 0 when every file was read or refused by name, 1 when one could not be opened."""
    status = 0
    for path in args.files:
        try:
            found = report(args.kind, durable.read(path, MAX_FILE_BYTES), args.strict)
        except durable.TooLong:
            found = {"ok": False, "rule": "message_long"}
        except OSError as wrong:
            found, status = {"ok": False, "rule": "file_unreadable", "reason": str(wrong)}, 1
        if not found["ok"]:
            found["sentence"] = words.reason(str(found["rule"]))
        print(json.dumps({"file": str(path), **found}, ensure_ascii=False))
    return status
