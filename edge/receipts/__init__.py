"""Reading the receipts: is the chain whole (``verify_receipts``), and what does it say (``commands``).

They are written in ``edge.ferry``. The verifier shares no code with their writer and imports nothing of ours, so that
it can be handed to whoever does not trust us. Three words: a *record* is one line; the *chain* is what joins each to
the one before; a *head* is its last number and hash, as it was kept somewhere else.
"""
