"""Measurements, not tests: ``python -m tests.bench`` (``make bench``) prints a table and writes ``build/bench.json``."""
