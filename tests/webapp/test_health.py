"""Health checks, and the real command: from ``python -m webapp`` to a page served by gunicorn, and a clean stop."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from webapp.settings import PROJECT


def test_healthz_says_that_the_process_runs(client: FlaskClient) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_readyz_says_how_it_searches_and_counts_nothing(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json == {"status": "ready", "mode": "hybrid", "degraded": False}


def test_readyz_names_no_path_of_the_server(one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path) -> None:
    response = make_app(one_article(), model=str(tmp_path / "prive" / "modele")).test_client().get("/readyz")
    assert response.json == {"status": "ready", "mode": "keywords", "degraded": True}


def test_a_broken_article_leaves_the_service_ready(one_article: Callable[..., Path], make_app: MakeApp) -> None:
    kb = one_article()
    (kb / "articles/dechets/casse.md").write_text("rien", encoding="utf-8")
    client = make_app(kb).test_client()
    assert client.get("/readyz").status_code == 200
    assert client.get("/articles/bac").status_code == 200


def test_an_empty_folder_is_served(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    client = make_app(tmp_path / "empty").test_client()
    assert client.get("/readyz").status_code == 200
    for path in ("/", "/articles/", "/articles/?q=carte", "/api/v1/articles"):
        assert client.get(path).status_code == 200
    answer = client.post("/api/v1/match", json={"message": "Bonjour, où jeter le verre ?"}).json
    assert answer is not None
    assert answer["answered"] is False


# ---- the real command ----
@pytest.fixture
def command(one_article: Callable[..., Path], tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """``python -m webapp`` with two workers on a free port: its address, its process, its ``var``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    var = tmp_path / "var"
    environment = {
        **os.environ,
        "BIBLE_KB_DIR": str(one_article()),
        "BIBLE_VAR_DIR": str(var),
        "BIBLE_MODEL": "none",
        "BIBLE_PORT": str(port),
        "BIBLE_WORKERS": "2",
    }
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen([sys.executable, "-m", "webapp"], cwd=PROJECT, env=environment, stdout=log, stderr=log, text=True)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=5):
                break
            time.sleep(0.1)
        yield address, process, var
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
        log.close()


def test_the_command_serves_and_stops(command: tuple[str, subprocess.Popen[str], Path], tmp_path: Path) -> None:
    address, process, var = command
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    with browser.open(f"{address}/readyz", timeout=10) as answer:
        assert json.load(answer)["status"] == "ready"
    # Both workers sign with the same key: a form of one is accepted by the other.
    with browser.open(f"{address}/", timeout=10) as answer:
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.read().decode())
    assert found
    token = found.group(1)
    for _ in range(8):
        body = urlencode({"csrf_token": token, "message": "Où trouver un bac jaune ? Zorglubine-7431"}).encode()
        with browser.open(f"{address}/", body, timeout=10) as answer:
            assert 'data-number="1"' in answer.read().decode()
    # What is too large is refused with a page that reaches the browser, not with a connection cut.
    with pytest.raises(urllib.error.HTTPError) as refused:
        browser.open(f"{address}/", urlencode({"csrf_token": token, "message": "b" * 3_000_000}).encode(), timeout=20)
    assert refused.value.code == 413
    assert "Message trop long" in refused.value.read().decode()
    refused.value.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    written = (tmp_path / "log").read_text()
    assert address in written
    assert "Traceback" not in written
    assert "Zorglubine" not in written
    assert not [path for path in var.rglob("*") if path.is_file() and b"Zorglubine" in path.read_bytes()]
