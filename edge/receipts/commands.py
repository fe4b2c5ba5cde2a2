"""``snowgate receipts list`` and ``snowgate receipts verify``.

Reading is itself recorded: before anything is shown, the ferry is told on a socket of its own, asks the kernel who is
there, and has that on the disk before it answers. Without its answer nothing is shown.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

from edge.io.confirmed import add_places
from edge.receipts import verify_receipts
from netconf import words
from netconf.finding import finding

ANSWER_SECONDS = 20.0
MOST_LISTED = 100_000
_HEAD_BYTES = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``list`` and ``verify``."""
    parts = parser.add_subparsers(dest="receipts", required=True, metavar="PART")
    shown = parts.add_parser("list", help="show receipts, newest first; that you did is recorded")
    shown.add_argument("--count", type=int, default=50, metavar="N", help="how many (50)")
    shown.add_argument("--json", action="store_true", help="all facts, for programs")
    shown.add_argument("--language", choices=("en", "zh-CN"), default="en")
    shown.set_defaults(run_part=show)
    proved = parts.add_parser("verify", help="say whether the chain is whole, and which record is not")
    proved.add_argument(
        "file", type=Path, nargs="*", metavar="FILE", help="none: this box's own, with the keeper's head"
    )
    verify_receipts.add_arguments(proved)
    proved.set_defaults(run_part=verify)
    for part in (shown, proved):
        add_places(part, "run", "state")


def run(args: argparse.Namespace) -> int:
    result: int = args.run_part(args)
    return result


def files(state: Path) -> list[Path]:
    """Return the receipts' files that hold anything, the oldest record first.

    Raises:
        OSError: they cannot be read.
    """
    begins = []
    for path in (state / "receipts").glob("[0-9][0-9].jsonl"):
        first = next(verify_receipts.records(verify_receipts.source(path)), None)
        if first is not None:
            begins.append((first.sequence, path))
    return [path for _, path in sorted(begins)]


def ask_to_read(run: Path, what: str) -> bool:
    """Have the ferry write down that this process reads; return whether it is written.

    Raises:
        OSError: the ferry does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(ANSWER_SECONDS)
        line.connect(str(run / "ferry" / "reader" / "socket"))
        line.send(what.encode("ascii"))
        try:
            return json.loads(line.recv(_HEAD_BYTES))["recorded"] is True
        except (ValueError, KeyError, TypeError):
            return False


def show(args: argparse.Namespace) -> int:
    """Print the newest receipts: 0 shown, 1 not."""
    try:
        recorded = ask_to_read(args.run, "list")
        if not recorded:
            return _fail("reading_unrecorded", args.language)
        found = [json.loads(line) for line in newest(files(args.state), max(1, min(args.count, MOST_LISTED)))]
    except OSError as wrong:
        away = not isinstance(wrong, PermissionError | FileNotFoundError) or str(wrong.filename or "").endswith(
            "socket"
        )
        return _fail("reading_unheard" if away or wrong.filename is None else "file_unreadable", args.language, wrong)
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        for said in found:
            print(_told(said, args.language))
    return 0


def _fail(code: str, language: Any, wrong: object = "") -> int:
    for sentence in words.report((finding(code, what=wrong),), language):
        print(sentence, file=sys.stderr)
    return 1


def newest(paths: list[Path], count: int) -> list[bytes]:
    """Return at most ``count`` records, newest first, and read no older file than that takes."""
    found: list[bytes] = []
    for path in reversed(paths):
        good = (r.line for r in verify_receipts.records(verify_receipts.source(path)) if r.sequence)
        found += reversed(deque(good, maxlen=count - len(found)))
        if len(found) == count:
            break
    return found


_STREAMS = ("sub-stream", "子码流")
_EVENTS = {
    "opened": ("opened", "开始"), "ended": ("ended", "结束"), "refused": ("refused", "拒绝"),
    "ordered": ("ordered", "指令"),
    "read": ("receipts read", "查阅回执"), "restarted": ("ferry restarted", "重新启动"), "started": ("begun", "开始记录"),
    "torn": ("torn octets cut off", "截去残缺字节"), "counted": ("only counted", "仅计数"),
    "turned": ("oldest overwritten", "覆盖最早记录"), "resumed": ("disk took lines again", "恢复写盘"),
}  # fmt: skip


def _told(said: dict[str, Any], language: Any) -> str:
    event = _EVENTS.get(str(said["event"]), (str(said["event"]),) * 2)[language != "en"]
    parts = [str(said["sequence"]), str(said["time"]), event]
    if "viewer" in said:
        parts += [str(said[name]) for name in ("viewer", "organisation", "level", "channel", "kind")]
        parts += [_STREAMS[language != "en"]] if said.get("stream") == "sub" else []
        parts += [str(said[name]) for name in ("action", "bytes") if name in said and said["event"] != "opened"]
        if said.get("reason"):
            parts += [str(said["result"]), words.reason(str(said["reason"]), language)]
    else:
        hidden = {"sequence", "boot", "monotonic", "time", "event", "previous", "hash"}
        parts += [f"{name}={value}" for name, value in said.items() if name not in hidden]
    return "  ".join(parts)


def verify(args: argparse.Namespace) -> int:
    """Say whether files hold a whole chain: 0 yes, 1 no. Without files: the box's own, against the keeper's head."""
    paths: list[Path] = args.file
    if not paths:
        try:
            paths, args.whole = files(args.state), True
            args.head = [*args.head, *_kept(args.state / "keeper" / "receipt-head.json")]
        except OSError as wrong:
            return _fail("file_unreadable", args.language, wrong)
    return verify_receipts.run(paths, args)


def _kept(path: Path) -> list[tuple[int, str]]:
    try:
        said = json.loads(path.read_bytes()[:_HEAD_BYTES])
        return [verify_receipts.head(f"{said['sequence']}:{said['head']}")]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []
