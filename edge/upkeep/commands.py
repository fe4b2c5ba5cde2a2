"""``snowgate backup``, ``restore``, ``factory-reset``, ``finish``, ``doctor`` and ``support``."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import socket
import sys
from pathlib import Path

from edge.io.confirmed import add_places
from edge.upkeep import backup, doctor, support
from edge.upkeep.board import board
from edge.upkeep.sealed import MAX_FILE_BYTES, SealRefused, open_sealed, seal
from edge.upkeep.swap import OrderDamaged, Places, finish, swap
from netconf import durable, words
from netconf.finding import Finding, Severity, finding
from netconf.kept import Kept
from netconf.proposal import layers_of, site_of

#: Whoever answers here is a program of the box that runs.
_ALIVE = ("keeper/operator/socket", "ferry/reader/socket", "supervisor-site.sock", "supervisor-city.sock")


def add_backup(parser: argparse.ArgumentParser) -> None:
    _sealed(parser)


def add_restore(parser: argparse.ArgumentParser) -> None:
    _sealed(parser)


def _sealed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the sealed file")
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="read the passphrase from a file's first line"
    )
    _all(parser)


def add_factory_reset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", metavar="SITE_ID", help="the site's 20-digit id, instead of being asked for it")
    _all(parser)


def add_finish(parser: argparse.ArgumentParser) -> None:
    _all(parser)


def add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    _all(parser)


def add_support(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the bundle to write (.tar.gz)")
    parser.add_argument("--logs", type=Path, default=Path(os.environ.get("SNOWGATE_LOG", "/var/log/snowgate")))
    _all(parser)


def _all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=("en", "zh-CN"), default="en")
    add_places(parser, "run", "state", "secrets")


def run_backup(args: argparse.Namespace) -> int:
    """Seal what makes this box this box into a file: 0 written, 1 not."""
    try:
        content = backup.gather(_places(args), board())
        durable.write(args.file, seal(content, _passphrase(args, twice=True)))
    except backup.NothingConfirmed:
        return _tell(args, finding("backup_nothing"))
    except SealRefused as refused:
        return _tell(args, finding(refused.rule))
    except (OSError, ValueError) as wrong:
        return _tell(args, finding("file_unreadable", what=wrong))
    return _tell(args, finding("backup_written", severity=Severity.INFO))


def run_restore(args: argparse.Namespace) -> int:
    """Lay a backup out, with the box's programs stopped: 0 done, 1 refused and nothing changed."""
    if _running(args.run):
        return _tell(args, finding("box_runs"))
    try:
        finish(_places(args))
        content = open_sealed(durable.read(args.file, MAX_FILE_BYTES), _passphrase(args, twice=False))
        files, own = backup.layout(content, _places(args), board())
        swap(_places(args), files)
    except SealRefused as refused:
        return _tell(args, finding(refused.rule))
    except OrderDamaged:
        return _tell(args, finding("order_damaged"))
    except (OSError, durable.TooLong) as wrong:
        return _tell(args, finding("file_unreadable", what=wrong))
    return _tell(args, finding("restored" if own else "restored_elsewhere", severity=Severity.INFO))


def run_factory_reset(args: argparse.Namespace) -> int:
    """Forget all but the receipts and the city's highest mark: 0 done, 1 refused and nothing changed."""
    if _running(args.run):
        return _tell(args, finding("box_runs"))
    try:
        finish(_places(args))
        known = _site_id(_places(args))
        asked = (
            "Type the site's id to forget its configuration: " if args.language == "en" else "输入站点编码以清除配置："
        )
        if known and (args.yes if args.yes is not None else input(asked)).strip() != known:
            return _tell(args, finding("site_id_wrong"))
        swap(_places(args), backup.factory_files(_places(args)))
    except OrderDamaged:
        return _tell(args, finding("order_damaged"))
    except (OSError, EOFError) as wrong:
        return _tell(args, finding("file_unreadable", what=wrong))
    return _tell(args, finding("factory_done", severity=Severity.INFO))


def run_finish(args: argparse.Namespace) -> int:
    """Complete what a power cut interrupted; part of every boot: 0 nothing is left to do, 1 it could not be done."""
    try:
        if finish(_places(args)):
            return _tell(args, finding("order_finished", severity=Severity.INFO))
    except OrderDamaged:
        return _tell(args, finding("order_damaged"))
    except OSError as wrong:
        return _tell(args, finding("file_unreadable", what=wrong))
    return 0


def run_doctor(args: argparse.Namespace) -> int:
    """Say what is wrong with the box, causes first: 0 nothing, 1 something."""
    found = doctor.examine(doctor.look(args.run, args.state, args.secrets))
    if args.json:
        print(json.dumps([{"code": f.code, "path": f.path, "args": dict(f.args), "text": words.sentence(f, args.language),
                           "evidence": words.evidence(f, args.language), "advice": words.advice(f, args.language)} for f in found], ensure_ascii=False, indent=1))  # fmt: skip
    else:
        well = "Everything is well." if args.language == "en" else "一切正常。"
        print("\n".join(words.report(found, args.language)) or well)
    return int(bool(found))


def run_support(args: argparse.Namespace) -> int:
    """Write the support bundle: 0 written, 1 not."""
    try:
        support.write(args.file, support.gather(args.run, args.state, args.secrets, args.logs))
    except OSError as wrong:
        return _tell(args, finding("file_unreadable", what=wrong))
    return _tell(args, finding("support_written", severity=Severity.INFO))


def _places(args: argparse.Namespace) -> Places:
    return Places(args.state, args.secrets)


def _site_id(places: Places) -> str:
    kept = Kept(places.state / "keeper")
    document = kept.read_document(kept.read_journal()[0].confirmed[0])
    site = None if document is None else site_of(document)[0]
    if site is not None:
        return site.site.id if site.site is not None else ""
    return "" if document is None else str(layers_of(document).owner.get("site", {}).get("id", ""))


def _running(run: Path) -> bool:
    for path in _ALIVE:
        kind = socket.SOCK_STREAM if path.endswith(".sock") else socket.SOCK_SEQPACKET
        with socket.socket(socket.AF_UNIX, kind) as line:
            line.settimeout(2)
            try:
                line.connect(str(run / path))
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except OSError:
                return True  # it is there and busy, or not ours to ask
            return True
    return False


def _passphrase(args: argparse.Namespace, twice: bool) -> str:
    if args.passphrase_file is not None:
        return durable.read(args.passphrase_file, 1024).decode("utf-8").split("\n", 1)[0].rstrip("\r")
    asked, once_more = ("Passphrase: ", "Once more: ") if args.language == "en" else ("口令：", "再次输入：")
    said = getpass.getpass(asked)
    if twice and getpass.getpass(once_more) != said:
        raise SealRefused("passphrase_differs")
    return said


def _tell(args: argparse.Namespace, found: Finding) -> int:
    good = found.severity is Severity.INFO
    for line in words.report((found,), args.language):
        print(line, file=sys.stdout if good else sys.stderr)
    return int(not good)
