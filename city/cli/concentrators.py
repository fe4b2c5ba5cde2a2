"""``snowgate city concentrator``: what is done at the registry. What is done on its own host is ``city.concentrator.commands``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from city.cli.settings import Folder
from city.cli.work import desk, show, signer, told
from city.registry import concentrators, people
from city.registry.refused import RegistryRefused
from netconf import durable

MAX_PREPARED_BYTES = 1 << 16


@told
def concentrator(args: argparse.Namespace) -> int:
    """Do one of the words."""
    now = time.time()
    with desk(args, "look" if args.does == "list" else "concentrator") as (session, person, folder, _):
        people.demand_whole(person)
        who = person.name
        match args.does:
            case "add":
                _add(session, folder, who, args, now)
            case "list":
                for one in concentrators.listed(session):
                    show(one)
            case "certificate":
                csr = _prepared(args.made)["csr"]
                print(concentrators.certify(session, signer(folder), who, args.id, csr, now), end="")
            case "tell":
                sites = concentrators.tell(session, signer(folder), who, args.id, now, args.after, args.most)
                print(len(sites), sites[-1] if sites else "", sep="\t")
            case "drain":
                concentrators.drain(session, who, args.id, now, drained=not args.back)
            case "finish":
                concentrators.finish(session, who, args.id, now, anyway=args.anyway)
            case word:
                does = {
                    "rotate": concentrators.rotate,
                    "exchange": concentrators.exchange,
                    "allow-smaller": concentrators.allow_smaller,
                }
                does[word](session, who, args.id, now)
    return 0


def _add(session: Any, folder: Folder, who: str, args: argparse.Namespace, now: float) -> None:
    made = _prepared(args.made)
    new, csr = concentrators.prepared(
        made, name=args.name, plane=args.plane, endpoint=args.endpoint, mtu=args.mtu
    )  # fmt: skip
    concentrators.add(session, who, new, now)
    print(concentrators.certify(session, signer(folder), who, new.id, csr, now), end="")


def _prepared(path: Path) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read(MAX_PREPARED_BYTES) if str(path) == "-" else durable.read(path, MAX_PREPARED_BYTES)
        made = json.loads(data)
    except (OSError, ValueError, RecursionError) as wrong:
        raise RegistryRefused("concentrator_prepared", trouble=wrong) from None
    if not isinstance(made, dict) or not isinstance(made.get("csr"), str):
        raise RegistryRefused("concentrator_prepared", trouble="csr")
    return made
