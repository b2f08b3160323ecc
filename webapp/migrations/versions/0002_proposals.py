"""Proposals, requests and what happened to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "proposals",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("slug", sa.String(200), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("former_service", sa.String(200)),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("branch", sa.String(200), unique=True),
        sa.Column("base", sa.String(40)),
        sa.Column("tip", sa.String(40)),
        sa.Column("live", sa.String(40)),
        sa.Column("author_id", sa.Integer(), sa.ForeignKey("users.id", ondelete="SET NULL")),
        sa.Column("author_name", sa.String(120), nullable=False),
        sa.Column("answers_id", sa.Integer(), sa.ForeignKey("proposals.id", ondelete="SET NULL")),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("pushed_tip", sa.String(40)),
        sa.Column("pull_request", sa.Integer()),
        sa.Column("pull_request_url", sa.String(500)),
        sa.Column("is_settled_there", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_proposals_slug", "proposals", ["slug"])
    op.create_index("ix_proposals_service", "proposals", ["service"])
    op.create_index("ix_proposals_author_id", "proposals", ["author_id"])
    op.create_index("ix_proposals_state_updated", "proposals", ["state", "updated_at"])
    op.create_table(
        "proposal_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("proposal_id", sa.Integer(), sa.ForeignKey("proposals.id", ondelete="CASCADE"), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("author_id", sa.Integer(), sa.ForeignKey("users.id", ondelete="SET NULL")),
        sa.Column("author_name", sa.String(120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_proposal_events_proposal_id", "proposal_events", ["proposal_id"])


def downgrade() -> None:
    """Drop the tables; the texts stay in git."""
    op.drop_table("proposal_events")
    op.drop_table("proposals")
