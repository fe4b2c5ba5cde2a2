"""SIP over UDP (RFC 3261), without hands: bytes in, bytes and events out, time as a number.

May import ``edge.digest`` and nothing else of ours. Three words: a *transaction* is one request and its answers; the
*endpoint* holds them all; a *dialog* is what a call remembers. Start with ``endpoint``, then ``transaction``.
"""
