"""The archived articles: what is listed, what is read, and that nothing outside the archive can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.archive import list_archived, read_archived
from kb.errors import UnknownSlug

ARTICLE = "---\ntitle: {title}\n---\nTexte."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A content folder with two archived articles, a live one and a secret beside it."""
    write(tmp_path / "secret.md", "---\ntitle: Secret\n---\nSecret.")
    write(tmp_path / "kb/articles/dechets/bac.md", ARTICLE.format(title="Le bac"))
    write(tmp_path / "kb/archive/dechets/compost.md", ARTICLE.format(title="Le compost"))
    write(tmp_path / "kb/archive/accueil/fax.md", ARTICLE.format(title="Le fax"))
    return tmp_path / "kb"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_archived_articles_are_listed_by_path(folder: Path) -> None:
    found = list_archived(folder)
    assert [(one.name, one.slug, one.title) for one in found] == [
        ("accueil/fax", "fax", "Le fax"),
        ("dechets/compost", "compost", "Le compost"),
    ]
    # The folder is the service, as it is for a live article.
    assert [one.article.service for one in found if one.article] == ["accueil", "dechets"]


def test_a_folder_without_an_archive_has_none(tmp_path: Path) -> None:
    assert list_archived(tmp_path) == ()


@pytest.mark.parametrize("name", ["compost", "dechets/compost"])
def test_an_archived_article_is_read_by_its_slug_or_its_path(folder: Path, name: str) -> None:
    assert read_archived(folder, name).title == "Le compost"


def test_two_services_may_have_archived_the_same_slug(folder: Path) -> None:
    write(folder / "archive/voirie/fax.md", ARTICLE.format(title="Le fax de la voirie"))
    assert [read_archived(folder, name).title for name in ("accueil/fax", "voirie/fax")] == ["Le fax", "Le fax de la voirie"]


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "bac", "../articles/dechets/bac", "../../secret", "/etc/passwd", "dechets", "dechets/", "compost.md", "fax\0",
        "dechets/../dechets/compost", "dechets//compost", "..\\secret", "%2e%2e/secret", "Compost", "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_archived_is_not_read(folder: Path, name: str) -> None:
    with pytest.raises(UnknownSlug):
        read_archived(folder, name)


def test_links_are_not_followed(folder: Path) -> None:
    (folder / "archive/dechets/lien.md").symlink_to(folder.parent / "secret.md")
    (folder / "archive/ailleurs").symlink_to(folder / "articles/dechets", target_is_directory=True)
    assert [one.slug for one in list_archived(folder)] == ["fax", "compost"]
    for name in ("lien", "dechets/lien", "ailleurs/bac", "bac"):
        with pytest.raises(UnknownSlug):
            read_archived(folder, name)


def test_an_archive_that_is_itself_a_link_is_passed_over(folder: Path) -> None:
    (folder / "archive").rename(folder.parent / "elsewhere")
    (folder / "archive").symlink_to(folder.parent / "elsewhere", target_is_directory=True)
    assert list_archived(folder) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no front matter", "en-tête"), (b"---\ntitle: caf\xe9\n---\n", "UTF-8"), (b"---\ntitle: a\n---\n{{ secret }}", "variable")],
)
def test_a_broken_file_is_listed_with_its_problem(folder: Path, content: bytes, words: str) -> None:
    (folder / "archive/dechets/casse.md").write_bytes(content)
    found = {one.slug: one for one in list_archived(folder)}
    assert set(found) == {"fax", "compost", "casse"}
    broken = found["casse"]
    assert broken.article is None
    assert broken.title == "casse"
    assert broken.problem is not None
    assert words in broken.problem.message
    assert broken.problem.path == "archive/dechets/casse.md"
