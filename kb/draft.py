"""An article as a form knows it: plain texts and lists, without YAML or line ends. No input or output.

Guarantees: a draft read from an article and applied to it unchanged gives the same bytes; only the keys and the part of the body
that changed are rewritten; every error names its field, and all of them are found at once.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kb import paths
from kb.article import MAX_ARTICLE_BYTES, MAX_FRONT_MATTER_CHARS, Article
from kb.errors import ContentError, KbError

MAX_TITLE_CHARS = 300
MAX_ITEM_CHARS = 1000
MAX_ITEMS = 500
MAX_TEXT_CHARS = 20_000
CHANNEL_PREFIX = "channels."

# Field → what people call it.
LABELS: Mapping[str, str] = {
    "title": "Titre",
    "slug": "Adresse",
    "service": "Service",
    "audience": "Public visé",
    "kind": "Nature",
    "lead": "Réponse",
    "details": "Suite de la page",
    "short": "Réponse courte",
    "questions": "Questions",
    "tags": "Étiquettes",
    "see_also": "Voir aussi",
    "sources": "Sources",
    "reviewed_on": "Relu le",
    "review_by": "À relire avant le",
    "channels": "Textes par canal",
    "aliases": "Anciennes adresses",
}
CHOICES: Mapping[str, Mapping[str, str]] = {
    "audience": {"public": "public", "internal": "interne"},
    "kind": {"answer": "réponse", "advice": "conseil aux agents"},
}


def label_of(name: str) -> str:
    """Say what people call a field; a channel's text is ``channels.<key>``."""
    if name.startswith(CHANNEL_PREFIX):
        return f"Texte du canal « {name.removeprefix(CHANNEL_PREFIX)} »"
    return LABELS.get(name, name)


@dataclass(frozen=True)
class DraftError:
    """What is wrong in one field, in French."""

    field: str
    message: str


class DraftRefused(KbError):
    """A draft that cannot be an article; ``errors`` has every reason."""

    def __init__(self, errors: list[DraftError]) -> None:
        super().__init__(" ".join(f"{label_of(error.field)} : {error.message}" for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Draft:
    """The fields of an article. Dates are ISO text or empty; ``lead`` and ``details`` are Markdown with plain line ends."""

    slug: str = ""
    service: str = ""
    audience: str = "public"
    kind: str = "answer"
    title: str = ""
    lead: str = ""
    details: str = ""
    questions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    short: str = ""
    see_also: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    reviewed_on: str = ""
    review_by: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_article(cls, article: Article) -> Draft:
        """Read the fields of an article."""
        meta = article.meta
        return cls(
            slug=article.slug,
            service=article.service,
            audience=meta.audience,
            kind=meta.kind,
            title=meta.title,
            lead=article.lead,
            details=article.details,
            questions=meta.questions,
            tags=meta.tags,
            short=meta.short,
            see_also=meta.see_also,
            sources=tuple((source.title, source.url) for source in meta.sources),
            reviewed_on=meta.reviewed_on.isoformat() if meta.reviewed_on else "",
            review_by=meta.review_by.isoformat() if meta.review_by else "",
            channels=meta.channels,
        ).normalised()

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Draft:
        """Read what a form posts, right or wrong: ``problems`` says what to correct.

        Args:
            form: field → text. A list is one item a line, a source « Titre | https://… », a channel's text is ``channels.<key>``. A
                field that is absent is empty; without ``slug``, the title makes one.
        """
        values: dict[str, object] = {name: form.get(name, "") for name in _TEXT_FIELDS}
        values |= {name: tuple(_clean(form.get(name, "")).split("\n")) for name in _LIST_FIELDS}
        values["sources"] = tuple(_source(line) for line in _clean(form.get("sources", "")).split("\n"))
        values["channels"] = {key.removeprefix(CHANNEL_PREFIX): form[key] for key in form if key.startswith(CHANNEL_PREFIX)}
        values["audience"] = form.get("audience", "") or "public"
        values["kind"] = form.get("kind", "") or "answer"
        draft = cls(**values).normalised()  # type: ignore[arg-type]
        return draft if draft.slug else replace(draft, slug=paths.slugify(draft.title))

    def to_form(self) -> dict[str, str]:
        """Give the texts to show in a form; ``from_form`` reads them back."""
        values = {name: str(getattr(self, name)) for name in _TEXT_FIELDS}
        values |= {name: "\n".join(getattr(self, name)) for name in _LIST_FIELDS}
        values["sources"] = "\n".join(source_line(source) for source in self.sources)
        return values | {f"{CHANNEL_PREFIX}{key}": text for key, text in self.channels.items()}

    def normalised(self) -> Draft:
        """Return the same draft as it is kept: NFC, no control characters, no trailing spaces, no empty items."""
        values: dict[str, object] = {name: _one_line(getattr(self, name)) for name in _LINE_FIELDS}
        values |= {name: _text(getattr(self, name)) for name in ("lead", "details", "short")}
        values |= {name: tuple(item for text in getattr(self, name) if (item := _one_line(text))) for name in _LIST_FIELDS}
        values["sources"] = tuple(source for pair in self.sources if any(source := _tidy_source(*pair)))
        channels = {_one_line(key): _text(text) for key, text in self.channels.items()}
        values["channels"] = {key: text for key, text in channels.items() if key and text}
        return Draft(**values)  # type: ignore[arg-type]

    def problems(self, article: Article | None = None) -> list[DraftError]:
        """Say what is wrong, field by field; what an article already had is left alone.

        Args:
            article: the article that the draft changes, or ``None`` for a new one.
        """
        draft = self.normalised()
        before = Draft.from_article(article) if article else None
        changed = set(draft.changed_from(before))
        if {"lead", "details"} & changed:
            changed |= {"lead", "details"}
        found = [error for error in _problems(draft) if error.field in changed]
        if not found:
            try:
                draft.written_on(article)
            except ContentError as error:
                found.append(DraftError("title", error.problem.message))
        return found

    def changed_from(self, before: Draft | None) -> tuple[str, ...]:
        """List the fields that differ from another draft, every one when there is none; a channel's is ``channels.<key>``."""
        names: list[str] = []
        for item in fields(self):
            if item.name == "channels":
                old = before.channels if before else {}
                names += [
                    f"{CHANNEL_PREFIX}{key}" for key in dict.fromkeys((*old, *self.channels)) if old.get(key) != self.channels.get(key)
                ]
            elif before is None or getattr(self, item.name) != getattr(before, item.name):
                names.append(item.name)
        return tuple(names)

    def applied_to(self, article: Article | None) -> Article:
        """Write the draft on an article, or as a new one.

        Args:
            article: what the draft changes; its aliases, other keys, comments and every byte that no change concerns stay.

        Raises:
            DraftRefused: some fields are wrong; all of them are told.
        """
        errors = self.problems(article)
        if errors:
            raise DraftRefused(errors)
        return self.written_on(article)

    def written_on(self, article: Article | None) -> Article:
        """Write the draft as ``applied_to`` does, its fields unchecked: for text that both sides of a merge already had.

        Raises:
            ContentError: the result would not be a valid article.
            DraftRefused: the slug or the service cannot name a file.
        """
        draft = self.normalised()
        if article is None:
            meta = {key: value for key in _META_FIELDS if (value := draft._value(key)) is not None}
            if draft.kind == "answer":
                del meta["kind"]
            if errors := list(_name_problems(draft.slug, draft.service)):
                raise DraftRefused(errors)
            return Article.new(draft.slug, draft.service, meta, _joined(draft.lead, "\n\n", draft.details))
        before = Draft.from_article(article)
        if (draft.slug, draft.service) != (before.slug, before.service):
            article = renamed(article, draft.slug, draft.service)
        changes = {key: draft._value(key) for key in _META_FIELDS if getattr(draft, key) != getattr(before, key)}
        same_body = (draft.lead, draft.details) == (before.lead, before.details)
        if not changes and same_body:
            return article
        return article.edited(changes, None if same_body else _body(article, before, draft))

    def _value(self, key: str) -> object:
        """Value of a front-matter key, ``None`` for one that says nothing."""
        value = getattr(self, key)
        if key == "sources":
            pairs = ({"title": title, "url": url} for title, url in value)
            return [{name: text for name, text in pair.items() if text} for pair in pairs] or None
        if key in ("reviewed_on", "review_by"):
            # A text that is no date is refused with the article's other values.
            return (dt.date.fromisoformat(value) if _is_date(value) else value) or None
        if key == "channels":
            return dict(value) or None
        return (list(value) if isinstance(value, tuple) else value) or None


_LINE_FIELDS = ("slug", "service", "audience", "kind", "title", "reviewed_on", "review_by")
_TEXT_FIELDS = (*_LINE_FIELDS, "lead", "details", "short")
_LIST_FIELDS = ("questions", "tags", "see_also")
_META_FIELDS = ("title", "audience", "kind", *_LIST_FIELDS[:2], "short", "see_also", "sources", "reviewed_on", "review_by", "channels")


def renamed(article: Article, slug: str, service: str) -> Article:
    """Give an article another slug or service; its old slug keeps redirecting.

    Args:
        article: the article to rename.
        slug: the new name; one of its old names is taken back out of the aliases.
        service: the service that owns it from now on.

    Raises:
        DraftRefused: the slug or the service cannot name a file.
    """
    if (slug, service) == (article.slug, article.service):
        return article
    if errors := list(_name_problems(slug, service, article)):
        raise DraftRefused(errors)
    changes: dict[str, object] = {}
    if slug != article.slug:
        aliases = [alias for alias in dict.fromkeys((*article.meta.aliases, article.slug)) if alias != slug]
        changes["aliases"] = aliases
    if service != article.service:
        changes["service"] = service
    path = paths.article_path(service, slug) if service else str(PurePosixPath(article.path).with_name(f"{slug}.md"))
    return Article.parse(article.edited(changes).source, path)


def source_line(source: tuple[str, str]) -> str:
    """Write a source as people type it: « Titre | https://… »."""
    title, url = source
    if url:
        return f"{title} | {url}" if title else url
    return f"{title} |" if "|" in title or _LOOKS_LIKE_ADDRESS.match(title) else title


def _source(line: str) -> tuple[str, str]:
    title, bar, url = line.rpartition("|")
    if bar:
        return title, url
    return ("", line) if _LOOKS_LIKE_ADDRESS.match(line.strip()) else (line, "")


_LOOKS_LIKE_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:|www\.)\S*$", re.IGNORECASE)


def _tidy_source(title: str, url: str) -> tuple[str, str]:
    # The bar separates title and address in a form.
    title, url = _one_line(title), _one_line(url).replace("|", "%7C")
    if title == url:  # a source written as one text, which the model reads as both
        return ("", url) if _LOOKS_LIKE_ADDRESS.match(url) else (title, "")
    return title, url


# Texts.

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
# Bidirectional marks can show a text in another order than it is read.
_INVISIBLE = frozenset("\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _clean(text: str) -> str:
    """Normalise to NFC with plain line ends, no control, private-use or unpaired character."""
    text = _LINE_ENDS.sub("\n", text)
    if not text.isprintable():
        text = "".join(
            character
            for character in text
            if character in "\n\t" or (character not in _INVISIBLE and unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn"))
        )
    return unicodedata.normalize("NFC", text)


def _one_line(text: str) -> str:
    # No-break spaces stay: French punctuation needs them.
    return re.sub(r"[ \t\n]+", " ", _clean(text)).strip()


def _text(text: str) -> str:
    lines = _clean(text).strip().split("\n")
    kept = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        bare = line.rstrip(" \t")
        # Two spaces at the end of a line are Markdown's line break.
        breaks = bool(bare) and line.endswith("  ") and bool(following.strip(" \t"))
        kept.append(bare + "  " if breaks else bare)
    return "\n".join(kept).strip()


def _joined(lead: str, separator: str, details: str) -> str:
    return separator.join(part for part in (lead, details) if part)


def _body(article: Article, before: Draft, draft: Draft) -> str:
    """Write the body with the part that changed replaced and the other to the byte."""
    body = article.body
    newline = "\r\n" if "\r\n" in article.source else "\n"
    end = body[len(body.rstrip()) :]
    end = end[_first_line_end(end) :] or newline
    details_at = len(body.rstrip()) - len(article.details)
    lead_part = body[:details_at]
    start = lead_part[: len(lead_part) - len(lead_part.lstrip())] if article.lead else newline
    start = start[: start.rfind("\n") + 1] or newline
    between = newline * 2
    if article.lead and article.details:
        after = lead_part[len(lead_part.rstrip()) :]
        between = after[_first_line_end(after) :] or between
    lead = article.lead if draft.lead == before.lead else draft.lead.replace("\n", newline)
    details = article.details if draft.details == before.details else draft.details.replace("\n", newline)
    if draft.lead == before.lead and article.lead:
        # The first line may be indented, and the end of the last one may mean something.
        lead, start = lead_part[: len(lead_part.rstrip())][len(start) :], lead_part[: len(start)]
    return start + _joined(lead, between, details) + end


def _first_line_end(spaces: str) -> int:
    match = re.search(r"[\r\n]", spaces)
    return match.start() if match else len(spaces)


# What may be wrong.


def _problems(draft: Draft) -> Iterator[DraftError]:
    yield from _name_problems(draft.slug, draft.service)
    if not draft.title:
        yield DraftError("title", "Écrivez un titre.")
    elif len(draft.title) > MAX_TITLE_CHARS:
        yield DraftError("title", f"Le titre fait {len(draft.title)} caractères : ramenez-le à {MAX_TITLE_CHARS}.")
    for name, choices in CHOICES.items():
        if getattr(draft, name) not in choices:
            yield DraftError(name, "Choisissez une valeur de la liste.")
    yield from _body_problems(draft)
    texts = {"short": draft.short} | {f"{CHANNEL_PREFIX}{key}": text for key, text in draft.channels.items()}
    for name, text in texts.items():
        if len(text) > MAX_TEXT_CHARS:
            yield DraftError(name, f"Ce texte fait {len(text)} caractères : ramenez-le à {MAX_TEXT_CHARS}.")
    for key in draft.channels:
        if not re.fullmatch(r"[\w-]{1,50}", key):
            yield DraftError(f"{CHANNEL_PREFIX}{key}", "Ce canal n'existe pas.")
    for name in _LIST_FIELDS:
        yield from _list_problems(name, getattr(draft, name))
    yield from _list_problems("sources", tuple(map(source_line, draft.sources)))
    for _, url in draft.sources:
        if url and not _is_web_address(url):
            yield DraftError("sources", f"« {url[:100]} » n'est pas une adresse : elle doit commencer par https:// ou http://.")
    for slug in draft.see_also:
        if not paths.is_readable_slug(slug):
            yield DraftError("see_also", f"« {slug[:100]} » n'est pas le nom d'un article.")
    yield from _date_problems(draft)
    front = sum(len(item) for name in _META_FIELDS for item in _strings(getattr(draft, name)))
    if front > MAX_FRONT_MATTER_CHARS:
        yield DraftError(
            "questions", f"Les champs hors réponse et suite de la page font {front} caractères : {MAX_FRONT_MATTER_CHARS} au plus."
        )


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple):
        for item in value:
            yield from _strings(item)


def _name_problems(slug: str, service: str, article: Article | None = None) -> Iterator[DraftError]:
    if not paths.is_slug(slug) and not (article and slug == article.slug):
        better = paths.slugify(slug)
        hint = f", par exemple « {better} »" if better else ""
        yield DraftError("slug", f"L'adresse se compose de lettres minuscules sans accent, de chiffres et de tirets simples{hint}.")
    if not paths.is_readable_slug(service) and not (article and service == article.service):
        yield DraftError("service", "Choisissez un service de la liste.")


def _body_problems(draft: Draft) -> Iterator[DraftError]:
    if len(draft.lead) + len(draft.details) > MAX_ARTICLE_BYTES - MAX_FRONT_MATTER_CHARS:
        field_name = "lead" if len(draft.lead) > len(draft.details) else "details"
        yield DraftError(field_name, "Le texte est trop long : découpez l'article en plusieurs.")
        return
    if _bare(draft.lead).details:
        yield DraftError("lead", "La réponse ne contient pas de titre : mettez ce qui suit « # » dans la suite de la page.")
    elif draft.details and _bare(draft.details).lead:
        yield DraftError("details", "La suite de la page commence par un titre, par exemple « ## Ce qu'il faut apporter ».")
    elif draft.details and _bare(_joined(draft.lead, "\n\n", draft.details)).lead != draft.lead:
        yield DraftError("lead", "Un bloc de code ouvert par « ``` » ou « ~~~ » n'est pas fermé : fermez-le de la même façon.")


def _bare(text: str) -> Article:
    """Read a text as the body of an article, which knows where the headings are."""
    return Article.parse(f"---\ntitle: .\n---\n{text}\n", "articles/brouillon.md")


def _list_problems(name: str, items: tuple[str, ...]) -> Iterator[DraftError]:
    if len(items) > MAX_ITEMS:
        yield DraftError(name, f"Cette liste compte {len(items)} lignes : {MAX_ITEMS} au plus.")
    for item in items:
        if len(item) > MAX_ITEM_CHARS:
            yield DraftError(name, f"La ligne « {item[:50]}… » fait {len(item)} caractères : {MAX_ITEM_CHARS} au plus.")


def _date_problems(draft: Draft) -> Iterator[DraftError]:
    for name in ("reviewed_on", "review_by"):
        value = getattr(draft, name)
        if value and not _is_date(value):
            yield DraftError(name, f"« {value[:20]} » n'est pas une date : écrivez AAAA-MM-JJ, par exemple 2027-03-31.")


def _is_date(value: str) -> bool:
    try:
        return dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
