"""What the ferry's thinking part wants done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.control.wire import FerryRequest
from edge.records.types import Party, Record


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a record to a side."""

    to: Party
    record: Record


@dataclass(frozen=True, slots=True)
class AskKeeper:
    """Put a request to the keeper; its answer comes back with the request."""

    request: FerryRequest


@dataclass(frozen=True, slots=True)
class StartRelay:
    """Let a worker read the packets of a pull from ``source``, each behind ``prefix`` octets of framing.

    ``content`` is what must be in them; a sound's SSRC is that of its first packet. ``back`` is where the recorder hears
    reports.
    """

    pull: int
    source: int
    ssrc: int
    payload_type: int
    prefix: int = 0
    content: str = "ps"
    back: int | None = None


@dataclass(frozen=True, slots=True)
class JoinRelay:
    """Let them go to one more ``sink``, stamped as it says, in packets of at most ``most`` octets.

    Its reports go to ``reports``, or with ``mux`` to the sink; a connection has them in its frames.
    """

    pull: int
    call: int
    sink: int
    ssrc: int
    payload_type: int
    most: int
    reports: int | None = None
    mux: bool = False


@dataclass(frozen=True, slots=True)
class LeaveRelay:
    pull: int
    call: int


@dataclass(frozen=True, slots=True)
class StopRelay:
    pull: int


@dataclass(frozen=True, slots=True)
class CloseDescriptor:
    """Let a passed socket go; a connection is ended for whoever else still holds it."""

    descriptor: int


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """A view begins, ends or is refused, or something is ordered: ``told`` is what only the core knows of it.

    The one for ``opened`` stands before the record that it allows, and is durable before that is sent.
    """

    event: Literal["opened", "closed", "ordered"]
    call: int
    told: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class DropSide:
    """The side broke a rule that an honest one cannot break: hang up on it and count it as faulty."""

    side: Party
    rule: str


Command = Send | AskKeeper | StartRelay | JoinRelay | LeaveRelay | StopRelay | CloseDescriptor | WriteReceipt | DropSide
