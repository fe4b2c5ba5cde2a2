"""However a stream is cut into segments, the messages in it are the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip import message as sip
from edge.sip.errors import RemoteSipError
from edge.sip.stream import MAX_HEADER_BYTES, Stream


def made(number: int, body: bytes, name: bytes = b"Content-Length") -> bytes:
    return (
        b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK%d\r\n"
        b"From: <sip:34020000001180000001@3402000000>;tag=1\r\nTo: <sip:34020000002000000001@3402000000>\r\n"
        b"Call-ID: %d@192.0.2.10\r\nCSeq: 1 MESSAGE\r\n%s: %d\r\n\r\n" % (number, number, name, len(body))
    ) + body


BODIES = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"", b"\r\n\r\n", b"\r\n", b"MESSAGE sip:a@b SIP/2.0\r\n\r\n"])
)
NAMES = st.sampled_from([b"Content-Length", b"l", b"CONTENT-LENGTH ", b"content-length"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(BODIES, NAMES, st.sampled_from([b"", b"\r\n", b"\r\n\r\n"])), max_size=5),
    st.lists(st.integers(0, 2000), max_size=30),
)
def test_any_cut_gives_the_same_messages(parts: list[tuple[bytes, bytes, bytes]], cuts: list[int]) -> None:
    messages = [made(at, body, name.strip()) for at, (body, name, _) in enumerate(parts)]
    whole = b"".join(blank + message for message, (_, _, blank) in zip(messages, parts, strict=True))
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    stream, found = Stream(), []
    for start, end in zip(places, places[1:], strict=False):
        found += stream.receive(whole[start:end])
    assert found == messages
    assert not stream.waiting
    assert stream.pings() == sum(blank == b"\r\n\r\n" for _, _, blank in parts)
    for message in found:
        sip.parse(message)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"jaK ", "stream_start"),
        (b"GET / HTTP/1.1\r\n\r\n", "stream_start"),
        (b"\x16\x03\x01\x02\x00", "stream_start"),
        (b"SIP/3.0 200 OK\r\n\r\n", "stream_start"),
        (b"register sip:a@b SIP/2.0\r\n\r\n", "stream_start"),
        (b"A" * 33, "stream_start"),
        (b"MESSAGE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", "stream_content_length"),
        (b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n", "stream_content_length"),
        (b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n", "stream_content_length"),
        (b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 99999\r\n\r\n", "message_long"),
        (b"MESSAGE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 4000, "stream_header_long"),
        (b"\r\n\r\n\r\nx", "stream_start"),
    ],
)
def test_what_cannot_be_a_message_ends_the_connection_by_name(data: bytes, rule: str) -> None:
    with pytest.raises(RemoteSipError) as whole:
        Stream().receive(data)
    assert whole.value.rule == rule
    stream = Stream()
    with pytest.raises(RemoteSipError) as dripped:
        for at in range(len(data)):
            stream.receive(data[at : at + 1])
    assert dripped.value.rule == rule


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_anything_is_taken_or_refused_and_never_kept_without_bound(data: bytes) -> None:
    stream = Stream()
    try:
        for _ in range(100):
            stream.receive(data)
            assert len(stream._data) <= MAX_HEADER_BYTES + 65536
    except RemoteSipError as refused:
        assert refused.rule
