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
from edge.faults.enrolment import standing, why_revoked
from edge.io import credentials
from edge.io import status as status_file
from edge.io.confirmed import add_places
from edge.upkeep import board
from netconf import durable, enrolment, secrets, words
from netconf.enrolment import Bundle, EnrolmentRefused, read_bundle
from netconf.finding import Finding, finding


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
    if door is not None and bundle.ca not in {door.ca, *credentials.pins(state, city)}:
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
    said: dict[str, Any] = {name: status_file.read(args.run, name) for name in ("enrol", "agent")}
    try:
        answer = ask(args.run, Status(), seconds=SMALL_SECONDS)
        said["keeper"] = answer.facts if isinstance(answer, StatusReport) else {}
    except (OSError, ControlError):
        return _tell(args, finding("keeper_away"))
    found, revoked = standing(said), why_revoked(said)
    if revoked is not None:
        print(f"{datetime.fromtimestamp(revoked[0], UTC).isoformat()} {revoked[1]}")
    if found is not None:
        return _tell(args, found)
    known = said["keeper"].get("enrolment", {})
    print("Enrolled." if args.language == "en" else "已注册到市平台。")
    print(f"{known.get('site', '')} {known.get('address', '')}:{known.get('port', '')}")
    return 0


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
