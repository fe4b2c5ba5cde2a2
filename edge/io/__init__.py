"""Sockets, time and chance: the shells around the machines that have none.

Three words: a *shell* owns a socket and feeds a machine; a *line* is a unix socket to the ferry; *chance* is where
branches, tags and SSRCs come from. Start with ``udp``.
"""
