"""The prover's daemon: it has rules proven before they are loaded, and tells the keeper what was found.

Three words: a *job* is a site and the rulesets it would have; the *runner* is a program that proves them in namespaces of
its own; a *verdict* names exactly the rulesets that it is upon. It can change nothing: it has no capability, no network, and
a list of two words at the keeper. Start with ``process``.
"""
