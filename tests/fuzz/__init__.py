"""Fuzzing of the readers: ``make fuzz``. Not part of ``make test``, but its targets are tried there on known inputs.

``targets`` says what must hold for any octets, ``one`` runs one target under atheris, ``__main__`` runs all in turn.
"""
