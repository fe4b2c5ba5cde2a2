"""The test and training bench: a whole street in namespaces, with hosts, a judge and an open twin of the box.

Everything runs inside private namespaces and leaves nothing behind. Three words: a *host* is a namespace with a role;
the *twin* is the box with all walls taken out; a *probe* is one forbidden thing and the proof that it would arrive.
Start with ``topology``.
"""
