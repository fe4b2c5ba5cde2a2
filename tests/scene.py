"""A city with something of everything, as a console shows it: for the pages' tests, and for their pictures."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from city.registry import (
    alerts,
    approvals,
    claims,
    enrolment,
    feeds,
    layers,
    peers,
    people,
    reports,
    rollouts,
    rotation,
    sites,
    templates,
)
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Concentrator, Health, Meta, Person, Site, Template
from city.rollout.table import Event
from netconf.enrolment import open_request, sign_request
from tests.enrolling import Box, wg
from tests.fleet import HUB_KEY, der

PASSWORD = "渡江社区 long password"
PLATFORM = "34020000002000000900"
BODY: dict[str, Any] = {
    "platform": [{
        "id": PLATFORM, "domain": "3402000000", "address": "10.20.0.5", "media_networks": ["10.20.1.0/24"],
        "rights": ["live"],
    }],
    "control": {"address": "10.20.0.6"},
}  # fmt: skip
#: name -> (role, scope).
PERSONS = {
    "wangfang": ("operator", ""), "lina": ("operator", ""), "xian-zhao": ("operator", "340221"),
    "system": ("system", ""), "security": ("security", ""), "security2": ("security", ""), "audit": ("audit", ""),
    "look": ("viewer", ""),
}  # fmt: skip
#: (name, civil code, carrier, verdict): the sites whose boxes are in.
ACTIVE = (
    ("渡江社区便民服务中心", "34020201", "电信", "good"), ("镜湖中学北门", "34020203", "电信", "good"),
    ("赭山公园游客中心", "34020203", "移动", "good"), ("弋江菜市场", "34020307", "联通", "degraded"),
    ("火龙岗卫生院", "34020310", "电信", "good"), ("鸠江码头候船厅", "34020701", "移动", "dark"),
    ("湾沚镇老街警务室", "34022101", "电信", "good"), ("六郎镇养老院", "34022104", "移动", "degraded"),
    ("繁阳镇幼儿园", "34022501", "电信", "good"), ("峨山镇文化站", "34022506", "联通", "unknown"),
)  # fmt: skip
WAITS, MINE, NEW = "34020200002008000101", "34020200002008000102", "34022100002008000103"
WHY = {
    "degraded": [["one_tunnel_dead", {"tunnel": "wg-b"}]], "dark": [["no_report_no_tunnel", {}]],
    "unknown": [["site_never_heard", {}]], "good": [],
}  # fmt: skip


def site_id(number: int) -> str:
    """Return the id of the site at a place of ``ACTIVE``."""
    return f"{ACTIVE[number][1][:6]}0000200800{number + 1:04d}"


def prepared() -> dict[str, str]:
    """What a new concentrator's host printed, as a form's field."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    said = {
        "id": "hub-new", "public_key": base64.b64encode(bytes(31) + b"\x77").decode(), "port": 51820, "seal_key": der(key.public_key()),
        "csr": asked.public_bytes(serialization.Encoding.PEM).decode("ascii"), "network": "100.127.0.0/24",
        "probe": "100.127.0.1", "allowed": ["10.20.0.0/16"],
    }  # fmt: skip
    return {"prepared": json.dumps(said)}


def furnish(store: Store, signer: Signer, now: float, kept: str) -> None:
    """Fill an empty registry; ``kept``: what is kept of ``PASSWORD``."""
    with store.begin() as session:
        _ground(session, now, kept)
    for number, (name, code, carrier, verdict) in enumerate(ACTIVE):
        _enrol(store, signer, now - 40 * 86_400 + number * 3600, site_id(number), name, code, carrier, number + 1)
        with store.begin() as session:
            _health(session, now, site_id(number), verdict)
    _enrol(store, signer, now - 900, WAITS, "新市口警务站", "34020201", "电信", 101, approve=False)
    _enrol(store, signer, now - 300, MINE, "范罗山街道办", "34020202", "移动", 102, approve=False, by="wangfang")
    with store.begin() as session:
        wang = session.get_one(Person, "wangfang")
        sites.add(
            session, now - 60, wang, sites.Facts(NEW, "红杨镇水利站", "34022108", template="街道", template_version=1)
        )
        _troubles(session, now)
        _changes(session, signer, now)
        for hub in session.query(Concentrator):
            hub.revision = feeds.head(session, peers.feed(hub.id))


def refresh(store: Store, now: float) -> None:
    """Let who has spoken a while ago have spoken now: the pictures are taken over minutes."""
    with store.begin() as session:
        session.merge(Meta(name="listening", value=json.dumps([now - 9 * 86_400, now])))
        for hub in session.query(Concentrator):
            hub.seen_at = now - 25
        for row in session.query(Health).filter(Health.verdict != "dark"):
            row.seen_at, row.due_at, row.judged_at = now - 20, now + 3600, now - 4


def _ground(session: Session, now: float, kept: str) -> None:
    for name, (role, scope) in PERSONS.items():
        if session.get(Person, name) is None:
            people.add(session, now - 60 * 86_400, "init", name, kept, role, scope)
        session.get_one(Person, name).password = kept
    session.merge(Meta(name="epoch", value="1"))
    session.merge(Meta(name="listening", value=json.dumps([now - 9 * 86_400, now])))
    session.add(Template(name="街道", version=1, body=json.dumps(BODY), made_by="system", made_at=now - 60 * 86_400,
                         state="approved", approved_by="security"))  # fmt: skip
    for plane, third, name in (("a", 64, "东机房集中器"), ("b", 96, "西机房集中器")):
        key = wg(250, third)
        traffic = {"fresh": 9, "silent": 1, "never": 0, "rx_per_second": 4_300_000, "tx_per_second": 210_000}
        report = {"slots": [[key, 51820, 9]], "revision": 0, "traffic": traffic, "healed": 0, "refused_count": 0}
        session.add(
            Concentrator(
                id=f"hub-{plane}", name=name, plane=f"wg-{plane}", public_key=key, seal_key=der(HUB_KEY.public_key()),
                endpoint=f"203.0.113.{third}:51820", network=f"100.{third}.0.0/18", probe=f"100.{third}.0.1",
                allowed=json.dumps(["10.20.0.0/16"]), seen_at=now - 25, report=json.dumps(report),
            )
        )  # fmt: skip


def _enrol(
    store: Store, signer: Signer, at: float, site: str, name: str, code: str, carrier: str, number: int,
    approve: bool = True, by: str = "lina",
) -> None:  # fmt: skip
    """Let a box come, and perhaps in: as it does in the field."""
    claim = f"{number:08x}." + "a" * 26
    facts = sites.Facts(site, name, code, 2, carrier, "街道", 1)
    with store.begin() as session:
        row = sites.add(session, at, session.get_one(Person, by), facts)
        claims.issue(session, at + 60, by, row, claim)
    box = Box(number, site)
    box.changed["fingerprint"] = {"board": f"RK3588-{number:04X}A7", "storage": f"eMMC 0x{number * 7919:08x}"}
    opened, key = open_request(sign_request(box.request(claim, time=int(at) + 7200), box.key))
    with store.begin() as session:
        enrolment.ask(session, signer, at + 7200, opened, key)
    if approve:
        with store.begin() as session:
            row = session.get_one(Site, site)
            enrolment.approve(session, signer, at + 7500, "wangfang", row, row.code or "")


def _health(session: Session, now: float, site: str, verdict: str) -> None:
    row = session.get_one(Site, site)
    layers.applied(session, site, (1, row.offered))
    if verdict == "unknown":
        return
    seen = now - (20 if verdict != "dark" else 5400)
    second = {"public_key": "x", "handshake_age_seconds": 47 if verdict == "good" else 2210}
    told = reports.read({
        "site": site, "device": row.device, "city_layer": [1, row.offered],
        "change": {"applied": [1, row.offered], "state": "steady"}, "version": "0.1.0",
        "tunnels": {"wg-a": {"handshake_age_seconds": 31}, "wg-b": second},
        "programs": {
            "cityside": {
                "registered": True, "platforms": {PLATFORM: {"registered": True}},
                "tunnel": {"used": "wg-a", "switches": 2},
            },
            "ferry": {"views": {"1": {"packets": 9}}},
        },
    })  # fmt: skip
    reports.keep(session, [(told, seen)])
    kept = session.get_one(Health, site, populate_existing=True)
    kept.verdict, kept.reasons, kept.judged_at = verdict, json.dumps(WHY[verdict]), now - 4
    kept.since, kept.due_at = now - (5000 if verdict == "dark" else 93_000), now + 3600


def _troubles(session: Session, now: float) -> None:
    for number, (name, _, carrier, verdict) in enumerate(ACTIVE):
        if verdict in ("dark", "degraded"):
            site = site_id(number)
            facts = {"site": site, "name": name, "carrier": carrier, "reasons": WHY[verdict], "concentrators": []}
            alerts.raise_(
                session, now - 5000 - number, f"site_{verdict}", f"site:{site}",
                "error" if verdict == "dark" else "warning", **facts,
            )  # fmt: skip
    alerts.raise_(session, now - 40, "claim_used", f"site:{WAITS}", "warning", site=WAITS, claim="00000065")
    over = alerts.raise_(
        session, now - 9000, "concentrator_silent", "concentrator:hub-b", "error", concentrator="hub-b"
    )
    over.closed_at = now - 8700
    seen = alerts.opened(session, "site_degraded", f"site:{site_id(3)}")
    assert seen is not None
    alerts.acknowledge(session, now - 3000, session.get_one(Person, "lina"), seen.id, "已报联通，工单 20261129-03")


def _changes(session: Session, signer: Signer, now: float) -> None:
    system, better = session.get_one(Person, "system"), copy.deepcopy(BODY)
    better["platform"][0]["rights"] = ["live", "playback"]
    templates.add(session, now - 7200, system, "街道", better)
    session.get_one(Template, ("街道", 2)).state = "approved"
    session.get_one(Template, ("街道", 2)).approved_by = "security"
    session.flush()
    row = rollouts.begin(session, "街道", 2, "wangfang", "按市局通知开放录像回放", now - 3600)
    rollouts.order(session, signer, row.id, Event.START, "wangfang", "值班长同意", now - 3500)
    better["platform"][0]["keepalive_seconds"] = 30
    templates.add(session, now - 1800, system, "街道", better)
    approvals.ask(session, now - 1700, system, "template", "街道@3", "缩短心跳，加快离线发现")
    rotation.begin(session, session.get_one(Site, site_id(1)), "wg-b", "system", now - 200)
