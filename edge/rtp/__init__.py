"""RTP packets and the MPEG program stream that GB/T 28181 carries in them (annex C).

Three words: an *access unit* is one picture's NAL units; *PS* wraps it; *packets* carry the PS, marker on the last.
Start with ``packet``.
"""
