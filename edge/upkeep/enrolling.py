"""``snowgate enrol``: a city's bundle is kept on the box, and what comes of it is shown."""

from __future__ import annotations

import argparse
import base64
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.control.client import SMALL_SECONDS, ask
from edge.control.wire import AskCity, ControlError, Refusal, Status, StatusReport
from edge.io import credentials
from edge.io import status as status_file
from edge.io.confirmed import add_places
from edge.upkeep import board
from netconf import durable, enrolment, secrets, words
from netconf.enrolment import Bundle, EnrolmentRefused, read_bundle
from netconf.finding import Finding, Severity, finding

_STATES = {
    "asking": "enrol_asking", "pending": "enrol_waits", "trying": "enrol_trying", "refused": "enrol_refused",
    "revoked": "revoked",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group()
    given.add_argument("bundle", nargs="?", metavar="BUNDLE",
                       help="the line that the city printed; '-' or nothing: it is read from standard input")  # fmt: skip
    given.add_argument("--file", type=Path, metavar="FILE", help="read it from a file")
    given.add_argument("--status", action="store_true", help="show the code again, and how it stands")
    given.add_argument("--ask", action="store_true", help="have the city asked now, with the tunnels dead")
    parser.add_argument("--language", choices=("en", "zh-CN"), default="en")
    add_places(parser, "run", "state", "secrets")


def run(args: argparse.Namespace) -> int:
    """Keep a bundle, or show how it stands: 0 done, 1 refused and nothing changed."""
    if args.status:
        return _show(args)
    if args.ask:
        return _ask(args)
    try:
        bundle = read_bundle(_read(args))
        wrong = refusal(bundle, args.state, args.secrets)
        if wrong is not None:
            return _tell(args, wrong)
        device = secrets.ensure_device_key(args.secrets / "device")
        secrets.keep_bundle(args.secrets / "keeper", args.secrets / "enrol", bundle, board.fingerprint())
    except EnrolmentRefused as refused:
        return _tell(args, finding(refused.rule))
    except secrets.SecretDamaged as damaged:
        return _tell(args, finding("secret_damaged_named", name=damaged))
    except (OSError, ValueError) as failed:
        return _tell(args, finding("file_unreadable", what=failed))
    _print_code(args, enrolment.code(bundle.ca, device.public_key(), bundle.claim))
    return 0


def refusal(bundle: Bundle, state: Path, hidden: Path) -> Finding | None:
    """Return why a box does not take a bundle: it belongs to another city, or is another site of this one.

    A bundle that no city has answered with a certificate binds nobody: another takes its place.

    Raises:
        SecretDamaged, OSError: what it belongs to cannot be read.
    """
    city, door = secrets.read_city_key(hidden / "keeper"), secrets.read_door(hidden / "keeper")
    if door is not None and not (state / "enrol" / credentials.CERTIFICATE_FILE).exists():
        return None
    given = Ed25519PublicKey.from_public_bytes(base64.b64decode(bundle.city_key))
    if city is not None and city.public_bytes_raw() != given.public_bytes_raw():
        return finding("bundle_other_city")
    if door is not None and door.ca != bundle.ca:
        return finding("bundle_other_city")
    return finding("bundle_other_site") if door is not None and door.site != bundle.site else None


def _read(args: argparse.Namespace) -> str:
    if args.file is not None:
        return durable.read(args.file, enrolment.MAX_BUNDLE_CHARACTERS).decode("ascii")
    if args.bundle in (None, "-"):
        return sys.stdin.read(enrolment.MAX_BUNDLE_CHARACTERS + 1)
    return str(args.bundle)


def _print_code(args: argparse.Namespace, code: str) -> None:
    english = (f"The code of this box: {code}", "Read it to the city; a person there approves it if both codes are the same.",
               "How it stands: snowgate enrol --status")  # fmt: skip
    chinese = (
        f"本设备的核对码：{code}",
        "请告知市级平台；两边一致时由平台人员核准。",
        "查看进度：snowgate enrol --status",
    )
    print("\n".join(english if args.language == "en" else chinese))


def _show(args: argparse.Namespace) -> int:
    said: Any = status_file.read(args.run, "enrol") or {}
    try:
        facts = _keeper(args.run)
    except (OSError, ControlError):
        return _tell(args, finding("keeper_away"))
    if facts.get("enrolled") and said.get("state") != "revoked":
        print("Enrolled." if args.language == "en" else "已注册到市平台。")
        print(f"{facts.get('site', '')} {facts.get('address', '')}:{facts.get('port', '')}")
        return 0
    found = standing(facts, said)
    if said.get("revoked"):
        at = datetime.fromtimestamp(int(said["revoked"]["at"]), UTC).isoformat()
        print(f"{at} {said['revoked']['reason']}")
    return _tell(args, found)


def standing(facts: dict[str, Any], said: dict[str, Any]) -> Finding:
    """Return how enrolment stands, of what keeper and enrol say; a finding of ``words``."""
    state = str(said.get("state", ""))
    if not facts.get("site") or state not in _STATES:
        return finding("not_enrolled" if not facts.get("site") else "enrol_asking", severity=Severity.WARNING)
    if state == "pending":
        return finding("enrol_waits", severity=Severity.WARNING, digits=said.get("code", "?"))
    rule = str(said.get("rule") or "")
    if state in ("asking", "refused") and words.of(rule) is not None:
        return finding(rule, severity=Severity.WARNING)
    return finding(_STATES[state], severity=Severity.WARNING)


def _keeper(run: Path) -> dict[str, Any]:
    answer = ask(run, Status(), seconds=SMALL_SECONDS)
    return answer.facts.get("enrolment", {}) if isinstance(answer, StatusReport) else {}


def _ask(args: argparse.Namespace) -> int:
    try:
        answer = ask(args.run, AskCity(), seconds=SMALL_SECONDS)
    except (OSError, ControlError):
        return _tell(args, finding("keeper_away"))
    if isinstance(answer, Refusal):
        return _tell(args, finding(answer.rule))
    print(
        "The city is asked if the tunnels stay dead." if args.language == "en" else "若隧道持续不通，将询问市级平台。"
    )
    return 0


def _tell(args: argparse.Namespace, found: Finding) -> int:
    for line in words.report((found,), args.language):
        print(line, file=sys.stderr)
    return 1
