"""MANSCDP: the XML that MESSAGE carries in GB/T 28181 (annex A), as typed messages.

Three words: a *message* is one root (Query, Notify, Response, Control) with a CmdType; the *registry* lists all that
are known; the *reader* takes no DTD, entity, attribute soup or depth. Start with ``messages``.
"""
