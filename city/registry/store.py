"""The database: SQLite for one machine, PostgreSQL for more. Who asks owns the transaction, and it holds whole or not at all.

On SQLite a transaction that may write takes the write lock at its begin, so that what it has read cannot change under it.
On PostgreSQL several run at once: what must not interleave locks its rows (``with_for_update``, which SQLite needs not and
does not know), and what must be unique is a constraint.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

Kind = Literal["sqlite", "postgresql"]
#: How long a writer waits for another; a transaction here takes milliseconds, and the signing process may be asked within.
BUSY_SECONDS = 30
#: PostgreSQL's connections of one process, with those that it opens in a rush.
POOL, OVERFLOW = 8, 8
#: A connection that was in use within this time is taken to live still; when PostgreSQL has just restarted, one request
#: of each such connection fails, and is repeated by whoever made it.
UNASKED_SECONDS = 2.0
_WRITES, _BACK = "snowgate_writes", "snowgate_back"


class StoreUnfit(ValueError):
    """The address names no database that we know."""


class Leader(Protocol):
    """What one process holds at a time."""

    def holds(self) -> bool:
        """Say whether it is still ours: a database that was away has let it go."""


@dataclass(frozen=True, slots=True)
class Store:
    """A database whose tables stand (``open_store``)."""

    kind: Kind
    engine: Engine
    _sessions: sessionmaker[Session] = field(repr=False)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Session]:
        """Lend a session for one transaction: kept when the block ends, undone when it raises."""
        with (
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            self._sessions(bind=connection) as session,
            session.begin(),
        ):
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Lend a session that looks; what it changed is undone, what it has read may be used on."""
        with self._sessions() as session:
            yield session

    @contextlib.contextmanager
    def look(self) -> Iterator[Connection]:
        """Lend a connection for one statement that looks: it sees one moment anyway, and needs no transaction round it."""
        with self.engine.connect() as connection:
            if self.kind == "postgresql":
                # Two journeys fewer. SQLAlchemy's way back from this would undo our own way with SQLite (``_prepare``).
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextlib.contextmanager
    def leader(self, name: str) -> Iterator[Leader | None]:
        """Lend the lead of ``name``, or None while another process has it; it ends with the block, or with the process."""
        lead = _file_lead(self.engine, name) if self.kind == "sqlite" else _advisory_lead(self.engine, name)
        with lead as held:
            yield held

    def close(self) -> None:
        """Give the connections back; after a fork each process opens its own."""
        self.engine.dispose()


def open_store(url: str, *, upgrade: bool = True) -> Store:
    """Open the database at ``url`` ("sqlite:////path", "postgresql://…") and bring its tables up to this version.

    Raises:
        StoreUnfit: it is neither.
        sqlalchemy.exc.OperationalError: it does not answer.
    """
    engine, kind = _engine(url)
    if upgrade:
        migrate(engine)
    return Store(kind, engine, sessionmaker(engine, expire_on_commit=False))


def migrate(engine: Engine) -> None:
    """Run the migrations that are missing, one process at a time."""
    config = Config()
    config.set_main_option("script_location", "city.registry:migrations")
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _number("migrate")})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _engine(url: str) -> tuple[Engine, Kind]:
    try:
        parsed = make_url(url)
    except (ValueError, ArgumentError):
        raise StoreUnfit(url) from None
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine, "sqlite"
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=POOL, max_overflow=OVERFLOW)
        event.listen(engine, "checkin", _back)
        event.listen(engine, "checkout", _alive)
        return engine, "postgresql"
    raise StoreUnfit(parsed.render_as_string(hide_password=True))


def _back(_: Any, record: ConnectionPoolEntry) -> None:
    record.info[_BACK] = time.monotonic()


def _alive(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _: Any) -> None:
    """A connection that lay unused for a while is asked whether it lives; a busy one would lose a journey each time."""
    if time.monotonic() - record.info.get(_BACK, 0.0) < UNASKED_SECONDS or not record.info.get(_BACK):
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as wrong:
        raise DisconnectionError from wrong


def _prepare(connection: sqlite3.Connection, _: Any) -> None:
    # sqlite3 begins transactions by itself, and late; we say when.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@dataclass(frozen=True, slots=True)
class _Always:
    """A lock of the kernel's on this machine: it goes with the process alone."""

    def holds(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _WhileConnected:
    connection: Connection

    def holds(self) -> bool:
        try:
            self.connection.execute(text("SELECT 1"))
            self.connection.commit()
        except DBAPIError:
            return False
        return True


@contextlib.contextmanager
def _file_lead(engine: Engine, name: str) -> Iterator[Leader | None]:
    path = Path(f"{engine.url.database}.{name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield _Always()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _advisory_lead(engine: Engine, name: str) -> Iterator[Leader | None]:
    with engine.connect() as connection:
        got = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _number(name)})
        connection.commit()
        try:
            yield _WhileConnected(connection) if got else None
        finally:
            # The connection goes back to the pool, where the lock would live on.
            connection.invalidate()


def _number(name: str) -> int:
    """The number of an advisory lock; PostgreSQL knows them by 64 bits."""
    return int.from_bytes(hashlib.sha256(f"snowgate {name}".encode()).digest()[:8], "big", signed=True)
