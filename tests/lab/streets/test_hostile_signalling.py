"""Signalling that means ill, from an owned recorder and from an owned city: cases S, X and D of the threat list, by id.

A message carries a mark of its own; whether it went through is said by a capture at the other side's end, what it was
answered by a capture at the sender's. The control of all of them is ``test_control``: the same message without the ill
part crosses with its mark, and with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edge.lab import topology
from edge.lab.capture import PREFIX, Capture
from edge.lab.city import BOX_ID
from edge.lab.city import ID as CITY_ID
from edge.lab.orders import order
from edge.lab.recorder import CHANNELS, ID
from edge.lab.sockets import in_namespace, packet_in
from edge.lab.street import Street, eventually
from edge.lab.topology import CITY_IP, LAN_IP, NVR_IP, TUNNEL_IP
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR, SHARED, camera, facts, open_street, recorder

__all__ = ["camera"]
XML = "Application/MANSCDP+xml"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    yield from open_street(tmp_path_factory.mktemp("site"), 2016, 2016)


@dataclass
class Ears:
    """What the recorder is answered, and what reaches the city."""

    city: Capture = field(default_factory=lambda: Capture("city"))
    nvr: Capture = field(default_factory=lambda: Capture("nvr"))

    def close(self) -> None:
        self.city.close()
        self.nvr.close()


@pytest.fixture(scope="module")
def ears(street: Street) -> Iterator[Ears]:
    both = Ears()
    yield both
    both.close()


@pytest.fixture(autouse=True)
def unharmed(street: Street) -> Iterator[None]:
    """Whatever comes, the sides live on as they are and know each other."""
    lives = {name: street.pid(name) for name in ("siteside", "cityside", "ferry")}
    yield
    eventually(lambda: whole(street), 60, "the whole street")
    assert {name: street.pid(name) for name in lives} == lives


def mark() -> str:
    """A mark that is told in a description: letters alone, so that no reader changes it."""
    return PREFIX.decode() + "".join(chr(97 + octet % 26) for octet in os.urandom(4))


def alarm(text: str, sn: int = 1, head: str = "", tail: str = "") -> bytes:
    """Return the body of an alarm of the shared channel."""
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n{head}<Notify>\r\n<CmdType>Alarm</CmdType>\r\n<SN>{sn}</SN>\r\n'
        f"<DeviceID>{SHARED}</DeviceID>\r\n<AlarmPriority>1</AlarmPriority>\r\n<AlarmMethod>5</AlarmMethod>\r\n"
        f"<AlarmTime>2026-11-01T08:00:00</AlarmTime>\r\n<AlarmDescription>{text}</AlarmDescription>\r\n{tail}</Notify>\r\n"
    ).encode("gb18030")


def message(
    body: bytes = b"", *, method: str = "MESSAGE", who: str = ID, to: str = BOX_ID, uri: str = BOX_ID, kind: str = XML,
    extra: str = "", length: str | None = None, cseq: str | None = None, tag: str = "", contact: str = "",
) -> tuple[bytes, str]:  # fmt: skip
    """Return a request of the recorder and its Call-ID."""
    call = f"ill{next(_numbers)}x{os.urandom(3).hex()}"
    size = str(len(body)) if length is None else length
    head = (
        f"{method} sip:{uri}@{LAN_IP}:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {NVR_IP}:5060;rport;branch=z9hG4bK{call}\r\n"
        f"From: <sip:{who}@3402000000>;tag=1\r\nTo: <sip:{to}@3402000000>{tag}\r\nCall-ID: {call}\r\n"
        f"CSeq: {cseq or f'1 {method}'}\r\nMax-Forwards: 70\r\n{contact}{extra}"
        f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body, call


def send(ears: Ears, data: bytes, call: str, wait: float = 0.6) -> int | None:
    """Send octets from the recorder; return the status that it is answered with, None for silence."""
    found: list[int] = []

    def watch(frame: bytes) -> bool:
        at = frame.find(b"SIP/2.0 ")
        if at > 0 and f"Call-ID: {call}".encode() in frame and frame[at + 8 : at + 11].isdigit():
            found.append(int(frame[at + 8 : at + 11]))
        return False

    ears.nvr.watches[call.encode()] = watch
    order(NVR, f"raw {data.hex()}")
    with contextlib.suppress(TimeoutError):
        eventually(lambda: [status for status in found if status >= 200], wait, "an answer")
    ears.nvr.watches.pop(call.encode(), None)
    final = [status for status in found if status >= 200]
    return final[0] if final else None


def reached(ears: Ears, text: str, wait: float = 0.0) -> bool:
    """Whether a mark was seen at the city."""
    time.sleep(wait)
    return ears.city.markers[text.encode()[:8]] > 0


def refused(ears: Ears, data: bytes, call: str, text: str) -> int | None:
    """Send; nothing of it may reach the city, and no 200 may promise that it did."""
    status = send(ears, data, call)
    assert status is None or status >= 400
    assert not reached(ears, text, 0.2)
    return status


def test_control(street: Street, ears: Ears, camera: str) -> None:
    text = mark()
    data, call = message(alarm(text))
    assert send(ears, data, call, 5) == 200
    eventually(lambda: reached(ears, text), 10, "the alarm at the city")


LISTED = ["REFER", "PUBLISH", "PRACK", "UPDATE", "INFO", "SUBSCRIBE", "message", "MESSAGEx", "X" * 300]


@pytest.mark.parametrize("method", LISTED, ids=lambda method: method[:10])
def test_s01_a_method_that_is_not_listed(street: Street, ears: Ears, camera: str, method: str) -> None:
    text = mark()
    data, call = message(alarm(text), method=method)
    assert refused(ears, data, call, text) in (403, 405, 415, 481, None)


def test_s01_a_recorder_that_was_told_of_no_broadcast_invites_nobody(street: Street, ears: Ears, camera: str) -> None:
    sdp = f"v=0\r\no={ID} 0 0 IN IP4 {NVR_IP}\r\ns={mark()}\r\nc=IN IP4 {NVR_IP}\r\nt=0 0\r\nm=audio 9000 RTP/AVP 8\r\n"
    data, call = message(sdp.encode(), method="INVITE", kind="application/sdp", to=CITY_ID, uri=CITY_ID)
    assert send(ears, data, call, 3) == 403


@pytest.mark.parametrize(
    "who", ["34020000001180000002", "３４０２０００００１１８０００００１", ID[:19], ID + "1", "%33" + ID[1:], "*", ID + "%0a"],
    ids=["other", "full-width", "19", "21", "percent", "star", "newline"],
)  # fmt: skip
def test_s02_another_id(street: Street, ears: Ears, camera: str, who: str) -> None:
    text = mark()
    data, call = message(alarm(text), who=who)
    refused(ears, data, call, text)


@pytest.mark.parametrize(
    "extra",
    ["Route : <sip:x@y>\r\n", "X-A: 1\r\n folded: 2\r\n", "X-A: 1\rX-B: 2\r\n", "X-A: 1\nX-B: 2\r\n", "X-A: 1\0\r\n",
     "X-A: 1\x0bX-B: 2\r\n", "X-A: 1\x0cX-B\r\n", "X-A: 1\x1cX-B\r\n", "X-A: 1\u0085X-B: 2\r\n", "X-A: 1\u2028X-B: 2\r\n",
     ": empty\r\n", "X A: 1\r\n"],
    ids=["blank-colon", "fold", "cr", "lf", "nul", "vt", "ff", "fs", "nel", "ls", "no-name", "blank-name"],
)  # fmt: skip
def test_s03_header_smuggling(street: Street, ears: Ears, camera: str, extra: str) -> None:
    text = mark()
    data, call = message(alarm(text), extra=extra)
    refused(ears, data, call, text)


@pytest.mark.parametrize(
    ("extra", "length"),
    [("Content-Length: 3\r\n", None), ("CSeq: 2 MESSAGE\r\n", None), ("Call-ID: other\r\n", None),
     ("From: <sip:a@b>;tag=2\r\n", None), ("Content-Type: text/plain\r\n", None), ("l: 1\r\n", None), ("", "1"),
     ("", "9999"), ("", "-1"), ("", "+5"), ("", "1_0"), ("", "４２"), ("", "9" * 3000), ("", "")],
    ids=["twice-length", "twice-cseq", "twice-call", "twice-from", "twice-type", "compact-length", "short", "long",
         "negative", "plus", "underscore", "full-width", "digits", "empty"],
)  # fmt: skip
def test_s04_twice_or_lying(street: Street, ears: Ears, camera: str, extra: str, length: str | None) -> None:
    text = mark()
    data, call = message(alarm(text), extra=extra, length=length)
    refused(ears, data, call, text)


def test_s05_routes_are_not_followed_and_not_copied(street: Street, ears: Ears, camera: str) -> None:
    text, hidden = mark(), mark()
    elsewhere = f"<sip:{hidden}@{CITY_IP};lr>"
    extra = "".join(
        f"{name}: {elsewhere}\r\n" for name in ("Route", "Record-Route", "Path", "Service-Route", "P-Asserted-Identity")
    )
    contact = f"Contact: <sip:{hidden}@127.0.0.1:22;maddr={CITY_IP}>\r\n"
    data, call = message(alarm(text), extra=extra, contact=contact)
    assert send(ears, data, call, 5) == 200, "the answer goes to where the request came from"
    eventually(lambda: reached(ears, text), 10, "the alarm itself crosses")
    assert not reached(ears, hidden, 0.3)


def test_s07_a_registration_that_was_recorded_is_worth_nothing(street: Street, ears: Ears, camera: str) -> None:
    """Octet for octet again, and under another Call-ID: the nonce was good for one use."""
    recorded: list[bytes] = []
    listening = packet_in("nvr")
    listening.settimeout(0.5)
    street.kill("nvr")
    until = time.monotonic() + 30
    while not recorded and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            frame = listening.recv(65536)
            at = frame.find(b"REGISTER sip:")
            if at > 0 and b"Authorization: " in frame:
                recorded.append(frame[at:])
    listening.close()
    eventually(lambda: whole(street), 60, "the recorder is back")
    call = recorded[0].split(b"Call-ID: ")[1].split(b"\r\n")[0]
    replayed = recorded[0].replace(call, b"ill" + call[3:]).replace(b"branch=z9hG4bK", b"branch=z9hG4bKill")
    assert send(ears, replayed, "ill" + call[3:].decode(), 3) == 401


@pytest.mark.parametrize("expires", ["3600", "0"])
def test_s08_another_ones_registration(street: Street, ears: Ears, camera: str, expires: str) -> None:
    for who in ("34020000001180000002", BOX_ID, CITY_ID):
        data, call = message(
            method="REGISTER", who=who, to=who, contact="Contact: *\r\n", extra=f"Expires: {expires}\r\n"
        )
        assert send(ears, data, call, 3) == 403
    assert all(street.said("siteside")["recorders"].values())


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
def test_s09_a_guess_at_a_call_changes_nothing(street: Street, ears: Ears, camera: str, method: str) -> None:
    order(ORDERS, f"play {camera}")
    eventually(lambda: facts()["judge"].get("right", 0) > 5, 30, "pictures")
    for host, port in ((NVR_IP, 5060), (topology.NVR2_IP, 5060)):
        data, call = message(method=method, to=BOX_ID, tag=";tag=2", kind="Application/MANSRTSP")
        if host == NVR_IP:
            assert send(ears, data, call, 2) in (481, 405, 403)
            continue
        with in_namespace("nvr2"):
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind((host, port + 9))
        other.sendto(data, (LAN_IP, 5060))
        other.close()
    right = facts()["judge"]["right"]
    eventually(lambda: facts()["judge"]["right"] > right + 25, 20, "the picture goes on")
    assert facts()["judge"]["wrong"] == 0
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


@pytest.mark.parametrize("address", [NVR_IP, "100.64.255.66", "8.8.8.8", CITY_IP])
def test_s10_a_second_invite_takes_the_picture_nowhere(street: Street, ears: Ears, camera: str, address: str) -> None:
    order(ORDERS, f"play {camera}")
    eventually(lambda: facts()["judge"].get("right", 0) > 5, 30, "pictures")
    before = ears.city.markers[b"again"]
    ears.city.watches[b"again"] = lambda frame: b"SIP/2.0 488" in frame
    sdp = f"v=0\r\no={CITY_ID} 0 0 IN IP4 {address}\r\ns=Play\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=video 50000 RTP/AVP 96\r\ny=0100000001\r\n"
    order(ORDERS, f"again {sdp.encode().hex()}")
    eventually(lambda: ears.city.markers[b"again"] > before, 10, "488")
    right = facts()["judge"]["right"]
    eventually(lambda: facts()["judge"]["right"] > right + 25, 20, "the picture goes on where it went")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def test_s11_ten_thousand_broken_messages(street: Street, ears: Ears, camera: str) -> None:
    """Cut, doubled and replaced at random; the sides live on (``unharmed``) and the next honest message is answered."""
    import random

    chance, text = random.Random(4), mark()
    for _ in range(100):
        data, _call = message(alarm(text))
        for _ in range(100):
            broken = bytearray(data)
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(broken))
                broken[at : at + chance.randint(0, 8)] = chance.randbytes(chance.randint(0, 8))
            order(NVR, f"raw {bytes(broken).hex()}") if chance.random() < 0.02 else _spray(bytes(broken))

    def answered() -> bool:
        data, call = message(alarm(mark()))
        return send(ears, data, call, 2) == 200

    eventually(answered, 30, "an honest message is answered")


def _spray(data: bytes) -> None:
    """Send from the recorder's address and another port: faster, and to the parser the same."""
    global _socket
    if _socket is None:
        with in_namespace("nvr"):
            _socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _socket.sendto(data, (LAN_IP, 5060))


_socket: socket.socket | None = None


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("multipart/mixed;boundary=b", ""), ("message/sip", ""), ("text/plain", ""), ("application/sdp", ""),
     (XML, "Content-Encoding: gzip\r\n"), ("Application/MANSCDP+xml, text/plain", "")],
)  # fmt: skip
def test_s13_another_body(street: Street, ears: Ears, camera: str, kind: str, extra: str) -> None:
    text = mark()
    data, call = message(alarm(text), kind=kind, extra=extra)
    assert refused(ears, data, call, text) == 415


def test_s13_a_second_body_and_one_that_is_too_long(street: Street, ears: Ears, camera: str) -> None:
    text = mark()
    data, call = message(alarm(mark()) + alarm(text))
    refused(ears, data, call, text)
    long = mark()
    data, call = message(alarm("A" * 60_000 + long))
    send(ears, data, call)
    assert not reached(ears, long, 0.3)


@pytest.mark.parametrize(
    "octets",
    [b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 100000000\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0",
     b"MESSAGE sip:a@b SIP/2.0\r\n" + b"X: " + b"y" * 40_000],
    ids=["100 MB", "http", "tls", "no end"],
)  # fmt: skip
def test_s14_a_stream_that_cannot_be_one_is_closed(street: Street, octets: bytes) -> None:
    with in_namespace("nvr"):
        line = socket.create_connection((LAN_IP, 5060), 5)
    line.settimeout(15)
    line.sendall(octets)
    with contextlib.suppress(ConnectionResetError):
        assert line.recv(4096) == b""
    line.close()


def test_s14_two_messages_a_segment_and_an_octet_a_segment(street: Street) -> None:
    data, _ = message(method="OPTIONS")
    data = data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
    second = data.replace(b"ill", b"llo")
    with in_namespace("nvr"):
        line = socket.create_connection((LAN_IP, 5060), 5)
    line.settimeout(10)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(b"\r\n\r\n" * 500 + data + second)
    for octet in data.replace(b"ill", b"ton"):
        line.sendall(bytes((octet,)))
    heard = b""
    while heard.count(b"SIP/2.0 403") < 3:
        chunk = line.recv(65536)
        assert chunk, heard
        heard += chunk
    line.close()


TELEBOOT = [
    "<TeleBoot>Boot</TeleBoot>", "<teleboot>Boot</teleboot>", "<TeleBoot> Boot </TeleBoot>",
    "<PTZCmd>A50F0108000000BD</PTZCmd><TeleBoot>Boot</TeleBoot>", "<CmdType>DeviceControl</CmdType><TeleBoot>Boot</TeleBoot>",
    "<Info><TeleBoot>Boot</TeleBoot></Info>", "<Tele<!-- -->Boot>Boot</TeleBoot>", '<x:TeleBoot xmlns:x="a">Boot</x:TeleBoot>',
    "<RecordCmd>StopRecord</RecordCmd>", "<GuardCmd>ResetGuard</GuardCmd>", "<FormatSDCard>0</FormatSDCard>",
    "<DeviceUpgrade><FileURL>http://x/</FileURL></DeviceUpgrade>", "<SnapShotConfig><UploadURL>http://x/</UploadURL></SnapShotConfig>",
    "<Unheard>1</Unheard>",
]  # fmt: skip


@pytest.mark.parametrize("command", TELEBOOT)
def test_s15_x04_a_command_that_nobody_may_give(street: Street, ears: Ears, camera: str, command: str) -> None:
    before = len(recorder()["orders"])
    status = from_city(ears, camera, command)
    assert status in (400, 403)
    time.sleep(0.2)
    assert len(recorder()["orders"]) == before


def test_s15_control_the_same_message_with_a_command_that_is_granted(street: Street, ears: Ears, camera: str) -> None:
    before = len(recorder()["orders"])
    assert from_city(ears, camera, "<PTZCmd>A50F0108000000BD</PTZCmd>") == 200
    eventually(lambda: len(recorder()["orders"]) == before + 1, 20, "the order at the recorder")


def from_city(ears: Ears, camera: str, command: str) -> int:
    """Send a DeviceControl down the city's connection; return the status of the box's answer."""
    body = f'<?xml version="1.0" encoding="GB2312"?><Control><CmdType>DeviceControl</CmdType><SN>9</SN><DeviceID>{camera}</DeviceID>{command}</Control>'
    call = f"ill{next(_numbers)}city"
    data = (
        f"MESSAGE sip:{camera}@{TUNNEL_IP}:5060 SIP/2.0\r\nVia: SIP/2.0/TCP {CITY_IP}:5060;rport;branch=z9hG4bK{call}\r\n"
        f"From: <sip:{CITY_ID}@3402000000>;tag=1\r\nTo: <sip:{camera}@3402000000>\r\nCall-ID: {call}\r\nCSeq: 1 MESSAGE\r\n"
        f"Max-Forwards: 70\r\nContent-Type: {XML}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    found: list[int] = []

    def watch(frame: bytes) -> bool:
        at = frame.find(b"SIP/2.0 ")
        if at > 0 and f"Call-ID: {call}".encode() in frame and frame[at + 8 : at + 11].isdigit():
            found.append(int(frame[at + 8 : at + 11]))
        return False

    ears.city.watches[call.encode()] = watch
    order(ORDERS, f"raw {data.hex()}")
    eventually(lambda: found, 10, "the box's answer")
    ears.city.watches.pop(call.encode())
    return found[0]


def test_s16_a_third_peer_in_the_tunnel_is_not_heard(street: Street, camera: str) -> None:
    topology.ip("-n", "city", "addr", "add", "100.64.255.66/24", "dev", "wg0")
    answered = []
    for host in ("100.64.255.66", CITY_IP):
        with in_namespace("city"):
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind((host, 0 if host == CITY_IP else 5060))
        line.settimeout(2)
        data, _ = message(method="OPTIONS", who=CITY_ID)
        line.sendto(data.replace(NVR_IP.encode(), host.encode()), (TUNNEL_IP, 5060))
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            answered.append((host, line.recv(4096)))
        line.close()
    assert not answered, "not even the city's own address from another port: its connection alone counts"


def test_s17_answers_to_nothing(street: Street, ears: Ears, camera: str) -> None:
    before = street.said("siteside")["counters"].get("response_stray", 0)
    for status in ("180 Ringing", "200 OK", "200 OK\r\nX-Split: 1", "401 Unauthorized"):
        data, _ = message()
        answer = b"SIP/2.0 " + status.encode() + b"\r\n" + data.split(b"\r\n", 1)[1]
        for _ in range(200):
            order(NVR, f"raw {answer.hex()}") if status != "180 Ringing" else _spray(answer)
    eventually(lambda: street.said("siteside")["counters"].get("response_stray", 0) > before, 20, "counted")


BOMB = '<!DOCTYPE a [<!ENTITY b "' + "c" * 100 + '"><!ENTITY d "' + "&b;" * 20 + '">]>'


@pytest.mark.parametrize(
    "head",
    [BOMB, '<!DOCTYPE a SYSTEM "http://127.0.0.1/x">', '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>'],
)
def test_x01_a_document_type(street: Street, ears: Ears, camera: str, head: str) -> None:
    text = mark()
    data, call = message(alarm(text, head=head))
    assert refused(ears, data, call, text) == 400


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-16", "cp037", "utf-7"])
def test_x02_another_charset(street: Street, ears: Ears, camera: str, charset: str) -> None:
    text = mark()
    body = alarm(text, head='<!DOCTYPE a [<!ENTITY b "c">]>').decode("gb18030").encode(charset)
    data, call = message(body)
    assert refused(ears, data, call, text) == 400


@pytest.mark.parametrize(
    "tail",
    ["<CmdType>Keepalive</CmdType>", "<!-- c -->", "<?php x?>", '<xi:include xmlns:xi="a" href="b"/>', "<a xmlns='b'/>",
     "<AlarmDescription>other</AlarmDescription>"],
)  # fmt: skip
def test_x04_another_reading(street: Street, ears: Ears, camera: str, tail: str) -> None:
    text = mark()
    data, call = message(alarm(text, tail=tail))
    assert refused(ears, data, call, text) == 400


@pytest.mark.parametrize(
    "tail",
    ["<a>" * 2000, "<a " + " ".join(f"b{n}='1'" for n in range(2000)) + "/>", f"<{'a' * 40_000}/>", "<a/>" * 15_000,
     "<a>" + "b" * 40_000 + "</a>"],
    ids=["deep", "attributes", "name", "many", "text"],
)  # fmt: skip
def test_x05_too_much(street: Street, ears: Ears, camera: str, tail: str) -> None:
    text = mark()
    data, call = message(alarm(text, tail=tail))
    send(ears, data, call)
    assert not reached(ears, text, 0.2)


@pytest.mark.parametrize("sn", [-1, 1 << 70])
def test_x06_a_serial_that_is_none(street: Street, ears: Ears, camera: str, sn: int) -> None:
    text = mark()
    data, call = message(alarm(text, sn=sn))
    assert refused(ears, data, call, text) == 400


def test_x06_answers_that_nobody_asked_for(street: Street, ears: Ears, camera: str) -> None:
    text = mark()
    body = alarm(text).decode("gb18030").replace("Notify", "Response").replace("<CmdType>Alarm", "<CmdType>RecordInfo")
    data, call = message(body.encode("gb18030"))
    send(ears, data, call)
    assert not reached(ears, text, 0.3)
    assert street.said("siteside")["counters"].get("answer_unasked", 0) > 0


def test_x07_text_that_is_more_than_text(street: Street, ears: Ears, camera: str) -> None:
    text = mark()
    ill = f"{text}&lt;script&gt;\x1b[31m\u202e=cmd|A1'--" + "长" * 300
    data, call = message(alarm(ill))
    send(ears, data, call, 3)
    eventually(lambda: reached(ears, text), 10, "what is left of it")
    told = facts()["alarms"][-1][4]
    assert told.isprintable()
    assert len(told.encode()) <= 300


SDP = f"v=0\r\no={ID} 0 0 IN IP4 {NVR_IP}\r\ns=Play\r\nc=IN IP4 {NVR_IP}\r\nt=0 0\r\nm=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0100000001\r\n"
BAD_SDP = {
    "500 media": SDP + "m=video 1 RTP/AVP 96\r\n" * 500, "100k attributes": SDP + "a=x\r\n" * 9000,
    "long line": SDP + "a=" + "x" * 10_000, "no version": SDP[5:], "unspecified": SDP.replace(f"c=IN IP4 {NVR_IP}", "c=IN IP4 0.0.0.0"),
    "ipv6": SDP.replace(f"c=IN IP4 {NVR_IP}", "c=IN IP6 ::1"), "multicast": SDP.replace(f"c=IN IP4 {NVR_IP}", "c=IN IP4 239.1.1.1"),
    "other host": SDP.replace(f"c=IN IP4 {NVR_IP}", f"c=IN IP4 {topology.PC_IP}"), "port 0": SDP.replace("video 15060", "video 0"),
    "count": SDP.replace("video 15060", "video 15060/20"), "tcp": SDP.replace("RTP/AVP", "TCP/RTP/AVP"),
    "not utf-8": SDP.replace("s=Play", "s=\x01Play"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SDP)
def test_d01_a_recorders_answer_that_cannot_be_met(street: Street, camera: str, name: str) -> None:
    order(NVR, f"sdp {BAD_SDP[name].encode().hex()}")
    try:
        order(ORDERS, f"play {camera}")
        eventually(lambda: facts()["call"] in ("failed", "ended"), 30, "no view comes of it")
        assert facts()["packets"] == 0
        eventually(lambda: not street.said("ferry").get("views"), 20, "nothing stays open")
    finally:
        order(NVR, "sdp")


def test_d02_what_a_recorder_adds_does_not_cross(street: Street, ears: Ears, camera: str) -> None:
    hidden = mark()
    more = f"a=crypto:1 {hidden}\r\na=candidate:{hidden}\r\na=fingerprint:{hidden}\r\na=fmtp:96 $({hidden})\r\nb=AS:{hidden}\r\n"
    order(NVR, f"sdp {(SDP + more + 'a=rtpmap:97 x/1' + chr(13) + chr(10)).encode().hex()}")
    try:
        order(ORDERS, f"play {camera}")
        eventually(lambda: facts()["judge"].get("right", 0) > 5, 30, "the control: pictures all the same")
        assert not reached(ears, hidden, 0.3)
    finally:
        order(NVR, "sdp")
        order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def test_the_channels_are_as_the_lab_has_them() -> None:
    assert next(iter(CHANNELS)) == SHARED
