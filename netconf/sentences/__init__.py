"""The sentences themselves, a module a subject: ``form`` is the shape, ``netconf.words`` is where everybody prints from."""
