"""The owner's pages, in ``lan``: ask, show, explain. Nothing of the box is decided here.

Three words: a *view* parses, asks the keeper and renders; a *guard* stands before every request (host, origin, session);
a *change* is put to the keeper after its page has reached the browser, for it may cut that page off. Start with ``app``.
"""
