"""``snowgate check``, ``snowgate apply`` and ``snowgate status``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge.control.client import ask, settled
from edge.control.wire import (
    Apply,
    Confirm,
    ControlError,
    Plan,
    Planned,
    Proving,
    Refusal,
    Reject,
    Request,
    Status,
    StatusReport,
    Waiting,
)
from edge.faults.enrolment import standing
from edge.io import status as status_file
from edge.io.confirmed import add_places
from netconf import durable, words
from netconf.check import read_site
from netconf.finding import Finding, Severity, finding
from netconf.model import MAX_SITE_BYTES

_PROGRAMS = ("siteside", "ferry", "cityside", "uplink", "enrol", "agent")
#: What a tunnel's probes say (``edge.cityside.choice``).
_STATES = {
    "lives": ("answers", "应答正常"),
    "dead": ("does not answer", "无应答"),
    "unknown": ("not probed yet", "尚未探测"),
    "unprobed": ("not probed", "未设探测"),
}


def add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a site file (TOML)")
    _language(parser)


def add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a site file (TOML)")
    _language(parser)
    _run(parser)


def add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a site file (TOML)")
    parser.add_argument("--confirm", type=int, default=0, metavar="SECONDS",
                        help="undo it unless `snowgate confirm` comes within so many seconds (10 to 600)")  # fmt: skip
    parser.add_argument("--without-proof", action="store_true",
                        help="do not wait for the proof of its rules; that is journalled")  # fmt: skip
    _language(parser)
    _run(parser)


def add_confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token", metavar="TOKEN", help="what `snowgate apply --confirm` printed")
    _language(parser)
    _run(parser)


def add_reject(parser: argparse.ArgumentParser) -> None:
    _language(parser)
    _run(parser)


def add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="all facts, for programs")
    _language(parser)
    _run(parser)


def _language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=("en", "zh-CN"), default="en")


def _run(parser: argparse.ArgumentParser) -> None:
    add_places(parser, "run")


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


def plan(args: argparse.Namespace) -> int:
    """Print what applying a site file would do: 0 could be applied, 1 not."""
    text, found = _read(args.file)
    if text is not None:
        answer, found = _asked(args, Plan(text))
        if isinstance(answer, Planned):
            nothing = "Nothing to do: it is so." if args.language == "en" else "无需操作：已是如此。"
            print("\n".join(answer.steps or (nothing,)))
    _print(found, args.language)
    return int(bool(found))


def apply(args: argparse.Namespace) -> int:
    """Have the keeper apply a site file: 0 applied, 1 refused and nothing changed."""
    text, found = _read(args.file)
    if text is None:
        _print(found, args.language)
        return 1
    answer, found = _asked(args, Apply(text, args.confirm, with_proof=not args.without_proof))
    _print(found, args.language)
    if isinstance(answer, Waiting):
        english = f"Applied for {answer.seconds} seconds. To keep it: snowgate confirm {answer.token}"
        chinese = f"已应用，{answer.seconds} 秒内有效。保留请执行：snowgate confirm {answer.token}"
        print(english if args.language == "en" else chinese)
    elif not found:
        print("Applied." if args.language == "en" else "已应用。")
    return int(bool(found))


def confirm(args: argparse.Namespace) -> int:
    """Keep the pending change: 0 kept, 1 not."""
    return _word(args, Confirm(args.token), ("Kept.", "已保留。"))


def reject(args: argparse.Namespace) -> int:
    """Undo the pending change, whoever made it: 0 undone, 1 there was none."""
    return _word(args, Reject("0" * 32), ("Undone.", "已撤销。"))


def _word(args: argparse.Namespace, request: Request, said: tuple[str, str]) -> int:
    _, found = _asked(args, request)
    _print(found, args.language)
    if not found:
        print(said[0] if args.language == "en" else said[1])
    return int(bool(found))


def _asked(args: argparse.Namespace, request: Request) -> tuple[object, tuple[Finding, ...]]:
    try:
        answer = ask(args.run, request)
        if isinstance(answer, Proving):
            said = (
                "The rules are being proven, at most {} s." if args.language == "en" else "正在验证规则，最多 {} 秒。"
            )
            print(said.format(answer.seconds), file=sys.stderr)
        answer = settled(args.run, answer)
    except (OSError, ControlError):
        return None, (finding("keeper_away"),)
    return answer, answer.findings or (finding(answer.rule),) if isinstance(answer, Refusal) else ()


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
        facts[name] = status_file.read(args.run, name)
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _tell(facts, args.language)
    return int("keeper" not in facts)


def _tell(facts: dict[str, Any], language: str) -> None:
    english = language == "en"
    keeper, site = facts.get("keeper") or {}, facts.get("siteside") or {}
    stands = standing(facts)
    if stands is not None:
        print("\n".join(words.report((stands,), "en" if english else "zh-CN")))
    ways: dict[str, Any] = (facts.get("cityside") or {}).get("tunnel") or {}
    for name, tunnel in keeper.get("tunnels", {}).items():
        age = tunnel.get("handshake_age_seconds")
        never, told = ("never" if english else "从未"), (f"{age} s" if english else f"{age} 秒前")
        print(f"{'tunnel' if english else '隧道'} {name}: {'handshake' if english else '握手'} "
              f"{never if age is None else told}{_way(name, ways, english)}")  # fmt: skip
    for recorder, online in site.get("recorders", {}).items():
        print(f"{'recorder' if english else '录像机'} {recorder}: {'online' if online else 'offline'}")
    platforms: dict[str, Any] = (facts.get("cityside") or {}).get("platforms", {})
    for platform, city in platforms.items():
        registered = city.get("registered")
        print(f"{'platform' if english else '上级平台'} {platform}: {'registered' if registered else 'not registered'}")
    for code in (facts.get("ferry") or {}).get("findings", []):
        print("\n".join(words.report((finding(code),), "en" if english else "zh-CN")))
    for view in (view for city in platforms.values() for view in city.get("views", {}).values()):
        print(f"{'watched' if english else '正在观看'}: {view['channel']} {view['viewer'] or '未声明'}")


def _way(name: str, ways: dict[str, Any], english: bool) -> str:
    """What the choice among several tunnels makes of one."""
    state = ways.get("tunnels", {}).get(name, {}).get("state")
    if len(ways.get("tunnels", {})) < 2 or state not in _STATES:
        return ""
    used = (", in use" if english else "，正在使用") if ways.get("used") == name else ""
    return ("; " if english else "；") + _STATES[state][0 if english else 1] + used


def _read(path: Path) -> tuple[str | None, tuple[Finding, ...]]:
    try:
        return durable.read(path, MAX_SITE_BYTES).decode("utf-8"), ()
    except (OSError, ValueError) as wrong:
        return None, (finding("file_unreadable", what=wrong),)


def _print(found: tuple[Finding, ...], language: Any) -> None:
    for line in words.report(found, language):
        print(line, file=sys.stderr)
