"""Settings that cannot work stop the start with a message that names them; the README documents each one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kb.errors import KbError
from tests.conftest import MakeApp
from webapp import create_app
from webapp.settings import PROJECT, Settings, SettingsError, load_settings

WRONG = [
    ("BIBLE_PORT", "abc"),
    ("BIBLE_PORT", "0"),
    ("BIBLE_PORT", "65536"),
    ("BIBLE_WORKERS", "0"),
    ("BIBLE_WORKERS", "many"),
    ("BIBLE_THREADS", "-1"),
    ("BIBLE_THREADS", "65"),
    ("BIBLE_LANGUAGE", "de"),
    ("BIBLE_WATCH", "peut-être"),
    ("BIBLE_HOST", "0.0.0.0"),
    ("BIBLE_HOST", "::"),
    ("BIBLE_HOST", "192.168.1.10"),
    ("BIBLE_HOST", "bible.ville.example"),
    ("BIBLE_HOST", ""),
    ("BIBLE_PUBLIC_URL", "ftp://ville.example"),
    ("BIBLE_PUBLIC_URL", "ville.example/faq"),
    ("BIBLE_PUBLIC_URL", "javascript:alert(1)"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_setting_that_cannot_work_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Réglages à corriger")
    assert [line.split(" : ")[0].strip() for line in lines[1:]] == [name]


def test_a_host_that_others_reach_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIBLE_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match=r"BIBLE_HOST : la démonstration, sans mot de passe.*127\.0\.0\.1.*BIBLE_ACCOUNTS=on"):
        load_settings()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"site_url": "https://bible.ville.example"}, "BIBLE_SITE_URL, BIBLE_PROXIES"),
        ({"proxies": 1}, "BIBLE_SITE_URL, BIBLE_PROXIES"),
        ({"accounts": "on", "host": "0.0.0.0"}, "BIBLE_SITE_URL"),
        ({"accounts": "on", "oidc_issuer": "https://id.example"}, "BIBLE_OIDC_CLIENT_ID"),
        ({"accounts": "on", "local_login": False}, "BIBLE_LOCAL_LOGIN"),
        ({"accounts": "on", "smtp_url": "smtp://localhost"}, "BIBLE_MAIL_FROM"),
        ({"accounts": "on", "session_hours": 0}, "BIBLE_SESSION_HOURS"),
        ({"accounts": "sometimes"}, "BIBLE_ACCOUNTS"),
    ],
)
def test_settings_that_do_not_go_together_are_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**values)
    assert named in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_with_accounts_the_service_listens_to_others() -> None:
    settings = load_settings(accounts="on", host="0.0.0.0", site_url="https://bible.ville.example/", proxies=1)
    assert (settings.is_demo, settings.site_url) == (False, "https://bible.ville.example")


def test_several_mistakes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIBLE_PORT", "abc")
    monkeypatch.setenv("BIBLE_LANGUAGE", "de")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "BIBLE_PORT" in str(caught.value)
    assert "BIBLE_LANGUAGE" in str(caught.value)


def test_a_file_where_the_folder_should_be_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    monkeypatch.setenv("BIBLE_VAR_DIR", str(tmp_path / "var"))
    with pytest.raises(SettingsError, match="BIBLE_VAR_DIR"):
        load_settings()


def test_a_content_folder_that_does_not_exist_is_named(make_app: MakeApp, tmp_path: Path) -> None:
    with pytest.raises(KbError, match="BIBLE_KB_DIR"):
        make_app(tmp_path / "nowhere")


@pytest.mark.parametrize(("name", "value"), [("BIBLE_HOST", "0.0.0.0"), ("BIBLE_PORT", "abc"), ("BIBLE_LANGUAGE", "de")])
def test_the_command_stops_with_the_message_and_no_traceback(name: str, value: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "webapp"],
        cwd=PROJECT,
        env={**os.environ, "BIBLE_VAR_DIR": str(tmp_path / "var"), name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert name in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_loopback_hosts_are_accepted(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("BIBLE_HOST", host)
    assert load_settings().host == host


def test_the_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BIBLE_PORT=8123\nBIBLE_LANGUAGE=en\n# a comment\nOTHER=1\n")
    monkeypatch.setenv("BIBLE_PORT", "9000")
    settings = load_settings(_env_file=tmp_path / ".env")
    assert (settings.port, settings.language) == (9000, "en")


def test_the_public_address_is_that_of_replies(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    client = make_app(one_article(), public_url="https://ville.example/faq/").test_client()
    answer = client.get("/api/v1/articles/bac").json
    assert answer is not None
    assert answer["url"] == "https://ville.example/faq/bac"
    assert "https://ville.example/faq/bac" in answer["replies"]["email"]["text"]


def test_the_key_shows_nowhere() -> None:
    assert "s3cr3t" not in repr(Settings(secret_key="s3cr3t"))


def test_the_first_start_makes_the_content_from_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIBLE_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("BIBLE_MODEL", "none")
    monkeypatch.setenv("BIBLE_WATCH", "false")
    app = create_app()
    state = app.extensions["bible"]
    assert (tmp_path / "var/kb/.git").is_dir()
    assert set(state.library.articles) == {path.stem for path in (PROJECT / "kb/articles").rglob("*.md")}
    assert [one.summary for one in state.store.history("articles/voirie/nid-de-poule.md")] == ["Contenu d'exemple de La Bible"]
    state.engine.index.keywords.close()


def test_the_readme_documents_every_setting_and_no_other() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\|\s*`(BIBLE_\w+)`\s*\|", readme, re.MULTILINE)
    assert len(documented) == len(set(documented)), "a setting is documented twice"
    assert set(documented) == {f"BIBLE_{name.upper()}" for name in Settings.model_fields}


def test_every_setting_says_what_it_is() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]
