"""The registry's database, SQLite and PostgreSQL alike, and a signing process that lives in the test's own."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from city.api.app import create_app
from city.api.office import BundleFacts
from city.registry import people
from city.registry.signer import Signer
from city.registry.store import Store, open_store
from city.registry.tables import Table
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from edge.lab.postgres import Server, programs
from tests import scene
from tests.chance import counted
from tests.consoled import Clock, Console

NOW = 1_780_000_000.0


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server | None]:
    """A server with a registry; None where PostgreSQL is not installed."""
    where = programs()
    if where is None:
        yield None
        return
    server = Server(where)
    try:
        server.start()
        _command(server, "CREATE DATABASE registry")
        open_store(server.url("registry")).close()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite registry with tables and nothing in them, to copy."""
    path = tmp_path_factory.mktemp("registry") / "empty.sqlite"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a registry of this test alone is."""
    if request.param == "sqlite":
        path = tmp_path / "city.sqlite"
        shutil.copy(request.getfixturevalue("empty"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres")
    if server is None:
        pytest.skip("postgresql is not installed: make tools")
    # A database for each test would cost more than the test; what the last one left is taken out.
    tables = ", ".join(f'"{name}"' for name in Table.metadata.tables)
    _command(server, f"TRUNCATE {tables} RESTART IDENTITY", "registry")
    yield server.url("registry")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty registry, once on each kind of database."""
    opened = open_store(store_url, upgrade=False)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def city_keys() -> keys.Keys:
    return keys.make("City of Tests", NOW - 86400, counted())


@pytest.fixture
def service(city_keys: keys.Keys, tmp_path: Path) -> Iterator[Service]:
    """The signing process without its socket; its clock stands at ``NOW``."""
    marks = Marks(tmp_path / "marks.sqlite")
    yield Service(city_keys, marks, lambda: NOW, counted())
    marks.close()


@pytest.fixture
def signer(service: Service) -> Signer:
    return Client(service.answer)


@pytest.fixture(scope="session")
def kept_for_scene() -> str:
    """What is kept of the scene's password; slow to make."""
    return people.hashed(scene.PASSWORD)


@pytest.fixture
def console(store: Store, city_keys: keys.Keys, tmp_path: Path, kept_for_scene: str) -> Iterator[Console]:
    """The console, with a whole city behind it."""
    marks = Marks(tmp_path / "scene-marks.sqlite")
    numbers = itertools.count()

    def chance(length: int) -> bytes:
        # Serial numbers are halves of chance: what merely counts would give two boxes one.
        return hashlib.shake_256(b"%d" % next(numbers)).digest(length)

    service = Service(city_keys, marks, lambda: NOW, chance)
    signer, clock = Client(service.answer), Clock(NOW)
    scene.furnish(store, signer, NOW, kept_for_scene)
    app = create_app(store, signer, clock, chance, lambda *_, **__: None, BundleFacts("192.0.2.1", 8443))
    with app.test_client() as client:
        yield Console(client, store, clock, kept_for_scene, signer)
    app.extensions["heartbeats"].close()
    marks.close()


def _command(server: Server, words: str, database: str = "postgres") -> None:
    url = server.url(database).replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"options": "-c lock_timeout=20s"})
    with engine.connect() as connection:
        connection.execute(text(words))
    engine.dispose()
