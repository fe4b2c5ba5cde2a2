"""The console with a city behind it, and persons who open its pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient

from city.api.callers import COOKIE
from city.registry import people
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Audit, Person

BASE = "https://city.example"
SAME = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Console:
    """``kept`` is what the registry keeps of everybody's password (``scene.PASSWORD``)."""

    client: FlaskClient
    store: Store
    clock: Clock
    kept: str
    signer: Signer
    word: str = ""
    heads: dict[str, str] = field(default_factory=lambda: dict(SAME))

    def enter(self, name: str) -> None:
        """Be signed in as somebody; without the slow password, which has tests of its own."""
        token = f"token of {name} {self.clock.now}"
        with self.store.begin() as session:
            people.sign_out(session, token)
            assert people.sign_in(session, self.clock.now, name, True, token, people.page_word(token)) is not None
        self.client.set_cookie(COOKIE, token, domain="city.example", secure=True)
        self.word = people.page_word(token)

    def leave(self) -> None:
        self.client.delete_cookie(COOKIE, domain="city.example")

    def speak(self, language: str) -> None:
        self.client.set_cookie("__Host-language", language, domain="city.example", secure=True)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(f"/console{path}", base_url=BASE, **more)

    def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> Any:
        """Send a form as the pages do: with their word, and a reason."""
        sent = {"csrf": self.word, "reason": "测试原因"} | form
        heads = self.heads if headers is None else headers
        return self.client.post(f"/console{path}", base_url=BASE, data=sent, headers=heads)

    def person(self, name: str, role: str, scope: str = "") -> None:
        with self.store.begin() as session:
            people.add(session, self.clock.now, "init", name, self.kept, role, scope)

    def lines(self, what: str) -> list[Audit]:
        with self.store.read() as session:
            return list(session.query(Audit).filter_by(what=what).order_by(Audit.sequence))

    def session_of(self, name: str) -> Person | None:
        with self.store.read() as session:
            return session.get(Person, name)
