"""The database: accounts, log-ins, proposals. SQLite by default, PostgreSQL by URL; both through SQLAlchemy 2 and Alembic.

Guarantees: the schema is brought up to date once, whatever the number of workers that start together; a database that cannot be used
stops the start with a message that says what to do; every time is in UTC and knows it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock
from flask import Flask, current_app, g
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from webapp.settings import Settings

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as it is always the same: workers that start together queue on it.
_ADVISORY_LOCK = 4_217_001
_BUSY_SECONDS = 10
# The greatest number of a row: what PostgreSQL counts to.
MAX_NUMBER = 2**31 - 1


class DatabaseUnavailable(Exception):
    """The database cannot be used; the message says why and what to do, in French."""


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A time in UTC. SQLite keeps no time zone, so it is put back when a row is read."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Refuse a time that does not say where it counts from."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone cannot be stored")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Give the time its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Base of every table."""

    type_annotation_map = {dt.datetime: UtcDateTime()}  # noqa: RUF012  # SQLAlchemy's own way to be told
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def now() -> dt.datetime:
    """The time, in UTC."""
    return dt.datetime.now(dt.UTC)


def connect(settings: Settings) -> sa.Engine:
    """Make the engine that the settings name; nothing is opened yet.

    Raises:
        DatabaseUnavailable: the address is not one of SQLite or PostgreSQL.
    """
    url = _url(settings)
    if url.get_backend_name() == "postgresql":
        limits: dict[str, Any] = {"pool_size": 4, "max_overflow": 16, "connect_args": {"connect_timeout": 5}}
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, **limits)
    # An error shows its statement, never its values: they are people's.
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def migrate(settings: Settings) -> None:
    """Bring the schema up to date; the first of several workers does it, the others wait for it.

    Raises:
        DatabaseUnavailable: the database cannot be opened or written, or a newer version of La Bible made it.
    """
    url = _url(settings)
    try:
        with _one_at_a_time(url):
            engine = connect(settings)
            try:
                _upgrade(engine)
            finally:
                engine.dispose()
    except CommandError as error:
        raise DatabaseUnavailable(
            f"La base de données {_shown(url)} vient d'une version plus récente de La Bible ({error}). "
            "Installez cette version, ou restaurez la sauvegarde de la base qui va avec celle-ci."
        ) from error
    except (SQLAlchemyError, OSError, ImportError) as error:
        reason = getattr(error, "orig", None) or error
        raise DatabaseUnavailable(f"La base de données {_shown(url)} ne s'ouvre pas ({reason}). {_advice(url)}") from error


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application its engine; a session is opened at first use in a request and closed at its end."""
    engine = connect(settings)
    app.extensions["database"] = engine
    app.extensions["database_sessions"] = sessionmaker(engine, expire_on_commit=False)

    @app.teardown_appcontext
    def close_session(_error: BaseException | None) -> None:
        opened: Session | None = g.pop("database_session", None)
        if opened is not None:
            opened.close()


def session() -> Session:
    """The session of the current request (or command); whoever changes something commits it."""
    if "database_session" not in g:
        g.database_session = current_app.extensions["database_sessions"]()
    opened: Session = g.database_session
    return opened


def _url(settings: Settings) -> URL:
    try:
        url = make_url(settings.database_address)
    except ArgumentError as error:
        raise DatabaseUnavailable(
            "BIBLE_DATABASE_URL : cette adresse ne se lit pas. Exemples : sqlite:////srv/bible/bible.sqlite3, "
            "postgresql+psycopg://bible:motdepasse@serveur/bible."
        ) from error
    if url.get_backend_name() == "sqlite" and url.database and ":memory:" not in url.database:
        return url
    if url.drivername == "postgresql+psycopg":
        return url
    raise DatabaseUnavailable(
        f"BIBLE_DATABASE_URL : {url.drivername} ne convient pas. Donnez un fichier SQLite (sqlite:////srv/bible/bible.sqlite3) "
        "ou une base PostgreSQL (postgresql+psycopg://bible:motdepasse@serveur/bible)."
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    cursor.close()


@contextlib.contextmanager
def _one_at_a_time(url: URL) -> Iterator[None]:
    """Hold the lock file beside an SQLite file; PostgreSQL has a lock of its own, taken in ``_upgrade``."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=120):
        path.touch(mode=0o600)  # people's addresses and hashes: for the service's account alone
        yield


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()
        try:
            if engine.dialect.name == "sqlite":
                # Python begins no transaction for a CREATE TABLE: a step that fails midway would leave half of its tables.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            if engine.dialect.name == "postgresql":
                connection.rollback()
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
                connection.commit()


def _shown(url: URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _advice(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "Vérifiez BIBLE_DATABASE_URL ou BIBLE_VAR_DIR, les droits sur le dossier et l'espace libre."
    return (
        "Vérifiez BIBLE_DATABASE_URL, que le serveur PostgreSQL répond, que la base existe, "
        "et que « pip install -r requirements-postgresql.txt » a été fait."
    )
