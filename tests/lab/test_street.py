"""The whole street: the picture, refusals that a person can read, and what happens when things break.

nvr ─┐                                        ┌─ internet ─ city
nvr2 ┼─ lan [siteside] · (ferry) · [cityside] vpn ═══ wg ═══╝
pc ──┘
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

import pytest

from edge.lab import topology
from edge.lab.capture import Capture, Uplink
from edge.lab.naive import NaiveRelay
from edge.lab.orders import order
from edge.lab.probes import NO_CALL_PORT, PROBES, Captures, LiveCall, Probe, run_probe
from edge.lab.sockets import udp_in
from edge.lab.street import RUN, SECRETS, Street, eventually
from netconf import secrets
from tests.conftest import ORDERS, as_user

NO_CALL = LiveCall(30000, 15060, 7, 40000, 41000, 1, 1)
RECORDER = "recorder-34020000001180000001"


def probe(name: str) -> Probe:
    return next(p for p in PROBES if p.id == name)


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def test_the_right_pictures_arrive(street: Street, playing: str) -> None:
    before = right()
    eventually(lambda: right() > before + 50, 20, "fifty more pictures")
    facts = order(ORDERS, "facts")
    assert facts["judge"]["wrong"] == 0
    assert facts["judge"]["errors"] == []
    assert facts["foreign_ssrc"] == 0


def test_the_catalog_holds_the_shared_channel_alone(channel: str) -> None:
    assert list(order(ORDERS, "catalog")["channels"].values()) == [["北门", "ON"]]
    assert channel.startswith("3402000000131")


@pytest.mark.parametrize("wanted", ["34020000001310000002", "34020000001310000001", "34020000001310000099"])
def test_a_channel_under_an_id_that_was_not_issued_is_refused_with_a_sentence(street: Street, wanted: str) -> None:
    order(ORDERS, f"play {wanted}")
    facts = eventually(lambda: (f := order(ORDERS, "facts"))["call"] == "failed" and f, 10, "the refusal")
    assert (facts["status"], facts["cause"]) == (404, "There is no such channel.")


def test_a_wrong_password_is_named_and_the_right_one_works_again(street: Street) -> None:
    good = secrets.read_password(SECRETS / "siteside", RECORDER)
    assert good is not None
    secrets.write_password(SECRETS / "siteside", RECORDER, "wrong")
    street.kill("siteside")
    try:
        eventually(lambda: street.said("siteside").get("counters", {}).get("wrong_password"), 60, "the wrong password")
        log = (street.logs / "siteside.log").read_text(encoding="utf-8")
        assert "A recorder registered with a wrong password." in log
    finally:
        secrets.write_password(SECRETS / "siteside", RECORDER, good)
        street.kill("siteside")
        street.kill("nvr")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 90, "the recorder online again")


@pytest.mark.parametrize("name", ["siteside", "cityside", "ferry", "keeper"])
def test_kill_minus_nine_keeps_the_rules_and_opens_nothing(street: Street, playing: str, name: str) -> None:
    before = street.starts(name)
    captures, relay = Captures(), NaiveRelay((5060, NO_CALL_PORT), NO_CALL.city_local_port)
    try:
        street.kill(name)
        for wanted in ("scan-nvr-city", "rtp-without-call", "scan-city-nvr", "sip-message-from-nvr2"):
            result = run_probe(probe(wanted), captures, NO_CALL, 1)
            assert result.control_arrived > 0, f"{wanted}: its control"
            assert result.arrived == 0, wanted
        listed = subprocess.run(
            topology.inside("lan", "nft", "list", "ruleset"), capture_output=True, text=True, check=True
        ).stdout
        assert "media of open views" in listed
    finally:
        captures.close()
        relay.close()
    eventually(lambda: street.starts(name) > before, 10, f"{name} started again")
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "registered")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides at the ferry")


def test_media_stops_at_the_end_of_a_view(street: Street, channel: str) -> None:
    """The recorder that goes on sending after BYE is not heard: the pin is closed and nobody reads."""
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 5, 30, "pictures")
    (view,) = street.said("ferry")["views"].values()
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
    captures = Captures()
    try:
        call = LiveCall(view["lan_port"], view["source"][1], 7, 40000, 41000, 1, 1)
        relay = NaiveRelay((call.lan_port,), call.city_local_port)
        result = run_probe(probe("rtp-wrong-ssrc"), captures, call, 1)
        relay.close()
    finally:
        captures.close()
    assert result.control_arrived > 0
    assert result.arrived == 0
    sets = subprocess.run(topology.inside("lan", "nft", "list", "set", "inet", "snowgate", "media"),
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert f". {view['lan_port']} ." not in sets


def test_a_bad_site_file_is_refused_whole_and_the_picture_goes_on(street: Street, playing: str) -> None:
    good = (RUN / "applied.toml").read_text(encoding="utf-8")
    bad = good.replace('port = "lan0"', 'port = "wan0"').replace("share = false", "share = true")
    with pytest.raises(topology.LabBroken) as refused:
        street.apply(bad)
    (RUN / "applied.toml").write_text(good, encoding="utf-8")
    assert "(ports_same)" in str(refused.value)
    assert "(coverage_b_shared)" in str(refused.value)
    before = right()
    eventually(lambda: right() > before + 25, 20, "more pictures")


def test_swapped_ports_are_refused_by_their_hardware_addresses(street: Street, playing: str) -> None:
    good = (RUN / "applied.toml").read_text(encoding="utf-8")
    with pytest.raises(topology.LabBroken) as refused:
        street.apply(good.replace('port = "lan0"', f'port = "lan0"\nmac = "{topology.WAN0_MAC}"'))
    assert "(ports_swapped)" in str(refused.value)
    (RUN / "applied.toml").write_text(good, encoding="utf-8")
    before = right()
    eventually(lambda: right() > before + 25, 20, "more pictures")


GARBAGE = [
    b"", b"\0" * 400, b"REGISTER\r\n\r\n", b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    b"MESSAGE sip:1@2 SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4\r\nContent-Length: -5\r\n\r\n", os.urandom(1400),
    "SIP/2.0 200 ＯＫ\r\nVia: \u2028\r\n\r\n".encode(), b"BYE sip:1@2 SIP/2.0\r\nVia : x\r\n\r\n",
]  # fmt: skip


def test_garbage_from_both_sides_leaves_no_trace_but_a_counter(street: Street, playing: str) -> None:
    link = udp_in("nvr", ("192.168.1.10", 0))
    for data in GARBAGE * 20:
        link.sendto(data, (topology.LAN_IP, 5060))
    link.close()
    for data in (b"\0" * 400, os.urandom(1400), GARBAGE[2]):
        before = street.upper().get("tcp", {})
        order(ORDERS, f"raw {data.hex()}")  # over the connection that the box itself opened; each of them ends it
        eventually(lambda before=before: street.upper().get("tcp", {}) != before, 20, "counted by rule")
        eventually(lambda: not street.said("cityside")["registered"], 20, "the connection is ended")
        eventually(lambda: street.said("cityside")["registered"], 60, "registered again")
    eventually(lambda: street.said("siteside").get("counters"), 10, "the site side's counters")
    eventually(lambda: street.upper().get("tcp", {}).get("stream_start"), 10, "the city side's counters")
    for name in ("siteside", "cityside"):
        assert "Traceback" not in (street.logs / f"{name}.log").read_text(encoding="utf-8")
    before = right()
    eventually(lambda: right() > before + 25, 20, "more pictures")


def test_no_traceback_and_no_secret_in_any_log(street: Street) -> None:
    passwords = [p.read_text(encoding="utf-8").strip() for p in SECRETS.rglob("*.password")]
    assert passwords
    for log in street.logs.glob("*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        assert "Traceback" not in text, log
        assert not any(secret in text for secret in passwords), log


def test_nothing_but_wireguard_leaves_the_uplink(street: Street, playing: str) -> None:
    uplink = Uplink((topology.CITY_PUBLIC, topology.HUB_PORT))
    uplink.open("internet", "up0")
    eventually(lambda: uplink.wireguard > 100, 20, "a hundred WireGuard packets")
    uplink.close()
    assert uplink.violations == []


def test_the_tunnel_comes_back_when_its_device_dies(street: Street, playing: str) -> None:
    """wireguard-go ends and its device with it; it is started again and the keeper gives the new one all it had."""
    if not street.runs("wg-a"):
        pytest.skip("kernel WireGuard: there is no process to kill")
    street.kill("wg-a")
    eventually(lambda: street.starts("wg-a") > 1, 10, "wireguard-go again")
    before = right()
    eventually(lambda: right() > before + 25, 60, "more pictures in the same view")


def test_a_tunnel_that_was_opened_wide_is_put_back(street: Street, playing: str) -> None:
    """Somebody gives the peer the whole world; the keeper takes it away again."""
    peer = subprocess.run(
        topology.inside("vpn", "wg", "show", "wg-a", "peers"), capture_output=True, text=True, check=True
    )
    wide = ("wg", "set", "wg-a", "peer", peer.stdout.strip(), "allowed-ips", "0.0.0.0/0")
    subprocess.run(topology.inside("vpn", *wide), check=True, timeout=20)

    def allowed() -> bool:
        shown = topology.inside("vpn", "wg", "show", "wg-a", "allowed-ips")
        return "100.64.255.0/24" in subprocess.run(shown, capture_output=True, text=True, check=True).stdout

    eventually(allowed, 15, "the city's networks alone")


def hand_over(street: Street, rule: str, passed: socket.socket) -> bool:
    """Hand the ferry a descriptor as the site side; say whether it has counted ``rule``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line, contextlib.suppress(ConnectionError):
        with as_user("snowgate-siteside"):
            line.connect(str(RUN / "ferry" / "site" / "socket"))
        socket.send_fds(line, [b"\x01\x08\x00\x017\x00\x0255\x00\x0296"], [passed.fileno()])
        line.settimeout(5)
        told = line.recv(100)
        while told:  # which calls live
            told = line.recv(100)
        # An empty datagram: the ferry has hung up.
    return rule in street.said("ferry").get("counters", {})


def test_a_socket_of_another_namespace_cuts_the_side_off(street: Street) -> None:
    """The site side, owned: it hands the ferry what is not its own."""
    wrong = {
        "descriptor_foreign_namespace": udp_in("nvr", ("192.168.1.10", 0)),
        "descriptor_not_media": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    }
    wrong["descriptor_foreign_namespace"].connect(("192.168.1.2", 9))
    for rule, passed in wrong.items():
        # The site side dials again while we do, and the later one wins: try until the ferry has looked at ours.
        eventually(lambda rule=rule, passed=passed: hand_over(street, rule, passed), 20, rule)
        passed.close()
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides back")


def test_the_capture_can_see() -> None:
    """The judge's own control."""
    capture = Capture("city")
    try:
        assert capture.namespace == "city"
        assert Path("/run/netns/city").exists()
    finally:
        capture.close()
