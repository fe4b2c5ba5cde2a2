"""``make bench-city``: the city's side measured. A module a figure, each a process of its own that writes what it found at once.

Three words: a *figure* is a module with ``LIMITS`` and ``measure()``; the *fleet* is a registry of thousands of sites written in
bulk, with the keys and certificates of their boxes; the *boxes* are who report for them, by real TLS with real signed
reports, in processes of their own. Figures that need namespaces enter them themselves. Start with ``figures``, then ``__main__``.
"""
