"""What of the legs outlives a restart of their side: established dialogs, as plain values for a file on tmpfs.

Only what BYE needs, in either direction, is kept (RFC 3261 12.1.1, 15): the rest of a call is over once media flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.sip.address import Address
from edge.sip.dialog import Dialog
from edge.sip.errors import RemoteSipError
from edge.sip.uri import NameAddr, SipUri

MAX_KEPT = 4096


class NotKept(ValueError):
    """The file holds something else: its maker died while writing, or was another version. One begins anew."""


def dialog_facts(dialog: Dialog, peer: Address) -> dict[str, Any]:
    """Return a dialog and its peer as plain values."""
    return {
        "call_id": dialog.call_id,
        "local": str(dialog.local),
        "remote": str(dialog.remote),
        "target": str(dialog.target),
        "cseq": [dialog.local_cseq, dialog.remote_cseq],
        "peer": [peer.host, peer.port, peer.transport],
    }


def dialog_of(facts: Mapping[str, Any]) -> tuple[Dialog, Address]:
    """Return what ``dialog_facts`` was given.

    Raises:
        NotKept: it is not that.
    """
    try:
        local, remote = NameAddr.parse(facts["local"]), NameAddr.parse(facts["remote"])
        local_cseq, remote_cseq = (int(number) for number in facts["cseq"])
        host, port, transport = facts["peer"]
        target = SipUri.parse(facts["target"])
        dialog = Dialog(str(facts["call_id"]), local, remote, target, local_cseq, remote_cseq)
        return dialog, Address(str(host), int(port), "tcp" if transport == "tcp" else "udp")
    except (RemoteSipError, LookupError, TypeError, ValueError) as wrong:
        raise NotKept(str(wrong)) from None
