"""``snowgate check``, ``snowgate apply`` and ``snowgate status``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge.control.client import ask
from edge.control.wire import Apply, ControlError, Refusal, Status, StatusReport
from netconf import durable, words
from netconf.check import read_site
from netconf.finding import Finding, Severity, finding
from netconf.model import MAX_SITE_BYTES

_PROGRAMS = ("siteside", "ferry", "cityside")


def add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a site file (TOML)")
    _language(parser)


def add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a site file (TOML)")
    _language(parser)
    _run(parser)


def add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="all facts, for programs")
    _language(parser)
    _run(parser)


def _language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=("en", "zh-CN"), default="en")


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, default=Path("/run/snowgate"), help=argparse.SUPPRESS)


def check(args: argparse.Namespace) -> int:
    """Print what is wrong with a site file: 0 good, 1 errors."""
    text, found = _read(args.file)
    if text is not None:
        found = read_site(text)[1]
    _print(found, args.language)
    wrong = any(f.severity is Severity.ERROR for f in found)
    if not wrong:
        print("The site file is good." if args.language == "en" else "站点文件无误。")
    return int(wrong)


def apply(args: argparse.Namespace) -> int:
    """Have the keeper apply a site file: 0 applied, 1 refused and nothing changed."""
    text, found = _read(args.file)
    if text is not None:
        try:
            answer = ask(args.run, Apply(text))
            found = answer.findings if isinstance(answer, Refusal) else ()
        except (OSError, ControlError):
            found = (finding("keeper_away"),)
    _print(found, args.language)
    if not found:
        print("Applied." if args.language == "en" else "已应用。")
    return int(bool(found))


def status(args: argparse.Namespace) -> int:
    """Print what stands: the keeper's facts and what each program says of itself."""
    facts: dict[str, Any] = {}
    try:
        answer = ask(args.run, Status())
        if isinstance(answer, StatusReport):
            facts["keeper"] = answer.facts
    except (OSError, ControlError):
        _print((finding("keeper_away"),), args.language)
    for name in _PROGRAMS:
        try:
            facts[name] = json.loads((args.run / f"{name}.status.json").read_bytes())
        except (OSError, ValueError):
            facts[name] = None
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _tell(facts, args.language)
    return int("keeper" not in facts)


def _tell(facts: dict[str, Any], language: str) -> None:
    english = language == "en"
    keeper, site, city = facts.get("keeper") or {}, facts.get("siteside") or {}, facts.get("cityside") or {}
    for name, tunnel in keeper.get("tunnels", {}).items():
        age = tunnel.get("handshake_age_seconds")
        never, told = ("never" if english else "从未"), (f"{age} s" if english else f"{age} 秒前")
        print(f"{'tunnel' if english else '隧道'} {name}: {'handshake' if english else '握手'} "
              f"{never if age is None else told}")  # fmt: skip
    for recorder, online in site.get("recorders", {}).items():
        print(f"{'recorder' if english else '录像机'} {recorder}: {'online' if online else 'offline'}")
    print(f"{'city' if english else '市级平台'}: {'registered' if city.get('registered') else 'not registered'}")
    for code in (facts.get("ferry") or {}).get("findings", []):
        print("\n".join(words.report((finding(code),), "en" if english else "zh-CN")))
    for view in city.get("views", {}).values():
        print(f"{'watched' if english else '正在观看'}: {view['channel']} {view['viewer'] or '未声明'}")


def _read(path: Path) -> tuple[str | None, tuple[Finding, ...]]:
    try:
        return durable.read(path, MAX_SITE_BYTES).decode("utf-8"), ()
    except (OSError, ValueError) as wrong:
        return None, (finding("file_unreadable", what=wrong),)


def _print(found: tuple[Finding, ...], language: Any) -> None:
    for line in words.report(found, language):
        print(line, file=sys.stderr)
