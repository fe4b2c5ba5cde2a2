"""DHCP on the uplink's port and the addresses of the tunnels' endpoints, for the keeper to judge and use.

A process of its own in ``wan``, with one packet socket and no right: what a DHCP or a name server sends is taken apart
here, and crosses to the keeper as typed, bounded facts. Three words: a *lease* is what a DHCP server gave; an
*endpoint* is the city's end of a tunnel, named or numbered; *stale* is a tunnel without a handshake for minutes.
Start with ``dhcp`` (its table) and ``names``; ``process`` is their shell.
"""
