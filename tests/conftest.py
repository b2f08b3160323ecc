"""What every test may use: content folders in a temporary folder, a fake and the real model, an application, a live server.

No fixture reads the environment's own settings (``BIBLE_*``, ``.env``) or writes outside pytest's temporary folders. Real time goes
into ``real_embedder`` alone, once in a session; a test that asks for it gets the marker ``model``.
"""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic_settings import SettingsConfigDict

from kb import git_store
from search import text
from search.embedder import Progress, SentenceTransformerEmbedder, Vectors
from tests.serving import served
from webapp import create_app
from webapp.settings import PROJECT, Settings

T = TypeVar("T")

CONTENT = ("articles", "organisation.yml", "services.yml", "channels.yml", "synonyms.yml")
MakeKb = Callable[[dict[str, str]], Path]
MakeApp = Callable[..., Flask]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that loads the real model, so that ``-m "not model"`` leaves none behind."""
    for item in items:
        if "real_embedder" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.model)


@pytest.fixture(scope="session", autouse=True)
def _own_settings() -> Iterator[None]:
    """Hide the settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("BIBLE_"):
                patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        yield


# ---- models ----
@dataclass
class FakeEmbedder:
    """A deterministic stand-in for a model: hashed character trigrams, so that texts that share words are near.

    ``encoded`` lists the passages that were encoded, in order: what an index had to pay for.
    """

    name: str = "fake"
    fingerprint: str = "fake-trigrams-64"
    dimensions: int = 64
    background: tuple[float, float] = (0.0, 0.1)
    encoded: list[str] = field(default_factory=list)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._vectors(texts)

    def encode_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.encoded.extend(texts)
        if progress:
            progress(len(texts))
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, one in enumerate(texts):
            for word in text.terms(one) or ["vide"]:
                padded = f"<{word}>"
                for start in range(len(padded) - 2):
                    digest = zlib.crc32(padded[start : start + 3].encode())
                    vectors[row, digest % self.dimensions] += 1.0 if digest & 0x10000 else -1.0
            vectors[row, 0] += 1e-3  # never a null vector
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def fake_embedder() -> FakeEmbedder:
    """A model of no cost, fresh, where the model is not the point."""
    return FakeEmbedder()


@pytest.fixture(scope="session")
def real_embedder() -> SentenceTransformerEmbedder:
    """The embedded default model, loaded once."""
    return SentenceTransformerEmbedder()


# ---- content folders ----
@pytest.fixture
def sample_kb(tmp_path: Path) -> Path:
    """A copy of the sample content, not a git repository, that the test may change."""
    return copy_sample(tmp_path / "sample-kb")


@pytest.fixture
def make_kb(tmp_path: Path) -> MakeKb:
    """Make content folders: ``make_kb({"articles/dechets/bac.md": "---\\ntitle: …\\n---\\n…", "services.yml": "…"})``."""
    made = 0

    def make(files: dict[str, str]) -> Path:
        nonlocal made
        made += 1
        root = tmp_path / f"kb-{made}"
        (root / "articles").mkdir(parents=True)
        for relative, words in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(words, encoding="utf-8")
        return root

    return make


def copy_sample(target: Path) -> Path:
    """Copy the content files of the project's ``kb/``, without its code."""
    target.mkdir(parents=True)
    for name in CONTENT:
        source = PROJECT / "kb" / name
        if source.is_dir():
            shutil.copytree(source, target / name)
        else:
            shutil.copy2(source, target / name)
    return target


# ---- applications ----
class FakeModelSettings(Settings):
    """Settings whose model is the fake one."""

    model_config = SettingsConfigDict(env_file=None)

    def load_embedder(self) -> FakeEmbedder:  # type: ignore[override]
        return FakeEmbedder()


def settings_for(kb_dir: Path, var_dir: Path, **values: object) -> Settings:
    """Settings for a test; the fake model unless ``model`` names another."""
    kind = Settings if "model" in values else FakeModelSettings
    return kind(**{"kb_dir": kb_dir, "var_dir": var_dir, "watch": False, "secret_key": "for-tests-only"} | values)  # type: ignore[arg-type]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make applications: ``make_app(kb_dir, model="none", language="en", …)``; the fake model when none is named."""
    made: list[Flask] = []

    def make(kb_dir: Path, **values: object) -> Flask:
        var_dir = values.pop("var_dir", tmp_path / f"var-{len(made)}")
        assert isinstance(var_dir, Path)
        made.append(create_app(settings_for(kb_dir, var_dir, **values)))
        return made[-1]

    yield make
    for app in made:
        close(app)


def in_cpu_seconds(limit: float, work: Callable[[], T]) -> T:
    """Do some work that must not blow up (a square, a bomb). The limit is no speed to hold: machines differ and are shared."""
    started = time.process_time()
    done = work()
    assert time.process_time() - started < limit
    return done


def close(app: Flask) -> None:
    """Stop an application's thread and close its files."""
    live = app.extensions["bible"].live
    live.stop()
    live.engine.index.keywords.close()


# What the sample content has no example of: a placeholder for the agent, a review that is late, an old slug, an internal answer.
EXTRA = {
    "articles/relation-usagers/dossier-zephyr.md": """\
---
title: Suivre un dossier Zéphyr
service: relation-usagers
questions: [Où en est mon dossier Zéphyr ?, Avancement du dossier Zéphyr]
short: Votre dossier Zéphyr {{ request.reference }} est suivi au {{ service.phone }}.
reviewed_on: 2019-01-15
review_by: 2020-01-15
aliases: [suivi-zephyr]
---
Votre dossier Zéphyr numéro {{ request.reference }} est à l'étude. Appelez le {{ service.phone }} pour en parler.

## Ensuite
Voir [[horaires-mairie|nos horaires]].
""",
    "articles/relation-usagers/standard-mistral.md": """\
---
title: Transférer un appel Mistral
service: relation-usagers
audience: internal
questions: [Comment transférer un appel Mistral ?]
---
Composez le 12 pour transférer un appel Mistral.
""",
}


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application on the sample content and ``EXTRA``, in git, with the fake model. Shared: tests only read from it."""
    folder = tmp_path_factory.mktemp("shared-app")
    content = copy_sample(folder / "content")
    for relative, words in EXTRA.items():
        (content / relative).write_text(words, encoding="utf-8")
    git_store.ensure_repository(folder / "kb", content)
    made = create_app(settings_for(folder / "kb", folder / "var"))
    yield made
    close(made)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without scripts, with cookies of its own, on ``app``."""
    return app.test_client()


@pytest.fixture(scope="session")
def live_server(app: Flask) -> Iterator[str]:
    """Address of ``app``, served for real on a free port of the loopback; no slash at the end."""
    with served(app) as address:
        yield address
