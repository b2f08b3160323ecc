"""All the articles of a content folder, with their links, backlinks and aliases, as one immutable snapshot.

Guarantees: a broken article, or a second one with the same slug, is left out and reported with file and line, and the rest
works; ``refreshed`` parses again only the files that changed; no path leads out of the folder; a publication is read whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from kb import paths, render
from kb.article import MAX_ARTICLE_BYTES, Article
from kb.errors import ContentError, KbError, Problem, TemplateError, UnknownSlug
from kb.facts import FILES, Context, load_context
from kb.git_store import settled

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class _Parsed:
    """What one file gave, and the file's signature (mtime, size, inode) when it was read."""

    signature: Signature
    article: Article | None
    problem: Problem | None


@dataclass(frozen=True)
class Library:
    """A snapshot of a content folder.

    ``articles`` is ordered by path; ``problems`` lists what was left out and why.
    """

    root: Path
    articles: Mapping[str, Article]
    context: Context
    problems: tuple[Problem, ...]
    _files: Mapping[str, _Parsed] = field(repr=False)
    _context_problems: tuple[Problem, ...] = field(repr=False, default=())
    _context_signature: tuple[Signature | None, ...] = field(repr=False, default=())

    @classmethod
    def load(cls, root: Path) -> Library:
        """Read a content folder.

        Raises:
            KbError: ``root`` is not a folder.
        """
        return cls._read(root, None)

    def refreshed(self) -> Library:
        """Read again what changed on disk since this snapshot; the same object when nothing did."""
        new = self._read(self.root, self)
        same = new._files == self._files and new._context_signature == self._context_signature
        return self if same else new

    @classmethod
    def _read(cls, root: Path, old: Library | None) -> Library:
        if not root.is_dir():
            raise KbError(f"Le dossier de contenu « {root} » n'existe pas : vérifiez BIBLE_KB_DIR.")
        with settled(root):
            return cls._read_settled(root, old)

    @classmethod
    def _read_settled(cls, root: Path, old: Library | None) -> Library:
        context_signature = tuple(_signature(root / name) for name in FILES)
        if old is not None and old._context_signature == context_signature:
            context, context_problems = old.context, old._context_problems
        else:
            context, found = load_context(root)
            context_problems = tuple(found)
        files: dict[str, _Parsed] = {}
        articles: dict[str, Article] = {}
        problems = list(context_problems)
        for relative, signature in sorted(_article_files(root)):
            known = old._files.get(relative) if old else None
            parsed = known if known and known.signature == signature else _parse(root, relative, signature)
            files[relative] = parsed
            if parsed.problem:
                problems.append(parsed.problem)
            elif parsed.article and parsed.article.slug in articles:
                twin = articles[parsed.article.slug].path
                problems.append(Problem(relative, 1, f"Le nom « {parsed.article.slug} » est déjà pris par {twin} : renommez ce fichier."))
            elif parsed.article:
                articles[parsed.article.slug] = parsed.article
        return cls(root, MappingProxyType(articles), context, tuple(problems), files, context_problems, context_signature)

    def changed(self, changes: Mapping[str, str | None]) -> Library:
        """The library as it would be with some files changed; the disk is neither read nor written.

        Args:
            changes: path → new text of an article, or ``None`` where it goes; other files of the content are passed over.

        Raises:
            ContentError: a text cannot be an article, or takes the slug of another one.
        """
        articles = {slug: article for slug, article in self.articles.items() if article.path not in changes}
        for path, text in changes.items():
            if text is None or not path.startswith(f"{paths.ARTICLES}/"):
                continue
            article = Article.parse(text, path)
            check_placeholders(article)
            if article.slug in articles:
                twin = articles[article.slug].path
                raise ContentError(Problem(path, 1, f"L'adresse « {article.slug} » est déjà prise par {twin} : choisissez-en une autre."))
            articles[article.slug] = article
        return replace(self, articles=MappingProxyType(dict(sorted(articles.items(), key=lambda item: item[1].path))))

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Old slug → slug of the article that took its place."""
        return aliases_of(self.articles)

    @cached_property
    def backlinks(self) -> Mapping[str, tuple[str, ...]]:
        """Slug → slugs of the articles that link to it."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for article in self.articles.values():
            for link in article.links:
                target = self.find(link)
                if target and target.slug != article.slug and article.slug not in found[target.slug]:
                    found[target.slug].append(article.slug)
        return MappingProxyType({slug: tuple(sources) for slug, sources in found.items()})

    @cached_property
    def content_hash(self) -> str:
        """Hexadecimal digest of everything that is indexed: the articles and the synonyms."""
        digest = hashlib.blake2b(self.context.synonyms_hash.encode(), digest_size=16)
        for article in self.articles.values():
            digest.update(article.content_hash.encode())
        return digest.hexdigest()

    @property
    def service_keys(self) -> tuple[str, ...]:
        """Keys of the services that own an article or are declared, declared ones first in their order."""
        used = sorted({article.service for article in self.articles.values() if article.service})
        return tuple(dict.fromkeys((*self.context.services, *used)))

    def find(self, slug: str) -> Article | None:
        """The article of a slug, or of the old slug that it took the place of; ``None`` where there is none."""
        return self.articles.get(self.aliases.get(slug, slug))

    def get(self, slug: str) -> Article:
        """Find an article as ``find`` does.

        Raises:
            UnknownSlug: there is none.
        """
        article = self.find(slug)
        if article is None:
            raise UnknownSlug(f"Aucun article ne s'appelle « {slug[:100]} ».")
        return article

    def by_service(self, service: str) -> tuple[Article, ...]:
        """Articles of a service, ordered by title."""
        found = (article for article in self.articles.values() if article.service == service)
        return tuple(sorted(found, key=lambda article: article.title.casefold()))


def aliases_of(articles: Mapping[str, Article]) -> Mapping[str, str]:
    """Old slug → slug of the article that took its place, the first where several claim it; a slug that lives is not an old one."""
    found: dict[str, str] = {}
    for article in articles.values():
        for alias in article.meta.aliases:
            if alias not in articles:
                found.setdefault(alias, article.slug)
    return MappingProxyType(found)


def _article_files(root: Path) -> Iterator[tuple[str, Signature]]:
    """Yield (path relative to ``root``, signature) of the Markdown files under ``articles/``, hidden and linked-out ones passed over."""
    pending = [paths.ARTICLES]
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(root / folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                pending.append(f"{folder}/{entry.name}")
            elif entry.name.endswith(".md"):
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                yield f"{folder}/{entry.name}", (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _parse(root: Path, relative: str, signature: Signature) -> _Parsed:
    try:
        return _Parsed(signature, read_article(root, relative), None)
    except ContentError as error:
        return _Parsed(signature, None, error.problem)
    except UnknownSlug as error:
        return _Parsed(signature, None, Problem(relative, 1, str(error)))
    except FileNotFoundError:
        return _Parsed(signature, None, None)


def read_article(root: Path, relative: str) -> Article:
    """Read and validate one article of a content folder.

    Raises:
        ContentError: the file cannot be an article, or has a placeholder that is not allowed.
        UnknownSlug: the path leads out of the folder.
    """
    path = paths.contained(root, relative)
    if not paths.is_readable_slug(path.stem):
        raise ContentError(Problem(relative, 1, "Nom de fichier refusé : lettres, chiffres et tirets seulement, puis « .md »."))
    try:
        if path.stat().st_size > 4 * MAX_ARTICLE_BYTES:
            raise ContentError(Problem(relative, 1, f"Le fichier dépasse {MAX_ARTICLE_BYTES // 1000} ko : découpez l'article."))
        source = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(Problem(relative, 1, "Le fichier n'est pas en UTF-8 : enregistrez-le dans cet encodage.")) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ContentError(Problem(relative, 1, f"Le fichier n'a pas pu être lu ({error.strerror}).")) from error
    article = Article.parse(source, relative)
    check_placeholders(article)
    return article


def check_placeholders(article: Article) -> None:
    """Make sure that every text of the article can be rendered.

    Raises:
        ContentError: a placeholder is not allowed; the line is that of the file.
    """
    texts = [("body", article.body), ("short", article.meta.short), *(("channels", text) for text in article.meta.channels.values())]
    for key, text in texts:
        try:
            render.placeholders(text)
        except TemplateError as error:
            line = article.line_of_body() + error.line - 1 if key == "body" else article.line_of(key)
            raise ContentError(Problem(article.path, line, str(error))) from error


__all__ = ["Library", "UnknownSlug", "check_placeholders", "read_article"]
