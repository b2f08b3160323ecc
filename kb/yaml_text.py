"""YAML as people mean it: every value is text, a list or a mapping, and nothing can hurt.

YAML 1.1 reads 8:30 as 510, 0261914010 as an octal number and "on" as true. Here a value stays the text that was written (an empty one is
``None``), and the models that read it say what it should be. Aliases and deep nesting are refused before any value is built.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_DEPTH = 50

# Cheap signs of an alias or of nesting; only then are the YAML events walked.
_MAYBE_ALIAS = re.compile(r"(?:^|[\s\[,{:-])[&*][^\s*]", re.MULTILINE)
_MAYBE_NESTED = re.compile(r"[\[{]|[-?] ")
_NULL = "tag:yaml.org,2002:null"


class YamlTextError(Exception):
    """A text that is not YAML, or not the plain kind; ``line`` is 1-based within the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C where libyaml is there
    """The safe loader, with no implicit type but null."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML reads a class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(text: str) -> Any:
    """Read a YAML text whose scalars are all text.

    Raises:
        YamlTextError: it is not YAML, holds an alias, or is nested deeper than ``MAX_DEPTH``.
    """
    try:
        if _MAYBE_ALIAS.search(text) or len(_MAYBE_NESTED.findall(text)) > MAX_DEPTH:
            _refuse_traps(text)
        return yaml.load(text, _TextLoader)  # noqa: S506  # a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlTextError(f"ce n'est pas du YAML valable ({error.problem}). Mettez la valeur entre guillemets.", line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlTextError(f"ce n'est pas du YAML valable ({error}).", 1) from error


def compose(text: str) -> yaml.Node | None:
    """Read where each value of a text that ``load`` accepts stands, by the same parser: PyYAML's own refuses some of what libyaml reads."""
    node: yaml.Node | None = yaml.compose(text, _TextLoader)
    return node


def _refuse_traps(text: str) -> None:
    """Walk the events, which takes neither memory nor stack, before the values are built."""
    depth = 0
    for event in yaml.parse(text, _TextLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            # A few aliases of aliases fill the memory ("billion laughs"), and no article needs them.
            raise YamlTextError("les alias YAML (« *nom ») ne sont pas acceptés : écrivez les valeurs en toutes lettres.", line)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlTextError("il y a trop de niveaux imbriqués : écrivez des listes simples.", line)
