"""The static export: the public FAQ as plain files, for any web server or CDN, so that it is read even when nothing of ours runs.

Guarantees: the pages are what the routes of the live service answer, from the same templates; addresses on them are relative, so the
folder works wherever it is put; every link inside it is checked; the folder is made aside and takes the place of the former one whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

from flask import Flask
from markupsafe import escape

from kb.paths import is_readable_slug
from search import text
from search.browser_index import BrowserIndex
from search.passages import KeywordFields, synonym_table
from webapp import public, widget_script
from webapp.public import FAQ, STATIC_EXPORT, PublicFaq, is_public_path, public_faq
from webapp.routes import widget_api
from webapp.security import CONTENT_SECURITY_POLICY

MARKER = "bible-export.json"
API = "/api/public/v1"
INDEX = f"{API}/index.json"
NOT_FOUND = "404.html"
# Of what the best answer could score, the share under which nothing is shown. On the development messages it refuses one off-topic
# message in seven and one right answer in twenty-five: words alone tell them apart badly, and a title that is shown does no harm.
ANSWERED_FROM = 0.2
PREFERENCE = 0.1
# A policy in the page itself, for servers that send none; who may frame a page can only be said in a header.
_POLICY = "; ".join(rule for rule in CONTENT_SECURITY_POLICY.split("; ") if not rule.startswith("frame-ancestors"))
_CHARSET = '<meta charset="utf-8">'
_TAG = re.compile(r"""<[a-z](?:[^<>"]|"[^"]*")*>""")
_ADDRESS = re.compile(r"""(?<= )(href|src)="([^"]*)\"""")
_ID = re.compile(r'(?<= )id="([^"]*)"')


class ExportError(Exception):
    """The export cannot be made; the message says what to do, in French."""


@dataclass(frozen=True)
class DeadLink:
    """A link inside the export that leads nowhere: the file that holds it, and its address on the live service."""

    file: str
    address: str

    def __str__(self) -> str:
        return f"{self.file} : le lien {self.address} ne mène à rien"


@dataclass(frozen=True)
class Export:
    """What was written: numbers of pages and of files, their size in bytes, the links that were checked, and those that are dead."""

    pages: int
    files: int
    size: int
    links: int
    dead: tuple[DeadLink, ...]


@dataclass
class _Site:
    """The files of an export in the making."""

    files: dict[str, bytes] = field(default_factory=dict)
    # HTML file → its links into the export, as (address, file, fragment).
    links: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)

    def dead_links(self) -> Iterator[DeadLink]:
        ids = {name: set(_ID.findall(body.decode())) for name, body in self.files.items() if name in self.links}
        for name, links in self.links.items():
            for address, target, fragment in links:
                if target not in self.files or (fragment and fragment not in ids.get(target, ())):
                    yield DeadLink(name, address)


def write(app: Flask, target: Path) -> Export:
    """Write the public FAQ of an application as files.

    Args:
        app: an application that opens no engine, whose ``site_url`` is where the folder will be served and ``public_url`` its FAQ.
        target: the folder to make, or a former export to replace.

    Raises:
        ExportError: the folder holds something else, or cannot be written.
    """
    if target.exists() and not (target.is_dir() and ((target / MARKER).exists() or not any(target.iterdir()))):
        raise ExportError(f"« {target} » contient autre chose qu'un export : choisissez un autre dossier, ou videz celui-ci.")
    site = _collect(app)
    store = app.extensions["bible"].store
    revision = store.head() if store.is_repository else None
    dead = tuple(sorted(set(site.dead_links()), key=str))
    report = Export(len(site.links), len(site.files), sum(map(len, site.files.values())), sum(map(len, site.links.values())), dead)
    site.files[MARKER] = _json({"revision": revision, "pages": report.pages, "files": report.files})
    try:
        _replace(target, site.files)
    except OSError as error:
        raise ExportError(f"L'export n'a pas pu être écrit dans « {target} » ({error.strerror}). L'ancien est resté en place.") from error
    return report


def _replace(target: Path, files: dict[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        new, old = aside / "new", aside / "old"
        for name, body in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


# ---- pages ----
def _collect(app: Flask) -> _Site:
    """Fetch every public page from the application, follow their links, and lay them out as files.

    No context stays open meanwhile: the requests would share it, and the language of the first one.
    """
    base = app.extensions["bible"].settings.site_url
    # Without the folder that the site may be in: the application would write its own addresses under it.
    server = base.removesuffix(urlsplit(base).path)
    client = app.test_client(use_cookies=False)
    with app.test_request_context(FAQ, base_url=server):
        faq = public_faq()
        scripts, language = [script.address for script in widget_script.all_versions()], public.content_language()
    site = _Site()
    seeds = [FAQ, f"{FAQ}?embed=1", f"{FAQ}/recherche", f"{FAQ}/feed.xml", "/sitemap.xml", "/robots.txt"]
    seeds += ["/widget.js", "/widget.json", *scripts, f"{API}/services"]
    seeds += [f"{FAQ}/service/{quote(key)}" for key in faq.services if key]
    for slug in (*faq.articles, *filter(is_readable_slug, faq.aliases)):
        seeds += [faq.path(slug), f"{API}/articles/{quote(slug, safe='')}"]
    waiting = deque(dict.fromkeys(seeds))
    seen = set(waiting)
    while waiting:
        address = waiting.popleft()
        if not _is_writable(address):
            continue  # a link that leads there is dead
        response = client.get(address, base_url=server, environ_overrides={STATIC_EXPORT: True})
        name = _file(address)
        if response.status_code == 301:
            location = urljoin(address, urlsplit(response.headers["Location"])._replace(scheme="", netloc="").geturl())
            site.files[name], site.links[name] = _redirection(name, location, language)
        elif response.status_code != 200:
            continue  # an old name that was only ever internal; a link that leads there is dead
        elif response.mimetype == "text/html":
            body, links = _page(response.text, address, name)
            site.files[name], site.links[name] = body, links
            for link, _file_name, _fragment in links:
                asked = link.partition("#")[0]
                if asked not in seen and _is_ours(asked):
                    seen.add(asked)
                    waiting.append(asked)
        elif response.mimetype == "application/json" and address.startswith(API):
            site.files[name] = _json(_moved(response.get_json(), base))
        else:
            site.files[name] = response.data
        response.close()
    site.files["index.html"], site.links["index.html"] = _redirection("index.html", FAQ, language)
    missing = client.get(f"{FAQ}/{NOT_FOUND}", base_url=server, environ_overrides={STATIC_EXPORT: True}).text
    # It is sent for any address, so its own links start from the root of the site.
    site.files[NOT_FOUND], site.links[NOT_FOUND] = _page(missing, FAQ, NOT_FOUND, root=f"{urlsplit(base).path}/")
    site.files["widget-search.js"] = (Path(app.static_folder or "") / "widget" / "search.js").read_bytes()
    services = json.loads(site.files[_file(f"{API}/services")])
    site.files[_file(f"{API}/services")] = _json(services | {"index": INDEX.lstrip("/")})
    site.files[_file(INDEX)] = _json(_browser_index(faq, lambda slug: _relative("", _file(faq.path(slug)))))
    return site


def _is_ours(address: str) -> bool:
    path = urlsplit(address).path
    return is_public_path(path) or path.startswith("/static/")


def _is_writable(address: str) -> bool:
    """Tell whether an address can be a file of the export: a service is whatever an article says, and « .. » would climb out."""
    return not {".", ".."} & set(unquote(urlsplit(address).path).split("/"))


def _file(address: str) -> str:
    """Name of the file for an address of the live service; a page becomes a folder, and so does what its query asks for."""
    parts = urlsplit(address)
    path = unquote(parts.path).strip("/")
    if path and (f"/{path}" == f"{FAQ}/feed.xml" or not f"/{path}/".startswith((f"{FAQ}/", "/demo-widget/"))):
        return path
    asked = parse_qs(parts.query)
    return str(PurePosixPath(*asked.get("lang", []), *(["embed"] if "embed" in asked else []), path, "index.html"))


def _relative(origin: str, name: str) -> str:
    """Address of a file as seen from another one (``""``: from the root), a folder for a page."""
    shown = name.removesuffix("index.html")
    start = PurePosixPath(origin).parent
    found = os.path.relpath(shown or ".", start) + ("/" if shown != name else "")
    return quote(found)


def _page(source: str, address: str, name: str, root: str | None = None) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Make the addresses of a page those of files.

    Args:
        source: the page as the service sends it.
        address: where the service has it.
        name: the file that it becomes.
        root: what its links start with; relative to the file by default.

    Returns:
        The page, and its links into the export.
    """
    links: list[tuple[str, str, str]] = []

    def move(match: re.Match[str]) -> str:
        attribute, given = match.groups()
        parts = urlsplit(given.replace("&amp;", "&"))
        if parts.scheme or parts.netloc:
            return match.group()
        full = urljoin(address, parts.geturl())
        moved = urlsplit(full)
        target = _file(full)
        links.append((full, target, unquote(moved.fragment)))
        if not parts.path and not parts.query:
            return match.group()
        where = _relative(name, target) if root is None else root + _relative("", target)
        version = f"?{moved.query}" if moved.path.startswith("/static/") and moved.query else ""
        fragment = f"#{moved.fragment}" if moved.fragment else ""
        return f'{attribute}="{escape(where + version + fragment)}"'

    page = _TAG.sub(lambda tag: _ADDRESS.sub(move, tag.group()), source)
    policy = f'{_CHARSET}\n  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    return page.replace(_CHARSET, policy, 1).encode(), links


def _redirection(name: str, address: str, language: str) -> tuple[bytes, list[tuple[str, str, str]]]:
    """A page that leads to another one, where no server can say so."""
    target = _file(address)
    where = escape(_relative(name, target))
    page = (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n  {_CHARSET}\n  <meta name="robots" content="noindex">\n'
        f'  <meta http-equiv="refresh" content="0; url={where}">\n  <title>→</title>\n</head>\n'
        f'<body><p><a href="{where}">{where}</a></p></body>\n</html>\n'
    )
    return page.encode(), [(address, target, "")]


# ---- what the widget reads ----
def _moved(data: object, base: str) -> object:
    """Make the addresses of an answer relative to the root of the export, where the widget starts from."""
    if isinstance(data, dict):
        return {key: _moved(value, base) for key, value in data.items()}
    if isinstance(data, list):
        return [_moved(value, base) for value in data]
    if not isinstance(data, str):
        return data
    if data.startswith(f"{base}{FAQ}"):
        return _relative("", _file(data.removeprefix(base)))
    return _TAG.sub(lambda tag: _ADDRESS.sub(lambda link: f'{link[1]}="{_moved(link[2], base)}"', tag.group()), data)


def _browser_index(faq: PublicFaq, url: Callable[[str], str]) -> dict[str, object]:
    synonyms = synonym_table(faq.context.synonyms)
    articles = list(faq.articles.values())
    documents = [
        KeywordFields(
            title=article.title,
            questions="\n".join(article.meta.questions),
            tags="\n".join(article.meta.tags),
            # As the public reads them: a link to an internal article would bring its name.
            lead=faq.plain(article, article.lead),
            body=faq.plain(article, article.details),
            synonyms=synonyms.expand((article.title, *article.meta.questions, *article.meta.tags)),
        )
        for article in articles
    ]
    index = BrowserIndex.of(documents)
    contacts = {"": faq.contact()} | {key: faq.context.service(key) for key in faq.services if key}
    return {
        "answers": [{"slug": one.slug, "title": one.title, "service": one.service, "url": url(one.slug)} for one in articles],
        "words": " ".join(index.words),
        "terms": index.terms,
        "postings": index.postings,
        "typical": index.typical,
        "stop": " ".join(sorted(text.STOP_WORDS)),
        "answered_from": ANSWERED_FROM,
        "preference": PREFERENCE,
        "contacts": {key: widget_api.contact_of(service).model_dump() for key, service in contacts.items()},
    }


def _json(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
