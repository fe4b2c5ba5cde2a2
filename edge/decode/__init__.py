"""``snowgate decode``: what this gate makes of a message in a file, for whoever has a capture and a question.

Words: a *report* (one JSON object a file), a *deviation* (what the standard says otherwise and we still read). The readers are
the very ones that the sides use. Start in ``report``.
"""
