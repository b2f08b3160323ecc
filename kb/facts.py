"""What is true of the organisation: its services, its channels, its synonyms. Read from the YAML files beside the articles.

A missing file is an empty one, so that a folder with articles alone works; a broken file is reported and read as empty.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kb import paths, render, yaml_text
from kb.errors import Problem, TemplateError
from kb.yaml_text import YamlTextError


def _as_facts(value: object) -> object:
    if not isinstance(value, dict):
        return value or {}
    return {str(key): "" if item is None else str(item) for key, item in value.items()}


Facts = Annotated[dict[str, str], BeforeValidator(_as_facts)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: object) -> object:
        """An empty value ("phone:") means the default, not an error that would drop the whole entry."""
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class Service(_Entry):
    """A service of the organisation: who answers and how to reach it.

    ``owners`` are the users and teams that answer for its articles on the forge (``scripts/codeowners.py``).
    """

    key: str
    name: str
    email: str = ""
    phone: str = ""
    hours: str = ""
    address: str = ""
    url: str = ""
    owners: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = ()
    facts: Facts = Field(default_factory=dict)


class Organisation(_Entry):
    """The organisation as a whole."""

    name: str = "Votre collectivité"
    kind: str = ""
    url: str = ""
    faq_url: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""
    closing: str = "Bien cordialement,"
    signature: str = "{{ service.name }}\n{{ organisation.name }}"
    legal_notice: str = ""
    fictional: bool = False
    facts: Facts = Field(default_factory=dict)


LAYOUT_PARTS = ("greeting", "opening", "body", "link", "closing", "signature")


class Layout(_Entry):
    """The texts around the body of a reply, with placeholders; an empty one takes no line."""

    greeting: str = ""
    opening: str = ""
    link: str = ""
    closing: str = ""
    signature: str = ""


class Channel(_Entry):
    """A way to answer. ``limit_chars`` counts the whole reply, link included; ``None`` means no limit."""

    key: str
    label: str
    format: Literal["plain", "rich"] = "plain"
    limit_chars: Annotated[int, Field(gt=0)] | None = None
    prefer: Literal["lead", "short"] = "lead"
    layout: Layout = Layout()


DEFAULT_CHANNEL = Channel(
    key="email",
    label="E-mail",
    format="rich",
    layout=Layout(
        greeting='Bonjour {{ citizen.name|fallback("Madame, Monsieur") }},',
        link="{{ article.url }}",
        closing="{{ organisation.closing }}",
        signature="{{ organisation.signature }}",
    ),
)


class Context(BaseModel):
    """Everything that replies and checks need beside the articles.

    ``synonyms`` are groups of expressions that mean the same.
    """

    model_config = ConfigDict(frozen=True)

    organisation: Organisation = Organisation()
    services: dict[str, Service] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=lambda: {DEFAULT_CHANNEL.key: DEFAULT_CHANNEL})
    synonyms: tuple[tuple[str, ...], ...] = ()

    def service(self, key: str) -> Service:
        """The service with this key; one that is not declared answers with the organisation's own contact."""
        if key in self.services:
            return self.services[key]
        town = self.organisation
        name = key.replace("-", " ").capitalize() if key else town.name
        return Service(key=key, name=name, email=town.email, phone=town.phone, hours=town.hours, address=town.address, url=town.url)

    @property
    def synonyms_hash(self) -> str:
        """Hexadecimal digest of the synonyms, on which the keyword index depends."""
        return hashlib.blake2b(repr(self.synonyms).encode(), digest_size=16).hexdigest()


Model = TypeVar("Model", bound=BaseModel)
FILES = (paths.ORGANISATION, paths.SERVICES, paths.CHANNELS, paths.SYNONYMS)


def load_context(root: Path) -> tuple[Context, list[Problem]]:
    """Read the four YAML files of a content folder.

    Returns:
        The context, and what was wrong: a broken file or entry is left out, never fatal.
    """
    problems: list[Problem] = []
    organisation = _validated(Organisation, _read(root, paths.ORGANISATION, problems), paths.ORGANISATION, problems) or Organisation()
    if not _can_render(organisation.signature, "signature", paths.ORGANISATION, problems):
        organisation = organisation.model_copy(update={"signature": Organisation().signature})
    services = _entries(Service, root, paths.SERVICES, problems)
    channels = _entries(Channel, root, paths.CHANNELS, problems)
    channels = {key: channel for key, channel in channels.items() if _has_layout(channel, problems)}
    synonyms = []
    for term, others in _read(root, paths.SYNONYMS, problems).items():
        values = others if isinstance(others, list) else [others]
        synonyms.append((str(term), *(str(value) for value in values if value)))
    fields: dict[str, Any] = {"organisation": organisation, "services": services, "synonyms": tuple(synonyms)}
    if channels:
        fields["channels"] = channels
    return Context(**fields), problems


def _read(root: Path, name: str, problems: list[Problem]) -> dict[Any, Any]:
    path = root / name
    try:
        data = yaml_text.load(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    except YamlTextError as error:
        problems.append(Problem(name, error.line, f"Ce fichier est laissé de côté : {error}"))
        return {}
    except (ValueError, OSError) as error:
        problems.append(Problem(name, 1, f"Ce fichier n'a pas pu être lu ({error})."))
        return {}
    if data is None:
        return {}
    if not isinstance(data, dict):
        problems.append(Problem(name, 1, "Ce fichier doit être une liste de « clé: valeur »."))
        return {}
    return data


def _line_of(root: Path, name: str, key: str) -> int:
    """1-based line of a top-level key of a file, 1 when it is not found."""
    try:
        match = re.search(rf"^['\"]?{re.escape(key)}['\"]?\s*:", (root / name).read_text(encoding="utf-8-sig"), re.MULTILINE)
    except (OSError, ValueError):
        return 1
    return match.string.count("\n", 0, match.start()) + 1 if match else 1


def _entries(kind: type[Model], root: Path, name: str, problems: list[Problem]) -> dict[str, Model]:
    entries = {}
    for key, value in _read(root, name, problems).items():
        fields = {"name": str(key), "label": str(key), **value, "key": str(key)} if isinstance(value, dict) else value
        entry = _validated(kind, fields, name, problems, str(key), _line_of(root, name, str(key)))
        if entry is not None:
            entries[str(key)] = entry
    return entries


def _has_layout(channel: Channel, problems: list[Problem]) -> bool:
    parts = channel.layout.model_dump().items()
    return all(_can_render(text, f"{channel.key}.layout.{part}", paths.CHANNELS, problems) for part, text in parts)


def _can_render(text: str, where: str, name: str, problems: list[Problem]) -> bool:
    try:
        render.placeholders(text)
    except TemplateError as error:
        problems.append(Problem(name, 1, f"« {where} » : {error}"))
        return False
    return True


def _validated(kind: type[Model], data: object, name: str, problems: list[Problem], key: str = "", line: int = 1) -> Model | None:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([key, *map(str, first["loc"])] if key else map(str, first["loc"]))
        problems.append(Problem(name, line, f"« {where} » : valeur refusée ({first['msg']})."))
        return None
