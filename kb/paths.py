"""Where things are in a content folder, and slugs that can never climb out of it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from kb.errors import UnknownSlug

ARTICLES = "articles"
ARCHIVE = "archive"
ORGANISATION = "organisation.yml"
SERVICES = "services.yml"
CHANNELS = "channels.yml"
SYNONYMS = "synonyms.yml"

SLUG_PATTERN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# What is read is wider than what is created: a folder that another tool made may hold "FAQ_12.md".
READABLE_SLUG = re.compile(r"\w[\w.-]{0,199}")
# Folders were made by hand: « vie scolaire », « arts & culture ».
READABLE_FOLDER = re.compile(r"\w(?:[\w .,'’&()+-]{0,198}[\w)])?")


def is_slug(text: str) -> bool:
    """Tell whether ``text`` may name a new article: lower-case letters, digits and single dashes, 100 characters at most."""
    return len(text) <= 100 and SLUG_PATTERN.fullmatch(text) is not None


def is_readable_slug(text: str) -> bool:
    """Tell whether ``text`` may name an article that exists: no separator, no leading dot, 200 characters at most."""
    return READABLE_SLUG.fullmatch(text) is not None and ".." not in text


def is_readable_folder(text: str) -> bool:
    """Tell whether ``text`` may name a folder of articles: as a slug, and words in it; never « x.md », which would hide the article x."""
    return READABLE_FOLDER.fullmatch(text) is not None and ".." not in text and not text.endswith(".md")


def slugify(title: str) -> str:
    """Make a slug from a title: accents folded, everything else a dash."""
    decomposed = unicodedata.normalize("NFKD", title.lower().replace("œ", "oe").replace("æ", "ae"))
    folded = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:100].rstrip("-")


def article_path(service: str, slug: str) -> str:
    """Path of an article relative to the content folder.

    Raises:
        UnknownSlug: the service or the slug is not one that a path may hold.
    """
    if not (is_readable_slug(service) and is_readable_slug(slug)):
        raise UnknownSlug(f"« {service}/{slug} » n'est pas une adresse d'article valable.")
    return f"{ARTICLES}/{service}/{slug}.md"


def contained(root: Path, relative: str) -> Path:
    """Resolve ``relative`` under ``root``, links followed.

    Raises:
        UnknownSlug: the result would lie outside ``root``.
    """
    base = root.resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise UnknownSlug(f"« {relative} » sort du dossier de contenu.")
    return path
