"""Requests and answers as one JSON datagram each, bounded, with an id that the answer echoes."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from netconf.finding import Finding, Severity

MAX_REQUEST_BYTES = 1 << 17
#: A site of 4096 channels is half a megabyte of text, and one datagram carries a fifth of that: what is long is deflated.
MAX_PLAIN_BYTES, MAX_INFLATED_BYTES = 1 << 16, 1 << 21
_DEFLATED = b"\x78"
_TOKEN = re.compile(r"[0-9a-f]{32}", re.ASCII)
MAX_FINDINGS = 200
MAX_SERVERS = 4
#: PS, H.264, H.265.
MAX_PAYLOAD_TYPES = 3
MAX_LEASE_SECONDS = 7 * 86_400
#: How a field of several texts or numbers is written in a request's class.
_LISTS = {"tuple[str, ...]": str, "tuple[int, ...]": int}
#: A proof takes seconds, on a busy small box a minute. Longer, and an owner thinks that the page hangs.
PROOF_SECONDS = 90.0
#: Of what a proof found red, so many cases are named.
MAX_CASES = 8
RULESETS = 3
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,79}", re.ASCII)
_PIN = re.compile(r"(in|out|from|to)-[0-9]{1,10}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CODE = re.compile(r"[0-9]{20}", re.ASCII)
_PORT = re.compile(r"[a-z][a-z0-9.-]{0,14}", re.ASCII)
_TUNNEL = re.compile(r"[a-z][a-z0-9-]{0,14}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)


class ControlError(Exception):
    """What came is none of the requests or answers that may come here; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Hello:
    """The keeper's first word to the ferry: the cookies of both namespaces (SO_NETNS_COOKIE)."""

    lan_cookie: int
    vpn_cookie: int


@dataclass(frozen=True, slots=True)
class OpenIn:
    """Let media in from a recorder's media addresses to ``lan_port``, by "udp" or "tcp".

    The keeper looks the recorder's addresses up itself, in the confirmed configuration. ``payload_types`` are those that the
    recorder is asked for; asked again under the same name, it is the one that it has chosen.
    """

    pin: str
    recorder: str
    lan_port: int
    payload_types: tuple[int, ...]
    max_kbytes_per_second: int
    ttl_seconds: int
    transport: str = "udp"


@dataclass(frozen=True, slots=True)
class OpenOut:
    """Let media out to the city, from ``local_port`` of the tunnel's own address ``local``, by "udp" or "tcp".

    By UDP its reports go from ``report_local_port`` to the city's ``report_port`` and back (0 and 0: none).
    """

    pin: str
    address: str
    port: int
    local: str
    local_port: int
    max_kbytes_per_second: int
    ttl_seconds: int
    transport: str = "udp"
    report_port: int = 0
    report_local_port: int = 0


@dataclass(frozen=True, slots=True)
class OpenFrom:
    """Let sound in from the city's ``address`` and ``port`` to ``local_port`` of the tunnel's own address ``local``."""

    pin: str
    address: str
    port: int
    local: str
    local_port: int
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class OpenTo:
    """Let sound out from ``lan_port`` to a recorder's media ``address`` and ``port``."""

    pin: str
    recorder: str
    address: str
    port: int
    lan_port: int
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class RenewPin:
    pin: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class ClosePin:
    pin: str


@dataclass(frozen=True, slots=True)
class ReceiptHead:
    """The chain of receipts has come so far: its last line's number and that line's hash."""

    sequence: int
    head: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A DHCP server gave this to the uplink's port: address/bits, router ("" for none), servers, for how long."""

    port: str
    address: str
    gateway: str
    dns: tuple[str, ...]
    ntp: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class NoLease:
    """The port has no address by DHCP any more."""

    port: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The endpoint's name of this tunnel has this address."""

    tunnel: str
    address: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Which tunnels have not shaken hands for minutes?"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done to make this site file hold? Changes nothing."""

    site_text: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Make this site file the configuration; it is undone without a Confirm in time, unless the seconds are 0.

    Without ``with_proof`` its rules need not be proven; this is journalled.
    """

    site_text: str
    confirm_seconds: int
    with_proof: bool = True


@dataclass(frozen=True, slots=True)
class Propose:
    """Make this the owner's layer (JSON of whole parts); it was written with revision ``base`` before the eyes."""

    base: int
    layer_text: str
    confirm_seconds: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """A signed city layer, for us to judge."""

    envelope_text: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What does the city ask a box for, and may it be asked? With ``go`` the hole is opened, if it may be."""

    go: bool


@dataclass(frozen=True, slots=True)
class AskCity:
    """A person wants the city's enrolment to be asked now, although the tunnels are not dead for long."""


@dataclass(frozen=True, slots=True)
class CityAnswer:
    """The city's signed answer to the nonce of the pending change, which came through the new tunnel."""

    answer_text: str


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Which public key would this tunnel have next? It is made now if there is none, and used when a city layer names it.

    ``refused``: the one that the city was told and did not take, "" for none; then another is made.
    """

    tunnel: str
    refused: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of the proposal of this token? Changes nothing; answered as the proposal itself would be."""

    token: str


@dataclass(frozen=True, slots=True)
class Work:
    """The prover lives and has the rules of this revision in hand, 0 for none; is there anything else to prove?"""

    revision: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the proof of exactly these rulesets (lan, vpn, wan) found: "green", "red", or "none", it could not run.

    ``count`` cases are red and ``cases`` the first of them; ``what`` is the page to read, or why it could not run.
    """

    revision: int
    digests: tuple[str, ...]
    result: str
    count: int
    cases: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Keep the pending change of this token."""

    token: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Undo the pending change of this token."""

    token: str


@dataclass(frozen=True, slots=True)
class Status:
    """What stands now?"""


@dataclass(frozen=True, slots=True)
class Done:
    """It is so."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """It is so for now, and is undone unless it is confirmed with ``token`` within ``seconds``."""

    revision: int
    token: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Proving:
    """Its rules are being proven, for so many more seconds at most; nothing was changed yet. Ask for its ``Outcome``.

    Toward the prover, which may do nothing with it, the token is empty.
    """

    revision: int
    token: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Job:
    """For the prover: a site (JSON), and the rulesets that it would have (lan, vpn, wan), with their digests."""

    revision: int
    site_text: str
    texts: tuple[str, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The steps, as the commands a person would type; and what else should be known."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NextKey:
    """The tunnel's next public key; the private one stays on the box."""

    tunnel: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """It is not so, and nothing was changed."""

    rule: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusReport:
    facts: dict[str, Any]


PinRequest = OpenIn | OpenOut | OpenFrom | OpenTo | RenewPin | ClosePin
FerryRequest = PinRequest | ReceiptHead
OperatorRequest = Plan | Apply | Outcome | Confirm | Reject | Status | AskCity
WebRequest = Propose | Outcome | Confirm | Reject | Status | AskCity
AgentRequest = HandOver | Outcome | CityAnswer | RotateKey | Status
UplinkRequest = Lease | NoLease | Resolved | Stale
ProveRequest = Work | Verdict
EnrolRequest = Keys | HandOver
Request = FerryRequest | OperatorRequest | WebRequest | AgentRequest | UplinkRequest | ProveRequest | EnrolRequest
Answer = Done | Proving | Waiting | Job | Planned | NextKey | Refusal | StatusReport

#: Who may ask what: each caller has a socket of its own, ``keeper/CALLER/socket``, and this list.
CALLERS: dict[str, tuple[type[Any], ...]] = {
    "ferry": (OpenIn, OpenOut, OpenFrom, OpenTo, RenewPin, ClosePin, ReceiptHead),
    "operator": (Plan, Apply, Outcome, Confirm, Reject, Status, AskCity),
    "web": (Propose, Outcome, Confirm, Reject, Status, AskCity),
    "agent": (HandOver, Outcome, CityAnswer, RotateKey, Status),
    "uplink": (Lease, NoLease, Resolved, Stale),
    "prove": (Work, Verdict),
    "enrol": (Keys, HandOver),
}


def encode_hello(hello: Hello) -> bytes:
    return _dump(hello.__class__.__name__, 0, asdict(hello))


def decode_hello(data: bytes) -> Hello:
    """Raises:
    ControlError: it is no Hello.
    """
    name, _, body = _load(data)
    if name != "Hello":
        raise ControlError("hello_expected")
    hello: Hello = _make(Hello, body)
    return hello


def encode_request(number: int, request: Request) -> bytes:
    return _dump(type(request).__name__, number, asdict(request))


def decode_request(caller: str, data: bytes) -> tuple[int, Request]:
    """Return the id and the request, if ``caller`` may ask it.

    Raises:
        ControlError: with the rule it breaks.
    """
    name, number, body = _load(data)
    for kind in CALLERS[caller]:
        if kind.__name__ == name:
            request: Request = _make(kind, body)
            _bounds(request)
            return number, request
    raise ControlError("request_unknown")


_PLAIN_ANSWERS: dict[str, type[Any]] = {"Proving": Proving, "Waiting": Waiting, "Job": Job, "NextKey": NextKey}


def encode_answer(number: int, answer: Answer) -> bytes:
    if isinstance(answer, Refusal):
        kept = [[f.code, f.path, str(f.severity), list(map(list, f.args))] for f in answer.findings[:MAX_FINDINGS]]
        return _dump("Refusal", number, {"rule": answer.rule, "findings": kept})
    return _dump(type(answer).__name__, number, asdict(answer))


def decode_answer(data: bytes) -> tuple[int, Answer]:
    """Return the id and the answer.

    Raises:
        ControlError: with the rule it breaks.
    """
    name, number, body = _load(data)
    if name == "Done":
        return number, Done()
    if name in _PLAIN_ANSWERS:
        answer: Answer = _make(_PLAIN_ANSWERS[name], body)
        return number, answer
    if name == "Planned" and isinstance(body.get("steps"), list):
        return number, Planned(tuple(str(step) for step in body["steps"]))
    if name == "StatusReport" and isinstance(body.get("facts"), dict):
        return number, StatusReport(body["facts"])
    if name == "Refusal" and isinstance(body.get("findings"), list):
        findings = tuple(
            Finding(str(code), str(path), Severity(severity), tuple((str(k), str(v)) for k, v in args))
            for code, path, severity, args in body["findings"]
        )
        return number, Refusal(str(body.get("rule", "")), findings)
    raise ControlError("answer_unknown")


def _dump(name: str, number: int, body: dict[str, Any]) -> bytes:
    data = json.dumps([name, number, body], ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return data if len(data) <= MAX_PLAIN_BYTES else zlib.compress(data)


def _load(data: bytes) -> tuple[str, int, dict[str, Any]]:
    if len(data) > MAX_REQUEST_BYTES:
        raise ControlError("request_long")
    try:
        data = _inflated(data) if data[:1] == _DEFLATED else data
        name, number, body = json.loads(data, object_pairs_hook=_once)
    except (ValueError, TypeError, RecursionError, zlib.error):
        raise ControlError("request_syntax") from None
    if not isinstance(name, str) or type(number) is not int or not isinstance(body, dict):
        raise ControlError("request_syntax")
    return name, number, body


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    found = stream.decompress(data, MAX_INFLATED_BYTES)
    if not stream.eof or stream.unused_data:
        raise ControlError("request_long")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _make(kind: type[Any], body: dict[str, Any]) -> Any:
    wanted = {field.name: field.type for field in fields(kind)}
    if body.keys() != wanted.keys():
        raise ControlError("request_fields")
    for name, value in body.items():
        if (of := _LISTS.get(str(wanted[name]))) is not None:
            if not isinstance(value, list) or not all(type(each) is of for each in value):
                raise ControlError("request_types")
            body[name] = tuple(value)
        elif type(value).__name__ != str(wanted[name]):
            raise ControlError("request_types")
    return kind(**body)


def _uplink_bounds(request: Request) -> None:
    """Form alone: what the site thinks of it is the keeper's to say."""
    try:
        if isinstance(request, Lease):
            IPv4Interface(request.address)
            for address in (*request.dns, *request.ntp, *([request.gateway] if request.gateway else ())):
                IPv4Address(address)
        elif isinstance(request, Resolved):
            IPv4Address(request.address)
    except ValueError:
        raise ControlError("request_address") from None
    if isinstance(request, Lease | NoLease) and not _PORT.fullmatch(request.port):
        raise ControlError("request_port")
    if isinstance(request, Resolved) and not _PORT.fullmatch(request.tunnel):
        raise ControlError("request_tunnel")
    if isinstance(request, Lease) and (
        max(len(request.dns), len(request.ntp)) > MAX_SERVERS
        or not 1 <= request.seconds <= MAX_LEASE_SECONDS
        or "/" not in request.address
    ):
        raise ControlError("request_range")


def _prove_bounds(request: Work | Verdict) -> None:
    if not 0 <= request.revision < 1 << 60:
        raise ControlError("request_range")
    if isinstance(request, Work):
        return
    if len(request.digests) != RULESETS or not all(map(_HASH.fullmatch, request.digests)):
        raise ControlError("request_digest")
    named = len(request.cases) <= MAX_CASES and all(map(_CASE.fullmatch, request.cases)) and len(request.what) <= 300
    # Red is what names a case; what names none is not.
    agrees = request.result in ("green", "red", "none") and (request.result == "red") is (request.count > 0)
    if not (named and agrees and len(request.cases) == min(request.count, MAX_CASES)):
        raise ControlError("request_verdict")


def _bounds(request: Request) -> None:
    _uplink_bounds(request)
    if isinstance(request, ProveRequest):
        _prove_bounds(request)
    if isinstance(request, ReceiptHead) and not (1 <= request.sequence < 1 << 60 and _HASH.fullmatch(request.head)):
        raise ControlError("request_head")
    if isinstance(request, PinRequest) and not _PIN.fullmatch(request.pin):
        raise ControlError("request_pin")
    if isinstance(request, RotateKey) and not (
        _TUNNEL.fullmatch(request.tunnel) and (not request.refused or _KEY.fullmatch(request.refused))
    ):
        raise ControlError("request_tunnel")
    if isinstance(request, Outcome | Confirm | Reject) and not _TOKEN.fullmatch(request.token):
        raise ControlError("request_token")
    if isinstance(request, RenewPin | OpenIn | OpenOut | OpenFrom | OpenTo) and not 1 <= request.ttl_seconds <= 30:
        raise ControlError("request_ttl")
    if isinstance(request, OpenIn | OpenOut) and not 1 <= request.max_kbytes_per_second <= 20_000:
        raise ControlError("request_range")
    if isinstance(request, OpenIn | OpenOut) and request.transport not in ("udp", "tcp"):
        raise ControlError("request_transport")
    if isinstance(request, OpenIn):
        types = request.payload_types
        good = 1 <= len(types) <= MAX_PAYLOAD_TYPES and all(96 <= each <= 127 for each in types)
        if not good or not 1024 <= request.lan_port <= 65535 or not _CODE.fullmatch(request.recorder):
            raise ControlError("request_range")
    if isinstance(request, OpenOut | OpenFrom | OpenTo):
        try:
            IPv4Address(request.address)
            IPv4Address(request.local if isinstance(request, OpenOut | OpenFrom) else request.address)
        except ValueError:
            raise ControlError("request_address") from None
        own = request.lan_port if isinstance(request, OpenTo) else request.local_port
        if not all(1024 <= port <= 65535 for port in (request.port, own)):
            raise ControlError("request_range")
    if isinstance(request, OpenTo) and not _CODE.fullmatch(request.recorder):
        raise ControlError("request_range")
    if isinstance(request, OpenOut) and not _reports_fit(request):
        raise ControlError("request_range")


def _reports_fit(asked: OpenOut) -> bool:
    """Reports of a view by TCP go by its connection."""
    ports = (asked.report_port, asked.report_local_port)
    return ports == (0, 0) or (asked.transport == "udp" and all(1024 <= port <= 65535 for port in ports))
