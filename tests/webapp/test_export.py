"""The static export: the same pages as the live ones, nothing internal, links that lead somewhere, a folder that is whole or untouched."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import MakeApp, MakeKb, close
from tests.webapp.planted import SECRETS, Planted, planted_in
from tests.webapp.reading import Page
from webapp import export
from webapp.widget_script import Script

OLD = Script(b"/* the widget of last year */\n")
SITE = "https://statique.ville.example/public"


def run(app: Flask, folder: Path, *options: str) -> Result:
    """The command, as an administrator gives it."""
    return app.test_cli_runner().invoke(args=["export", str(folder), *(options or ("--url", SITE))])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    made = planted_in(tmp_path_factory.mktemp("planted"))
    yield made
    close(made.app)


@pytest.fixture(scope="module")
def folder(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the planted town."""
    folder = tmp_path_factory.mktemp("export") / "site"
    (planted.app.extensions["bible"].settings.var_dir / "widget" / f"{OLD.version}.js").write_bytes(OLD.body)
    result = run(planted.app, folder)
    assert result.exit_code == 0, result.output
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pages(folder: Path) -> dict[str, str]:
    return {name: body.decode() for name, body in files(folder).items() if name.endswith(".html")}


def words(html: str) -> str:
    """What a page says, its question field aside: a form where a server answers, the widget where none does."""
    without = re.sub(r'<form class="ask".*?</form>|<div class="ask">.*?</div>', "", html, flags=re.DOTALL)
    return Page(without).text


# ---- what is there ----
def test_every_public_page_is_there_in_both_languages_and_in_a_frame(folder: Path) -> None:
    names = set(pages(folder))
    for slug in ("bac", "verre", "ouvert", "vitrine"):
        assert {f"faq/{slug}/index.html", f"en/faq/{slug}/index.html", f"embed/faq/{slug}/index.html"} <= names
    assert {"index.html", "404.html", "faq/index.html", "faq/recherche/index.html", "faq/service/dechets/index.html"} <= names
    assert {"faq/feed.xml", "sitemap.xml", "robots.txt", "widget.js", "widget-search.js", "widget.json"} <= set(files(folder))


@pytest.mark.parametrize("path", ["/faq", "/faq/bac", "/faq/service/dechets", "/faq/bac?lang=en", "/faq?embed=1", "/faq/recherche"])
def test_a_page_is_the_live_one(planted: Planted, folder: Path, path: str) -> None:
    parts = urlsplit(path)
    prefix = {"": "", "lang=en": "en/", "embed=1": "embed/"}[parts.query]
    live, written = planted.client.get(path).text, (folder / f"{prefix}{parts.path[1:]}/index.html").read_text()
    assert words(written) == words(live)
    assert Page(written).one("html").attributes == Page(live).one("html").attributes


def test_programs_read_the_address_where_it_will_be_served(folder: Path) -> None:
    page = (folder / "faq/bac/index.html").read_text()
    assert f'<link rel="canonical" href="{SITE}/faq/bac">' in page
    assert f"<loc>{SITE}/faq/bac</loc>" in (folder / "sitemap.xml").read_text()
    assert f"<id>{SITE}/faq</id>" in (folder / "faq/feed.xml").read_text()
    assert json.loads((folder / "widget.json").read_text())["url"].startswith(f"{SITE}/widget-")
    assert (folder / OLD.address.lstrip("/")).read_bytes() == OLD.body  # a page may hold to it


def test_a_page_carries_its_own_policy(folder: Path) -> None:
    for html in (text for name, text in pages(folder).items() if "refresh" not in text):
        [policy] = [one.attributes["content"] for one in Page(html).find("meta") if one.attributes.get("http-equiv")]
        assert policy.startswith("default-src 'none'; script-src 'self'")


# ---- nothing internal ----
def test_no_file_tells_a_secret(folder: Path) -> None:
    for name, body in files(folder).items():
        said = f"{name}\n{body.decode()}".casefold().replace("é", "e").replace("\\u00e9", "e")
        assert [secret for secret in SECRETS if secret in said] == [], name


def test_an_old_public_name_leads_on_and_an_internal_one_is_absent(folder: Path) -> None:
    assert 'url=../bac/"' in (folder / "faq/vieux-bac/index.html").read_text()
    assert not (folder / "faq/nom-tarasque").exists()
    assert json.loads((folder / "api/public/v1/articles/vieux-bac").read_text())["slug"] == "bac"


# ---- links ----
def test_a_plain_server_finds_every_link(folder: Path) -> None:
    """From page to page, as a crawler does on a server that knows only folders and their index."""
    root = "https://ici.example/un/dossier/"
    waiting, seen = [root], {root}
    while waiting:
        address = waiting.pop()
        path = folder / unquote(address.removeprefix(root).partition("?")[0])
        path = path / "index.html" if address.endswith("/") else path
        assert path.is_file(), address
        if path.suffix != ".html":
            continue
        for tag, found in re.findall(r'<(\w+)[^<>]* (?:href|src)="([^"]*)"', path.read_text()):
            link = urljoin(address, unescape(found)).partition("#")[0]
            if urlsplit(link).netloc == "ici.example" and link not in seen:
                assert link.startswith(root), f"{tag} {link} on {address}"
                seen.add(link)
                waiting.append(link)
    assert len(seen) > 15


def test_a_dead_link_is_named_and_the_pages_are_written(make_app: MakeApp, make_kb: MakeKb, tmp_path: Path) -> None:
    kb = make_kb({"articles/dechets/bac.md": "---\ntitle: Le bac\n---\n[Ici](/faq/parti), [là](#nulle-part), [nous](/articles/bac).\n"})
    result = run(make_app(kb, accounts="on"), tmp_path / "site")
    assert result.exit_code == 1
    for address in ("/faq/parti", "/faq/bac#nulle-part", "/articles/bac"):
        assert f"faq/bac/index.html : le lien {address} ne mène à rien" in result.output
    assert (tmp_path / "site/faq/bac/index.html").exists()
    assert not (tmp_path / "site/articles").exists()  # an agents' page, even where it would have answered


def test_a_hostile_text_stays_words(make_app: MakeApp, make_kb: MakeKb, tmp_path: Path) -> None:
    body = 'Le code `<a href="/faq/x">` et [un lien](/faq/bac "un > titre") <script src="/widget.js"></script>\n'
    kb = make_kb({"articles/dechets/bac.md": f"---\ntitle: 'Le <b onclick=x>bac</b> \"vert\"'\n---\n{body}"})
    assert run(make_app(kb), tmp_path / "site").exit_code == 0
    page = (tmp_path / "site/faq/bac/index.html").read_text()
    assert '&lt;a href="/faq/x"&gt;' in page or "&lt;a href=&quot;/faq/x&quot;&gt;" in page
    scripts = [one.attributes.get("src") for one in Page(page).find("script")]
    assert scripts.count("../../widget.js") == 1
    assert "<b onclick" not in page


@pytest.mark.parametrize(("service", "dead"), [("../../../../dehors", 1), (".", 1), ("..", 0)])
def test_no_name_climbs_out_of_the_folder(make_app: MakeApp, make_kb: MakeKb, tmp_path: Path, service: str, dead: int) -> None:
    text = "---\n" + json.dumps({"title": "Le bac", "service": service, "aliases": ["..", ".", "vieux"]}) + "\n---\nAu dépôt.\n"
    kb = make_kb({"articles/dechets/bac.md": text})
    result = run(make_app(kb), tmp_path / "out" / "site")
    assert result.exit_code == dead, result.output  # the page of that service is named, and no file; a browser makes « .. » the front page
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["site"]
    assert "Le bac" in (tmp_path / "out/site/faq/bac/index.html").read_text()
    assert (tmp_path / "out/site/faq/vieux/index.html").exists()


def test_a_page_is_a_page_whatever_its_name_ends_with(make_app: MakeApp, make_kb: MakeKb, tmp_path: Path) -> None:
    article = "---\ntitle: Le bac\nservice: vie.scolaire\n---\nVoir [[FAQ_12.v2]].\n"
    kb = make_kb({"articles/a/bac.json.md": article, "articles/a/FAQ_12.v2.md": article})
    result = run(make_app(kb), tmp_path / "site")
    assert result.exit_code == 0, result.output
    for name in ("service/vie.scolaire", "FAQ_12.v2", "bac.json"):
        assert (tmp_path / "site/faq" / name / "index.html").is_file()


# ---- what the widget reads ----
def test_the_widget_reads_addresses_from_the_root_of_the_folder(folder: Path) -> None:
    services = json.loads((folder / "api/public/v1/services").read_text())
    assert services["index"] == "api/public/v1/index.json"
    assert services["url"] == "faq/"
    assert services["services"][0]["url"] == "faq/service/dechets/"
    answer = json.loads((folder / "api/public/v1/articles/bac").read_text())
    assert answer["url"] == "faq/bac/"
    assert 'href="faq/verre/"' in answer["answer_html"]
    assert "https" not in json.dumps(services)


def test_the_index_knows_the_words_of_the_public_answers(folder: Path) -> None:
    index = json.loads((folder / "api/public/v1/index.json").read_text())
    known = index["words"].split(" ")
    assert known == sorted(known)
    slugs = [one["slug"] for one in index["answers"]]
    for word, slug in (("bac", "bac"), ("colonne", "verre"), ("vitrine", "vitrine")):
        posting = index["postings"][index["terms"][known.index(word)]]
        assert slug in [slugs[document] for document in posting[::2]]
        assert all(score > 0 for score in posting[1::2])
    assert index["contacts"]["dechets"]["phone"] == "01 02"


# ---- the folder ----
def test_a_second_export_is_the_same_and_forgets_what_is_gone(planted: Planted, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    assert run(planted.app, target).exit_code == 0
    (target / "faq/parti").mkdir()
    (target / "faq/parti/index.html").write_text("hier")
    assert run(planted.app, target).exit_code == 0
    assert files(target) == files(folder)
    assert [path.name for path in tmp_path.iterdir() if path.name != "site"] == []


@pytest.mark.parametrize("content", ["un fichier", "un dossier"])
def test_what_is_not_an_export_is_left_alone(planted: Planted, tmp_path: Path, content: str) -> None:
    target = tmp_path / "documents"
    kept = target
    if content == "un dossier":
        target.mkdir()
        kept = target / "these.odt"
    kept.write_text("dix ans de travail")
    result = run(planted.app, target)
    assert result.exit_code == 1
    assert "choisissez un autre dossier" in result.output
    assert kept.read_text() == "dix ans de travail"


def test_a_full_disk_leaves_the_former_export(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "site"
    assert run(planted.app, target).exit_code == 0
    before = files(target)
    written = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "sitemap.xml":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run(planted.app, target)
    assert result.exit_code == 1
    assert "L'ancien est resté en place" in result.output
    assert files(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_failed_exchange_brings_the_former_export_back(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "site"
    assert run(planted.app, target).exit_code == 0
    before = files(target)
    replace = os.replace

    def fail(source: Path, where: Path) -> None:
        if Path(source).name == "new":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, where)

    monkeypatch.setattr(os, "replace", fail)
    result = run(planted.app, target)
    assert result.exit_code == 1
    assert "L'ancien est resté en place" in result.output
    assert files(target) == before


@pytest.mark.parametrize("address", ["ville.example", "ftp://ville.example"])
def test_an_address_that_is_none_is_refused(planted: Planted, tmp_path: Path, address: str) -> None:
    result = run(planted.app, tmp_path / "site", "--url", address)
    assert result.exit_code != 0
    assert "--url https://faq.ville.example" in result.output
    assert not (tmp_path / "site").exists()


def test_without_an_address_it_is_that_of_the_faq(planted: Planted, tmp_path: Path) -> None:
    result = planted.app.test_cli_runner().invoke(args=["export", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    assert '<link rel="canonical" href="https://faq.ville.example/faq/bac">' in (tmp_path / "site/faq/bac/index.html").read_text()


def test_it_says_what_it_made(planted: Planted, folder: Path, tmp_path: Path) -> None:
    result = run(planted.app, tmp_path / "site")
    made = files(folder)
    assert f"{len(made) - 1} fichiers" in result.output  # its own mark aside
    assert "aucun mort" in result.output
    mark = json.loads(made[export.MARKER])
    assert mark["files"] == len(made) - 1
    assert mark["revision"] == planted.store.head()
