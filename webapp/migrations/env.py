"""What Alembic runs: the steps of ``versions/`` on the connection that ``webapp.database.migrate`` opened."""

from __future__ import annotations

from alembic import context

from webapp.accounts import models as _accounts  # noqa: F401  # so that Base knows the tables
from webapp.database import Base
from webapp.proposals import models as _proposals  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
