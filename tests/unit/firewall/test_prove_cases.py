"""The cases of a proof, without sending any: what they expect is what the flows say, and a result cannot be changed."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firewall.compile import rulesets
from firewall.prove import page
from firewall.prove.cases import NOT_COVERED, all_cases, drawn
from firewall.prove.commands import NOT_RUN, main
from firewall.prove.flows import passes
from firewall.prove.packet import ARP, Outcome
from netconf.check import read_site
from netconf.learned import NOTHING
from netconf.model import Monitoring, Site
from netconf.secrets import key_hash
from tests.playbook import test_ferry as ferry

LAB = Path(__file__).parents[3] / "edge/lab/site.toml"
TWO_TUNNELS = LAB.parents[2] / "tests/sites/two-tunnels.toml"
#: The attacks on packets that are sent, each at least once.
SENT = {"K01", "K02", "K03", "K04", "K05", "K06", "K07", "K08", "K12", "K13", "K14", "R01", "R03", "R07", "R08", "T03", "S16",
        "V05", "W05", "W08", "N02", "U11"}  # fmt: skip


def sites() -> dict[str, Site]:
    site, _ = read_site(LAB.read_text(encoding="utf-8"))
    assert site is not None
    udp = site.platform[0].model_copy(update={"transport": "udp"})
    return {
        "lab": site,
        "talk": ferry.granted("talk"),
        "udp": site.model_copy(update={"platform": (udp,)}),
        "monitored": site.model_copy(update={"monitoring": Monitoring(readers=(IPv4Address("100.64.255.20"),))}),
        "no recorder": site.model_copy(update={"recorder": (), "channel": ()}),
        "two tunnels": two_tunnels(),
        "no control": site.model_copy(update={"control": None}),
        "not enrolled": site.model_copy(update={"site": None, "tunnel": (), "platform": (), "control": None}),
    }


def two_tunnels() -> Site:
    site, found = read_site(TWO_TUNNELS.read_text(encoding="utf-8"))
    assert site is not None, found
    return site


@pytest.mark.parametrize("name", sites())
def test_what_a_case_expects_is_what_the_flows_say(name: str) -> None:
    site = sites()[name]
    for case in all_cases(site, NOTHING, 3):
        if not case.before and not case.also:
            assert passes(site, NOTHING, case.room, case.way, case.packet, case.door) is case.passes, case


def test_every_attack_on_packets_is_sent_or_said_to_be_elsewhere() -> None:
    ids = {case.id for case in all_cases(sites()["talk"], NOTHING, 3)}
    assert ids >= SENT
    assert not ids & NOT_COVERED.keys() - {"K12"}


def test_a_draw_can_be_repeated_and_has_of_both_kinds() -> None:
    site = sites()["lab"]
    once = list(drawn(site, NOTHING, 5))
    assert once == list(drawn(site, NOTHING, 5)) != list(drawn(site, NOTHING, 6))
    assert 20 < sum(case.passes for case in once) < len(once) - 100
    assert not any(case.packet.protocol == ARP for case in once)


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, str]:
    """A result of two cases, as it is kept, and the hash of the key that signed it."""
    site = sites()["lab"]
    named = all_cases(site, NOTHING, 1)
    outcomes = [Outcome(named[0], 1, "SIP", 1), Outcome(next(c for c in named if not c.passes), 0, "closed", 1)]
    texts = {"lan": "a", "vpn": "b", "wan": "c"}
    key = ec.generate_private_key(ec.SECP256R1())
    found = page.result(site, texts, outcomes, 1, "2026-11-23T00:00:00+00:00", NOT_COVERED)  # type: ignore[arg-type]
    page.write(tmp_path, page.signed(found, key))
    return tmp_path / page.RESULT, key_hash(key.public_key())


def test_a_result_is_whole(kept: tuple[Path, str]) -> None:
    found = page.verify(*kept)
    assert (found["red"], len(found["cases"])) == (0, 2)
    assert "验证" in (kept[0].parent / page.PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize(("before", "after", "code"), [
    ('"green": true', '"green": false', "proof_unsigned"),
    ('"red": 0', '"red": 1', "proof_unsigned"),
    ('"seed": 1', '"seed": 2', "proof_unsigned"),
    ('"signature"', '"signatur"', "proof_form"),
    ("{", "[", "proof_form"),
])  # fmt: skip
def test_a_result_that_was_changed_is_refused(kept: tuple[Path, str], before: str, after: str, code: str) -> None:
    text = kept[0].read_text(encoding="utf-8")
    assert before in text
    kept[0].write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(page.BadProof) as refused:
        page.verify(*kept)
    assert refused.value.code == code


def test_a_result_of_another_device_is_refused(kept: tuple[Path, str]) -> None:
    with pytest.raises(page.BadProof) as refused:
        page.verify(kept[0], "0" * 64)
    assert refused.value.code == "proof_other_device"
    text = json.loads(kept[0].read_text(encoding="utf-8"))
    kept[0].write_text(json.dumps(text | {"device": "0" * 64}), encoding="utf-8")
    with pytest.raises(page.BadProof) as refused:
        page.verify(kept[0])
    assert refused.value.code == "proof_other_device"


def test_an_outcome_is_green_when_what_must_pass_did_and_nothing_else() -> None:
    case = all_cases(sites()["lab"], NOTHING, 1)[0]
    assert case.passes
    assert Outcome(case, 1, "", 1).green
    assert not Outcome(case, 0, "", 1).green
    assert not Outcome(replace(case, passes=False), 1, "", 1).green
    policed = replace(case, times=400, most=260)
    assert [Outcome(policed, got, "", 400).green for got in (0, 1, 260, 261)] == [False, True, True, False]


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--site", str(tmp_path / "none")], ["--site", str(LAB), "--texts", str(tmp_path)],
                  ["--verify", str(tmp_path / "none")]):  # fmt: skip
        monkeypatch.setattr("sys.argv", ["prove", *words])
        assert main() == NOT_RUN
        assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "site.toml").write_text("x = 1", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["prove", "--site", str(tmp_path / "site.toml")])
    assert main() == NOT_RUN
    assert "is no site" in capsys.readouterr().err


def test_the_rules_of_the_lab_are_those_that_are_proven() -> None:
    texts = {each.namespace: each.text() for each in rulesets(sites()["lab"])}
    assert page.digests(texts) == {each.namespace: each.digest() for each in rulesets(sites()["lab"])}  # type: ignore[arg-type]
