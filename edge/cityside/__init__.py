"""The side that speaks to the city: a GB/T 28181 device in the namespace ``vpn``, where only WireGuard leads out.

It registers the site as one lower platform, shows the shared channels under ids of its own issue, and turns the
city's INVITEs into records. It knows no recorder's address.

Of several tunnels it chooses one by probes, and registers anew when it chooses another (``choice``, ``ways``).

Three words: an *issued id* is the 20-digit code that the city knows a channel by; a *sink* is a socket connected to
where the city wants the media; a *view* is one INVITE of the city. Start with ``core``, then ``issued``.
"""
