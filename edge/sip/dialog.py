"""What the two ends of a call remember of each other (RFC 3261 12). Routing comes from configuration, not from here."""

from __future__ import annotations

from dataclasses import dataclass

from edge.sip.message import CSeq, Headers, Request
from edge.sip.uri import NameAddr, SipUri


@dataclass(slots=True)
class Dialog:
    """A confirmed or early dialog."""

    call_id: str
    local: NameAddr
    remote: NameAddr
    target: SipUri
    local_cseq: int = 0
    remote_cseq: int = 0

    def request(self, method: str, *headers: tuple[str, str], cseq: int | None = None, body: bytes = b"") -> Request:
        """Return a request within the dialog; without ``cseq`` it takes the next number."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        fields = (
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", str(CSeq(cseq, method))),
            *headers,
        )
        return Request(Headers(fields), body, method=method, uri=self.target)

    def accepts(self, request: Request) -> bool:
        """Return whether a request belongs here: Call-ID, both tags, and a CSeq that is not older (12.2.2)."""
        return (
            request.call_id == self.call_id
            and request.to.tag == self.local.tag
            and request.from_.tag == self.remote.tag
            and request.cseq.number >= self.remote_cseq
        )
