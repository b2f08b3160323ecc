"""The widget's script as it is served: small, at an address for each version, held to its hash, open to any page; and its demonstration."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.webapp.reading import read
from webapp import widget_script
from webapp.settings import PROJECT
from webapp.widget_script import Script

SOURCE = PROJECT / "webapp" / "static" / "widget" / "widget.js"
MAX_GZIPPED_BYTES = 12 * 1024


def manifest(client: FlaskClient) -> dict[str, str]:
    found: dict[str, str] = client.get("/widget.json").json  # type: ignore[assignment]
    return found


def versioned(client: FlaskClient) -> str:
    return "/" + manifest(client)["url"].rpartition("/")[2]


def assert_open(response: TestResponse) -> None:
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in response.headers
    assert not response.vary


def test_it_is_small() -> None:
    assert len(gzip.compress(SOURCE.read_bytes(), 6)) <= MAX_GZIPPED_BYTES


@pytest.mark.parametrize("name", ["widget.js", "search.js"])
def test_it_needs_and_keeps_nothing(name: str) -> None:
    text = SOURCE.with_name(name).read_text()
    # The search of the static export is the one thing that it may fetch, and from where it comes itself.
    assert re.findall(r"^\s*import\b[^.].*|import\(.*", text, re.MULTILINE) in ([], ['import(new URL("widget-search.js", BASE));'])
    for word in (
        "cookie",
        "localStorage",
        "sessionStorage",
        "indexedDB",
        "sendBeacon",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
    ):
        assert word not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    # The only address that it knows is its own.
    assert set(re.findall(r"https?://[\w.-]+", text)) <= {"https://bible.ville.example"}


def test_it_is_sent_and_revalidated(client: FlaskClient) -> None:
    response = client.get("/widget.js")
    assert_open(response)
    assert response.mimetype == "text/javascript"
    assert response.data == SOURCE.read_bytes()
    assert 0 < (response.cache_control.max_age or 0) <= 3600
    assert response.cache_control.must_revalidate
    again = client.get("/widget.js", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Access-Control-Allow-Origin"] == "*"


def test_a_version_has_an_address_for_ever(client: FlaskClient) -> None:
    address = versioned(client)
    assert re.fullmatch(r"/widget-[0-9a-f]{12}\.js", address)
    response = client.get(address)
    assert_open(response)
    assert response.data == client.get("/widget.js").data
    assert response.cache_control.immutable
    assert response.cache_control.max_age == 31_536_000


@pytest.mark.parametrize("path", ["/widget-000000000000.js", "/widget-.js", "/widget-..%2f..%2fsettings.js"])
def test_another_version_is_not_there(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "immutable" not in response.headers.get("Cache-Control", "")


# ---- an update ----
OLD = b"/* the widget of last year */\n"
OLD_VERSION = hashlib.sha384(OLD).hexdigest()[:12]


def test_a_version_outlives_an_update(make_app: MakeApp, sample_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(widget_script, "_read", lambda _folder: Script(OLD))
        before = make_app(sample_kb, var_dir=tmp_path / "var")
        assert before.test_client().get("/widget.js").data == OLD
        said = manifest(before.test_client())
    client = make_app(sample_kb, var_dir=tmp_path / "var").test_client()
    assert client.get("/widget.js").data == SOURCE.read_bytes()
    response = client.get(f"/widget-{said['version']}.js")
    assert_open(response)
    assert response.data == OLD
    assert response.cache_control.immutable
    assert said["integrity"] == f"sha384-{base64.b64encode(hashlib.sha384(response.data).digest()).decode()}"


@pytest.mark.parametrize("content", [OLD[:-5], OLD + b"alert(1)", b""])
def test_a_version_that_was_altered_is_not_sent(make_app: MakeApp, sample_kb: Path, content: bytes) -> None:
    app = make_app(sample_kb)
    folder = app.extensions["bible"].settings.var_dir / "widget"
    (folder / f"{OLD_VERSION}.js").write_bytes(OLD)
    assert app.test_client().get(f"/widget-{OLD_VERSION}.js").data == OLD
    (folder / f"{OLD_VERSION}.js").write_bytes(content)
    assert app.test_client().get(f"/widget-{OLD_VERSION}.js").status_code == 404


def test_a_start_mends_what_was_cut_and_needs_no_folder(
    make_app: MakeApp, sample_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_app(sample_kb, var_dir=tmp_path / "var")
    (kept,) = (tmp_path / "var" / "widget").iterdir()
    kept.write_bytes(b"cut")
    make_app(sample_kb, var_dir=tmp_path / "var")
    assert kept.read_bytes() == SOURCE.read_bytes()
    # A full disk, or a folder that may not be written.
    shutil.rmtree(kept.parent)
    kept.parent.write_text("not a folder")
    client = make_app(sample_kb, var_dir=tmp_path / "var").test_client()
    assert "n'a pas pu être gardée" in caplog.text
    assert client.get(versioned(client)).status_code == 200
    assert client.get(f"/widget-{OLD_VERSION}.js").status_code == 404


def test_its_hash_is_that_of_what_is_sent(client: FlaskClient) -> None:
    said = manifest(client)
    assert_open(client.get("/widget.json"))
    digest = hashlib.sha384(client.get(versioned(client)).data).digest()
    assert said["integrity"] == f"sha384-{base64.b64encode(digest).decode()}"
    assert said["version"] in said["url"]


def test_its_address_is_that_of_the_service(make_app: MakeApp, sample_kb: Path) -> None:
    app = make_app(sample_kb, accounts="on", site_url="https://bible.ville.example")
    client = app.test_client()
    base = "https://bible.ville.example"
    assert manifest_at(client, base)["url"].startswith(f"{base}/widget-")
    page = read(client.get("/demo-widget", base_url=base))
    assert f'src="{base}/widget.js"' in page.one("#line").text


def manifest_at(client: FlaskClient, base: str) -> dict[str, str]:
    found: dict[str, str] = client.get("/widget.json", base_url=base).json  # type: ignore[assignment]
    return found


# ---- the demonstration ----
def test_the_page_gives_the_lines_to_copy(client: FlaskClient) -> None:
    response = client.get("/demo-widget")
    assert "Set-Cookie" not in response.headers
    page = read(response)
    line, pinned, frame = (page.one(f"#{name}").text for name in ("line", "pinned", "frame"))
    assert '<script type="module" src="http://localhost/widget.js"></script>' in line
    assert '<bible-faq lang="fr" theme="auto"><a href="http://localhost/faq">Questions fréquentes</a></bible-faq>' in line
    said = manifest(client)
    assert f'src="{said["url"]}" integrity="{said["integrity"]}" crossorigin="anonymous"' in pinned
    assert re.fullmatch(r'<iframe src="http://localhost/faq\?embed=1" title="Questions fréquentes" [^>]*></iframe>', frame)


def test_the_page_holds_no_inline_code(client: FlaskClient) -> None:
    page = read(client.get("/demo-widget"))
    for one in page.elements:
        assert not [name for name in one.attributes if name.startswith("on") or name == "style"], one
        assert one.tag != "style"
        assert one.tag != "script" or (one.attributes["src"].startswith("/") and not one.text.strip())


def test_the_page_names_the_services_of_the_public_alone(make_app: MakeApp, sample_kb: Path) -> None:
    secret = sample_kb / "articles" / "cabinet" / "coffre-onyx.md"
    secret.parent.mkdir()
    secret.write_text("---\ntitle: Le coffre Onyx\nservice: cabinet\naudience: internal\n---\nSous le tapis.\n")
    with (sample_kb / "services.yml").open("a") as services:
        services.write("\ncabinet: {name: Cabinet Obsidienne}\n")
    text = html.unescape(make_app(sample_kb).test_client().get("/demo-widget").text)
    assert "État civil" in text
    assert "Obsidienne" not in text
    assert "cabinet" not in text
