"""``/metrics`` of the owner's page: off unless he says so, for his networks alone, and without a way to change anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge.metrics.exposition import CONTENT_TYPE
from netconf.model import Metrics, Site
from tests.unit.edge.metrics.test_figures import box, one, scraped
from tests.unit.webui.test_guard import ORIGIN, SITE
from webui.accounts import Accounts
from webui.app import Box, create_app
from webui.changes import Changes

OWNER, NEIGHBOUR = "192.168.1.66", "192.168.1.20"


@pytest.fixture
def site() -> list[Site | None]:
    assert SITE is not None
    return [SITE.model_copy(update={"metrics": Metrics(site=True)})]


@pytest.fixture
def client(tmp_path: Path, site: list[Site | None]) -> Iterator[FlaskClient]:
    seen = Box(lambda: site[0], lambda: box() | {"monotonic": 1.0}, list, lambda: True, "AA:BB")
    changes = Changes(lambda _: pytest.fail("something was asked"), lambda *_: None)
    yield create_app(seen, Accounts(tmp_path, lambda: 0.0), changes, lambda *_: None).test_client()


def get(client: FlaskClient, address: str = OWNER, **more: Any) -> Any:
    return client.get("/metrics", base_url=ORIGIN, environ_base={"REMOTE_ADDR": address}, **more)


def test_the_owner_reads_them_without_a_password(client: FlaskClient) -> None:
    answer = get(client)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
    assert "Set-Cookie" not in answer.headers
    assert one(scraped(answer.get_data(as_text=True)), "views") == 3


def test_nobody_does_unless_he_says_so(client: FlaskClient, site: list[Site | None]) -> None:
    site[0] = SITE
    assert get(client).status_code == 404
    site[0] = None
    assert get(client).status_code in (404, 503)


def test_others_do_not(client: FlaskClient) -> None:
    assert get(client, NEIGHBOUR).status_code == 403
    assert get(client, "192.168.1.10").status_code == 403, "a recorder"
    assert get(client, headers={"Host": "evil.example"}).status_code == 421
    assert get(client).status_code == 200, "the control"


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_can_be_done_there(client: FlaskClient, method: str) -> None:
    headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    answer = getattr(client, method)("/metrics", base_url=ORIGIN, headers=headers, environ_base={"REMOTE_ADDR": OWNER})
    assert answer.status_code == 405
