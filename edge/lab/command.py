"""``snowgate lab``: keep a street open, so that another platform or recorder can stand in the place of ours."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge.lab import lacks, private, sign, topology
from edge.lab.street import SITE_FILE, Street, eventually
from netconf import words

FOLDER = Path("build/lab")
STATE = FOLDER / "state.json"
HOSTS = (*topology.HOSTS, *topology.BOX)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="build the street and start everything")
    up.add_argument("--site", type=Path, default=SITE_FILE, help="another site file")
    up.add_argument("--without", default="", help="hosts whose programs are not started: nvr,city")
    run_in = verbs.add_parser("exec", help="run a command in a host")
    run_in.add_argument("host", choices=HOSTS)
    run_in.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    verbs.add_parser("check", help="name what this machine lacks")
    verbs.add_parser("down", help="take it down; nothing is left")
    sign.add_arguments(verbs.add_parser("sign", help="sign a layer as the lab's city"))
    hold = verbs.add_parser("hold")
    hold.add_argument("site", type=Path)
    hold.add_argument("without")


def run(args: argparse.Namespace) -> int:
    verbs = {"up": _up, "exec": _exec, "check": _check, "down": _down, "hold": _hold, "sign": sign.run}
    return verbs[args.verb](args)


def _check(_: argparse.Namespace) -> int:
    found = lacks.lacks()
    for line in words.report(found) or ["This machine has all that the street needs."]:
        print(line)
    return int(bool(found))


def _up(args: argparse.Namespace) -> int:
    if _holder() is not None:
        print("The street is up already; `snowgate lab down` takes it down.", file=sys.stderr)
        return 1
    if _check(args):
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    STATE.unlink(missing_ok=True)
    command = private.command([sys.executable, "-m", "edge.cli", "lab", "hold", str(args.site.resolve()), args.without])
    with (FOLDER / "holder.log").open("wb") as log:
        holder = subprocess.Popen(
            command, env=private.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        eventually(lambda: (FOLDER / "ready").exists() or holder.poll() is not None, 60, "the street")
    except TimeoutError as late:
        print(late, file=sys.stderr)
    if not (FOLDER / "ready").exists():
        holder.kill()
        print((FOLDER / "holder.log").read_text(encoding="utf-8")[-2000:], file=sys.stderr)
        return 1
    (FOLDER / "ready").unlink()
    STATE.write_text(json.dumps({"unshare": holder.pid, "first": _first_child(holder.pid)}), encoding="ascii")
    print(topology.DRAWING)
    print("Up. `snowgate lab exec HOST -- COMMAND`, logs in build/lab/log, `snowgate lab down`.")
    return 0


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def _hold(args: argparse.Namespace) -> int:
    """Inside: build, say so, wait for the end."""
    street = Street(FOLDER / "log", frozenset(filter(None, args.without.split(","))), args.site, proves=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        street.open()
        (FOLDER / "ready").touch()
        while True:
            time.sleep(3600)
    except topology.LabBroken as broken:
        print(broken, file=sys.stderr)
        return 1
    finally:
        street.close()


def _holder() -> dict[str, int] | None:
    try:
        state: dict[str, int] = json.loads(STATE.read_bytes())
        alive = b"unshare" in Path(f"/proc/{state['unshare']}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    return state if alive else None


def _exec(args: argparse.Namespace) -> int:
    state = _holder()
    if state is None:
        print("The street is not up; `snowgate lab up` builds it.", file=sys.stderr)
        return 1
    given = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not given:
        print("Say what to run: snowgate lab exec HOST -- COMMAND", file=sys.stderr)
        return 1
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", f"--target={state['first']}", *user, "--mount", "--pid", "--net"]
    return subprocess.run([*enter, *topology.inside(args.host, *given)], check=False).returncode


def _down(_: argparse.Namespace) -> int:
    state = _holder()
    if state is not None:
        os.kill(state["first"], signal.SIGTERM)
        try:
            eventually(lambda: _holder() is None, 10, "the street's end")
        except TimeoutError:
            os.kill(state["unshare"], signal.SIGKILL)
    STATE.unlink(missing_ok=True)
    print("Down; nothing is left.")
    return 0
