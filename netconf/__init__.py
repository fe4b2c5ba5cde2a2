"""What the box should be: typed site configuration, the words for what is wrong with it, and how it is kept.

May import nothing of ours outside this room. Three words: a *finding* says what is wrong, where and how badly; the
*site* is the whole configuration; *state* is what the kernel should look like. Start with ``model``, then ``check``.
"""
