"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them, each after those that it names."""
    _alert()
    _approval()
    _audit()
    _certificate()
    _change()
    _concentrator()
    _feed()
    _hook()
    _meta()
    _person()
    _rollout()
    _site()
    _spent_key()
    _template()
    _address()
    _claim()
    _health()
    _layer()
    _receipt_head()
    _rollout_site()
    _rollout_step()
    _session()
    _peer()
    _telling()


def _alert() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("grouping", sa.String(length=96), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.Column("closed_at", sa.Float(), nullable=True),
        sa.Column("told_at", sa.Float(), nullable=True),
        sa.Column("over_told_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    open_, untold = sa.text("closed_at IS NULL"), sa.text("told_at IS NULL AND closed_at IS NULL")
    op.create_index("alert_open", "alert", ["code", "subject"], unique=True, sqlite_where=open_, postgresql_where=open_)
    op.create_index("alert_untold", "alert", ["id"], sqlite_where=untold, postgresql_where=untold)
    op.create_index("alert_over", "alert", ["closed_at"])
    op.create_index("alert_by_group", "alert", ["grouping"])


def _approval() -> None:
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("judged_by", sa.String(length=64), nullable=True),
        sa.Column("judged_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("hash"),
    )


def _certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.Float(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.Column("held_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("serial"),
    )
    op.create_index(op.f("ix_certificate_subject"), "certificate", ["subject"], unique=False)


def _change() -> None:
    op.create_table(
        "change",
        sa.Column("feed", sa.String(length=80), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "revision"),
    )


def _concentrator() -> None:
    op.create_table(
        "concentrator",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("plane", sa.String(length=15), nullable=False),
        sa.Column("public_key", sa.String(length=44), nullable=False),
        sa.Column("next_public_key", sa.String(length=44), nullable=True),
        sa.Column("endpoint", sa.String(length=270), nullable=False),
        sa.Column("network", sa.String(length=18), nullable=False),
        sa.Column("probe", sa.String(length=15), nullable=False),
        sa.Column("allowed", sa.Text(), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("seal_key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("network"),
        sa.UniqueConstraint("public_key"),
    )


def _feed() -> None:
    op.create_table(
        "feed",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _hook() -> None:
    op.create_table(
        "hook",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=256), nullable=False),
        sa.Column("least", sa.String(length=16), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("ca", sa.Text(), nullable=False),
        sa.Column("inside", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _person() -> None:
    op.create_table(
        "person",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("off", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _rollout() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ring", sa.Integer(), nullable=False),
        sa.Column("ring_at", sa.Float(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("why_halted", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _site() -> None:
    op.create_table(
        "site",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("civil_code", sa.String(length=8), nullable=False),
        sa.Column("site_class", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=True),
        sa.Column("template_version", sa.Integer(), nullable=True),
        sa.Column("own", sa.Text(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=True),
        sa.Column("device_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=6), nullable=True),
        sa.Column("csr", sa.Text(), nullable=True),
        sa.Column("asked_keys", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_at", sa.Float(), nullable=True),
        sa.Column("revoked_by", sa.String(length=64), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.Column("revocation", sa.Text(), nullable=False),
        sa.Column("offered", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("device"),
    )
    op.create_index("site_by_code", "site", ["civil_code"], unique=False)
    op.create_index("site_by_state", "site", ["state"], unique=False)


def _spent_key() -> None:
    op.create_table(
        "spent_key",
        sa.Column("public_key", sa.String(length=44), nullable=False),
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("spent_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("public_key"),
    )


def _template() -> None:
    op.create_table(
        "template",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("name", "version"),
    )


def _address() -> None:
    op.create_table(
        "address",
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("concentrator", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("given_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["concentrator"],
            ["concentrator.id"],
        ),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_index(op.f("ix_address_site"), "address", ["site"], unique=False)


def _claim() -> None:
    op.create_table(
        "claim",
        sa.Column("prefix", sa.String(length=8), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=True),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("prefix"),
    )


def _health() -> None:
    op.create_table(
        "health",
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("registered", sa.Boolean(), nullable=True),
        sa.Column("media_at", sa.Float(), nullable=True),
        sa.Column("handshakes", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("leaning", sa.String(length=16), nullable=False),
        sa.Column("leaning_at", sa.Float(), nullable=False),
        sa.Column("judged_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("site"),
    )
    op.create_index("health_due", "health", ["due_at"])
    op.create_index("health_by_verdict", "health", ["verdict"])


def _layer() -> None:
    op.create_table(
        "layer",
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("site", "epoch", "revision"),
    )


def _receipt_head() -> None:
    op.create_table(
        "receipt_head",
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("site", "sequence"),
    )
    op.create_index("receipt_head_by_at", "receipt_head", ["at"])


def _rollout_site() -> None:
    op.create_table(
        "rollout_site",
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("ring", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout"],
            ["rollout.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("rollout", "site"),
    )


def _rollout_step() -> None:
    op.create_table(
        "rollout_step",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout"],
            ["rollout.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_rollout_step_rollout"), "rollout_step", ["rollout"], unique=False)


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )


def _peer() -> None:
    op.create_table(
        "peer",
        sa.Column("site", sa.String(length=20), nullable=False),
        sa.Column("tunnel", sa.String(length=15), nullable=False),
        sa.Column("concentrator", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("public_key", sa.String(length=44), nullable=False),
        sa.Column("next_key", sa.String(length=44), nullable=True),
        sa.Column("rotation", sa.String(length=12), nullable=False),
        sa.Column("rotation_revision", sa.BigInteger(), nullable=False),
        sa.Column("psk", sa.Text(), nullable=False),
        sa.Column("psk_box", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address"],
            ["address.address"],
        ),
        sa.ForeignKeyConstraint(
            ["concentrator"],
            ["concentrator.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site"],
            ["site.id"],
        ),
        sa.PrimaryKeyConstraint("site", "tunnel"),
        sa.UniqueConstraint("address"),
        sa.UniqueConstraint("next_key"),
        sa.UniqueConstraint("public_key"),
    )
    op.create_index("peer_by_concentrator", "peer", ["concentrator", "state"], unique=False)


def _telling() -> None:
    op.create_table(
        "telling",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("alert", sa.Integer(), nullable=False),
        sa.Column("hook", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(length=8), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.Column("why", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["alert"], ["alert.id"]),
        sa.ForeignKeyConstraint(["hook"], ["hook.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    waits = sa.text("done_at IS NULL")
    op.create_index("telling_waits", "telling", ["next_at"], sqlite_where=waits, postgresql_where=waits)
    op.create_index("telling_done", "telling", ["done_at"])
