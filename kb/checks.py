"""Editorial checks: what is wrong, or could be better, in the articles of a library. No input or output.

Guarantees: every finding names a file, the line to look at and what to do; an error is what makes a reply or a page wrong, a
warning is what an editor should read again; one article's trouble never hides another's.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

from kb import paths, personal_data, render, replies, wording
from kb.article import SHORT_LIMIT_CHARS, WIKI_LINK, Article, Meta
from kb.errors import TemplateError
from kb.facts import Channel
from kb.library import Library

MIN_QUESTIONS = 4
LEAD_LIMIT_CHARS = 900
MANY_ARTICLES = 1000

Severity = Literal["error", "warning"]
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, order=True)
class Finding:
    """One thing to correct: a path relative to the content folder, a 1-based line, and a sentence in French that says what to do.

    The sentence is for people who know the form, not the file: it names fields as the form does, and articles by their titles.
    """

    path: str
    line: int
    severity: Severity
    code: str
    message: str


def check_library(library: Library, today: dt.date) -> list[Finding]:
    """Check every article, the files beside them, and what could not be read.

    Args:
        library: the snapshot to check.
        today: the day from which a review date is overdue.

    Returns:
        The findings ordered by path and line.
    """
    index = _Index(library)
    findings = [Finding(problem.path, problem.line, "error", "broken-file", problem.message) for problem in library.problems]
    findings += _raw_placeholders(library)
    for article in library.articles.values():
        findings += _findings(_Subject(article, index, today))
    return sorted(findings)


def check_article(article: Article, library: Library, today: dt.date, *, errors_only: bool = False) -> list[Finding]:
    """Check one article against a library, which may hold another version of it, or none: a draft.

    Args:
        article: the article to check.
        library: where its links, its twins and the facts are looked for; when it is renamed, its old version is passed over.
        today: the day from which a review date is overdue.
        errors_only: leave the warnings aside; comparing the questions of thousands of articles takes a while.

    Returns:
        The findings ordered by line.
    """
    if article.slug not in library.articles:
        former = [library.articles[alias] for alias in article.meta.aliases if alias in library.articles]
        library = library.changed({old.path: None for old in former}) if former else library
    rules = _ERROR_RULES if errors_only else _ERROR_RULES + _WARNING_RULES
    return sorted(_findings(_Subject(article, _Index(library), today), rules))


# Where a finding about what is missing, or about the file's name, is put right.
_FIELD_OF_CODE = {
    "alias-taken": "slug",
    "few-questions": "questions",
    "invalid-slug": "slug",
    "no-lead": "lead",
    "no-review-date": "review_by",
    "no-source": "sources",
    "slug-taken": "slug",
    "unknown-channel": "channels",
    "unknown-service": "service",
    "wrong-folder": "service",
}


def field_of(article: Article, finding: Finding) -> str:
    """Tell which field of a form a finding is about: a front-matter key, « channels.sms », « lead » or « details »."""
    if finding.code in _FIELD_OF_CODE:
        return _FIELD_OF_CODE[finding.code]
    if finding.line > article.line_of_body():
        details_at = len(article.body.rstrip()) - len(article.details)
        return "details" if article.details and finding.line >= article.line_of_body(details_at) else "lead"
    start, pairs = _front_matter(article)
    key, value = _at_line(article, start, pairs, finding.line)
    if key == "channels" and isinstance(value, yaml.MappingNode):
        channel, _ = _at_line(article, start, value.value, finding.line)
        return f"channels.{channel}" if channel else key
    return key if key in Meta.model_fields else "title"


_Pairs = Sequence[tuple[yaml.Node, yaml.Node]]


def _front_matter(article: Article) -> tuple[int, _Pairs]:
    """Offset of the front matter in the file, and the YAML nodes of its keys and values, which know where they stand."""
    head = article.source[: len(article.source) - len(article.body)].rstrip()
    start = head.find("\n") + 1
    root = yaml.compose(head[start : head.rfind("\n") + 1], _SafeLoader)
    return start, root.value if isinstance(root, yaml.MappingNode) else ()


def _at_line(article: Article, start: int, pairs: _Pairs, line: int) -> tuple[str, yaml.Node | None]:
    """Key and value of a mapping that a line of the file is in; an empty key above the first one, or where several share the line."""
    lines = [article.source.count("\n", 0, start + key.start_mark.index) + 1 for key, _ in pairs]
    before = [number for number in lines if number <= line]
    if not before or lines.count(before[-1]) > 1:
        return "", None
    key, value = pairs[len(before) - 1]
    return str(key.value), value


# What the rules read: the whole library worked out once, then one article.


class _Index:
    """What the rules ask of the whole library, worked out once."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.context = library.context
        self._suggestions: dict[str, str] = {}

    @cached_property
    def questions(self) -> Mapping[str, list[str]]:
        """Folded question → slugs of the articles that have it."""
        return _grouped((wording.fold(question), slug) for slug, item in self.library.articles.items() for question in item.meta.questions)

    @cached_property
    def titles(self) -> Mapping[str, list[str]]:
        """Folded title → slugs."""
        return _grouped((wording.fold(item.title), slug) for slug, item in self.library.articles.items())

    @cached_property
    def aliases(self) -> Mapping[str, list[str]]:
        """Alias → slugs of the articles that claim it."""
        return _grouped((alias, slug) for slug, item in self.library.articles.items() for alias in item.meta.aliases)

    @cached_property
    def explained_acronyms(self) -> frozenset[str]:
        """Acronyms that ``synonyms.yml`` gives an equivalent to."""
        groups = (group for group in self.context.synonyms if len(group) > 1)
        return frozenset(term.strip().upper() for group in groups for term in group)

    @cached_property
    def _slugs_by_start(self) -> Mapping[str, list[str]]:
        return _grouped((word[:3], slug) for slug in self.library.articles for word in slug.split("-"))

    @cached_property
    def own_facts(self) -> frozenset[str]:
        """What the organisation says of itself, letters and digits alone: its numbers and addresses are nobody's secret."""
        entries = [self.context.organisation.model_dump(), *(service.model_dump() for service in self.context.services.values())]
        values = [value for entry in entries for value in (*entry.values(), *entry["facts"].values()) if isinstance(value, str)]
        return frozenset(_bare(value) for value in values if value)

    def named(self, slug: str) -> str:
        """Name an article as people know it: by its title."""
        found = self.library.articles.get(slug)
        return f"« {found.title} »" if found else f"« {slug} »"

    def suggest(self, slug: str) -> str:
        """Say which slug was probably meant, as the end of a sentence; empty when none is near."""
        if slug not in self._suggestions:
            wanted = paths.slugify(slug)
            near = list(self.library.articles)
            if len(near) > MANY_ARTICLES:
                # Only slugs that share the start of a word: comparing with thousands of them, for each link, takes minutes.
                near = list(dict.fromkeys(other for word in wanted.split("-") for other in self._slugs_by_start.get(word[:3], ())))
            found = get_close_matches(wanted, near, n=1)
            self._suggestions[slug] = f" Vouliez-vous dire « {found[0]} » ({self.named(found[0])}) ?" if found else ""
        return self._suggestions[slug]

    def address(self, article: Article) -> str:
        """Address of the public page, as long as the real one; empty for an article that has none."""
        town = self.context.organisation
        base = (town.faq_url or f"{town.url.rstrip('/')}/faq").rstrip("/")
        return f"{base}/{article.slug}" if article.is_public else ""

    def resolve(self, slug: str) -> tuple[str, str] | None:
        """Title and address of the article that a link points to."""
        target = self.library.find(slug)
        return (target.title, self.address(target)) if target else None


@dataclass(frozen=True)
class _Text:
    """A text of an article where placeholders may stand; only the body's lines are known one by one."""

    key: Literal["body", "short", "title", "channels"]
    text: str
    channel: str = ""


class _Subject:
    """One article under the rules, with what several of them need."""

    def __init__(self, article: Article, index: _Index, today: dt.date) -> None:
        self.article = article
        self.meta = article.meta
        self.index = index
        self.context = index.context
        self.today = today

    def error(self, line: int, code: str, message: str) -> Finding:
        return Finding(self.article.path, line, "error", code, message)

    def warning(self, line: int, code: str, message: str) -> Finding:
        return Finding(self.article.path, line, "warning", code, message)

    @cached_property
    def texts(self) -> tuple[_Text, ...]:
        overrides = (_Text("channels", text, channel) for channel, text in self.meta.channels.items())
        return (_Text("body", self.article.body), _Text("short", self.meta.short), *overrides)

    @cached_property
    def values(self) -> Mapping[str, str]:
        return replies.values_for(self.article, self.context, self.index.address(self.article))

    @cached_property
    def placeholders(self) -> tuple[tuple[_Text, render.Placeholder], ...]:
        """Placeholders of every text; none for a text that cannot be rendered, which a rule of its own reports."""
        found = []
        for text in self.texts:
            try:
                found += [(text, placeholder) for placeholder in _placeholders(text.text)]
            except TemplateError:
                continue
        return tuple(found)

    @cached_property
    def lead_at(self) -> int:
        """Offset of the lead in the body."""
        return len(self.article.body) - len(self.article.body.lstrip())

    @cached_property
    def lead_line(self) -> int:
        return self.article.line_of_body(self.lead_at)

    def line_in(self, text: _Text, line: int = 1) -> int:
        """Line in the file of a 1-based line of a text."""
        if text.key == "body":
            return self.article.line_of_body() + line - 1
        return self.item_line("channels", text.channel) if text.key == "channels" else self.article.line_of(text.key)

    def line_at(self, text: _Text, offset: int) -> int:
        """Line in the file of a character of a text."""
        return self.line_in(text, text.text.count("\n", 0, offset) + 1)

    def line_in_lead(self, offset: int) -> int:
        """Line in the file of a character of the lead."""
        return self.article.line_of_body(self.lead_at + offset)

    @cached_property
    def _front_matter(self) -> tuple[int, Mapping[str, yaml.Node]]:
        start, pairs = _front_matter(self.article)
        return start, {str(key.value): value for key, value in pairs}

    def item_line(self, key: str, item: int | str) -> int:
        """Line in the file of one value of a list (by position) or a mapping (by name); of the key when it has none."""
        start, nodes = self._front_matter
        value, found = nodes.get(key), None
        if isinstance(value, yaml.SequenceNode) and isinstance(item, int):
            # The parser of articles passes empty items over.
            items = [node for node in value.value if node.tag != "tag:yaml.org,2002:null"]
            found = items[item] if item < len(items) else None
        elif isinstance(value, yaml.MappingNode):
            found = next((name for name, _ in value.value if name.value == item), None)
        if found is None or found.start_mark is None:
            return self.article.line_of(key)
        return self.article.source.count("\n", 0, start + found.start_mark.index) + 1

    def longest(self, text: str) -> int | None:
        """Characters that the plain text cannot exceed, or ``None`` when only rendering tells.

        Rendering an article on every channel takes some five milliseconds; most are far below the limits.
        """
        filled = _PLACEHOLDER.sub(self._value_of, text)
        if _MAY_GROW.search(filled):
            return None
        # A list right under its sentence gets a blank line.
        return len(filled) + filled.count("\n")

    def _value_of(self, match: re.Match[str]) -> str:
        name, double, single = match.groups()
        # Brackets inside a value are not Markdown, and must not look like it.
        return re.sub(r"[\[<|{]", "(", self.values.get(name) or double or single or f" {render.FILLED_BY_AGENT.get(name, name)} ")

    def length(self, text: str) -> int:
        """Characters of a text once its placeholders are filled, as plain text; 0 when it cannot be rendered."""
        try:
            return len(render.to_plain(render.fill(text, self.values).markdown, self.index.resolve))
        except TemplateError:
            return 0

    def exceeds(self, text: str, limit_chars: int) -> int:
        """Length of a text when it is over a limit, else 0."""
        longest = self.longest(text)
        if longest is not None and longest <= limit_chars:
            return 0
        length = self.length(text)
        return length if length > limit_chars else 0


_PLACEHOLDER = re.compile(r"""(?<!\{)\{\{\s*([\w.]+)\s*(?:\|\s*fallback\(\s*(?:"([^"]*)"|'([^']*)')\s*\)\s*)?\}\}""")


# Links, tables, tags, numbers and nested lists may be longer in plain text than they are written.
_MAY_GROW = re.compile(r"[\[<|{\t]|^\s*\d+[.)]|^ +[-*+>]|^[-*+>]\s*[-*+>\d]", re.MULTILINE)


def _placeholders(text: str) -> list[render.Placeholder]:
    """List the placeholders of a text as ``render.placeholders`` does, which parses each one once for all the articles.

    Raises:
        TemplateError: one of them is not allowed.
    """
    if re.search(r"\{[{%#]", _PLACEHOLDER.sub(" ", text)):
        return list(render.placeholders(text))
    found = []
    for match in _PLACEHOLDER.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        try:
            found += [replace(placeholder, line=line) for placeholder in render.placeholders(match.group())]
        except TemplateError as error:
            raise TemplateError(str(error), line) from error
    return found


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key, slug in pairs:
        if key and slug not in groups[key]:
            groups[key].append(slug)
    return groups


# The rules: errors.


def _invalid_slug(subject: _Subject) -> Iterator[Finding]:
    slug = subject.article.slug
    if not paths.is_slug(slug):
        better = paths.slugify(slug) or "nom-de-l-article"
        message = f"« {slug} » ne peut pas servir d'adresse : choisissez « {better} » ; l'ancienne adresse continuera de mener à l'article."
        yield subject.error(1, "invalid-slug", message)


def _unknown_service(subject: _Subject) -> Iterator[Finding]:
    service = subject.article.service
    if not service:
        yield subject.error(1, "unknown-service", "Aucun service n'est indiqué : choisissez le service responsable.")
    elif service not in subject.context.services:
        near = get_close_matches(service, subject.context.services, n=1)
        hint = f" Vouliez-vous dire « {near[0]} » ?" if near else ""
        message = f"Le service « {service} » n'existe pas : choisissez-en un autre, ou demandez à l'administration de le créer.{hint}"
        yield subject.error(subject.article.line_of("service"), "unknown-service", message)


def _wrong_folder(subject: _Subject) -> Iterator[Finding]:
    location = PurePosixPath(subject.article.path)
    service = subject.article.service
    if service and len(location.parts) > 2 and location.parent.name != service:
        message = (
            f"L'article est rangé dans « {location.parent.name} » mais son service est « {service} » : "
            f"rangez-le dans « {paths.ARTICLES}/{service} » ou corrigez le service."
        )
        yield subject.error(subject.article.line_of("service"), "wrong-folder", message)


def _no_lead(subject: _Subject) -> Iterator[Finding]:
    if not subject.article.lead:
        message = "La réponse manque : écrivez-la avant le premier titre, c'est le texte que les agents copient."
        yield subject.error(subject.article.line_of_body(subject.lead_at), "no-lead", message)


def _links(subject: _Subject) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield the slug of each link and what finds its line, which is only worth the work when something is wrong with it."""
    for position, slug in enumerate(subject.meta.see_also):
        yield slug, partial(subject.item_line, "see_also", position)
    for text in subject.texts:
        for match in WIKI_LINK.finditer(text.text):
            yield match.group(1), partial(subject.line_at, text, match.start())


def _broken_links(subject: _Subject) -> Iterator[Finding]:
    library, article = subject.index.library, subject.article
    for slug, line in _links(subject):
        target = library.find(slug)
        if target is None and slug not in (article.slug, *article.meta.aliases):
            message = f"Aucun article n'a l'adresse « {slug} » : corrigez ou retirez le lien.{subject.index.suggest(slug)}"
            yield subject.error(line(), "broken-link", message)
        elif target is not None and article.is_public and not target.is_public:
            message = f"« {target.title} » est réservé aux agents, et cet article est public : retirez le lien ou rendez l'autre public."
            yield subject.error(line(), "link-to-internal", message)


def _malformed_links(subject: _Subject) -> Iterator[Finding]:
    for text in subject.texts:
        if "[[" in text.text:
            # Blanks of the same length, so that offsets stay right.
            rest = WIKI_LINK.sub(lambda match: " " * len(match.group()), text.text)
            for match in re.finditer(r"\[\[", rest):
                message = "Ce lien s'afficherait tel quel : écrivez [[adresse-d-un-article]] ou [[adresse-d-un-article|texte]], sans « # »."
                yield subject.error(subject.line_at(text, match.start()), "malformed-link", message)


def _aliases(subject: _Subject) -> Iterator[Finding]:
    article = subject.article
    for position, alias in enumerate(subject.meta.aliases):
        others = [slug for slug in subject.index.aliases.get(alias, ()) if slug != article.slug]
        if alias == article.slug or alias in subject.index.library.articles:
            reason = f"L'ancienne adresse « {alias} » est celle d'un article qui existe : retirez-la des anciennes adresses."
        elif others:
            other = subject.index.named(others[0])
            reason = f"L'ancienne adresse « {alias} » est aussi celle de l'article {other} : ne la gardez que dans l'un des deux."
        elif alias in subject.meta.aliases[:position]:
            reason = f"L'ancienne adresse « {alias} » est écrite deux fois : retirez-en une."
        else:
            continue
        yield subject.error(subject.item_line("aliases", position), "alias-taken", reason)


def _taken_slug(subject: _Subject) -> Iterator[Finding]:
    slug = subject.article.slug
    others = [other for other in subject.index.aliases.get(slug, ()) if other != slug]
    if others:
        other = subject.index.named(others[0])
        message = f"« {slug} » est une ancienne adresse de l'article {other}, qui doit continuer d'y mener : choisissez-en une autre."
        yield subject.error(1, "slug-taken", message)


def _unknown_channels(subject: _Subject) -> Iterator[Finding]:
    for channel in subject.meta.channels:
        if channel not in subject.context.channels:
            known = ", ".join(one.label for one in subject.context.channels.values())
            message = f"Le canal « {channel} » n'existe pas : retirez-le ou choisissez parmi {known}."
            yield subject.error(subject.item_line("channels", channel), "unknown-channel", message)


def _source_addresses(subject: _Subject) -> Iterator[Finding]:
    for position, source in enumerate(subject.meta.sources):
        if source.url and not _is_web_address(source.url):
            message = f"« {source.url[:100]} » n'est pas une adresse : une source s'écrit « Titre | https://… »."
            yield subject.error(subject.item_line("sources", position), "bad-source-url", message)


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)


def _bad_placeholders(subject: _Subject) -> Iterator[Finding]:
    # The library leaves such an article out and says so; a draft is checked before it is in a library.
    for text in subject.texts:
        try:
            _placeholders(text.text)
        except TemplateError as error:
            yield subject.error(subject.line_in(text, error.line), "bad-placeholder", str(error))


def _unfilled_placeholders(subject: _Subject) -> Iterator[Finding]:
    for text, placeholder in subject.placeholders:
        name = placeholder.name
        if placeholder.fallback is None and name not in render.FILLED_BY_AGENT and not subject.values.get(name):
            code = "unknown-fact" if ".facts." in name else "empty-placeholder"
            yield subject.error(subject.line_in(text, placeholder.line), code, _how_to_fill(subject, name))


def _how_to_fill(subject: _Subject, name: str) -> str:
    owner, _, key = name.rpartition(".")
    if ".facts." in name and name not in subject.values:
        near = get_close_matches(name, [value for value in subject.values if value.startswith(owner + ".")], n=1)
        hint = f" Vouliez-vous dire « {near[0]} » ?" if near else ""
        return f"« {name} » n'est défini nulle part : faites ajouter « {key} » à {_sheet(subject, owner)} par l'administration.{hint}"
    if name == "article.url":
        return "Un article interne n'a pas d'adresse publique : retirez « article.url »."
    return f"« {name} » n'a pas de valeur : faites compléter {_sheet(subject, owner)} par l'administration, ou ajoutez |fallback(\"…\")."


def _sheet(subject: _Subject, owner: str) -> str:
    """Name where a value is kept, for whoever keeps it."""
    if owner.startswith("organisation"):
        return "la fiche de la collectivité"
    root, _, rest = owner.partition(".")
    key = subject.article.service if root == "service" else rest.removesuffix(".facts").replace("_", "-")
    return f"la fiche du service « {subject.context.service(key).name} »"


def _long_short(subject: _Subject) -> Iterator[Finding]:
    length = subject.exceeds(subject.meta.short, SHORT_LIMIT_CHARS)
    if length:
        message = (
            f"La réponse courte fait {length} caractères une fois remplie, pour {SHORT_LIMIT_CHARS} au plus : "
            f"raccourcissez-la de {length - SHORT_LIMIT_CHARS}."
        )
        yield subject.error(subject.article.line_of("short"), "short-too-long", message)


def _long_replies(subject: _Subject) -> Iterator[Finding]:
    for channel in subject.context.channels.values():
        limit = channel.limit_chars
        if limit is None or _surely_fits(subject, channel, limit):
            continue
        url = subject.index.address(subject.article)
        try:
            reply = replies.render_reply(subject.article, channel.key, subject.context, url, resolve=subject.index.resolve)
        except TemplateError:
            continue
        if reply.over_limit:
            yield _long_reply(subject, channel, reply, reply.length - limit)


def _long_reply(subject: _Subject, channel: Channel, reply: replies.Reply, excess_chars: int) -> Finding:
    found = f"La réponse sur le canal « {channel.label} » fait {reply.length} caractères, lien compris, pour {channel.limit_chars} permis"
    if reply.origin == "override":
        line, what = subject.item_line("channels", channel.key), f"raccourcissez le texte propre à ce canal de {excess_chars}."
    elif reply.origin == "short":
        line, what = subject.article.line_of("short"), f"raccourcissez la réponse courte de {excess_chars}."
    else:
        line, what = subject.lead_line, "ajoutez une réponse courte."
    return subject.error(line, "reply-over-limit", f"{found} : {what}")


def _surely_fits(subject: _Subject, channel: Channel, limit_chars: int) -> bool:
    body = subject.meta.channels.get(channel.key)
    if not body:
        short = subject.meta.short if channel.prefer == "short" else ""
        body = short or subject.article.lead or subject.article.title
    layout = channel.layout
    lengths = [subject.longest(part) for part in (body, layout.greeting, layout.opening, layout.link, layout.closing, layout.signature)]
    # Two line ends at most between the six parts.
    return None not in lengths and sum(length or 0 for length in lengths) + 10 <= limit_chars


def _raw_placeholders(library: Library) -> Iterator[Finding]:
    """A value is copied as it is: a placeholder inside it would be sent raw. The signature alone is a text with placeholders."""
    context = library.context
    entries = [(paths.ORGANISATION, "", context.organisation.model_dump(exclude={"signature"}))]
    entries += [(paths.SERVICES, f"{key}.", service.model_dump()) for key, service in context.services.items()]
    for path, prefix, fields in entries:
        flat = {**fields, **{f"facts.{key}": value for key, value in fields["facts"].items()}}
        for name, value in flat.items():
            if isinstance(value, str) and re.search(r"\{[{%#]", value):
                message = f"« {prefix}{name} » contient une variable, qui partirait telle quelle : écrivez la valeur en toutes lettres."
                yield Finding(path, 1, "error", "placeholder-in-value", message)


# The rules: warnings.


def _few_questions(subject: _Subject) -> Iterator[Finding]:
    count = len(subject.meta.questions)
    if count < MIN_QUESTIONS:
        have = "Aucune question" if not count else "Une seule question" if count == 1 else f"{count} questions seulement"
        message = f"{have} : écrivez-en au moins {MIN_QUESTIONS}, avec les mots des usagers."
        yield subject.warning(subject.article.line_of("questions"), "few-questions", message)


def _same_questions(subject: _Subject) -> Iterator[Finding]:
    seen: set[str] = set()
    for position, question in enumerate(subject.meta.questions):
        folded = wording.fold(question)
        others = [slug for slug in subject.index.questions.get(folded, ()) if slug != subject.article.slug]
        if others:
            other = subject.index.named(others[0])
            message = f"« {question[:80]} » est aussi une question de l'article {other} : gardez-la dans celui qui y répond le mieux."
        elif folded in seen:
            message = f"« {question[:80]} » est écrite deux fois dans cet article : retirez-en une."
        else:
            seen.add(folded)
            continue
        yield subject.warning(subject.item_line("questions", position), "same-question", message)


def _same_title(subject: _Subject) -> Iterator[Finding]:
    others = [slug for slug in subject.index.titles.get(wording.fold(subject.article.title), ()) if slug != subject.article.slug]
    if others:
        message = f"Un autre article a le même titre, à l'adresse « {others[0]} » : précisez l'un des deux, ou réunissez-les."
        yield subject.warning(subject.article.line_of("title"), "same-title", message)


def _no_source(subject: _Subject) -> Iterator[Finding]:
    if not subject.meta.sources:
        message = "Aucune source : indiquez d'où viennent les faits (texte de loi, service-public.fr, délibération)."
        yield subject.warning(subject.article.line_of("sources"), "no-source", message)


def _review_dates(subject: _Subject) -> Iterator[Finding]:
    reviewed, review_by = subject.meta.reviewed_on, subject.meta.review_by
    line = subject.article.line_of("review_by")
    if review_by is None:
        line = line if line > 1 else subject.article.line_of("reviewed_on")
        yield subject.warning(line, "no-review-date", "Aucune date de relecture : remplissez « À relire avant le ».")
        return
    if reviewed is not None and review_by < reviewed:
        days = f"« À relire avant le » ({wording.day(review_by)}) précède « Relu le » ({wording.day(reviewed)})"
        message = f"{days} : corrigez l'une des deux dates."
        yield subject.warning(line, "review-dates-swapped", message)
    if subject.article.is_overdue(subject.today):
        due = wording.day(review_by)
        message = f"L'article devait être relu avant le {due} : relisez-le, puis changez « Relu le » et « À relire avant le »."
        yield subject.warning(line, "review-overdue", message)


def _long_lead(subject: _Subject) -> Iterator[Finding]:
    length = subject.exceeds(subject.article.lead, LEAD_LIMIT_CHARS)
    if length:
        message = f"La réponse fait {length} caractères : ramenez-la à {LEAD_LIMIT_CHARS} et mettez le reste sous un titre."
        yield subject.warning(subject.lead_line, "long-lead", message)


def _dismissive(subject: _Subject) -> Iterator[Finding]:
    for text in subject.texts:
        for match in wording.dismissive(text.text):
            message = (
                f"« {_one_line(match.group())} » renvoie la personne : dites plutôt qui peut l'aider, comment le joindre, "
                "et proposez la première étape."
            )
            yield subject.warning(subject.line_at(text, match.start()), "dismissive", message)


def _channel_bound(subject: _Subject) -> Iterator[Finding]:
    for match in wording.channel_bound(subject.article.lead):
        words = _one_line(match.group())
        message = f"« {words} » ne se dit pas sur tous les canaux (téléphone, guichet, SMS) : dites-le autrement."
        yield subject.warning(subject.line_in_lead(match.start()), "channel-bound", message)


_NOT_DIGITAL_FIELDS = (".phone", ".hours", ".address")


def _only_digital(subject: _Subject) -> Iterator[Finding]:
    for _, placeholder in subject.placeholders:
        if placeholder.name.endswith(_NOT_DIGITAL_FIELDS) or wording.has_phone_number(subject.values.get(placeholder.name, "")):
            return
    if not any(wording.offers_other_than_digital(text.text) for text in subject.texts):
        message = "Aucune voie sans internet : ajoutez le téléphone ou le guichet, par exemple {{ service.phone }} et {{ service.hours }}."
        yield subject.warning(subject.lead_line, "only-digital", message)


def _acronyms(subject: _Subject) -> Iterator[Finding]:
    known = set(subject.index.explained_acronyms)
    body, short = subject.texts[:2]
    for text in (body, short, _Text("title", subject.article.title)):
        for match in wording.acronyms(text.text):
            acronym = match.group(1)
            if acronym in known:
                continue
            known.add(acronym)
            if not wording.is_spelled_out(acronym, subject.article.source):
                message = (
                    f"Le sigle « {acronym} » n'est pas expliqué : écrivez-le en toutes lettres la première fois, "
                    "ou faites-le ajouter à la liste des sigles par l'administration."
                )
                yield subject.warning(subject.line_at(text, match.start()), "unexplained-acronym", message)


def _link_in_lead(subject: _Subject) -> Iterator[Finding]:
    match = wording.first_link(subject.article.lead)
    if match:
        message = (
            "La réponse contient un lien, qui ne se lit ni au téléphone ni au guichet : mettez-le sous un titre ou dans « Voir aussi »."
        )
        yield subject.warning(subject.line_in_lead(match.start()), "link-in-lead", message)


# What an article may hold of its own: the address of a building, a date, the number of a law.
_OF_PLACES = (personal_data.ADDRESS, personal_data.DATE, personal_data.NUMBER, personal_data.LINK, personal_data.ACCOUNT)
# Free calls to companies, and the numbers that ARCEP keeps for fiction.
_PUBLIC_NUMBER = re.compile(r"(?:0|33)(?:969|19900|26191|35301|46571|53649|63998)")
# Few lines hold anything that could tell who somebody is; reading all of them closely would take minutes.
_MAY_TELL = re.compile(r"@|arobase|\d(?:[ .-]?\d){2}|appel|nomm|\b[mM](?:\.|me\b|r\b)|[nN]om :|[^\s.!?:…#>*-] (?=[A-ZÀ-ÖØ-ÞŒ])")


def _personal_data(subject: _Subject) -> Iterator[Finding]:
    meta, article = subject.meta, subject.article
    if article.is_advice:  # it quotes what people write
        return
    items = [("questions", position, text) for position, text in enumerate(meta.questions)]
    items += [("tags", position, text) for position, text in enumerate(meta.tags)]
    for key, position, text in items:
        for words, kind in _told(subject, text, ()):
            yield subject.warning(subject.item_line(key, position), "personal-data", _what_is_told(words, kind))
    for one in (*subject.texts, _Text("title", article.title)):
        for number, line in enumerate(one.text.splitlines(), start=1):
            for words, kind in _told(subject, line, _OF_PLACES):
                yield subject.warning(subject.line_in(one, number), "personal-data", _what_is_told(words, kind))


def _told(subject: _Subject, text: str, left: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not _MAY_TELL.search(text):
        return
    for words, kind in personal_data.mask(text, but=left).found:
        bare = _bare(words)
        # A first name alone tells nobody.
        is_public = (kind == personal_data.NAME and " " not in words) or (kind == personal_data.PHONE and _PUBLIC_NUMBER.match(bare))
        if not is_public and not any(bare in fact for fact in subject.index.own_facts):
            yield words, kind


def _what_is_told(words: str, kind: str) -> str:
    shown = _one_line(words)[:80]
    return f"« {shown} » ressemble à une donnée personnelle ({kind}) : retirez-la, ou vérifiez qu'elle est publique."


def _bare(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


def _one_line(text: str) -> str:
    return " ".join(text.split())


Rule = Callable[[_Subject], Iterator[Finding]]
_ERROR_RULES: tuple[Rule, ...] = (
    _invalid_slug,
    _unknown_service,
    _wrong_folder,
    _no_lead,
    _broken_links,
    _malformed_links,
    _aliases,
    _taken_slug,
    _unknown_channels,
    _source_addresses,
    _bad_placeholders,
    _unfilled_placeholders,
    _long_short,
    _long_replies,
)
_WARNING_RULES: tuple[Rule, ...] = (
    _few_questions,
    _same_questions,
    _same_title,
    _no_source,
    _review_dates,
    _long_lead,
    _dismissive,
    _channel_bound,
    _only_digital,
    _acronyms,
    _link_in_lead,
    _personal_data,
)


def _findings(subject: _Subject, rules: tuple[Rule, ...] = _ERROR_RULES + _WARNING_RULES) -> Iterator[Finding]:
    for rule in rules:
        yield from rule(subject)


__all__ = ["LEAD_LIMIT_CHARS", "MIN_QUESTIONS", "Finding", "check_article", "check_library", "field_of"]
