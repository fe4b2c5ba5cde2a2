"""A hand: the keeper's child in one namespace. It does a closed list of things, asked over a socket pair.

Both ends are the keeper's own code and trust each other's shapes; what comes from outside was checked before.
"""

from __future__ import annotations

import os
import pickle  # noqa: S403 - between a process and its own forked child, never from outside
import signal
import socket
from collections.abc import Callable
from typing import Any

from edge.keeper import rights
from firewall.nft import Nft, NftRefused
from netconf.finding import Finding
from netconf.kernel import wireguard
from netconf.kernel.links import KernelRefused, Links
from netconf.plan import LinkMade, diff, missing
from netconf.state import NetworkState

_MOST_BYTES = 1 << 20
SO_NETNS_COOKIE = 71
Refused = (NftRefused, KernelRefused, wireguard.WireGuardRefused)


class HandRefused(Exception):
    """A hand could not do what it was asked; the message is the kernel's or the tool's."""


class NotApplied(Exception):
    """The kernel could not be made so, or is not so afterwards; ``findings`` say why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


class HandLost(RuntimeError):
    """A hand is gone: the keeper ends and is started again."""


class Hand:
    """The parent's end of one hand."""

    def __init__(self, namespace: str, descriptor: int | None) -> None:
        self.namespace = namespace
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                if descriptor is not None:
                    rights.enter(descriptor)
                _Worker(namespace).run(theirs)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        self._line = ours

    def ask(self, what: str, *arguments: Any) -> Any:
        """Have the hand do one thing.

        Raises:
            HandRefused: it could not.
            HandLost: it is gone.
        """
        try:
            self._line.send(pickle.dumps((what, arguments)))
            data = self._line.recv(_MOST_BYTES)
        except OSError:
            data = b""
        if not data:
            raise HandLost(self.namespace)
        good, result = pickle.loads(data)  # noqa: S301 - see the import
        if not good:
            raise HandRefused(result)
        return result


class _Worker:
    """The child's end."""

    def __init__(self, namespace: str) -> None:
        self._links = Links(namespace)
        self._nft = Nft()
        self._do: dict[str, Callable[..., Any]] = {
            "cookie": _cookie,
            "check": self._nft.check,
            "load": lambda text: self._nft.run(text) and None,
            "policies": self._nft.policies,
            "shown": self._nft.shown,
            "noted": self._nft.noted,
            "there": lambda name: self._links.index(name) is not None,
            "index": self._links.index,
            "lower": self._links.lower,
            "mac": self._links.mac,
            "move": self._links.move,
            "give_name": self._links.give_name,
            "create_wireguard": self._links.create_wireguard,
            "make_macvlan": self._links.make_macvlan,
            "make": self._make,
            "perform": self._links.perform,
            "apply": self._apply,
            "missing": lambda wanted: missing(wanted, self._links.observe(wanted)),
            "syncconf": wireguard.syncconf,
            "begin_anew": wireguard.begin_anew,
            "observe_wireguard": wireguard.observe,
            "facts": wireguard.facts,
        }

    def run(self, line: socket.socket) -> None:
        rights.keep_net_admin()
        while data := line.recv(_MOST_BYTES):
            what, arguments = pickle.loads(data)  # noqa: S301 - see the import
            try:
                answer = (True, self._do[what](*arguments))
            except Refused as wrong:
                answer = (False, str(wrong))
            line.send(pickle.dumps(answer))

    def _apply(self, wanted: NetworkState) -> int:
        """Do what is missing; return how many steps that took."""
        steps = diff(wanted, self._links.observe(wanted))
        for step in steps:
            self._links.perform(step)
        return len(steps)

    def _make(self, wanted: NetworkState) -> None:
        """Make, mark and delete the box's own links alone; all else waits until the rules are there."""
        for step in diff(wanted, self._links.observe(wanted)):
            if isinstance(step, LinkMade):
                self._links.perform(step)


def _cookie() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        return int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
