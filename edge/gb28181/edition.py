"""Which edition a peer speaks: X-GB-Ver of REGISTER and of every answer to it (GB/T 28181-2022 annex I)."""

from __future__ import annotations

from edge.sip.message import Headers

HEADER = "X-GB-Ver"
EARLIER, LATER = 2016, 2022
_VERSIONS = {"1.0": EARLIER, "1.1": EARLIER, "2.0": EARLIER, "3.0": LATER}
_WRITTEN = {EARLIER: "2.0", LATER: "3.0"}


def of(headers: Headers) -> int:
    """Return the edition that a message declares; without the header, with two, or with an unknown one it is 2016's.

    What is newer than we know (4.0) is spoken to as 2022: its peer must not send what we do not understand.
    """
    told = headers.all(HEADER)
    if len(told) != 1:
        return EARLIER
    major, dot, minor = told[0].partition(".")
    if not dot or not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        return EARLIER
    return _VERSIONS.get(told[0], LATER if len(major) < 4 and int(major) > 3 else EARLIER)


def header(edition: int) -> tuple[str, str]:
    """Return the header field that declares ``edition``."""
    return HEADER, _WRITTEN[edition]
