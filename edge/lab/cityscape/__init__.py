"""``make demo-city``: a small city whole. Three sites in namespaces of their own, two concentrators, the real registry.

Three words: the *director* tells the story and measures it; a *site* is a process in private namespaces within, with a street
and a real box, that obeys one-line orders; the *desk* is the registry as persons use it, over its interface. Start with
``internet`` (the drawing), then ``story``.
"""
