"""What the city is known by: shown, printed for a concentrator, and its CA renewed."""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from cryptography import x509

from city.cli.settings import Folder
from city.cli.work import desk, show, signer, told
from city.registry import authority, people
from city.registry.signer import Identity
from netconf import certificates, words
from netconf.finding import finding


@told
def ca(args: argparse.Namespace) -> int:
    """Do one of the words."""
    with desk(args, "look" if args.does == "show" else "revoke") as (session, person, folder, _):
        now, voided = time.time(), list[str]()
        if args.does != "show":
            people.demand_whole(person)
        match args.does:
            case "renew":
                city = authority.renew(session, signer(folder), now, person.name)
            case "switch":
                city, voided = authority.switch(session, signer(folder), now, person.name)
            case _:
                city = signer(folder).identity()
    show(_shown_authorities(city))
    for site in voided:
        said = finding("ca_bundle_void", site=site)
        print(*words.report([said], "zh-CN" if args.chinese else "en"), sep="\n")
    return 0


@told
def identity(args: argparse.Namespace) -> int:
    """Print a file for a concentrator's folder, which nobody need keep secret: so nobody is asked who he is."""
    city = signer(Folder(args.folder)).identity()
    print(city.city_key if args.part == "city.pub" else city.known_by.rstrip("\n"))
    return 0


def _shown_authorities(city: Identity) -> dict[str, object]:
    found = [x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in city.trusted]
    rows = [
        {
            "name": each.subject.rfc4514_string(),
            "sha256": certificates.pin(each),
            "ends": datetime.fromtimestamp(certificates.ends_at(each)).astimezone().isoformat(timespec="seconds"),
            "is": "makes certificates" if at == 0 else "next" if city.begun else "before",
        }
        for at, each in enumerate(found)
    ]
    return {"city_key": city.city_key, "ca": rows}
