"""``snowgate city``: the server, the signing process, and what a person at the city's machine asks of the registry.

Nothing but ``commands`` is imported before a command is run: a box has this room's text, but not what it needs
(``snowgate[city]``).
"""
