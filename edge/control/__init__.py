"""The closed lists of typed requests to the keeper, one list per caller, and the client.

No path, no name, no rule text, no "run this". Three words: a *caller* has a socket and a list of its own; a *request*
is one datagram; an *answer* is Done, a Refusal with findings, or a status. Start with ``wire``.
"""
