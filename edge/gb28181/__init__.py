"""The two roles of GB/T 28181, without hands: the asking *device* and the accepting *platform*.

The box is a platform toward the recorders and a device toward the city; the lab's recorder and city are the same two
classes. Three words: a *leg* is one SIP call (``legs``, its table in ``call``); a *catalog* is collected and answered
in pages; a *binding* is a registration that holds. Start with ``call``, then ``device`` and ``platform``.
"""
