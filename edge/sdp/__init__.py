"""Session descriptions as GB/T 28181 writes them (annex F): RFC 4566 with ``y=`` and ``f=``, one media line.

Three words: an *offer* says where the receiver waits; an *answer* says what will be sent; ``y=`` is the SSRC as ten
digits. Start with ``description``.
"""
