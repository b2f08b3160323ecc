"""The database: made once by workers that start together, true to the models, on SQLite and on a real PostgreSQL; clear when it fails."""

from __future__ import annotations

import datetime as dt
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask

from tests.conftest import MakeApp, settings_for
from tests.webapp.people import PASSWORD, log_in, make_person
from tests.webapp.reading import token_of
from webapp.accounts import people, throttle, tokens
from webapp.accounts.models import Attempts, LogIn, User
from webapp.database import Base, DatabaseUnavailable, UtcDateTime, connect, migrate, now, session
from webapp.settings import PROJECT, Settings


def settings(folder: Path, url: str = "") -> Settings:
    return settings_for(folder, folder / "var", accounts="on", database_url=url)


# ---- PostgreSQL, the real one ----
@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Address of a PostgreSQL server of the test's own."""
    pytest.importorskip("psycopg", reason="requirements-postgresql.txt is not installed")
    initdb, postgres = (shutil.which(name) for name in ("initdb", "postgres"))
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server (initdb, postgres) on the PATH")
    # Not in pytest's own folder, which it closes to the account that the server runs under.
    with tempfile.TemporaryDirectory(prefix="bible-postgresql-") as name, (Path(name) / "log").open("w") as log:
        folder, account = Path(name), {}
        if os.getuid() == 0:  # PostgreSQL refuses to be root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        made = subprocess.run(
            [initdb, "-D", str(folder / "data"), "-U", "bible", "--auth=trust", "-E", "UTF8", "--no-sync"],
            capture_output=True, text=True, cwd=folder, check=False, **account,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [postgres, "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"],
            stdout=log, stderr=log, cwd=folder, **account,
        )  # fmt: skip
        address = f"postgresql+psycopg://bible@127.0.0.1:{port}/postgres"
        try:
            _wait_for(address, server)
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: whoever is still connected is cut off
            server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(address)
    end = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the server stopped"
        try:
            engine.connect().close()
            break
        except sa.exc.OperationalError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.sqlite3'}"
        return
    server = request.getfixturevalue("postgresql")
    name = f"bible_{abs(hash(request.node.name))}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield str(server).rsplit("/", 1)[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


# ---- the schema ----
def test_the_steps_make_what_the_models_say(address: str, tmp_path: Path) -> None:
    migrate(settings(tmp_path, address))
    engine = connect(settings(tmp_path, address))
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)
        tables = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    assert found == []
    assert tables >= {"users", "memberships", "log_ins", "api_tokens", "password_links", "attempts"}


def test_starting_again_changes_nothing(address: str, tmp_path: Path) -> None:
    for _ in range(2):
        migrate(settings(tmp_path, address))


def test_workers_that_start_together_make_it_once(address: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from webapp.settings import Settings; from webapp.database import migrate; "
        "migrate(Settings(_env_file=None, var_dir=Path(sys.argv[1]), database_url=sys.argv[2]))"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "var"), address], cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], errors


def test_log_ins_that_start_together_the_next_morning_wait_for_one_another(
    address: str, make_app: MakeApp, one_article: Callable[..., Path]
) -> None:
    """Every counter is of yesterday: each log-in holds some, and each wants to forget them all."""
    app = make_app(one_article(), accounts="on", model="none", database_url=address)
    failed: list[Exception] = []

    def knock(number: int, start: threading.Barrier) -> None:
        start.wait()
        try:
            with app.test_request_context():
                throttle.knock(f"agent{number}@ville.example", f"192.0.2.{number}")
        except Exception as error:
            failed.append(error)

    for _ in range(5):
        with app.app_context():
            session().execute(sa.update(Attempts).values(last_at=now() - dt.timedelta(hours=9)))
            session().commit()
        start = threading.Barrier(6)
        threads = [threading.Thread(target=knock, args=(number, start)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    app.extensions["database"].dispose()


def test_what_nobody_types_and_no_database_keeps_is_dropped(address: str, make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), accounts="on", model="none", database_url=address)
    make_person(app, name="Zoé Petit", email="zoe@ville.example", is_admin=True)
    client = app.test_client()
    assert log_in(client, email="zoe\0@ville.example").status_code == 303
    for path in ("/propositions/?service=%00", "/administration/?q=%00", "/articles/?q=%00bac", "/faq?lang=%00"):
        assert client.get(path, follow_redirects=True).status_code == 200
    answer = client.post(
        "/demandes/sans-reponse", data={"csrf_token": token_of(client), "question": "Où est\0 le bac ?", "service": "dechets"}
    )
    assert answer.status_code == 303
    asked = client.post(answer.location + "/commenter", data={"csrf_token": token_of(client), "text": "Un\0 mot"})
    assert asked.status_code == 303
    assert "Un mot" in client.get(answer.location).text
    app.extensions["database"].dispose()


def test_accounts_live_there(address: str, make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), accounts="on", model="none", database_url=address)
    make_person(app, services={"dechets"}, is_admin=True)
    client = app.test_client()
    assert log_in(client, password="faux").status_code == 422
    assert log_in(client).status_code == 303
    assert client.get("/").status_code == 200
    with app.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        secret = tokens.create(user, "Chatbot", ["read"], 30)[1]
        assert people.by_password_link(people.password_link(user)) is user
        assert people.by_password_link(people.password_link(user)) is user
    assert app.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    with app.test_request_context():
        waits = [bool(throttle.knock("guy@ville.example", "203.0.113.5")) for _ in range(6)]
    assert waits == [False] * 5 + [True]
    app.extensions["database"].dispose()


def test_a_time_comes_back_in_utc(address: str, make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), accounts="on", model="none", database_url=address)
    paris = dt.datetime(2026, 7, 14, 14, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with app.app_context():
        session().add(User(name="C", email="c@ville.example", created_at=paris))
        session().commit()
        session().expire_all()
        kept = session().scalars(sa.select(User)).one().created_at
        assert kept == paris
        assert kept.utcoffset() == dt.timedelta()
    app.extensions["database"].dispose()


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(dt.datetime(2026, 1, 1), sa.dialects.sqlite.dialect())  # noqa: DTZ001


def test_deleting_a_person_deletes_what_was_theirs(address: str, make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), accounts="on", model="none", database_url=address)
    make_person(app, services={"dechets"})
    log_in(app.test_client(), password=PASSWORD)
    with app.app_context():
        session().execute(sa.delete(User))
        session().commit()
        assert session().scalars(sa.select(LogIn)).all() == []
    app.extensions["database"].dispose()


def test_the_file_is_for_the_service_alone(tmp_path: Path) -> None:
    migrate(settings(tmp_path))
    assert stat.S_IMODE((tmp_path / "var" / "bible.sqlite3").stat().st_mode) == 0o600


def test_sqlite_is_set_up_for_several_workers(tmp_path: Path) -> None:
    engine = connect(settings(tmp_path, f"sqlite:///{tmp_path / 'a.sqlite3'}"))
    with engine.connect() as connection:
        values = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "busy_timeout")}
    engine.dispose()
    assert values["journal_mode"] == "wal"
    assert values["foreign_keys"] == 1
    assert values["busy_timeout"] >= 5000


# ---- what cannot work ----
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("n'importe quoi", "BIBLE_DATABASE_URL"),
        ("mysql://a:b@c/d", "BIBLE_DATABASE_URL"),
        ("postgresql://a:b@c/d", r"BIBLE_DATABASE_URL.*postgresql\+psycopg://"),
        ("sqlite://", "BIBLE_DATABASE_URL"),
        ("sqlite:////proc/nulle-part/bible.sqlite3", "ne s'ouvre pas.*les droits"),
        ("sqlite:////dev/null/bible.sqlite3", "ne s'ouvre pas"),
        ("postgresql+psycopg://bible:s3cr3t@127.0.0.1:9/bible", "ne s'ouvre pas.*PostgreSQL répond"),
    ],
)
def test_a_database_that_cannot_be_says_what_to_do_and_no_password(tmp_path: Path, url: str, expected: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=rf"(?s){expected}") as caught:
        migrate(settings(tmp_path, url))
    assert "s3cr3t" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Ceci n'est pas une base de données, mais un texte assez long.\n" * 50)
    with pytest.raises(DatabaseUnavailable, match="ne s'ouvre pas"):
        migrate(settings(tmp_path, f"sqlite:///{path}"))
    assert path.read_text().startswith("Ceci")


def test_a_newer_version_of_the_software_made_it(address: str, tmp_path: Path) -> None:
    migrate(settings(tmp_path, address))
    engine = connect(settings(tmp_path, address))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseUnavailable, match=r"plus récente de La Bible.*9999"):
        migrate(settings(tmp_path, address))


def test_the_command_stops_with_the_message_and_no_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "webapp"], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "BIBLE_VAR_DIR": str(tmp_path / "var"), "BIBLE_DATABASE_URL": "mysql://a/b"},
    )  # fmt: skip
    assert result.returncode == 2
    assert "BIBLE_DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_goes_away_is_a_clear_page(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app: Flask = make_app(one_article(), accounts="on", model="none")
    make_person(app)
    client = app.test_client()
    assert log_in(client).status_code == 303
    with app.extensions["database"].begin() as connection:
        connection.execute(sa.text("ALTER TABLE users RENAME TO lost"))
    for path, kind in (("/", "text/html"), ("/api/v1/articles", "application/problem+json")):
        response = client.get(path)
        assert (response.status_code, response.mimetype) == (503, kind)
        assert "base de données ne répond pas" in response.text
    assert client.get("/healthz").status_code == 200


def test_a_step_that_fails_midway_leaves_nothing_and_the_next_start_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    create, made = op.create_table, []

    def fail_at_the_third(name: str, *columns: object, **options: object) -> object:
        made.append(name)
        if len(made) == 3:
            raise OSError("no space left on device")
        return create(name, *columns, **options)

    monkeypatch.setattr(op, "create_table", fail_at_the_third)
    with pytest.raises(DatabaseUnavailable, match="l'espace libre"):
        migrate(settings(tmp_path))
    assert len(made) == 3
    monkeypatch.setattr(op, "create_table", create)
    migrate(settings(tmp_path))
    engine = connect(settings(tmp_path))
    assert {"users", "proposals", "proposal_events"} <= set(sa.inspect(engine).get_table_names())
    engine.dispose()
