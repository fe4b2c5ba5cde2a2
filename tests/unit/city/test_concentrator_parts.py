"""The agent's other parts: who is at two places, which rules, which slot, what is kept, and what its file may say."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from city.concentrator import certificate, commands, config, process, rules, slots, steps, wg
from city.concentrator.config import Config
from city.concentrator.core import Core
from city.concentrator.echo import BURST, MAX_SOURCES, Rations
from city.concentrator.entries import SitePeer
from city.concentrator.kept import Kept
from city.concentrator.log import Log
from city.concentrator.slots import Slot
from city.concentrator.steps import Actual, ActualPeer, RemovePeer, SetPeer, Step
from city.concentrator.watch import Watch
from netconf import secrets, words

EXAMPLE = Path(__file__).parents[3] / "docs" / "concentrator.md"


def key(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def site(number: int) -> str:
    return f"340200000020{number:08d}"


def peer(number: int) -> SitePeer:
    return SitePeer(site(number), key(number), (f"100.64.0.{number}/32",), 1, "", key(number))


def seen(**at: tuple[str, int]) -> Actual:
    """A device with peers k1, k2, ...: endpoint and when it was heard last."""
    return Actual("", 0, {
        key(int(name[1:])): ActualPeer(key(int(name[1:])), "", endpoint, (), heard, 100, 50)
        for name, (endpoint, heard) in at.items()
    })  # fmt: skip


PEERS = {site(number): peer(number) for number in (1, 2, 3)}


def test_w03_a_box_that_moves_is_no_clone_and_one_at_two_places_is() -> None:
    watch = Watch()
    for at in range(0, 30, 3):
        watch.look(seen(k1=("192.0.2.1:1", 9), k2=(f"192.0.2.{2 + (at >= 9)}:1", 9),
                        k3=(f"192.0.2.{7 + at % 2}:1", 9)), float(at))  # fmt: skip
    [found] = watch.flipping(PEERS)
    assert found == {"site": site(3), "flips": 9, "endpoints": ["192.0.2.7:1", "192.0.2.8:1"]}
    for at in range(30, 90, 3):
        watch.look(seen(k3=("192.0.2.7:1", 9)), float(at))
    assert watch.flipping(PEERS) == []
    assert watch.seen.keys() == {key(3)}


def test_a_summary_is_bounded_and_counts() -> None:
    watch, wall = Watch(), 10_000.0
    first = seen(k1=("a", 9_990), k2=("b", 9_000), k3=("", 0))
    assert watch.summary(first, PEERS, 5.0, wall)["rx_per_second"] == 0
    later = Actual("", 0, first.peers | {key(1): ActualPeer(key(1), "", "a", (), 9_990, 6_100, 550)})
    said = watch.summary(later, PEERS, 15.0, wall)
    assert (said["fresh"], said["silent"], said["never"], said["silent_sites"]) == (1, 1, 1, [site(2)])
    assert (said["rx_per_second"], said["tx_per_second"], said["busiest"]) == (600, 50, {site(1): 650})
    many = {site(at): SitePeer(site(at), key(at), (), 1) for at in range(1000)}
    all_silent = seen(**{f"k{at}": ("a", 1) for at in range(1000)})
    assert len(str(watch.summary(all_silent, many, 20.0, wall))) < 8_000


def test_a_sources_ration_is_its_own_and_grows_back() -> None:
    rations = Rations()
    assert sum(rations.take("a", 0.0) for _ in range(100)) == BURST
    assert rations.take("b", 0.0)
    assert not rations.take("a", 0.05)
    assert rations.take("a", 0.2)
    assert sum(rations.take("a", 1000.0) for _ in range(100)) == BURST
    for at in range(MAX_SOURCES + 10):
        rations.take(str(at), 2000.0)
    assert len(rations.left) == MAX_SOURCES


@pytest.fixture
def example(tmp_path: Path) -> Config:
    text = EXAMPLE.read_text(encoding="utf-8")
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ") or not line)
    path = tmp_path / "hub.toml"
    path.write_text(block.replace("/etc/snowgate", str(tmp_path)).replace("/var/lib/snowgate", str(tmp_path / "lib")))
    found, wrong = config.read(path)
    assert found is not None, words.report(wrong)
    return found


def test_the_example_of_the_docs_is_well_formed_and_its_rules_load(example: Config) -> None:
    text = rules.render(example)
    assert text == rules.render(example)
    assert 'iifname { "wg-hub0", "wg-hub1" } oifname { "wg-hub0", "wg-hub1" } counter drop' in text
    assert "ip saddr 100.64.0.0/18 ip daddr 10.1.0.0/24 udp dport { 5060, 30000-39999 } counter accept" in text
    assert "ip daddr 100.64.0.0/18 ip saddr 10.1.0.0/24 tcp sport { 5060 } counter accept" in text
    done = subprocess.run(["unshare", "-rn", "nft", "--check", "-f", "-"], input=text, text=True, check=False,
                          capture_output=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "before, after",
    [('network = "100.64.0.0/18"', 'network = "100.64.0.0/33"'), ('address = "100.64.0.1"', 'address = "10.9.0.1"'),
     ("ports = [51820, 51821]", "ports = [51820, 51820]"), ('"30000-39999"', '"40000-30000"'),
     ('"30000-39999"', '"1 } accept"'), ('network = "10.1.0.0/24"', 'network = "100.64.3.0/24"'),
     ('id = "hub-a"', 'id = "hub a"'), ('id = "hub-a"', 'id = "hub-a"\nsurprise = 1'), ("[[city]]", "[[town]]"),
     ("port = 8443", 'port = "x"')],
)  # fmt: skip
def test_a_file_that_is_wrong_says_where(example: Config, tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "hub.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    found, wrong = config.read(path)
    assert found is None
    assert wrong
    assert all("{trouble" not in line for line in words.report(wrong) + words.report(wrong, "zh-CN"))
    assert config.read(tmp_path / "none.toml")[1][0].code == "hub_config_unreadable"


def test_a_slot_is_a_key_file_and_the_older_goes_only_when_nobody_uses_it(example: Config) -> None:
    assert slots.slots(example) == ()
    said = commands.prepared(example)
    [one] = slots.slots(example)
    assert (one.device, one.port, one.public_key) == ("wg-hub0", 51820, said["public_key"])
    assert one.private_key not in repr(one)
    fresh = slots.make(example)
    assert slots.make(example) is None
    both = slots.slots(example)
    assert [slot.public_key for slot in both] == [one.public_key, fresh]
    needless = slots.needless
    assert needless(both, [one.public_key, fresh or ""], {}) is None
    assert needless(both, [fresh or ""], {one.public_key: 3}) is None
    assert needless(both, [fresh or ""], {}) is None, "a device that could not be read may be in use"
    assert needless(both, [fresh or ""], {one.public_key: 0}) == one
    assert needless(both, [], {one.public_key: 0}) is None
    assert needless(both, [key(9)], {one.public_key: 0, fresh or "": 0}) is None
    slots.drop(example, one)
    assert [slot.port for slot in slots.slots(example)] == [51821]
    assert slots.make(example) not in (None, one.public_key)


def test_what_goes_to_a_site_goes_where_it_was_heard_last() -> None:
    zero, one = seen(k1=("a", 10), k2=("b", 30), k3=("", 0)), seen(k1=("c", 20), k2=("b", 20))
    both = {"wg-hub0": zero, "wg-hub1": one}
    assert slots.ways(both, "wg-hub0", PEERS.values()) == {"100.64.0.1": "wg-hub1"}
    merged = slots.merged(both).peers
    assert (merged[key(1)].endpoint, merged[key(2)].handshake, merged[key(1)].rx) == ("c", 30, 200)


def test_what_is_kept_comes_back_in_order_and_a_snapshot_ends_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state")
    assert list(kept.read()) == []
    kept.snapshot("s1")
    for revision in (9, 10, 11):
        kept.changes(revision, f"c{revision}")
    again = Kept(tmp_path / "state")
    assert list(again.read()) == ["s1", "c9", "c10", "c11"]
    assert again.files == 3
    (tmp_path / "state" / f"{10:016d}.changes").write_bytes(b"\xff")
    assert list(again.read()) == ["s1", "c9"]
    again.snapshot("s2")
    assert (list(again.read()), again.files) == (["s2"], 0)


def certified(folder: Path, key_of: ec.EllipticCurvePrivateKey, ends: float) -> str:
    import datetime

    at = datetime.datetime.fromtimestamp(ends, datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "concentrator:hub-a")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key_of.public_key())
            .serial_number(1).not_valid_before(at - datetime.timedelta(days=90)).not_valid_after(at)
            .sign(key_of, hashes.SHA256()))  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_a_certificate_is_asked_for_in_time_and_only_ours_is_kept(tmp_path: Path) -> None:
    own = secrets.ensure_device_key(tmp_path)
    assert certificate.asked(tmp_path, 0.0) == {}
    now = 1_800_000_000.0
    assert certificate.renewed(tmp_path, certified(tmp_path, own, now + 40 * 86400))
    assert certificate.asked(tmp_path, now) == {}
    asked = certificate.asked(tmp_path, now + 11 * 86400)
    assert x509.load_pem_x509_csr(asked["csr"].encode()).public_key() == own.public_key()
    before = (tmp_path / "certificate.pem").read_bytes()
    for bad in (certified(tmp_path, ec.generate_private_key(ec.SECP256R1()), now), "x", None, 7, "x" * (1 << 16)):
        assert not certificate.renewed(tmp_path, bad)
    assert (tmp_path / "certificate.pem").read_bytes() == before


def test_a_batch_keeps_a_key_and_the_one_after_it_together(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[Step]] = []
    monkeypatch.setattr(wg, "_set", lambda _, batch: batches.append(list(batch)))
    made: list[Step] = [SetPeer(key(0), (), key(0))]
    for at in range(1, 200):
        made += [RemovePeer(key(at)), SetPeer(key(1000 + at), (), key(at))]
    wg.perform("wg-hub0", made)
    assert [step for batch in batches for step in batch] == made
    assert all(not isinstance(batch[-1], RemovePeer) for batch in batches)
    assert max(map(len, batches)) <= wg.BATCH + 1


def test_a_tools_words_hold_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wg").write_text(f"#!/bin/sh\necho 'Key is not the correct length: `{key(5)}' >&2; exit 1\n")
    (tmp_path / "wg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(wg.DeviceRefused) as wrong:
        wg.configure("wg-hub0", steps.text(key(5), 51820, PEERS.values()), anew=True)
    assert key(5)[:20] not in str(wrong.value)
    assert "hidden" in str(wrong.value)


def test_an_unprepared_host_says_so(example: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert process.run(example) == 1
    assert '"code": "hub_unprepared"' in capsys.readouterr().err


class Device:
    """A device that does what it is told, and can be away."""

    def __init__(self) -> None:
        self.peers: dict[str, SetPeer] = {}
        self.away = False

    def show(self, _: str) -> Actual:
        if self.away:
            raise wg.DeviceRefused("away")
        return Actual(key(900), 51820, {
            name: ActualPeer(name, one.psk, "", one.allowed, 0, 0, 0) for name, one in self.peers.items()
        })  # fmt: skip

    def perform(self, _: str, made: list[Step]) -> None:
        if self.away:
            raise wg.DeviceRefused("away")
        for step in made:
            if isinstance(step, SetPeer):
                self.peers[step.public_key] = step
            else:
                self.peers.pop(step.public_key, None)


def test_a_device_that_is_away_is_made_so_when_it_is_back(
    example: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    for name in ("show", "perform"):
        monkeypatch.setattr(wg, name, getattr(device, name))
    for name in ("raise_device", "own", "load_rules"):
        monkeypatch.setattr(wg, name, lambda *_: None)
    monkeypatch.setattr(wg, "shown_rules", lambda _: "")
    core = Core(process.own(example, ()), ec.generate_private_key(ec.SECP256R1()), lambda *_: "")  # type: ignore[arg-type]
    agent = process.Agent(example, core, Kept(tmp_path / "state"), Log("test"),
                          (Slot(0, "wg-hub0", 51820, key(900), ""),))  # fmt: skip
    agent.look(1.0)
    core.peers, core.has_snapshot = dict(PEERS), True
    device.away = True
    agent.look(70.0)
    assert not device.peers
    device.away = False
    agent.look(73.0)
    assert device.peers.keys() == {key(1), key(2), key(3)}
    assert agent.counts.healed == 3


def test_without_a_snapshot_nothing_is_taken_off(
    example: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    device.peers[key(7)] = SetPeer(key(7), (), "")
    for name in ("show", "perform"):
        monkeypatch.setattr(wg, name, getattr(device, name))
    for name in ("raise_device", "own", "load_rules"):
        monkeypatch.setattr(wg, name, lambda *_: None)
    monkeypatch.setattr(wg, "shown_rules", lambda _: "")
    core = Core(process.own(example, ()), ec.generate_private_key(ec.SECP256R1()), lambda *_: "")  # type: ignore[arg-type]
    agent = process.Agent(example, core, Kept(tmp_path / "state"), Log("test"),
                          (Slot(0, "wg-hub0", 51820, key(900), ""),))  # fmt: skip
    agent.look(100.0)
    assert device.peers.keys() == {key(7)}
    core.has_snapshot = True  # the control: with one it is
    agent.look(200.0)
    assert not device.peers
