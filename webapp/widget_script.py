"""The widget's script, and the versions that were served before: a page that holds one to its hash outlives an update.

Guarantees: a version is sent whole and unchanged, its digest being its name, or it is not there; a folder that cannot be written
costs the pages of the next update their widget, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from flask import Flask, current_app

from webapp.settings import Settings
from webapp.state import bible

log = logging.getLogger(__name__)

_VERSION = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Script:
    """One version of the widget."""

    body: bytes

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha384(self.body).digest()

    @property
    def version(self) -> str:
        """The first twelve hexadecimal digits of its SHA-384."""
        return self._digest.hex()[:12]

    @property
    def integrity(self) -> str:
        """What a page may hold it to, as W3C's *Subresource Integrity* writes it."""
        return f"sha384-{base64.b64encode(self._digest).decode()}"

    @property
    def address(self) -> str:
        """Address of this very version on this server."""
        return f"/widget-{self.version}.js"


def init_app(app: Flask, settings: Settings) -> None:
    """Keep the version of today for the pages that will hold to it after the next update."""
    script = _read(app.static_folder or "")
    path = _folder(settings) / f"{script.version}.js"
    try:
        if _kept(path) != script:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{script.version}-{os.getpid()}")
            aside.write_bytes(script.body)
            os.replace(aside, path)
    except OSError as error:
        log.warning("Cette version du widget n'a pas pu être gardée pour les pages qui en fixent l'empreinte (%s).", error)


def current() -> Script:
    """The widget as this application serves it."""
    return _read(current_app.static_folder or "")


def find(version: str) -> Script | None:
    """A version that is, or was, served here; ``None`` where there is none, or where its file was altered."""
    if not _VERSION.fullmatch(version):
        return None
    if version == current().version:
        return current()
    with contextlib.suppress(OSError):
        return _kept(_folder(bible().settings) / f"{version}.js")
    return None


def all_versions() -> Iterator[Script]:
    """Every version that has an address here, today's first."""
    yield current()
    for path in sorted(_folder(bible().settings).glob("*.js")):
        found = find(path.stem)
        if found is not None and found != current():
            yield found


@lru_cache(maxsize=1)
def _read(folder: str) -> Script:
    return Script((Path(folder) / "widget" / "widget.js").read_bytes())


def _kept(path: Path) -> Script | None:
    """The version kept in a file; ``None`` where the file is not the version that it names."""
    try:
        found = Script(path.read_bytes())
    except FileNotFoundError:
        return None
    return found if found.version == path.stem else None


def _folder(settings: Settings) -> Path:
    return settings.var_dir / "widget"
