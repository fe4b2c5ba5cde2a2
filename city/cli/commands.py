"""The words of ``snowgate city``; what they do is ``work``'s and ``serving``'s."""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
import sys
from pathlib import Path

from netconf import words
from netconf.finding import finding

FOLDER = Path(os.environ.get("SNOWGATE_CITY", "/var/lib/snowgate-city"))
#: command -> (module, function).
_DOES = {
    "init": ("city.cli.serving", "init"),
    "serve": ("city.cli.serving", "serve"),
    "sign": ("city.cli.serving", "sign"),
    "site": ("city.cli.work", "site"),
    "claim": ("city.cli.work", "claim"),
    "pending": ("city.cli.work", "pending"),
    "approve": ("city.cli.work", "approve"),
    "refuse": ("city.cli.work", "refuse"),
    "revoke": ("city.cli.work", "revoke"),
    "template": ("city.cli.work", "template"),
    "approval": ("city.cli.work", "approval"),
    "person": ("city.cli.work", "person"),
    "audit": ("city.cli.work", "audit_"),
    "concentrator": ("city.cli.concentrators", "concentrator"),
    # On a concentrator's own host there is no registry.
    "concentrator prepare": ("city.concentrator.commands", "prepare_word"),
    "concentrator run": ("city.concentrator.commands", "run_word"),
    "restored": ("city.cli.work", "restored"),
    "alerts": ("city.cli.work", "alerts"),
    "acknowledge": ("city.cli.work", "acknowledge"),
    "status": ("city.cli.work", "status"),
    "schedule": ("city.cli.serving", "schedule"),
    "ca": ("city.cli.authority", "ca"),
    "identity": ("city.cli.authority", "identity"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where the city is kept ({FOLDER})")
    parser.add_argument("--as", dest="who", default="", help="who asks, by the name in the registry (your login name)")
    parser.add_argument("--chinese", action="store_true", help="中文输出")
    commands = parser.add_subparsers(dest="city", required=True, metavar="COMMAND")
    _servers(commands)
    _enrolling(commands)
    _office(commands)
    _concentrators(commands)


def _servers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = commands.add_parser("init", help="make a city: keys, database, the first persons")
    init.add_argument("--name", required=True, help="what the city is called, as it stands in its certificate")
    init.add_argument("--address", required=True, help="the IPv4 address that boxes reach it by")
    init.add_argument("--port", type=int, default=8443)
    init.add_argument("--also", action="append", default=[], metavar="NAME", help="further addresses or names of it")
    init.add_argument("--database", default="", metavar="URL", help="postgresql://…; without it SQLite in the folder")
    init.add_argument("--listen", default="0.0.0.0", help="the address to listen at")  # noqa: S104
    serve = commands.add_parser("serve", help="answer boxes, concentrators and persons")
    serve.add_argument("--workers", type=int, default=2)
    serve.add_argument("--no-sign", action="store_true", help="the signing process is started by somebody else")
    sign = commands.add_parser("sign", help="the signing process")
    sign.add_argument("--asker", action="append", default=[], metavar="USER", help="who besides may ask, by login name")


def _enrolling(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    site = commands.add_parser("site", help="sites: add, list, show").add_subparsers(dest="does", required=True)
    add = site.add_parser("add")
    add.add_argument("id")
    add.add_argument("name")
    add.add_argument("--civil-code", required=True)
    add.add_argument("--class", dest="site_class", type=int, default=3, choices=(1, 2, 3))
    add.add_argument("--carrier", default="")
    add.add_argument("--template", default=None, metavar="NAME@VERSION")
    listed = site.add_parser("list")
    listed.add_argument("text", nargs="?", default="")
    listed.add_argument("--state", default="", choices=("", "new", "pending", "active", "revoked"))
    listed.add_argument("--after", default="")
    site.add_parser("show").add_argument("id")
    claim = commands.add_parser("claim", help="print what an installer carries to a site")
    claim.add_argument("site")
    claim.add_argument("--days", type=int, default=7)
    claim.add_argument("--svg", type=Path, default=None, help="write the code as a picture too")
    commands.add_parser("pending", help="boxes that wait for a second person")
    approve = commands.add_parser("approve", help="let a box in")
    approve.add_argument("site")
    approve.add_argument("code", help="the six digits that the box shows")
    for name in ("refuse", "revoke"):
        word = commands.add_parser(name, help={"refuse": "turn a box away", "revoke": "cut a site off for good"}[name])
        word.add_argument("site")
        word.add_argument("reason")


def _office(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    template = commands.add_parser("template", help="templates: add, list").add_subparsers(dest="does", required=True)
    add = template.add_parser("add")
    add.add_argument("name")
    add.add_argument("file", type=Path, help="TOML: the city's parts, without site and tunnel")
    template.add_parser("list")
    approval = commands.add_parser("approval", help="what needs two persons").add_subparsers(dest="does", required=True)
    ask = approval.add_parser("ask")
    ask.add_argument("action", choices=("template", "revoke-all", "ca"))
    ask.add_argument("subject", nargs="?", default="", help="of a template: NAME@VERSION")
    ask.add_argument("--reason", required=True)
    approval.add_parser("list")
    for name in ("yes", "no"):
        approval.add_parser(name).add_argument("number", type=int)
    person = commands.add_parser("person", help="persons: add, list, off").add_subparsers(dest="does", required=True)
    add = person.add_parser("add")
    add.add_argument("name")
    add.add_argument("role", choices=("viewer", "operator", "system", "security", "audit"))
    add.add_argument("--scope", default="", help="the civil code below which he may look and act")
    person.add_parser("list")
    person.add_parser("off").add_argument("name")
    back = commands.add_parser("restored", help="say that the database was laid back from a backup: a new epoch begins")
    back.add_argument("--reason", required=True)
    ca = commands.add_parser("ca", help="the city's CA: show, renew, switch").add_subparsers(dest="does", required=True)
    for name, text in {
        "show": "what the city is known by",
        "renew": "make a fresh one beside it, when two persons have agreed (approval ask ca)",
        "switch": "some days later: the fresh one makes every certificate from now on",
    }.items():
        ca.add_parser(name, help=text)
    known = commands.add_parser("identity", help="print what a concentrator's host needs to know this city")
    known.add_argument(
        "part", choices=("city.pub", "ca.pem"), help="the key that the city signs with; its CAs' certificates"
    )
    commands.add_parser("alerts", help="what a person must know now").add_argument("--after", type=int, default=0)
    seen = commands.add_parser("acknowledge", help="say that you see to an alert: it is told to nobody any more")
    seen.add_argument("number", type=int, help="as `alerts` prints it first")
    seen.add_argument("reason", help="what is done about it")
    status = commands.add_parser("status", help="how the city is, in numbers, or how one site is")
    status.add_argument("site", nargs="?", default="")
    commands.add_parser("schedule", help="do what the registry does by itself: verdicts, alerts, rollouts")
    commands.add_parser("audit", help="the record of who did what").add_argument("does", choices=("verify", "list"))


def _concentrators(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words_ = commands.add_parser("concentrator", help="where tunnels end").add_subparsers(dest="does", required=True)
    for name, text in {"prepare": "on its host: make its keys", "run": "on its host: serve its sites"}.items():
        words_.add_parser(name, help=text).add_argument("--config", type=Path, required=True)
    add = words_.add_parser("add", help="add one; prints its certificate")
    add.add_argument("made", type=Path, metavar="FILE", help="what prepare printed (- for standard input)")
    add.add_argument("--name", required=True)
    add.add_argument("--plane", required=True, help="the tunnel's name at the sites, such as wg-a")
    add.add_argument("--endpoint", required=True, metavar="ADDRESS:PORT", help="where boxes reach it")
    add.add_argument("--mtu", type=int, default=1420)
    words_.add_parser("list")
    certificate = words_.add_parser("certificate", help="print a fresh certificate")
    certificate.add_argument("id")
    certificate.add_argument("made", type=Path, metavar="FILE", help="what prepare printed")
    drain = words_.add_parser("drain", help="give it no more sites")
    drain.add_argument("id")
    drain.add_argument("--back", action="store_true", help="give it sites again")
    tell = words_.add_parser(
        "tell", help="offer its sites a layer with its key and port; prints how many, and the last"
    )
    tell.add_argument("id")
    tell.add_argument("--after", default="", metavar="SITE")
    tell.add_argument("--most", type=int, default=100)
    for name, text in {
        "rotate": "ask it for a second key",
        "exchange": "tell boxes that key from now on; the schedule does it",
        "allow-smaller": "for an hour a snapshot may lack peers: after a backup was restored",
    }.items():
        words_.add_parser(name, help=text).add_argument("id")
    finish = words_.add_parser("finish", help="end the old key, when every site was told and none is heard by it")
    finish.add_argument("id")
    finish.add_argument("--anyway", action="store_true", help="also while sites were not told: a dark one is cut off")


def run(args: argparse.Namespace) -> int:
    """Run a command; without its libraries say so in a sentence."""
    args.who = args.who or os.environ.get("SUDO_USER") or getpass.getuser()
    module, name = _DOES.get(f"{args.city} {getattr(args, 'does', '')}", _DOES[args.city])
    try:
        does = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("city", "netconf"):
            raise
        said = finding("city_not_installed", name=missing.name)
        print(*words.report([said], "zh-CN" if args.chinese else "en"), sep="\n", file=sys.stderr)
        return 2
    result: int = does(args)
    return result
