"""What is told from outside is judged against the site, each time."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.compile import rulesets
from netconf import learned as told
from netconf.check import read_site
from netconf.compile import desired
from netconf.learned import HeldLease, Learned, fitting, objection
from netconf.model import Site
from netconf.state import Route

ROOT = Path(__file__).parents[3]
STATIC = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8")
UPLINK = STATIC[STATIC.index("[uplink]") : STATIC.index("[lan]")]
DHCP = STATIC.replace(UPLINK, '[uplink]\nport = "wan0"\nmode = "dhcp"\n\n').replace("203.0.113.10:", "hub.example:")


def site(text: str = DHCP) -> Site:
    read, found = read_site(text)
    assert read is not None, found
    return read


GOOD = HeldLease(
    "wan0",
    IPv4Interface("198.51.100.50/24"),
    IPv4Address("198.51.100.1"),
    (IPv4Address("198.51.100.1"),),
    (IPv4Address("203.0.113.123"),),
)
HUB = ("hub.example", IPv4Address("203.0.113.10"))
CASES = [
    ("lease_unasked", replace(GOOD, port="wan1")),
    ("lease_address", replace(GOOD, address=IPv4Interface("198.51.100.50/31"), gateway=None)),
    ("lease_address", replace(GOOD, address=IPv4Interface("11.0.0.1/7"), gateway=None)),
    ("lease_address", replace(GOOD, address=IPv4Interface("224.0.0.5/24"), gateway=None)),
    ("lease_address", replace(GOOD, address=IPv4Interface("198.51.100.255/24"))),
    ("lease_router", replace(GOOD, gateway=IPv4Address("198.51.101.1"))),
    ("lease_router", replace(GOOD, gateway=IPv4Address("198.51.100.50"))),
    ("lease_router", replace(GOOD, gateway=IPv4Address("198.51.100.0"))),
    ("lease_overlaps", replace(GOOD, address=IPv4Interface("192.168.1.50/24"), gateway=None)),
    ("lease_overlaps", replace(GOOD, address=IPv4Interface("192.168.0.50/16"), gateway=None)),
    ("lease_overlaps", replace(GOOD, address=IPv4Interface("100.64.255.50/24"), gateway=None)),
    ("lease_overlaps", replace(GOOD, address=IPv4Interface("100.64.0.50/24"), gateway=None)),
]


@pytest.mark.parametrize(("rule", "lease"), CASES, ids=[f"{rule} {lease.address}" for rule, lease in CASES])
def test_a_lease_that_does_not_fit_is_refused_by_name_and_changes_nothing(rule: str, lease: HeldLease) -> None:
    assert objection(site(), GOOD) is None  # the control
    wrong = objection(site(), lease)
    assert wrong is not None
    assert wrong.code == rule
    assert desired(site(), Learned(lease)) == desired(site())
    assert rulesets(site(), Learned(lease)) == rulesets(site())


def test_a_lease_gives_address_and_default_route_and_the_file_is_left_as_it_is() -> None:
    wan = desired(site(), Learned(GOOD))[2].links[0]
    assert wan.addresses == {GOOD.address}
    assert wan.routes == {Route(wan_default(), GOOD.gateway)}
    assert desired(site(STATIC), Learned(GOOD)) == desired(site(STATIC))


def wan_default():  # type: ignore[no-untyped-def]
    return next(iter(desired(site(STATIC))[2].links[0].routes)).network


def test_on_one_untagged_wire_the_lease_may_be_of_the_lan_but_no_ones_address() -> None:
    one_arm = site(DHCP.replace('"wan0"', '"lan0"').replace("[lan]", '[lan]\nmode = "one_arm"'))
    lease = replace(GOOD, port="lan0", address=IPv4Interface("192.168.1.200/24"), gateway=IPv4Address("192.168.1.1"))
    assert objection(one_arm, lease) is None
    for taken in ("192.168.1.2/24", "192.168.1.10/24"):
        wrong = objection(one_arm, replace(lease, address=IPv4Interface(taken)))
        assert wrong is not None
        assert wrong.code == "lease_overlaps"


def test_servers_on_the_other_side_are_not_asked_and_the_lease_is_good() -> None:
    odd = replace(GOOD, dns=(IPv4Address("192.168.1.1"), IPv4Address("127.0.0.1"), IPv4Address("203.0.113.53")))
    held = fitting(site(), Learned(odd)).lease
    assert held is not None
    assert held.dns == (IPv4Address("203.0.113.53"),)


@pytest.mark.parametrize("address", ["192.168.1.5", "100.64.255.10", "127.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_a_name_that_points_inside_is_not_believed(address: str) -> None:
    assert fitting(site(), Learned(None, (HUB,))).endpoints == (HUB,)  # the control
    wrong = Learned(None, (("hub.example", IPv4Address(address)),))
    assert fitting(site(), wrong).endpoints == ()
    assert "WireGuard" not in rulesets(site(), wrong)[2].text()


def test_what_is_not_known_yet_is_said() -> None:
    assert {f.code for f in told.complaints(site(), Learned())} == {"lease_none", "endpoint_unresolved"}
    assert not list(told.complaints(site(), Learned(GOOD, (HUB,))))
    assert not list(told.complaints(site(STATIC), Learned()))


def test_a_name_of_an_earlier_site_is_forgotten() -> None:
    old = Learned(None, (("old.example", IPv4Address("203.0.113.99")),))
    assert old.resolved("hub.example", HUB[1], site()).endpoints == (HUB,)


@given(
    st.binary(max_size=60) | st.sampled_from([b"[]", b'{"lease":{},"endpoints":{}}', b'{"lease":null,"endpoints":3}'])
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        told.decode(data)


def test_what_is_written_is_read_again() -> None:
    for each in (Learned(), Learned(GOOD, (HUB,)), Learned(replace(GOOD, gateway=None, dns=(), ntp=()))):
        assert told.decode(told.encode(each)) == each
