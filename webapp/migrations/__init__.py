"""Alembic's scripts: the history of the database's schema. ``webapp.database.migrate`` runs them at start."""
