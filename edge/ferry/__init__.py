"""The only crossing: the 隔离部件 of a 网闸, in software. One box is *logical* isolation (逻辑隔离).

The ferry has a namespace of its own with nothing in it. What a side hands over is read by ``verify`` with a decoder
that shares no code with the sides', asked about at ``access``, written down, and only then handed on. Media goes
through relay workers that build each RTP header anew.

Three words: a *side* is siteside or cityside; a *call* is one view from OpenMedia to its end; a *pin* is the keeper's
hole for one call's media, which closes by itself. Start with ``calls`` (the table), then ``core``.
"""
