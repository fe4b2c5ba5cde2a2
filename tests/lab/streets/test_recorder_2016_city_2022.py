"""A recorder of 2016 and a city of 2022."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.lab.street import Street
from tests.lab.signalling import *  # noqa: F403  the tests themselves
from tests.lab.signalling import open_street


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    yield from open_street(tmp_path_factory.mktemp("site"), 2016, 2022)
