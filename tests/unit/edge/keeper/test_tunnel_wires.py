"""When rules are laid upon a tunnel's device: as soon as it is there, shut; and again upon one that was made anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.keeper.kernel import Kernel
from edge.lab import topology
from netconf.check import read_site
from netconf.model import Site

TEXT = Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8")


@dataclass
class Ground:
    """What the three hands find, and what they were asked to do, in order."""

    links: dict[str, dict[str, int]]
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def loads(self, namespace: str = "vpn") -> list[str]:
        return [str(what[2]) for what in self.asked if what[:2] == (namespace, "load")]


@dataclass
class Hand:
    namespace: str
    ground: Ground

    def ask(self, what: str, *given: Any) -> Any:
        self.ground.asked.append((self.namespace, what, *given))
        links = self.ground.links[self.namespace]
        if what == "move":
            self.ground.links["vpn"][given[0]] = links.pop(given[0])
        answers: dict[str, Any] = {
            "there": bool(given) and given[0] in links, "index": links.get(given[0]) if given else None,
            "mac": "02:00:00:00:00:02", "policies": _All(), "shown": "shown", "create_wireguard": False, "facts": None,
            "observe_wireguard": None,
        }  # fmt: skip
        return answers.get(what, [])


class _All(frozenset[str]):
    def __rsub__(self, other: Any) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def site() -> Site:
    found, _ = read_site(TEXT)
    assert found is not None
    return found


@pytest.fixture
def ground() -> Ground:
    return Ground({"lan": {"lan0": 2}, "vpn": {}, "wan": {"wan0": 3}})


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground: Ground) -> Kernel:
    monkeypatch.setattr("edge.keeper.kernel.wireguard_missing", lambda *_: [])
    hands: Any = {name: Hand(name, ground) for name in ground.links}
    return Kernel(hands, {"lan": 1, "vpn": 2}, tmp_path, tmp_path, lambda name: f"# pins of {name}\n")


def test_a_device_that_comes_is_brought_then_gets_its_rules_then_is_put_up(
    kernel: Kernel, site: Site, ground: Ground
) -> None:
    kernel.apply(site)
    assert [each.code for each in kernel.findings] == ["wireguard_missing"]
    assert "egress-wg-a" not in ground.loads()[0], "the kernel takes no chain upon a device that is not there"
    assert "add set netdev snowgate media " in ground.loads()[0], "but pins have a place"
    ground.links["wan"]["wg-a"] = 7
    ground.asked.clear()
    kernel.tend(site)
    steps = [what[:2] for what in ground.asked if what[1] in ("move", "load", "apply") and what[0] != "lan"]
    assert steps == [("wan", "move"), ("vpn", "load"), ("vpn", "apply"), ("wan", "apply")]
    assert 'device "wg-a"' in ground.loads()[0]
    assert ground.loads()[0].endswith("# pins of vpn\n"), "in the same transaction"
    assert kernel.counters["rules_put_back"] == 0, "nobody has tampered with anything"
    ground.asked.clear()
    kernel.tend(site)
    assert ground.loads() == []


def test_a_device_of_the_same_name_that_was_made_anew_gets_its_rules_anew(
    kernel: Kernel, site: Site, ground: Ground
) -> None:
    ground.links["wan"]["wg-a"] = 7
    kernel.apply(site)
    del ground.links["vpn"]["wg-a"]
    kernel.tend(site)
    ground.links["wan"]["wg-a"] = 8
    ground.asked.clear()
    kernel.tend(site)
    assert 'device "wg-a"' in ground.loads()[0]
    ground.links["vpn"]["wg-a"] = 9
    ground.asked.clear()
    kernel.tend(site)
    assert 'device "wg-a"' in ground.loads()[0], "even if nobody saw it leave"


def test_a_device_that_no_site_names_any_more_goes_before_rules_are_loaded(
    kernel: Kernel, site: Site, ground: Ground
) -> None:
    """Its mark says that it is ours; the namespace's own steps delete it (``netconf.plan``)."""
    ground.links["wan"]["wg-a"] = 7
    kernel.apply(site)
    marked = [str(what[2]) for what in ground.asked if what[:2] == ("vpn", "perform")]
    assert marked == ["ip link set wg-a alias snowgate"]
    makes = [at for at, what in enumerate(ground.asked) if what[:2] == ("vpn", "make")]
    loads = [at for at, what in enumerate(ground.asked) if what[:2] == ("vpn", "load")]
    assert makes[0] < loads[0]
