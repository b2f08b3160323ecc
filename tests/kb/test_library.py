"""The library: what is broken is left out and reported, what did not change is not read again, nothing leads out of the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kb import library as library_module
from kb.article import Article
from kb.errors import ContentError, KbError, UnknownSlug
from kb.library import Library
from tests.kb.conftest import CARD_PATH, PASSPORT_PATH, Content

GOOD = {"passeport", "carte-identite"}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the articles that were parsed, in order."""
    seen: list[str] = []
    read = library_module.read_article

    def spy(root: Path, relative: str) -> Article:
        seen.append(relative)
        return read(root, relative)

    monkeypatch.setattr(library_module, "read_article", spy)
    return seen


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"Pas d'en-t\xc3\xaate.", 1),
        (b"---\ntitle: A\naudience: tous\n---\n", 3),
        (b"---\ntitle: caf\xe9\n---\n", 1),
        (b"---\ntitle: A\n---\n\0", 1),
        ("---\ntitle: A\n---\nBonjour.\n\nTél. {{ service.telephone }}.\n".encode(), 6),
        (b"---\ntitle: A\nshort: '{{ 7*7 }}'\n---\nBonjour.\n", 3),
        (b"---\ntitle: A\nchannels: {sms: '{% for x in y %}'}\n---\nBonjour.\n", 3),
        (b"---\r\ntitle: A\r\n---\r\nBonjour.\r\n\r\n{{ service.nom }}\r\n", 6),
        (b"---\ntitle: A\nx: " + b"a" * 5_000_000, 1),
    ],
)
def test_a_broken_article_is_left_out_and_reported(content: Content, text: bytes, line: int) -> None:
    content.write("articles/dechets/casse.md", text)
    library = content.library()
    assert set(library.articles) == GOOD
    assert [(problem.path, problem.line) for problem in library.problems] == [("articles/dechets/casse.md", line)]


def test_a_second_article_of_the_same_name_is_left_out(content: Content) -> None:
    content.write("articles/dechets/passeport.md", "---\ntitle: L'autre\n---\nBonjour.")
    library = content.library()
    # The first in the order of paths stays, whatever the file system answers.
    assert library.articles["passeport"].path == "articles/dechets/passeport.md"
    [problem] = library.problems
    assert problem.path == PASSPORT_PATH
    assert "articles/dechets/passeport.md" in problem.message


def test_an_old_name_leads_to_the_article_for_ever(content: Content) -> None:
    content.write("articles/dechets/tri.md", "---\ntitle: Tri\naliases: [ancien-tri, passeport]\n---\nBonjour. [[ancien-tri]]")
    content.write("articles/dechets/verre.md", "---\ntitle: Verre\nsee_also: [ancien-tri]\n---\nBonjour.")
    library = content.library()
    assert library.get("ancien-tri").slug == "tri"
    assert library.get("passeport").path == PASSPORT_PATH, "an alias never hides an article"
    assert library.backlinks["tri"] == ("verre",), "an old name counts, a link to oneself does not"
    with pytest.raises(UnknownSlug, match="inconnu"):
        library.get("inconnu")


def test_backlinks_are_the_articles_that_point_here(content: Content) -> None:
    content.write("articles/dechets/tri.md", "---\ntitle: Tri\nsee_also: [carte-identite, absent]\n---\n[[carte-identite]] [[passeport]]")
    library = content.library()
    assert dict(library.backlinks) == {"carte-identite": ("tri", "passeport"), "passeport": ("tri",)}


def test_refreshed_is_the_same_object_when_nothing_changed(content: Content, parsed: list[str]) -> None:
    library = content.library()
    parsed.clear()
    assert library.refreshed() is library
    assert parsed == []


def test_refreshed_reads_only_what_changed(content: Content, parsed: list[str]) -> None:
    for number in range(20):
        content.write(f"articles/dechets/a{number}.md", f"---\ntitle: Article {number}\n---\nBonjour.")
    library = content.library()
    parsed.clear()
    content.write("articles/dechets/a3.md", "---\ntitle: Changé\n---\nBonjour.")
    content.write("articles/dechets/nouveau.md", "---\ntitle: Nouveau\n---\nBonjour.")
    (content.root / CARD_PATH).unlink()
    new = library.refreshed()
    assert sorted(parsed) == ["articles/dechets/a3.md", "articles/dechets/nouveau.md"]
    assert new.articles["a3"].title == "Changé"
    assert "nouveau" in new.articles and "carte-identite" not in new.articles
    assert new.articles["a4"] is library.articles["a4"]
    assert library.articles["a3"].title == "Article 3", "a snapshot in use does not change"
    assert new.content_hash != library.content_hash


def test_a_change_of_the_same_size_is_seen(content: Content) -> None:
    path = content.write("articles/dechets/a.md", "---\ntitle: Gris\n---\nBonjour.")
    library = content.library()
    before = path.stat()
    path.write_text("---\ntitle: Vert\n---\nBonjour.")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert library.refreshed().articles["a"].title == "Vert"


def test_a_broken_article_comes_back_once_repaired(content: Content) -> None:
    path = content.write("articles/dechets/a.md", "---\ntitle: [\n---\n")
    library = content.library()
    assert library.problems
    assert library.refreshed().problems == library.problems
    path.write_text("---\ntitle: A\n---\nBonjour.")
    assert library.refreshed().problems == ()
    assert "a" in library.refreshed().articles


def test_links_out_of_the_folder_are_passed_over(content: Content, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "mdp.md").write_text("---\ntitle: Secret\n---\nBonjour.")
    (content.root / "articles/dechets").mkdir()
    (content.root / "articles/dechets/mdp.md").symlink_to(secret / "mdp.md")
    (content.root / "articles/porte").symlink_to(secret)
    (content.root / "articles/boucle").symlink_to(content.root / "articles")
    library = content.library()
    assert set(library.articles) == GOOD
    assert library.problems == ()


def test_an_articles_folder_that_is_a_link_out_gives_no_article(content: Content, tmp_path: Path) -> None:
    shutil.move(content.root / "articles", tmp_path / "ailleurs")
    (content.root / "articles").symlink_to(tmp_path / "ailleurs")
    library = content.library()
    assert not library.articles
    assert all("sort du dossier" in problem.message for problem in library.problems)


def test_hidden_and_foreign_files_are_no_articles(content: Content) -> None:
    content.write("articles/.git/a.md", "---\ntitle: A\n---\n")
    content.write("articles/dechets/.brouillon.md", "---\ntitle: A\n---\n")
    content.write("articles/dechets/notes.txt", "---\ntitle: A\n---\n")
    content.write("articles/dechets/copie.md~", "---\ntitle: A\n---\n")
    assert set(content.library().articles) == GOOD


def test_a_file_name_that_no_address_can_hold_is_reported(content: Content) -> None:
    content.write("articles/dechets/mon article.md", "---\ntitle: A\n---\n")
    [problem] = content.library().problems
    assert "Nom de fichier refusé" in problem.message


def test_a_folder_of_articles_alone_works(tmp_path: Path) -> None:
    folder = Content(tmp_path / "kb")
    folder.write("articles/FAQ_12.md", "---\ntitle: Une question\n---\nUne réponse.")
    library = folder.library()
    assert library.get("FAQ_12").title == "Une question"
    assert library.problems == ()
    assert library.service_keys == ()


def test_a_missing_folder_says_which_setting_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(KbError, match="BIBLE_KB_DIR"):
        Library.load(tmp_path / "absent")
    with pytest.raises(KbError):
        Library.load(tmp_path / "kb.md")


def test_a_folder_without_articles_is_empty(tmp_path: Path) -> None:
    assert not Library.load(tmp_path).articles


def test_services_and_their_articles(content: Content) -> None:
    content.write("articles/voirie/trou.md", "---\ntitle: Trou\n---\nBonjour.")
    library = content.library()
    assert library.service_keys == ("etat-civil", "dechets", "voirie")
    assert [article.title for article in library.by_service("etat-civil")] == ["Demander un passeport", "Refaire sa carte d'identité"]


def test_the_content_hash_covers_articles_and_synonyms(content: Content) -> None:
    before = content.library().content_hash
    assert content.library().content_hash == before
    content.write("synonyms.yml", "CNI: [carte]\n")
    after_synonyms = content.library().content_hash
    content.write(PASSPORT_PATH, "---\ntitle: Autre\n---\nBonjour.")
    assert len({before, after_synonyms, content.library().content_hash}) == 3


# ---- as it would be ----
TRI, CASSE = "articles/dechets/tri.md", "articles/dechets/casse.md"
CHANGES: dict[str, dict[str, str | None]] = {
    "nothing": {},
    "edited": {PASSPORT_PATH: "---\ntitle: Autre\nsee_also: [carte-identite]\n---\nBonjour."},
    "created": {TRI: "---\ntitle: Tri\naliases: [ancien-tri]\n---\nVoir [[passeport]]."},
    "deleted": {CARD_PATH: None},
    "renamed": {CARD_PATH: None, "articles/etat-civil/cni.md": "---\ntitle: Carte\naliases: [carte-identite]\n---\nBonjour."},
    "moved": {PASSPORT_PATH: None, "articles/accueil/passeport.md": "---\ntitle: Passeport\n---\nBonjour."},
    "moved, told in the other order": {"articles/accueil/passeport.md": "---\ntitle: Passeport\n---\nBonjour.", PASSPORT_PATH: None},
    "two that change names": {
        PASSPORT_PATH: "---\ntitle: Refaire sa carte\n---\nBonjour.",
        CARD_PATH: "---\ntitle: Demander un passeport\n---\nBonjour.",
    },
    "archived": {PASSPORT_PATH: None, "archive/etat-civil/passeport.md": "---\ntitle: Passeport\n---\nBonjour."},
    "archived beside one of the same name": {"archive/dechets/passeport.md": "---\ntitle: Passeport\n---\nBonjour."},
}


@pytest.mark.parametrize("case", CHANGES)
def test_changed_is_what_a_reading_finds_once_it_is_written(content: Content, case: str) -> None:
    library = content.library()
    assert library.aliases == {}  # worked out before: not to be kept
    assert library.backlinks
    before = dict(library.articles)
    changed = library.changed(CHANGES[case])
    for path, text in CHANGES[case].items():
        if text is None:
            (content.root / path).unlink()
        else:
            content.write(path, text)
    read = content.library()
    assert list(changed.articles.items()) == list(read.articles.items()), "the same articles, in the same order"
    assert (changed.aliases, changed.backlinks, changed.content_hash) == (read.aliases, read.backlinks, read.content_hash)
    assert changed.context == library.context
    assert dict(library.articles) == before, "a snapshot in use does not change"


@pytest.mark.parametrize(
    ("changes", "path", "line"),
    [
        ({PASSPORT_PATH: "---\ntitle: [\n---\n"}, PASSPORT_PATH, 3),
        ({TRI: "Pas d'en-tête."}, TRI, 1),
        ({TRI: "---\ntitle: Tri\n---\nTél. {{ service.telephone }}.\n"}, TRI, 4),
        ({TRI: "---\ntitle: Tri\nshort: '{{ 7*7 }}'\n---\nBonjour.\n"}, TRI, 3),
        ({"articles/dechets/passeport.md": "---\ntitle: Un autre\n---\nBonjour."}, "articles/dechets/passeport.md", 1),
        ({TRI: "---\ntitle: Tri\n---\n", "articles/voirie/tri.md": "---\ntitle: Tri\n---\n"}, "articles/voirie/tri.md", 1),
    ],
)
def test_a_change_that_would_break_an_article_is_refused(content: Content, changes: dict[str, str | None], path: str, line: int) -> None:
    library = content.library()
    with pytest.raises(ContentError) as caught:
        library.changed(changes)
    assert (caught.value.problem.path, caught.value.problem.line) == (path, line)
    assert set(library.articles) == GOOD


def test_changed_neither_reads_nor_writes(content: Content, parsed: list[str]) -> None:
    library = content.library()
    parsed.clear()
    shutil.rmtree(content.root)
    changed = library.changed({TRI: "---\ntitle: Tri\n---\nBonjour.", "services.yml": "[", "articles/absent.md": None})
    assert set(changed.articles) == GOOD | {"tri"}
    assert (changed.context, parsed, content.root.exists()) == (library.context, [], False)
