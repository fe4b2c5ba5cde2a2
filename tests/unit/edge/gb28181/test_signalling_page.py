"""docs/signalling.md says what the roles do."""

from __future__ import annotations

import re
from pathlib import Path

from edge.gb28181.device import Device
from edge.gb28181.platform import Platform
from edge.manscdp import control
from edge.manscdp.messages import REGISTRY
from edge.records.types import RIGHTS

PAGE = (Path(__file__).parents[4] / "docs" / "signalling.md").read_text(encoding="utf-8")
WORDS = {True: "taken", False: "refused"}


def test_each_message_of_the_registry_is_in_the_table_as_it_is_taken() -> None:
    rows = dict(re.findall(r"^\| (\w+ \| \w+) \| (.+) \|$", PAGE, re.MULTILINE))
    for kind in REGISTRY:
        if issubclass(kind, control.Control):
            assert kind.element in PAGE, kind.element
            continue
        said = f"{WORDS[issubclass(kind, Device.heard)]} | {WORDS[issubclass(kind, Platform.heard)]}"
        assert rows[f"{kind.root} | {kind.command}"] == said, kind


def test_each_right_and_each_method_is_named() -> None:
    for right in RIGHTS:
        assert f"| `{right}` |" in PAGE
    for method in (*Device.methods, *Platform.methods):
        assert method in PAGE
