"""Alerts that a person has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who, when and why."""
    op.add_column("alert", sa.Column("acknowledged_by", sa.String(length=64), nullable=True))
    op.add_column("alert", sa.Column("acknowledged_at", sa.Float(), nullable=True))
    op.add_column("alert", sa.Column("acknowledged_why", sa.Text(), nullable=True))
