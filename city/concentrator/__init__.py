"""The agent beside a concentrator's WireGuard device: it makes the device what the city has signed, and keeps it so.

It judges for itself: each peer has its own address inside this concentrator's network, and nobody has another's address or
key. What it cannot believe it leaves out by name; what it was not told to take off stays, whoever is away.

Three words: *desired* is what was signed, entry by entry; *actual* is what ``wg show dump`` says; a *step* makes the second
like the first. Start with ``core.py``; ``process.py`` is the shell around it.
"""
