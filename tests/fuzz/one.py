"""``python -m tests.fuzz.one TARGET [libFuzzer's words]``: one target under atheris, until its time is over or it finds."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["edge"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
