"""The tables. SQLite and PostgreSQL hold the same; moments are seconds since 1970 (UTC), documents are JSON text.

What must be unique over the fleet is a constraint here, not a question asked before: an address, a WireGuard key and a
device have one owner, and an address that was given is never given again.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_SITE = String(20)
_HASH = String(64)
_KEY = String(44)
_NAME = String(64)


class Table(DeclarativeBase):
    """All tables' metadata."""


class Meta(Table):
    """Facts of this registry: ``epoch`` (raised when a backup was restored: boxes then take lower revisions), ``made_at``."""

    __tablename__ = "meta"
    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Concentrator(Table):
    """Where tunnels end. ``plane`` is the tunnel's name at the sites ("wg-a"); ``network`` holds its sites' addresses.

    ``taken`` addresses of ``network`` were given so far; ``seal_key`` is what secrets for it are sealed to (DER, base64).
    """

    __tablename__ = "concentrator"
    id: Mapped[str] = mapped_column(_NAME, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME)
    plane: Mapped[str] = mapped_column(String(15))
    public_key: Mapped[str] = mapped_column(_KEY, unique=True)
    next_public_key: Mapped[str | None] = mapped_column(_KEY)
    endpoint: Mapped[str] = mapped_column(String(270))
    network: Mapped[str] = mapped_column(String(18), unique=True)
    probe: Mapped[str] = mapped_column(String(15))
    allowed: Mapped[str] = mapped_column(Text)
    mtu: Mapped[int] = mapped_column(Integer, default=1420)
    taken: Mapped[int] = mapped_column(Integer, default=0)
    seal_key: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="active")
    seen_at: Mapped[float | None] = mapped_column(Float)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    report: Mapped[str] = mapped_column(Text, default="{}")


class Template(Table):
    """The city's part of a site's configuration that many share; each version is a row that never changes.

    ``state``: draft, approved (by a second person), retired.
    """

    __tablename__ = "template"
    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="draft")
    made_by: Mapped[str] = mapped_column(_NAME)
    made_at: Mapped[float] = mapped_column(Float)
    approved_by: Mapped[str | None] = mapped_column(_NAME)


class Site(Table):
    """One site. ``state``: new, pending (a device asks), active, revoked; what is revoked never comes back.

    ``device`` is the hash of the device's key, ``device_key`` the key (DER, base64), ``fingerprint`` its hardware as it
    said at enrolment. ``own`` are city fields of this site alone, laid over the template. ``offered`` is the revision of
    the newest signed layer; ``sealed`` are secrets besides the tunnels' (platform -> blob for the device). ``carrier`` names who sells it its line: an outage of one carrier is one alert.
    """

    __tablename__ = "site"
    __table_args__ = (Index("site_by_code", "civil_code"), Index("site_by_state", "state"))
    id: Mapped[str] = mapped_column(_SITE, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME)
    civil_code: Mapped[str] = mapped_column(String(8))
    site_class: Mapped[int] = mapped_column(Integer, default=3)
    carrier: Mapped[str] = mapped_column(_NAME, default="")
    state: Mapped[str] = mapped_column(String(16), default="new")
    template: Mapped[str | None] = mapped_column(_NAME)
    template_version: Mapped[int | None] = mapped_column(Integer)
    own: Mapped[str] = mapped_column(Text, default="{}")
    device: Mapped[str | None] = mapped_column(_HASH, unique=True)
    device_key: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    code: Mapped[str | None] = mapped_column(String(6))
    csr: Mapped[str | None] = mapped_column(Text)
    asked_keys: Mapped[str] = mapped_column(Text, default="{}")
    made_by: Mapped[str] = mapped_column(_NAME)
    made_at: Mapped[float] = mapped_column(Float)
    approved_by: Mapped[str | None] = mapped_column(_NAME)
    approved_at: Mapped[float | None] = mapped_column(Float)
    revoked_by: Mapped[str | None] = mapped_column(_NAME)
    revoked_at: Mapped[float | None] = mapped_column(Float)
    revocation: Mapped[str] = mapped_column(Text, default="")
    offered: Mapped[int] = mapped_column(BigInteger, default=0)
    sealed: Mapped[str] = mapped_column(Text, default="{}")


class Claim(Table):
    """A claim token: its prefix and its hash; good once, for the first device that shows it, until ``ends_at``."""

    __tablename__ = "claim"
    prefix: Mapped[str] = mapped_column(String(8), primary_key=True)
    hash: Mapped[str] = mapped_column(_HASH)
    site: Mapped[str] = mapped_column(ForeignKey("site.id"))
    made_at: Mapped[float] = mapped_column(Float)
    ends_at: Mapped[float] = mapped_column(Float)
    device: Mapped[str | None] = mapped_column(_HASH)
    used_at: Mapped[float | None] = mapped_column(Float)


class Certificate(Table):
    """A certificate that the signing process made, for a site's device or a concentrator ("site:ID", "concentrator:ID").

    ``held_at``: it is refused until a person has looked (its site was heard at two places at once).
    """

    __tablename__ = "certificate"
    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(96), index=True)
    pem: Mapped[str] = mapped_column(Text)
    begins_at: Mapped[float] = mapped_column(Float)
    ends_at: Mapped[float] = mapped_column(Float)
    revoked_at: Mapped[float | None] = mapped_column(Float)
    held_at: Mapped[float | None] = mapped_column(Float)


class Address(Table):
    """Every address that was ever given; the primary key is what keeps it from a second owner."""

    __tablename__ = "address"
    address: Mapped[str] = mapped_column(String(15), primary_key=True)
    concentrator: Mapped[str] = mapped_column(ForeignKey("concentrator.id"))
    site: Mapped[str] = mapped_column(_SITE, index=True)
    given_at: Mapped[float] = mapped_column(Float)


class Peer(Table):
    """One tunnel of a site, as its concentrator has it. ``psk`` is sealed to the concentrator, ``psk_box`` to the device.

    ``rotation``: "", asked (the box shall make its next key), exchanging (the new key is at the concentrator and in the
    layer of ``rotation_revision``; ``next_key`` is then the one before, until the box uses that layer). ``state``: on, off (revoked). ``revision``: of its feed.
    """

    __tablename__ = "peer"
    __table_args__ = (Index("peer_by_concentrator", "concentrator", "state"),)
    site: Mapped[str] = mapped_column(ForeignKey("site.id"), primary_key=True)
    tunnel: Mapped[str] = mapped_column(String(15), primary_key=True)
    concentrator: Mapped[str] = mapped_column(ForeignKey("concentrator.id"))
    address: Mapped[str] = mapped_column(ForeignKey("address.address"), unique=True)
    public_key: Mapped[str] = mapped_column(_KEY, unique=True)
    next_key: Mapped[str | None] = mapped_column(_KEY, unique=True)
    rotation: Mapped[str] = mapped_column(String(12), default="")
    rotation_revision: Mapped[int] = mapped_column(BigInteger, default=0)
    psk: Mapped[str] = mapped_column(Text, default="")
    psk_box: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(8), default="on")
    revision: Mapped[int] = mapped_column(BigInteger, default=0)


class SpentKey(Table):
    """A WireGuard key that a site has, is to have next, or once had; a concentrator's too (``site`` ""). It is written
    when the key comes, so that nobody else may ever come with it; ``spent_at`` is 0 while it is in use."""

    __tablename__ = "spent_key"
    public_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    site: Mapped[str] = mapped_column(_SITE)
    spent_at: Mapped[float] = mapped_column(Float)


class Feed(Table):
    """How far a feed has come. Its row is locked by whoever appends: revisions are committed in order, without a gap."""

    __tablename__ = "feed"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)


class Change(Table):
    """One change of a feed; ``body`` is what its reader is told (a concentrator's peer, a platform's password)."""

    __tablename__ = "change"
    feed: Mapped[str] = mapped_column(String(80), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    site: Mapped[str] = mapped_column(_SITE)
    at: Mapped[float] = mapped_column(Float)
    body: Mapped[str] = mapped_column(Text)


class Layer(Table):
    """A city layer of a site, signed. ``rollout`` is the one that it came with; ``reason`` is who and why in a sentence.

    ``state``: offered, applied, reverted, superseded. ``sealed`` keeps the secrets of this and later revisions.
    """

    __tablename__ = "layer"
    site: Mapped[str] = mapped_column(ForeignKey("site.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text, default="")
    envelope: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="offered")
    made_at: Mapped[float] = mapped_column(Float)
    made_by: Mapped[str] = mapped_column(_NAME)
    reason: Mapped[str] = mapped_column(Text, default="")
    rollout: Mapped[int | None] = mapped_column(Integer)


class Health(Table):
    """The newest report of a site, and what was made of it (``verdict``: good, degraded, dark, unknown).

    ``said`` is what the report says that a verdict rests on; while it stays the same and all is well nobody looks.
    ``due_at``: when somebody must. ``reasons`` (codes with facts), ``leaning`` and ``leaning_at`` are the verdict's.
    """

    __tablename__ = "health"
    __table_args__ = (Index("health_due", "due_at"), Index("health_by_verdict", "verdict"))
    site: Mapped[str] = mapped_column(ForeignKey("site.id"), primary_key=True)
    seen_at: Mapped[float] = mapped_column(Float)
    verdict: Mapped[str] = mapped_column(String(16), default="unknown")
    since: Mapped[float] = mapped_column(Float, default=0.0)
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    registered: Mapped[bool | None] = mapped_column(Boolean)
    media_at: Mapped[float | None] = mapped_column(Float)
    handshakes: Mapped[str] = mapped_column(Text, default="{}")
    findings: Mapped[str] = mapped_column(Text, default="[]")
    report: Mapped[str] = mapped_column(Text, default="{}")
    version: Mapped[str] = mapped_column(_NAME, default="")
    said: Mapped[str] = mapped_column(Text, default="")
    reasons: Mapped[str] = mapped_column(Text, default="[]")
    leaning: Mapped[str] = mapped_column(String(16), default="")
    leaning_at: Mapped[float] = mapped_column(Float, default=0.0)
    judged_at: Mapped[float] = mapped_column(Float, default=0.0)
    due_at: Mapped[float] = mapped_column(Float, default=0.0)


class ReceiptHead(Table):
    """How far a site's chain of receipts had come when it said so; a later head that is lower is a finding."""

    __tablename__ = "receipt_head"
    __table_args__ = (Index("receipt_head_by_at", "at"),)
    site: Mapped[str] = mapped_column(ForeignKey("site.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hash: Mapped[str] = mapped_column(_HASH)
    at: Mapped[float] = mapped_column(Float)


class Rollout(Table):
    """A template's version going to its sites, ring by ring. ``state``: draft, running, paused, halted, done, rolled_back."""

    __tablename__ = "rollout"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    template: Mapped[str] = mapped_column(_NAME)
    version: Mapped[int] = mapped_column(Integer)
    before: Mapped[int] = mapped_column(Integer, default=0)
    state: Mapped[str] = mapped_column(String(16), default="draft")
    ring: Mapped[int] = mapped_column(Integer, default=0)
    ring_at: Mapped[float] = mapped_column(Float, default=0.0)
    made_by: Mapped[str] = mapped_column(_NAME)
    made_at: Mapped[float] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)
    why_halted: Mapped[str] = mapped_column(Text, default="")


class RolloutSite(Table):
    """One site of a rollout. ``state``: waiting, offered, applied, reverted, back."""

    __tablename__ = "rollout_site"
    rollout: Mapped[int] = mapped_column(ForeignKey("rollout.id"), primary_key=True)
    site: Mapped[str] = mapped_column(ForeignKey("site.id"), primary_key=True)
    ring: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    before: Mapped[str] = mapped_column(String(16), default="unknown")
    revision: Mapped[int] = mapped_column(BigInteger, default=0)


class RolloutStep(Table):
    """What became of a rollout, step by step, with who and why."""

    __tablename__ = "rollout_step"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    rollout: Mapped[int] = mapped_column(ForeignKey("rollout.id"), index=True)
    at: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(_NAME)
    what: Mapped[str] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(Text, default="")


class Alert(Table):
    """Something that a person must know. ``grouping``: alerts of one cause are one line ("carrier:NAME", "concentrator:ID").

    ``told_at``: when it was put in the hooks' queue (``Telling``), ``over_told_at`` when its end was. ``acknowledged_*``: who
    has seen it, and what he does about it.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_open", "code", "subject", unique=True, sqlite_where=text("closed_at IS NULL"),
              postgresql_where=text("closed_at IS NULL")),
        Index("alert_untold", "id", sqlite_where=text("told_at IS NULL AND closed_at IS NULL"),
              postgresql_where=text("told_at IS NULL AND closed_at IS NULL")),
        Index("alert_over", "closed_at"),
        Index("alert_by_group", "grouping"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(_NAME)
    subject: Mapped[str] = mapped_column(String(96))
    grouping: Mapped[str] = mapped_column(String(96), default="")
    severity: Mapped[str] = mapped_column(String(16))
    args: Mapped[str] = mapped_column(Text, default="{}")
    opened_at: Mapped[float] = mapped_column(Float)
    closed_at: Mapped[float | None] = mapped_column(Float)
    told_at: Mapped[float | None] = mapped_column(Float)
    over_told_at: Mapped[float | None] = mapped_column(Float)
    acknowledged_by: Mapped[str | None] = mapped_column(_NAME)
    acknowledged_at: Mapped[float | None] = mapped_column(Float)
    acknowledged_why: Mapped[str | None] = mapped_column(Text)


class Person(Table):
    """Who may look and act. ``role``: viewer, operator, system, security, audit; ``scope``: a civil code's beginning.

    The three administrators are apart (系统/安全/审计): nobody has two of their rights.
    """

    __tablename__ = "person"
    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    password: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(8), default="")
    off: Mapped[bool] = mapped_column(Boolean, default=False)
    made_at: Mapped[float] = mapped_column(Float)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[float] = mapped_column(Float, default=0.0)


class Session(Table):
    """A signed-in person; ``id`` is the hash of what the cookie holds."""

    __tablename__ = "session"
    id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("person.name"))
    csrf: Mapped[str] = mapped_column(_HASH)
    made_at: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[float] = mapped_column(Float)


class Approval(Table):
    """What one person asks and a second one, never the same, approves: revoke-all, the CA, templates.

    ``state``: open, approved, refused, done.
    """

    __tablename__ = "approval"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(96))
    body: Mapped[str] = mapped_column(Text, default="{}")
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(_NAME)
    asked_at: Mapped[float] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(16), default="open")
    judged_by: Mapped[str | None] = mapped_column(_NAME)
    judged_at: Mapped[float | None] = mapped_column(Float)


class Audit(Table):
    """Who did what, as a hash chain: each line's ``hash`` is over the one before it and its own words."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("hash"),)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(_NAME)
    what: Mapped[str] = mapped_column(String(48))
    subject: Mapped[str] = mapped_column(String(96))
    detail: Mapped[str] = mapped_column(Text, default="{}")
    before: Mapped[str] = mapped_column(_HASH)
    hash: Mapped[str] = mapped_column(_HASH)


class Hook(Table):
    """Where alerts go: ``kind`` webhook (an https address) or syslog (udp:, tcp:, unix:); ``least``: the lowest severity.

    ``secret`` signs what a webhook is sent; ``ca`` (PEM) is whom its certificate must come from, "": whom this machine
    trusts. ``inside``: it may have an address of a private network.
    """

    __tablename__ = "hook"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(256))
    least: Mapped[str] = mapped_column(String(16), default="warning")
    secret: Mapped[str] = mapped_column(_HASH, default="")
    ca: Mapped[str] = mapped_column(Text, default="")
    inside: Mapped[bool] = mapped_column(Boolean, default=False)
    language: Mapped[str] = mapped_column(String(8), default="zh-CN")


class Telling(Table):
    """One alert's opening or end (``what``: open, over) on its way to one hook; ``done_at`` also when it was given up."""

    __tablename__ = "telling"
    __table_args__ = (
        Index(
            "telling_waits", "next_at", sqlite_where=text("done_at IS NULL"), postgresql_where=text("done_at IS NULL")
        ),
        Index("telling_done", "done_at"),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    alert: Mapped[int] = mapped_column(ForeignKey("alert.id"))
    hook: Mapped[int] = mapped_column(ForeignKey("hook.id"))
    what: Mapped[str] = mapped_column(String(8))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[float] = mapped_column(Float)
    done_at: Mapped[float | None] = mapped_column(Float)
    why: Mapped[str] = mapped_column(_NAME, default="")
