"""RTP packets, the MPEG program stream that GB/T 28181 carries in them (annex C), and elementary streams without it.

Three words: an *access unit* is one picture's NAL units; *PS* wraps it; *packets* carry the PS, marker on the last.
``inspection`` is the way back, and ``es`` for pictures that are not wrapped: what is in packets that somebody else made,
without decoding it. Start with ``packet``.
"""
