"""Slugs and paths: nothing that a user types can name a file outside the content folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb import paths
from kb.errors import UnknownSlug

CLIMBING = [
    "../secret", "..", ".", "", "a/b", "a\\b", "/etc/passwd", "a/../../b", ".git", "a\0b", "a\n", "\n", "a..b", "~root",
    "%2e%2e", "é/è", "x" * 201,
]  # fmt: skip


@pytest.mark.parametrize("slug", CLIMBING)
def test_a_climbing_name_makes_no_path(slug: str) -> None:
    with pytest.raises(UnknownSlug):
        paths.article_path("etat-civil", slug)
    with pytest.raises(UnknownSlug):
        paths.article_path(slug, "passeport")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_path_that_is_made_stays_in_its_folder(service: str, slug: str) -> None:
    try:
        path = paths.article_path(service, slug)
    except UnknownSlug:
        return
    root = Path("/srv/kb")
    assert paths.contained(root, path) == root / paths.ARTICLES / service / f"{slug}.md"


@pytest.mark.parametrize("relative", ["../kb-secret/a.md", "articles/../../a.md", "/etc/passwd", "articles/x/../../../a"])
def test_contained_refuses_what_leads_out(tmp_path: Path, relative: str) -> None:
    root = tmp_path / "kb"
    root.mkdir()
    with pytest.raises(UnknownSlug):
        paths.contained(root, relative)


def test_contained_follows_links_before_it_judges(tmp_path: Path) -> None:
    root, outside = tmp_path / "kb", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "door").symlink_to(outside)
    with pytest.raises(UnknownSlug):
        paths.contained(root, "door/a.md")


@pytest.mark.parametrize("slug", ["Passeport", "a_b", "a--b", "-a", "a-", "é", "a.b", "a b", "a\n", "x" * 101, ""])
def test_a_new_slug_is_strict(slug: str) -> None:
    assert not paths.is_slug(slug)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Faire sa carte d’identité", "faire-sa-carte-d-identite"),
        ("Faire sa carte d'identité", "faire-sa-carte-d-identite"),
        ("Œuvres d'art à l'école", "oeuvres-d-art-a-l-ecole"),
        ("Permis n° 3 – « été »", "permis-n-3-ete"),
        ("Tarif : 12 € / an", "tarif-12-an"),
    ],
)
def test_a_title_gives_the_slug_that_a_french_reader_expects(title: str, slug: str) -> None:
    assert paths.slugify(title) == slug


@given(st.text(max_size=300))
def test_slugify_gives_a_valid_slug_or_nothing(title: str) -> None:
    slug = paths.slugify(title)
    assert slug == "" or paths.is_slug(slug)
