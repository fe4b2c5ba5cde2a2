"""The closed list of what may cross the gap.

Here live the records that the two sides exchange through the ferry, and their codec. No SIP header, XML, SDP line
or device address has a place in any of them: what a field may hold stands beside it as its *alphabet*.

Three words: a *record* is one datagram on a unix SOCK_SEQPACKET socket; its *alphabet* says what each field may
hold; its *road* says from whom to whom it may travel. Start with ``types``; the ferry checks everything again with
a decoder of its own (``edge.ferry.verify``) and never imports ``codec``.
"""
