"""RTP packets and the MPEG program stream that GB/T 28181 carries in them (annex C).

Three words: an *access unit* is one picture's NAL units; *PS* wraps it; *packets* carry the PS, marker on the last.
``inspection`` is the way back: what is in packets that somebody else made, without decoding it. Start with ``packet``.
"""
