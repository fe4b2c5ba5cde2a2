"""SIP URIs (RFC 3261 19.1) and the From/To/Contact form around them (20.10), as far as GB/T 28181 uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from edge.sip.errors import RemoteSipError

MAX_URI_CHARACTERS = 256
#: What is asked many times over for one message, and comes again in the next, is read once (``lru_cache``).
_URI = re.compile(
    r"sips?:(?:(?P<user>[A-Za-z0-9\-_.!~*'()%&=+$,?/]{1,64})@)?(?P<host>[A-Za-z0-9.\-]{1,128})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<params>(?:;[^;<>\"\s?]*)*)(?:\?[^<>\s]*)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SipUri:
    """``sip:user@host:port``. Parameters other than the transport are not kept: routing comes from configuration."""

    user: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        at = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"sip:{at}{self.host}{port}"

    @staticmethod
    @lru_cache(1024)
    def parse(text: str) -> SipUri:
        """Read a URI.

        Raises:
            RemoteSipError: ``uri``.
        """
        found = _URI.fullmatch(text) if len(text) <= MAX_URI_CHARACTERS else None
        if found is None:
            raise RemoteSipError("uri", 400)
        port = found["port"]
        if port is not None and not 0 < int(port) < 65536:
            raise RemoteSipError("uri_port", 400)
        return SipUri(found["user"] or "", found["host"], int(port) if port is not None else None)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A From, To or Contact value: a URI and, in a dialog, a tag. Display names are not kept."""

    uri: SipUri
    tag: str | None = None
    expires: int | None = None

    def __str__(self) -> str:
        tag = f";tag={self.tag}" if self.tag is not None else ""
        expires = f";expires={self.expires}" if self.expires is not None else ""
        return f"<{self.uri}>{tag}{expires}"

    @staticmethod
    @lru_cache(1024)
    def parse(text: str) -> NameAddr:
        """Read a header value with or without angle brackets.

        Raises:
            RemoteSipError: ``name_addr`` or ``uri``.
        """
        start = text.find("<")
        if start >= 0:
            end = text.find(">", start)
            if end < 0:
                raise RemoteSipError("name_addr", 400)
            uri, rest = text[start + 1 : end], text[end + 1 :]
        else:
            uri, _, rest = text.partition(";")
            rest = f";{rest}" if rest else ""
        tag = expires = None
        for param in rest.split(";")[1:]:
            name, _, value = param.strip().partition("=")
            if name.lower() == "tag":
                if tag is not None or not _TAG.fullmatch(value):
                    raise RemoteSipError("name_addr_tag", 400)
                tag = value
            elif name.lower() == "expires" and _NUMBER.fullmatch(value):
                expires = int(value)
        return NameAddr(SipUri.parse(uri.strip()), tag, expires)
