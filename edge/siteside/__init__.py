"""The side that speaks to the owner's recorders: a GB/T 28181 platform in the namespace ``lan``.

It turns what recorders say into records, and records into calls of its own making. It knows nothing of the city: no
address, no id, no dialog of that side ever comes here.

Three words: a *leg* is the SIP call to the recorder; its *port* is the one UDP port reserved for its media; the port
is *watched* until the recorder's first good packet, then handed to the ferry. Start with ``core``.
"""
