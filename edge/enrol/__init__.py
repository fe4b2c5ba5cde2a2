"""How the box comes to its city: asked through one hole of ``wan``, to one pinned address, until a person has approved it.

It decides nothing of the box: what it brings is signed by the city and judged by the keeper. Three words: the *door* is
where the city enrols boxes; the *claim* is the bundle's secret, shown to that door alone; the *code* is what box and
console both show. Start with ``machine``, then ``process``.
"""
