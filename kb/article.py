"""One article: parse it, edit it, serialise it. No input or output.

Guarantees: ``Article.parse(text, path).source == text`` to the byte; ``edited`` rewrites the keys that change and leaves the
rest (unknown keys, comments, order, line endings) as it was; a text that cannot be an article raises ``ContentError`` with its
path and line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Annotated, Literal

import yaml
from frontmatter.default_handlers import YAMLHandler
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from kb import paths, yaml_text
from kb.errors import ContentError, Problem
from kb.yaml_text import YamlTextError

# Some sixty pages: every page, preview and check of an article renders it for each channel, some 2 s per 100 kB.
MAX_ARTICLE_BYTES = 200_000
MAX_FRONT_MATTER_CHARS = 100_000
SHORT_LIMIT_CHARS = 280

# Possessive and bounded: a page of brackets or spaces is read in linear time.
WIKI_LINK = re.compile(r"\[\[\s*+([^\[\]|\n#]{1,200}?)\s*(?:\|\s*+([^\]\n]{1,300}?)\s*)?\]\]")

_BOUNDARY = YAMLHandler.FM_BOUNDARY


def _as_text(value: object) -> object:
    return "" if value is None else str(value) if isinstance(value, int | float | dt.date) else value  # a value given in Python


def _as_list(value: object) -> object:
    """Accept what people write: nothing, one value, or a list of them."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(_as_text(item) for item in value if item is not None)
    return (_as_text(value),)


def _as_sources(value: object) -> object:
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"title": item, "url": item} if isinstance(item, str) else _without_empty(item) for item in items if item is not None)


def _without_empty(value: object) -> object:
    """A mapping without the keys that people left empty."""
    return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Source(BaseModel):
    """Where a fact comes from."""

    model_config = ConfigDict(frozen=True)

    title: str = ""
    url: str = ""


class Meta(BaseModel):
    """The front matter that the software knows; other keys stay in the text untouched."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[Text, Field(min_length=1, max_length=300)]
    service: Text = ""
    audience: Annotated[Literal["public", "internal"], BeforeValidator(lambda value: value or "public")] = "public"
    # An advice article tells agents how to handle a kind of message; it is never offered as the answer to a request.
    kind: Annotated[Literal["answer", "advice"], BeforeValidator(lambda value: value or "answer")] = "answer"
    questions: Texts = ()
    tags: Texts = ()
    short: Text = ""
    see_also: Texts = ()
    sources: Annotated[tuple[Source, ...], BeforeValidator(_as_sources)] = ()
    reviewed_on: dt.date | None = None
    review_by: dt.date | None = None
    channels: Annotated[dict[str, str], BeforeValidator(lambda value: _without_empty(value or {}))] = Field(default_factory=dict)
    aliases: Texts = ()


class Article(BaseModel):
    """An article as it is in its file: the parsed front matter, the Markdown body and the exact source."""

    model_config = ConfigDict(frozen=True, ignored_types=(cached_property,))

    slug: str
    path: str
    meta: Meta
    body: str
    source: str

    @classmethod
    def parse(cls, source: str, path: str) -> Article:
        """Read an article from the text of its file.

        Args:
            source: the whole text of the file.
            path: where it lies, relative to the content folder; its stem is the slug, its folder the default service.

        Raises:
            ContentError: the front matter is missing, too large, not YAML, or has a value of the wrong kind.
        """
        front_start, front_end, body_start = _split(source, path)
        front, body = source[front_start:front_end], source[body_start:]
        data = _load_front(front, path)
        if not isinstance(data, dict):
            raise ContentError(Problem(path, 1, "L'en-tête doit être une liste de « clé: valeur » entre deux lignes « --- »."))
        location = PurePosixPath(path)
        if not data.get("service") and len(location.parts) > 2:
            data = {**data, "service": location.parent.name}
        try:
            meta = Meta.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0]) if first["loc"] else "title"
            message = f"« {key} » : {_explain(first['type'], first['msg'])}"
            raise ContentError(Problem(path, _key_line(front, key), message)) from error
        return cls(slug=location.stem, path=path, meta=meta, body=body, source=source)

    @property
    def title(self) -> str:
        return self.meta.title

    @property
    def service(self) -> str:
        return self.meta.service

    @property
    def is_advice(self) -> bool:
        return self.meta.kind == "advice"

    @property
    def is_public(self) -> bool:
        return self.meta.audience == "public"

    @cached_property
    def _heading_at(self) -> int:
        for offset, line in _markdown_lines(self.body):
            if re.match(r"#{1,6}\s", line):
                return offset
        return len(self.body)

    @property
    def lead(self) -> str:
        """Everything before the first heading: the reply."""
        return self.body[: self._heading_at].strip()

    @property
    def details(self) -> str:
        """The first heading and everything after it: the rest of the public page."""
        return self.body[self._heading_at :].strip()

    @cached_property
    def content_hash(self) -> str:
        """Hexadecimal digest of the source and the path: changes when anything that is indexed may have changed."""
        return hashlib.blake2b(f"{self.path}\0{self.source}".encode(), digest_size=16).hexdigest()

    @property
    def links(self) -> tuple[str, ...]:
        """Slugs that the article points to: ``see_also`` first, then ``[[links]]``, each once."""
        inline = (match.group(1) for match in WIKI_LINK.finditer(self.body))
        return tuple(dict.fromkeys((*self.meta.see_also, *inline)))

    def is_overdue(self, today: dt.date) -> bool:
        """Tell whether the review date has passed."""
        return self.meta.review_by is not None and self.meta.review_by < today

    def line_of(self, key: str) -> int:
        """1-based line of a front-matter key in the file, or 1 when the key is absent."""
        front_start, front_end, _ = _split(self.source, self.path)
        return _key_line(self.source[front_start:front_end], key)

    def line_of_body(self, offset: int = 0) -> int:
        """1-based line in the file of a character offset of the body."""
        return self.source.count("\n", 0, len(self.source) - len(self.body) + offset) + 1

    def edited(self, changes: Mapping[str, object] | None = None, body: str | None = None) -> Article:
        """Return the article with some front-matter keys or the body changed, every other byte kept.

        Args:
            changes: key → new value (``None`` removes the key). Values are what YAML holds: text, lists, dates, mappings.
            body: the new Markdown, or ``None`` to keep it.

        Raises:
            ContentError: the result would not be a valid article.
        """
        front_start, front_end, body_start = _split(self.source, self.path)
        front = self.source[front_start:front_end]
        newline = "\r\n" if "\r\n" in self.source else "\n"
        for key, value in (changes or {}).items():
            front = _replace_key(front, key, value, newline)
        text = self.body if body is None else body
        if body is not None and not body.startswith("\n"):
            # The line end of the closing « --- » belongs to the body.
            text = ("\n" if self.source.endswith("\r", 0, body_start) else newline) + body
        source = self.source[:front_start] + front + self.source[front_end:body_start] + text
        return Article.parse(source, self.path)

    @classmethod
    def new(cls, slug: str, service: str, meta: Mapping[str, object], body: str) -> Article:
        """Make an article that has no file yet, its front matter in the documented order.

        Raises:
            ContentError: a value is of the wrong kind.
            UnknownSlug: the slug or the service cannot name a file.
        """
        order = list(Meta.model_fields)
        known = {key: meta[key] for key in order if key in meta} | {"service": service}
        values = {key: known[key] for key in order if key in known} | {k: v for k, v in meta.items() if k not in order}
        front = "".join(_dump({key: value}) for key, value in values.items())
        return cls.parse(f"---\n{front}---\n\n{body.strip()}\n", paths.article_path(service, slug))


def _split(source: str, path: str) -> tuple[int, int, int]:
    """Find where the front matter starts and ends and where the body starts, as character offsets."""
    if len(source) > MAX_ARTICLE_BYTES:
        raise ContentError(Problem(path, 1, f"Le fichier dépasse {MAX_ARTICLE_BYTES // 1000} ko : découpez l'article."))
    if "\0" in source:
        raise ContentError(Problem(path, 1, "Le fichier contient des octets nuls : ce n'est pas un texte Markdown."))
    byte_order_mark = 1 if source.startswith("\ufeff") else 0
    opening = _BOUNDARY.match(source[byte_order_mark : byte_order_mark + 80])
    closing = _BOUNDARY.search(source, source.find("\n") + 1) if opening and "\n" in source else None
    if closing is None:
        message = "L'en-tête manque : le fichier doit commencer par « --- », « title: … », puis « --- »."
        raise ContentError(Problem(path, 1, message))
    front_start = source.find("\n") + 1
    if closing.start() - front_start > MAX_FRONT_MATTER_CHARS:
        raise ContentError(Problem(path, 1, f"L'en-tête dépasse {MAX_FRONT_MATTER_CHARS} caractères."))
    return front_start, closing.start(), closing.end()


def _load_front(front: str, path: str) -> object:
    try:
        return yaml_text.load(front)
    except YamlTextError as error:
        raise ContentError(Problem(path, error.line + 1, f"Dans l'en-tête, {error}")) from error


def _explain(kind: str, message: str) -> str:
    """Say in French what pydantic found wrong with a value."""
    return {
        "missing": "cette clé est obligatoire.",
        "too_short": "la valeur est vide.",
        "too_long": "la valeur est trop longue.",
        "literal_error": "cette valeur n'est pas dans la liste (audience : public, internal ; kind : answer, advice).",
        "string_type": "la valeur doit être un texte.",
        "tuple_type": "la valeur doit être une liste.",
        "dict_type": "la valeur doit être une liste de « clé: texte ».",
    }.get(kind, "la valeur doit être une date AAAA-MM-JJ." if kind.startswith("date") else f"valeur refusée ({message}).")


def _markdown_lines(body: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, line) of the lines outside fenced code, where a ``#`` is not a heading."""
    offset, fence = 0, ""
    for line in body.splitlines(keepends=True):
        marker = re.match(r" {0,3}(```+|~~~+)", line)
        if marker and not fence:
            fence = marker.group(1)
        elif marker and marker.group(1).startswith(fence):
            fence = ""
        elif not fence:
            yield offset, line
        offset += len(line)


def _key_spans(front: str) -> dict[str, tuple[int, int]]:
    """Character span of each top-level key of a YAML mapping, comments and blank lines that follow it left out."""
    root = yaml_text.compose(front)
    if not isinstance(root, yaml.MappingNode):
        return {}
    starts = [key.start_mark.index for key, _ in root.value] + [len(front)]
    spans = {}
    for (key, _), start, end in zip(root.value, starts, starts[1:], strict=False):
        lines = front[start:end].splitlines(keepends=True)
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
            lines.pop()
        spans[str(key.value)] = (start, start + sum(map(len, lines)))
    return spans


def _key_line(front: str, key: str) -> int:
    match = re.search(rf"^['\"]?{re.escape(key)}['\"]?\s*:", front, re.MULTILINE)
    return front.count("\n", 0, match.start()) + 2 if match else 1


class _Dumper(yaml.SafeDumper):
    """Writes a value as people do: a list indented under its key, each value on a line of its own, several lines as such."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - a list is never flush
        super().increase_indent(flow, False)


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _represent_text)


def _dump(value: object, *, in_line: bool = False) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=float("inf"), default_flow_style=in_line)
    return text


def _replace_key(front: str, key: str, value: object, newline: str) -> str:
    if isinstance(value, tuple):
        value = list(value)
    span = _key_spans(front).get(key)
    new = "" if value is None else _dump({key: value}).replace("\n", newline)
    if span is None:
        separator = "" if not front or front.endswith("\n") else newline
        return front + separator + new if new else front
    old = front[span[0] : span[1]]
    if isinstance(value, list) and value:
        new = _edited_list(old, key, value, newline) or new
    return front[: span[0]] + new + front[span[1] :]


def _edited_list(old: str, key: str, items: list[object], newline: str) -> str | None:
    """Write a list as it was written, item by item: who reads the change in a forge sees what changed and no more.

    Returns:
        The key with its list; ``None`` where its form has no room for the items.
    """
    root = yaml_text.compose(old)
    node = root.value[0][1] if isinstance(root, yaml.MappingNode) else None
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        return None
    starts = [item.start_mark.index for item in node.value]
    first = starts[0]
    line = old.rfind("\n", 0, first) + 1
    dash = old[line:first]
    if node.flow_style:
        head, between, tail = old[: node.start_mark.index] + "[", ", ", "]" + old[node.end_mark.index :]
        ends = [item.end_mark.index for item in node.value]
    elif re.fullmatch(r" *- +", dash):
        head, between, tail = old[:line] + dash, newline + dash, newline
        ends = [old.rfind("\n", 0, start) + 1 for start in starts[1:]] + [len(old)]  # its comment goes with an item
    else:
        return None
    kept = [(_value_of(item), old[start:end].rstrip()) for item, start, end in zip(node.value, starts, ends, strict=True)]
    written = []
    for item in items:
        raw = next((raw for value, raw in kept if value == item), None)
        if raw is None:
            if node.flow_style:
                raw = _dump([item], in_line=True).strip()[1:-1]
            else:
                # Under its dash: "- title: …", then "  url: …".
                raw = _dump([item]).strip().removeprefix("- ").replace("\n  ", newline + " " * len(dash))
        written.append(raw)
    new = head + between.join(written) + tail
    try:
        return new if yaml_text.load(new) == {key: items} else None
    except YamlTextError:
        return None


def _value_of(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {_value_of(key): _value_of(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value_of(item) for item in node.value]
    return None if node.tag == "tag:yaml.org,2002:null" else node.value
