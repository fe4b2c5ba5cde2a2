"""The ``snowgate`` command. Each subcommand's room is imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

#: name -> (module, function that adds arguments, function that runs, help)
_COMMANDS = {
    "check": ("edge.control.commands", "add_check", "check", "say everything that is wrong with a site file"),
    "plan": ("edge.control.commands", "add_plan", "plan", "say what applying a site file would do"),
    "apply": ("edge.control.commands", "add_apply", "apply", "make a site file the box's configuration"),
    "confirm": ("edge.control.commands", "add_confirm", "confirm", "keep a change that waits"),
    "reject": ("edge.control.commands", "add_reject", "reject", "undo a change that waits"),
    "enrol": ("edge.upkeep.enrolling", "add_arguments", "run", "make this box one of a city's, by the city's bundle"),
    "status": ("edge.control.commands", "add_status", "status", "say what stands now"),
    "first-code": ("webui.commands", "add_state", "first_code", "print a one-time code for the page's password"),
    "fingerprint": ("webui.commands", "add_state", "fingerprint", "print the fingerprint of the page's key"),
    "receipts": ("edge.receipts.commands", "add_arguments", "run", "who watched what: show it, prove it whole"),
    "backup": ("edge.upkeep.commands", "add_backup", "run_backup", "seal what makes this box this box into a file"),
    "restore": ("edge.upkeep.commands", "add_restore", "run_restore", "lay a backup out, with the box stopped"),
    "factory-reset": ("edge.upkeep.commands", "add_factory_reset", "run_factory_reset", "forget all but the receipts"),
    "finish": (
        "edge.upkeep.commands",
        "add_finish",
        "run_finish",
        "complete what a power cut interrupted (every boot)",
    ),
    "doctor": ("edge.upkeep.commands", "add_doctor", "run_doctor", "say what is wrong, and what to do about it"),
    "support": ("edge.upkeep.commands", "add_support", "run_support", "write a bundle for the maker, without secrets"),
    "prove": ("firewall.prove.commands", "add_arguments", "run", "send packets against the rules: who gets them?"),
    "decode": ("edge.decode.commands", "add_arguments", "run", "say what this gate makes of a message in a file"),
    "city": ("city.cli.commands", "add_arguments", "run", "the city's fleet control: serve it, ask it, change it"),
    "lab": ("edge.lab.command", "add_arguments", "run", "a whole street in namespaces, to try things in"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the process's exit status is its result."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="snowgate", description="Gate between a site's recorder and the city.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, add, _, help_) in _COMMANDS.items():
        sub = commands.add_parser(name, help=help_, description=help_)
        if given[:1] == [name]:
            getattr(importlib.import_module(module), add)(sub)
    args = parser.parse_args(given)
    module, _, run, _ = _COMMANDS[args.command]
    result: int = getattr(importlib.import_module(module), run)(args)
    return result


if __name__ == "__main__":
    sys.exit(main())
