"""Digest authentication as GB/T 28181 registration uses it (RFC 2617, RFC 7616), without hands.

Three words: a *challenge* is what a 401 asks; a *nonce* tells its maker when and for whom it was made; the *realm* is
pinned: no answer is ever computed for another one. Start with ``client`` and ``server``.
"""
