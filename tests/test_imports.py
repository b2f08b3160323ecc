"""The house's walls: imports run one way, and each heavy library has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.settings import PROJECT

PACKAGES = ("kb", "search", "webapp")
# A package → the project's packages that it may import.
ALLOWED = {"kb": {"kb"}, "search": {"kb", "search"}, "webapp": {"kb", "search", "webapp"}}
OURS = {"kb", "search", "webapp", "scripts", "tests", "training"}
WEB = {"flask", "flask_babel", "flask_wtf", "flask_login", "flask_limiter", "werkzeug", "wtforms"}
WHOOSH_DOORS = {"search/keyword_index.py", "search/text.py"}
MODULES = [path for package in PACKAGES for path in sorted((PROJECT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level package of every import of a module, those inside functions and by name included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield path.relative_to(PROJECT).parts[0] if node.level else (node.module or "").split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value).split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    relative = path.relative_to(PROJECT)
    package, found = relative.parts[0], set(imported(path))
    assert (found & OURS) <= ALLOWED[package]
    if package != "webapp":
        assert not found & WEB, "only webapp knows Flask"
    if relative.as_posix() not in WHOOSH_DOORS:
        assert "whoosh" not in found, "whoosh stays behind keyword_index.py (docs/adr/0002)"


def test_every_package_was_looked_at() -> None:
    seen = {path.relative_to(PROJECT).parts[0] for path in MODULES}
    assert seen == set(PACKAGES)
    everything = {name for path in MODULES for name in imported(path)}
    # Were the reader of imports blind, it would not see these.
    assert {"flask", "whoosh", "kb", "search", "faiss", "sentence_transformers"} <= everything
