"""What the forge tells: a signed notification makes it looked at, and anything else does nothing and is written nowhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout
from flask import Flask

from tests.conftest import MakeApp, close, settings_for
from tests.kb.forge_server import FakeForge, Pull
from tests.kb.test_forge import SECRET, SIGNING, digest, pushed, sent, told
from tests.webapp.forge_house import PROJECT, House, make_content, path_of, serve, text_of
from webapp import create_app
from webapp.state import Bible

KINDS = ("github", "gitlab", "forgejo")
HOOK = "/hooks/forge"


@pytest.fixture(scope="module", params=KINDS)
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, FakeForge]]:
    """An application that shares a secret with a forge, and what that forge is."""
    folder = tmp_path_factory.mktemp(f"hooks-{request.param}")
    values = {"remote": f"https://forge.example/{PROJECT}.git", "forge": request.param, "webhook_secret": SECRET, "model": "none"}
    app = create_app(settings_for(make_content(folder / "kb"), folder / "var", **values))
    yield app, FakeForge(request.param, PROJECT)
    close(app)


@pytest.fixture
def app(linked: tuple[Flask, FakeForge]) -> Flask:
    return linked[0]


@pytest.fixture
def forge(linked: tuple[Flask, FakeForge]) -> FakeForge:
    return linked[1]


def tell(app: Flask, headers: dict[str, str], body: bytes) -> tuple[int, bool]:
    """The status, and whether the forge will be looked at."""
    bible: Bible = app.extensions["bible"]
    bible.stirred.clear()
    # A browser of its own, without cookie or token: no form is sent.
    response = app.test_client().post(HOOK, data=body, headers=headers, content_type="application/json")
    assert SECRET not in response.text
    return response.status_code, bible.stirred.is_set()


def forged(headers: dict[str, str]) -> Iterator[dict[str, str]]:
    proofs = [name for name in headers if "Signature" in name or "Token" in name]
    yield {name: value for name, value in headers.items() if name not in proofs}
    for wrong in ("", "faux", "sha256=" + "0" * 64, digest(b"autre"), "é"):
        yield headers | dict.fromkeys(proofs, wrong)


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_a_signed_notification_makes_the_forge_looked_at(app: Flask, forge: FakeForge, event: str) -> None:
    payload = pushed(forge) if event == "push" else told(forge, Pull(5, "proposals/a", "main", state="closed"))
    assert tell(app, *sent(forge, event, payload)) == (202, True)


@pytest.mark.parametrize("event", ["ping", "issues", ""])
def test_other_events_are_taken_and_change_nothing(app: Flask, forge: FakeForge, event: str) -> None:
    assert tell(app, *sent(forge, event, {"zen": "…"})) == (202, False)


def test_another_repository_changes_nothing(app: Flask, forge: FakeForge) -> None:
    assert tell(app, *sent(forge, "push", pushed(forge, project="ville/autre"))) == (202, False)


def test_a_forged_notification_is_refused(app: Flask, forge: FakeForge) -> None:
    headers, body = sent(forge, "push", pushed(forge))
    for wrong in forged(headers):
        assert tell(app, wrong, body) == (403, False), wrong
    if forge.kind != "gitlab":  # whose plain token does not cover the body
        assert tell(app, headers, body + b" ") == (403, False)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"payload=%7B%7D", b"{}", b"[" * 100_000])
def test_a_signed_body_that_makes_no_sense_is_refused_kindly(app: Flask, forge: FakeForge, body: bytes) -> None:
    headers, _ = sent(forge, "push", {})
    headers |= {name: ("sha256=" if "256" in name else "") + digest(body) for name in headers if "Signature" in name}
    assert tell(app, headers, body) == (400, False)


def test_a_huge_body_is_not_read(app: Flask, forge: FakeForge) -> None:
    headers, body = sent(forge, "push", {**pushed(forge), "commits": ["x" * 3_000_000]})
    assert tell(app, headers, body) == (413, False)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_posts_are_taken(app: Flask, forge: FakeForge, method: str) -> None:
    headers, body = sent(forge, "push", pushed(forge))
    assert app.test_client().open(HOOK, method=method, data=body, headers=headers).status_code == 405


def test_nothing_of_it_is_written_down(app: Flask, forge: FakeForge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    payload: dict[str, Any] = {**pushed(forge), "pusher": {"name": "Zorglub", "email": "zorglub@ville.example"}}
    headers, body = sent(forge, "push", payload)
    for given in (headers, *forged(headers)):
        tell(app, given, body)
    for broken in ({"Zorglub": 1}, {"repository": "Zorglub", "project": "Zorglub"}):
        tell(app, *sent(forge, "push", broken))
    assert "zorglub" not in caplog.text.lower()
    assert SECRET not in caplog.text


def test_gitlab_may_sign_what_it_sends(make_app: MakeApp, tmp_path: Path) -> None:
    values = {"remote": f"https://forge.example/{PROJECT}.git", "forge": "gitlab", "webhook_secret": SIGNING, "model": "none"}
    app, forge = make_app(make_content(tmp_path / "kb"), **values), FakeForge("gitlab", PROJECT)
    headers, body = sent(forge, "push", pushed(forge))
    assert tell(app, headers, body) == (403, False), "the plain token is the weaker proof"
    assert tell(app, headers | {"X-Gitlab-Token": SIGNING}, body) == (403, False)


@pytest.mark.parametrize("values", [{"webhook_secret": ""}, {"remote": ""}])
def test_the_address_is_closed_without_a_secret_or_a_forge(make_app: MakeApp, tmp_path: Path, values: dict[str, str]) -> None:
    settings = {"remote": f"https://github.com/{PROJECT}.git", "webhook_secret": SECRET, "model": "none"} | values
    app, forge = make_app(make_content(tmp_path / "kb"), **settings), FakeForge("github", PROJECT)
    assert tell(app, *sent(forge, "push", pushed(forge))) == (404, False)
    assert tell(app, {}, b"") == (404, False)


def test_a_forge_that_people_reach_under_another_name_is_heard_under_ours(make_app: MakeApp, tmp_path: Path) -> None:
    settings = {"remote": f"https://github.com/{PROJECT}.git", "webhook_secret": SECRET, "model": "none"}
    app = make_app(make_content(tmp_path / "kb"), accounts="on", site_url="https://bible.ville.example", **settings)
    headers, body = sent(FakeForge("github", PROJECT), "push", pushed(FakeForge("github", PROJECT)))
    for host, status in {"bible.ville.example": 202, "evil.example": 403}.items():
        answer = app.test_client().post(HOOK, data=body, headers={**headers, "Host": host}, environ_base={"REMOTE_ADDR": "192.0.2.9"})
        assert answer.status_code == status


def wait(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def is_idle(house: House) -> bool:
    """Whether no pass runs or is asked for."""
    bible: Bible = house.app.extensions["bible"]
    lock = FileLock(bible.settings.var_dir / "sync.lock")
    try:
        with lock.acquire(timeout=0):
            return not bible.stirred.is_set()
    except Timeout:
        return False


def test_the_thread_looks_at_once_when_it_is_told(make_app: MakeApp, tmp_path: Path) -> None:
    """From one end to the other: a proposal, its pull request, a merge there, the notification, the text live here."""
    with serve("github", tmp_path / "forge") as forge:
        folder = make_content(tmp_path / "kb")
        settings = {**forge.settings, "webhook_secret": SECRET, "watch": True, "sync_seconds": 86_400, "model": "none"}
        house = House(make_app(folder, **settings), folder)
        number = house.propose("bac", "Le bac est mauve.")
        wait(lambda: house.row(number).pull_request is not None)
        wait(lambda: is_idle(house))
        forge.merge(forge.pull_of(house.branch(number)), "squash")
        headers, body = sent(forge.api, "push", pushed(forge.api))
        assert house.client.post(HOOK, data=body, headers=headers).status_code == 202
        wait(lambda: house.found("mauve") == ["bac"])
        wait(lambda: house.row(number).state == "accepted")
        assert forge.read(path_of("bac")) == text_of("bac", "Le bac est mauve.")
        wait(lambda: is_idle(house))
