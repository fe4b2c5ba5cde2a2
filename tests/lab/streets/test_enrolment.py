"""A box comes to its city: the owner's part alone, a bundle, six digits, a person who approves, a tunnel that proves itself.

   box (wan) ── the hole, TLS 1.3 ──> 203.0.113.10:8443 the city's door
   box (vpn) ══ WireGuard ══════════> 203.0.113.10:51820, then the same control inside the tunnel

The judge is a capture at the far end of the uplink: WireGuard, ARP, and that one TLS address while it may be asked.
"""

from __future__ import annotations

import base64
import datetime
import http.client
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.io import credentials
from edge.lab import private, topology
from edge.lab.authority import Authority
from edge.lab.capture import Uplink
from edge.lab.control import city_key
from edge.lab.orders import order
from edge.lab.sockets import in_namespace
from edge.lab.street import CONTROL, ENROL_PORT, RUN, SECRETS, STATE, Street, eventually
from netconf import envelope, layers, secrets
from netconf.enrolment import Bundle, write_bundle
from netconf.sealed import seal

DOOR = (topology.CITY_PUBLIC, ENROL_PORT)
CLAIM = "0123abcd." + "a" * 26
PSK = base64.b64encode(bytes(range(32))).decode("ascii")


@pytest.fixture(scope="module")
def uplink() -> Uplink:
    return Uplink((topology.CITY_PUBLIC, topology.HUB_PORT), enrolment=DOOR)


@pytest.fixture(scope="module")
def street(uplink: Uplink) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/enrolment-log"), enrolled=False)
    try:
        street.build()
        uplink.open("internet", "up0")
        street.start()
        yield street
    finally:
        uplink.close()
        street.close()


def enrolment(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = street.status()["keeper"]["enrolment"]
    return found


def change(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = street.status()["keeper"]["change"]
    return found


def snowgate(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def bundle(ca: str = "", claim: str = CLAIM, site: str = "34020000002008000001") -> str:
    key = base64.b64encode(city_key(CONTROL).public_key().public_bytes_raw()).decode("ascii")
    return write_bundle(Bundle(site, *DOOR, ca or Authority(CONTROL).pin, key, claim))


def asked() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((CONTROL / "asked.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def logged(street: Street, code: str) -> bool:
    path = street.logs / "enrol.log"
    return path.exists() and f'"code": "{code}"' in path.read_text(encoding="utf-8")


def links(namespace: str) -> list[str]:
    shown = subprocess.run(
        topology.inside(namespace, "ip", "-o", "link"), capture_output=True, text=True, check=True, timeout=20
    )
    return [line.split(": ")[1].partition("@")[0] for line in shown.stdout.splitlines()]


def test_before_a_city_knows_it_the_box_has_its_page_and_nothing_in_vpn(street: Street, uplink: Uplink) -> None:
    assert not enrolment(street)["enrolled"]
    assert enrolment(street)["hole"] == ""
    assert links("vpn") == ["lo"]
    eventually(lambda: _page() == 302, 30, "the owner's page")
    done = snowgate("enrol", "--status")
    assert done.returncode == 1
    assert "not enrolled" in done.stderr
    for side in ("siteside", "cityside", "ferry"):
        assert street.said(side) == {}, "it waits"
    assert uplink.violations == []
    assert uplink.wireguard == uplink.enrolling == 0


def _page() -> int:
    with in_namespace("pc"):
        line = socket.create_connection((topology.LAN_IP, 443), timeout=5)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection(topology.LAN_IP, context=context)
        connection.sock = context.wrap_socket(line)
        connection.request("GET", "/", headers={"Host": topology.LAN_IP})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        line.close()


def test_c02_a_door_with_another_ca_is_told_nothing(street: Street) -> None:
    street.start_hub()
    assert snowgate("enrol", bundle(ca="0" * 64)).returncode == 0
    eventually(lambda: logged(street, "ca_other"), 60, "the refusal")
    assert asked() == {}
    assert not (STATE / "enrol" / "ca.pem").exists()
    assert "another CA" in snowgate("enrol", "--status").stderr


def test_c01_a_claim_that_is_not_good_is_refused_by_the_city(street: Street) -> None:
    (CONTROL / "claim").write_text(CLAIM, encoding="ascii")
    assert snowgate("enrol", bundle(claim="0123abcd." + "b" * 26)).returncode == 0
    eventually(lambda: street.said("enrol").get("state") == "refused", 60, "the refusal")
    assert not enrolment(street)["enrolled"]


def test_a_person_approves_what_shows_the_same_code(street: Street) -> None:
    done = snowgate("enrol", bundle())
    assert done.returncode == 0, done.stderr
    eventually(lambda: street.said("enrol").get("state") == "pending", 60, "pending")
    said = asked()
    assert said["code"] in done.stdout
    assert said["code"] in snowgate("enrol", "--status").stderr
    assert street.said("enrol")["code"] == said["code"]
    assert said["wireguard"].keys() == {"wg-a", "wg-b"}
    assert CLAIM.partition(".")[2] not in (street.logs / "enrol.log").read_text(encoding="utf-8")


def test_f10_a_program_that_is_killed_goes_on_where_it_was(street: Street) -> None:
    street.kill("enrol")
    eventually(lambda: street.said("enrol").get("state") == "pending", 60, "pending again")
    street.kill("keeper")
    eventually(
        lambda: street.status().get("keeper", {}).get("enrolment", {}).get("hole") == "not_enrolled", 60, "again"
    )
    assert not enrolment(street)["enrolled"]


def hand_out(street: Street, revision: int) -> None:
    assert street.site is not None
    layer = layers.split(street.site)[1]
    device = secrets.ensure_device_key(SECRETS / "device").public_key()
    platform = street.site.platform[0].id
    password = secrets.read_password(street.passwords, f"platform-{platform}")
    sealed = seal(json.dumps({"psk": {}, "sip": {platform: password}}).encode(), device,
                  envelope.SEALED_FOR_BOX + street.site.identity.id)  # fmt: skip
    payload = {
        "site": street.site.identity.id, "device": secrets.key_hash(device), "epoch": 1, "revision": revision,
        "not_after": 4_000_000_000, "layer": layer, "sealed": sealed,
    }  # fmt: skip
    fresh = CONTROL / "layer.new"
    fresh.write_text(envelope.sign("layer", payload, city_key(CONTROL)), encoding="ascii")
    fresh.rename(CONTROL / "layer.json")


def test_the_approved_box_proves_its_tunnel_and_registers_with_the_password_that_came(street: Street) -> None:
    hand_out(street, 1)
    (CONTROL / "approved").touch()
    eventually(lambda: enrolment(street)["enrolled"] and change(street)["state"] == "steady", 120, "confirmed")
    assert change(street)["city_layer"] == [1, 1]
    assert links("vpn") == ["lo", "wg-a"]
    certificate = (STATE / "enrol" / "certificate.pem").read_text(encoding="ascii")
    assert "BEGIN CERTIFICATE" in certificate
    eventually(lambda: street.said("agent").get("control") == "answers", 40, "reports, by its certificate")
    eventually(lambda: street.said("cityside").get("registered"), 90, "registered with the sealed password")
    eventually(lambda: order(RUN / "city.sock", "facts")["online"], 60, "the city has it")
    done = snowgate("enrol", "--status")
    assert done.returncode == 0
    assert "Enrolled" in done.stdout
    assert snowgate("enrol", bundle(ca="0" * 64)).returncode == 1, "it belongs to a city now"


def test_f32_a_certificate_that_has_run_out_is_mended_in_the_tunnel_which_does_not_know_it(street: Street) -> None:
    key = secrets.ensure_device_key(SECRETS / "device").public_key()
    day = datetime.timedelta(days=1)
    old = Authority(CONTROL).device(key, "34020000002008000001", begins=-2 * day, ends=-day)
    reports = (CONTROL / "report.json").stat().st_mtime_ns
    credentials.keep(STATE, "enrol", old)
    eventually(lambda: '"code": "certificate_expired"' in agent_log(street), 30, "it is said")
    eventually(lambda: '"code": "certificate_renewed"' in agent_log(street), 30, "and another is there")
    eventually(lambda: (CONTROL / "report.json").stat().st_mtime_ns > reports, 30, "it reports again")
    assert (STATE / "agent" / "certificate.pem").exists()
    assert street.said("cityside")["registered"]
    age = street.status()["keeper"]["tunnels"]["wg-a"]["handshake_age_seconds"]
    assert age is not None


def agent_log(street: Street) -> str:
    return (street.logs / "agent.log").read_text(encoding="utf-8")


def test_afterwards_the_hole_is_shut_and_the_uplink_has_carried_nothing_else(street: Street, uplink: Uplink) -> None:
    eventually(lambda: not enrolment(street)["open"], 30, "the hole is shut")
    assert enrolment(street)["hole"] == ""
    before = uplink.enrolling
    assert before > 0, "the control: it was asked through the hole"
    assert _tries("snowgate-enrol") == "refused", "not even its own user"
    eventually(lambda: uplink.wireguard > 20, 30, "WireGuard")
    assert uplink.enrolling == before
    assert uplink.violations == []


def _tries(user: str) -> str:
    """What a program of a user's in ``wan`` gets at the city's door."""
    script = (
        "import socket\ns = socket.socket()\ns.settimeout(2)\n"
        f"try:\n s.connect({DOOR!r})\n print('connected')\nexcept OSError:\n print('refused')"
    )
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
    command = topology.inside("wan", *drop, "/usr/bin/python3", "-c", script)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
