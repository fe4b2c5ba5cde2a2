"""The city's fleet control: which boxes there are, what each may be, and where its tunnels end.

Rooms: ``registry`` (what is kept, and the rules of keeping it), ``signing`` (the one process that holds keys), ``api`` (what
boxes, concentrators and consoles ask), ``rollout`` (a change that goes ring by ring), ``truth`` (how each site is, and
alerts), ``concentrator`` (the agent beside a WireGuard device), ``console`` (the pages), ``cli`` (``snowgate city``).

Three words: a *feed* is a gap-free list of changes for one reader; an *envelope* is what the signing process has signed;
*scope* is the civil code below which a person may look and act. A site is known here by its configuration only. Never in
the path of a picture: with all of this gone every site goes on.

Start with ``registry/tables.py``, then docs/city.md.
"""
