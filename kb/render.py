"""Text with placeholders → filled Markdown → sanitised HTML or plain text.

Guarantees: only the placeholders of ``PLACEHOLDERS`` are accepted, and nothing else of Jinja's language; a value can add neither
Markdown nor HTML; HTML passes through nh3 with a closed list of tags; an unfilled placeholder is marked, never blanked.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

import markdown
import nh3
from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kb.article import WIKI_LINK
from kb.errors import TemplateError

SERVICE_FIELDS = ("name", "email", "phone", "hours", "address", "url")
# The closed list: the first word of a placeholder → the names that may follow it.
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "organisation": (*SERVICE_FIELDS, "faq_url", "closing", "signature", "legal_notice", "facts"),
    "service": (*SERVICE_FIELDS, "facts"),
    "services": (),
    "article": ("title", "url"),
    "citizen": ("name", "first_name", "last_name"),
    "request": ("reference", "date"),
    "agent": ("name",),
}
# What the agent fills in, with the words that the interface shows.
FILLED_BY_AGENT: Mapping[str, str] = {
    "citizen.name": "nom de la personne",
    "citizen.first_name": "prénom",
    "citizen.last_name": "nom de famille",
    "request.reference": "numéro de dossier",
    "request.date": "date de la demande",
    "agent.name": "votre nom",
}
MAX_VALUE_CHARS = 200

# Private-use characters carry an unfilled placeholder's name through Markdown and the sanitiser.
_OPEN, _CLOSE = "\ue000", "\ue001"
# In raw HTML Markdown leaves the backslashes of ``escape_markdown``.
_MARK = re.compile(rf"{_OPEN}([\w.\\]+){_CLOSE}")
# An address between angles, which Python-Markdown takes with its backslashes.
_AUTOLINK = re.compile(r"<(?:https?://|[^<>\s@]+@)[^<>\s]+>")
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# People write a list right under its sentence; Markdown wants a blank line between them.
_LIST_AFTER_TEXT = re.compile(r"^((?![-*+>|`~#]|\d+[.)][ \t])\S.*)\n(?=(?:[-*+]|\d+[.)])[ \t])", re.MULTILINE)

# Some two hundred milliseconds of Markdown; the links of an article take a hundredth of it.
_MAX_BRACKET_STEPS = 200_000
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_BRACKET = re.compile(r"[\[\]()]")

ALLOWED_TAGS = {
    "a", "abbr", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li",
    "ol", "p", "pre", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ALLOWED_ATTRIBUTES = {
    "a": {"href", "title"}, "abbr": {"title"}, "img": {"src", "alt", "title", "width", "height"}, "ol": {"start"},
    "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan", "scope"},
}  # fmt: skip
URL_SCHEMES = {"http", "https", "mailto", "tel"}


@dataclass(frozen=True)
class Placeholder:
    """One placeholder of a text: its dotted name, what to write when it is unfilled, and its 1-based line."""

    name: str
    fallback: str | None
    line: int


@dataclass(frozen=True)
class Filled:
    """A text with its placeholders filled; ``missing`` are those that nothing fills, in order, each once."""

    markdown: str
    missing: tuple[str, ...] = field(default=())


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, reading names from the values only: a fact may be called « items », and no attribute of a dict is reached."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return obj[attribute]


_environment = _Environment(autoescape=False, keep_trailing_newline=True)
# The same name may stand once with a fallback and once without: what is unfilled is always a mark, and the filter replaces it.
_environment.filters = {"fallback": lambda value, text: text if value.startswith(_OPEN) else value}
_environment.globals = {}


@lru_cache(maxsize=4096)
def placeholders(text: str) -> tuple[Placeholder, ...]:
    """List the placeholders of a text.

    Raises:
        TemplateError: the text uses anything but ``{{ name.name }}`` and ``{{ name.name|fallback("…") }}``, or a name that is not in
            the closed list.
    """
    if "{" not in text:
        return ()
    try:
        tree = _environment.parse(text)
    except TemplateSyntaxError as error:
        message = "Ces accolades sont mal fermées ou mal placées : une variable s'écrit {{ service.phone }}."
        raise TemplateError(message, error.lineno) from error
    except RecursionError as error:
        raise TemplateError("Ces accolades sont trop imbriquées : une variable s'écrit {{ service.phone }}.") from error
    found = []
    for statement in tree.body:
        if not isinstance(statement, nodes.Output):
            raise TemplateError("Seules les variables « {{ … }} » sont permises, sans instruction « {% … %} ».", statement.lineno)
        for node in statement.nodes:
            if not isinstance(node, nodes.TemplateData):
                found.append(_placeholder(node))
    return tuple(found)


def _placeholder(node: nodes.Expr) -> Placeholder:
    fallback = None
    expression: nodes.Node | None = node
    if isinstance(node, nodes.Filter):
        arguments = node.args
        if node.name != "fallback" or node.kwargs or len(arguments) != 1 or not isinstance(arguments[0], nodes.Const):
            raise TemplateError(f'Le seul filtre permis est |fallback("texte"), pas « {node.name} ».', node.lineno)
        fallback, expression = str(arguments[0].value), node.node
    parts: list[str] = []
    while isinstance(expression, nodes.Getattr):
        parts.insert(0, expression.attr)
        expression = expression.node
    if not isinstance(expression, nodes.Name) or not parts:
        raise TemplateError("Une variable s'écrit {{ service.phone }} : un nom, un point, un nom.", node.lineno)
    name = ".".join([expression.name, *parts])
    if not _is_known(expression.name, parts):
        raise TemplateError(f"« {name} » n'est pas une variable connue : corrigez-la ou retirez-la.", node.lineno)
    return Placeholder(name, fallback, node.lineno)


def _is_known(root: str, parts: list[str]) -> bool:
    if root == "services":
        return len(parts) > 1 and _is_known("service", parts[1:])
    if parts[0] == "facts":
        return "facts" in PLACEHOLDERS.get(root, ()) and len(parts) == 2
    return len(parts) == 1 and parts[0] in PLACEHOLDERS.get(root, ())


def fill(text: str, values: Mapping[str, str], *, escape: bool = True) -> Filled:
    """Fill the placeholders of a text in Jinja2's sandbox.

    Args:
        text: Markdown (or plain text) with placeholders.
        values: dotted name → value; an absent or empty one is unfilled.
        escape: escape values so that they add no Markdown; off for plain text.

    Raises:
        TemplateError: see ``placeholders``.
    """
    found = placeholders(text)
    if not found:
        return Filled(text)
    tree: dict[str, object] = {}
    missing = []
    for item in found:
        value = _CONTROL.sub("", values.get(item.name, ""))
        if not value.strip():
            if item.fallback is None:
                missing.append(item.name)
            value = f"{_OPEN}{escape_markdown(item.name) if escape else item.name}{_CLOSE}"
        else:
            # A value that was itself filled (the signature) brings the marks of what it misses.
            missing.extend(_MARK.findall(value))
            value = escape_markdown(value) if escape else value
        *parents, leaf = item.name.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})  # type: ignore[assignment]
        branch[leaf] = value
    return Filled(_compiled(text).render(tree), tuple(dict.fromkeys(missing)))


@lru_cache(maxsize=1024)
def _compiled(text: str):  # type: ignore[no-untyped-def]  # jinja2.Template, behind the cache
    return _environment.from_string(text)


def escape_markdown(value: str) -> str:
    """Write a value so that Markdown and HTML show it as it is, line breaks kept."""
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\1", value.strip().replace("&", "&amp;")).replace("\\<", "&lt;").replace("\\>", "&gt;")
    # Python-Markdown takes no backslash before these two, which underline a title and open a fence.
    escaped = escaped.replace("~", "&#126;").replace("=", "&#61;")
    return re.sub(r"\s*\n\s*", "<br>", escaped)


LinkResolver = Callable[[str], "tuple[str, str] | None"]


def to_html(text: str, resolve: LinkResolver | None = None) -> str:
    """Turn filled Markdown into sanitised HTML.

    Args:
        text: Markdown whose placeholders are filled.
        resolve: slug → (title, URL) of the article that ``[[slug]]`` points to; without URL its title is written, and ``None``, when
            there is no such article, leaves the author's words.
    """
    linked = WIKI_LINK.sub(lambda match: _wiki_link(match, resolve), _LIST_AFTER_TEXT.sub(r"\1\n\n", text))
    raw = _markdown(_AUTOLINK.sub(lambda match: match.group().replace("\\", ""), linked))
    clean = nh3.clean(raw, tags=ALLOWED_TAGS, attributes=ALLOWED_ATTRIBUTES, url_schemes=URL_SCHEMES, link_rel="noopener noreferrer")
    # A mark inside an attribute (a link to an unfilled address) becomes words: no tag may stand there, nor a backslash.
    return _MARK.sub(_mark_html, re.sub(r'="[^"]*"', lambda match: show_missing(match.group()).replace("\\", ""), clean))


def _markdown(text: str) -> str:
    """Convert Markdown; a text that would take minutes or more levels than Python has is shown as it is written."""
    if _bracket_steps(text) <= _MAX_BRACKET_STEPS:
        # A parser of its own each time: Markdown instances keep state and are not safe across threads.
        with contextlib.suppress(RecursionError):
            converted: str = markdown.markdown(text, extensions=["tables", "sane_lists", "fenced_code"], output_format="html")
            return converted
    return f"<pre>{html.escape(text)}</pre>"


def _bracket_steps(text: str) -> int:
    """Count the characters that Python-Markdown reads looking for the end of links: from each bracket to its match, or its block's end."""
    steps = 0
    for block in _BLANK_LINES.split(text) if "[" in text else ():
        opened: dict[str, list[int]] = {"]": [], ")": []}
        for match in _BRACKET.finditer(block):
            bracket = match.group()
            if bracket in "[(":
                opened["]" if bracket == "[" else ")"].append(match.start())
            elif opened[bracket]:
                steps += match.start() - opened[bracket].pop()
        steps += sum(len(block) - start for starts in opened.values() for start in starts)
    return steps


def to_plain(text: str, resolve: LinkResolver | None = None) -> str:
    """Turn filled Markdown into plain text: lists keep their dashes, a link shows its address."""
    parser = _PlainText()
    parser.feed(to_html(text, resolve))
    parser.close()
    return parser.text()


def plain_to_html(text: str) -> str:
    """Turn plain text into HTML paragraphs, line breaks kept, addresses clickable."""
    paragraphs = []
    for block in re.split(r"\n{2,}", text.strip()):
        escaped = html.escape(block, quote=False).replace("\n", "<br>")
        linked = re.sub(
            rf"https?://[^\s<{_OPEN}]*[^\s<{_OPEN}.,;:!?)]",
            lambda match: f'<a href="{match.group().replace(chr(34), "%22")}">{match.group()}</a>',
            escaped,
        )
        paragraphs.append(f"<p>{linked}</p>")
    return _MARK.sub(_mark_html, "".join(paragraphs)) if text.strip() else ""


def show_missing(text: str) -> str:
    """Replace the marks of unfilled placeholders by words in square brackets."""
    return _MARK.sub(lambda match: f"[{FILLED_BY_AGENT.get(_marked(match), _marked(match))}]", text)


def _marked(match: re.Match[str]) -> str:
    return match.group(1).replace("\\", "")


def _mark_html(match: re.Match[str]) -> str:
    name = _marked(match)
    return f'<mark class="placeholder" data-placeholder="{name}">[{html.escape(FILLED_BY_AGENT.get(name, name))}]</mark>'


def _wiki_link(match: re.Match[str], resolve: LinkResolver | None) -> str:
    slug, words = match.group(1), match.group(2)
    target = resolve(slug) if resolve else None
    if target is None:
        return words or escape_markdown(slug)
    title, url = target
    shown = words or escape_markdown(title)
    return f"[{shown}]({url})" if url else shown


# Stands for the indent of a nested list while runs of spaces are folded.
_INDENT = "\ue002"


class _PlainText(HTMLParser):
    """Collects the text of sanitised HTML, one blank line between blocks."""

    BLOCKS = frozenset({"p", "ul", "ol", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "div", "hr", "dl"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._href: str | None = None
        self._link_from = 0
        self._lists: list[int | None] = []
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.BLOCKS and not self._lists:
            self._parts.append("\n\n")
        self._in_code = self._in_code or tag == "pre"
        if tag in ("ul", "ol"):
            start = dict(attrs).get("start") or ""
            self._lists.append((int(start) if start.isdecimal() else 1) if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            if self._lists and number is not None:
                self._lists[-1] = number + 1
            self._parts.append("\n" + _INDENT * (len(self._lists) - 1) + (f"{number}. " if number is not None else "- "))
        elif tag in ("br", "tr", "dt", "dd"):
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append(" ")
        elif tag == "a":
            self._href, self._link_from = dict(attrs).get("href"), len(self._parts)

    def handle_endtag(self, tag: str) -> None:
        self._in_code = self._in_code and tag != "pre"
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag in self.BLOCKS and not self._lists:
            self._parts.append("\n\n")
        if tag == "a" and self._href:
            words = "".join(self._parts[self._link_from :]).strip()
            address = self._href.removeprefix("mailto:").removeprefix("tel:")
            if address not in words:
                self._parts.append(f" ({address})")
            self._href = None

    def handle_data(self, data: str) -> None:
        # A line end in the source is a space, as in HTML; only a <br> breaks the line.
        self._parts.append(data if self._in_code else re.sub(r"[ \t\r\n]+", " ", data))

    def text(self) -> str:
        joined = re.sub(r"[ \t]*\n[ \t]*", "\n", re.sub(r"[ \t]+", " ", "".join(self._parts)))
        return show_missing(re.sub(r"\n{3,}", "\n\n", joined).replace(_INDENT, "  ")).strip()
