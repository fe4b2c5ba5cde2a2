"""``snowgate prove``: prove the rules of a site, check a proof, say which rule decides of a captured packet."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from firewall.compile import rulesets
from firewall.prove.packet import Case, Outcome, Room
from netconf import secrets, words
from netconf.check import read_site
from netconf.finding import finding
from netconf.learned import NOTHING, Learned
from netconf.learned import decode as decode_learned
from netconf.model import Site

GREEN, RED, NOT_RUN = 0, 1, 2
KEPT = 30
DEFAULT_SITE = Path("/run/snowgate/keeper/site.json")
DEFAULT_OUT = Path("/var/lib/snowgate/proofs")


class NotRun(Exception):
    """There is no proof; ``code`` says why, ``what`` of what."""

    def __init__(self, code: str, what: str = "") -> None:
        super().__init__(code)
        self.code, self.what = code, what


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``snowgate prove`` takes."""
    parser.add_argument("--site", type=Path, default=DEFAULT_SITE, help="the site file (default: what is confirmed)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where results are kept")
    parser.add_argument(
        "--texts", type=Path, help="a folder with lan.nft, vpn.nft, wan.nft to prove instead of the site's"
    )
    parser.add_argument("--learned", type=Path, help="what was learned from DHCP and DNS")
    parser.add_argument("--key", type=Path, help="the folder of the device key, to sign the result with")
    parser.add_argument("--seed", type=int, help="of the packets that are drawn by lot (default: the day)")
    parser.add_argument("--in-place", action="store_true", help="write into --out itself, not into a folder a run")
    parser.add_argument("--verify", type=Path, metavar="FILE", help="check a result's signature, and run nothing")
    parser.add_argument("--device", help="with --verify: the hash of the device key that must have signed it")
    parser.add_argument(
        "--explain", type=Path, metavar="PCAP", help="say for each packet of a capture which rule decides"
    )
    parser.add_argument("--room", choices=("lan", "vpn", "wan"), default="lan", help="with --explain: where it arrives")


def run(given: argparse.Namespace) -> int:
    """Do it: 0 green, 1 red, 2 not run."""
    try:
        if given.verify is not None:
            return _verify(given)
        site = _site(given.site)
        learned = _learned(given.learned)
        texts = _texts(given.texts, site, learned)
        if given.explain is not None:
            return _explain(given, site, learned, texts)
        return _prove(given, site, learned, texts)
    except NotRun as missing:
        print(words.sentence(finding(missing.code, what=missing.what)), file=sys.stderr)
        return NOT_RUN


def _prove(given: argparse.Namespace, site: Site, learned: Learned, texts: dict[Room, str]) -> int:
    from firewall.prove import cases, page

    at = datetime.now(UTC)
    seed = given.seed if given.seed is not None else at.toordinal()
    made = cases.all_cases(site, learned, seed)
    outcomes = _outcomes(site, learned, texts, made)
    found = page.result(site, texts, outcomes, seed, at.isoformat(timespec="seconds"), cases.NOT_COVERED)
    if given.key is not None:
        found = page.signed(found, secrets.ensure_device_key(given.key))
    folder = given.out if given.in_place else given.out / at.strftime("%Y%m%dT%H%M%SZ")
    try:
        page.write(folder, found)
        if not given.in_place:
            _forget_old(given.out)
    except OSError as wrong:
        raise NotRun("proof_not_kept", str(wrong)) from None
    for outcome in outcomes:
        if not outcome.green:
            print(f"{outcome.case.id} {outcome.case.room}: {outcome.case.words} ({outcome.wall or 'kernel'})")
    print(page.verdict(found, "en"))
    print(folder / page.PAGE)
    return RED if found["red"] else GREEN


def _outcomes(site: Site, learned: Learned, texts: dict[Room, str], cases: list[Case]) -> list[Outcome]:
    """Run the trial, which needs scapy, and rights over namespaces of its own."""
    try:
        from firewall.nft import NftMissing, NftRefused
        from firewall.prove.rooms import NoScratch
        from firewall.prove.trial import trial
    except ImportError as missing:
        raise NotRun("proof_no_scapy", str(missing)) from None
    try:
        return trial(site, learned, texts, cases)
    except (NoScratch, NftMissing, PermissionError) as wrong:
        raise NotRun("proof_no_room", str(wrong)) from None
    except NftRefused as wrong:
        raise NotRun("proof_rules_refused", str(wrong)) from None


def _verify(given: argparse.Namespace) -> int:
    from firewall.prove import page

    try:
        found = page.verify(given.verify, given.device)
    except OSError as wrong:
        raise NotRun("proof_not_there", str(wrong)) from None
    except page.BadProof as bad:
        print(words.sentence(finding(bad.code, what=given.verify)), file=sys.stderr)
        return RED
    print(page.verdict(found, "en"))
    print(f"{found['site']} {found['at']} device {found['device']}")
    return RED if found["red"] else GREEN


def _explain(given: argparse.Namespace, site: Site, learned: Learned, texts: dict[Room, str]) -> int:
    try:
        from firewall.prove.explain import BadCapture, explained
        from firewall.prove.rooms import NoScratch
    except ImportError as missing:
        raise NotRun("proof_no_scapy", str(missing)) from None
    try:
        for line in explained(given.explain, given.room, site, learned, texts):
            print(line)
    except BadCapture as bad:
        raise NotRun("proof_capture", str(bad)) from None
    except NoScratch as wrong:
        raise NotRun("proof_no_room", str(wrong)) from None
    return GREEN


def _site(path: Path) -> Site:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise NotRun("proof_not_there", str(wrong)) from None
    if text.lstrip().startswith("{"):
        try:
            return Site.model_validate_json(text)
        except ValueError:
            raise NotRun("proof_site", str(path)) from None
    site, _ = read_site(text)
    if site is None:
        raise NotRun("proof_site", str(path))
    return site


def _learned(path: Path | None) -> Learned:
    if path is None:
        return NOTHING
    try:
        return decode_learned(path.read_bytes())
    except (OSError, ValueError) as wrong:
        raise NotRun("proof_not_there", str(wrong)) from None


def _texts(folder: Path | None, site: Site, learned: Learned) -> dict[Room, str]:
    names: tuple[Room, ...] = ("lan", "vpn", "wan")
    if folder is None:
        return dict(zip(names, (ruleset.text() for ruleset in rulesets(site, learned)), strict=True))
    try:
        return {name: (folder / f"{name}.nft").read_text(encoding="utf-8") for name in names}
    except (OSError, UnicodeDecodeError) as wrong:
        raise NotRun("proof_not_there", str(wrong)) from None


def _forget_old(out: Path) -> None:
    kept = sorted(each for each in out.iterdir() if each.is_dir() and each.name.endswith("Z"))
    for each in kept[:-KEPT]:
        shutil.rmtree(each, ignore_errors=True)


def main() -> int:
    """``python -m firewall.prove``: what another program asks; it writes into ``--out`` itself."""
    parser = argparse.ArgumentParser(prog="firewall.prove", description="Prove rules.")
    add_arguments(parser)
    given = parser.parse_args()
    given.in_place = True
    return run(given)
