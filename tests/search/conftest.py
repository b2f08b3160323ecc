"""What the tests of the search share: small articles, an engine on them, and a bound on the cost of a text."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kb.article import Article
from kb.library import Library
from search.embedder import Embedder, SentenceTransformerEmbedder
from search.engine import SearchEngine
from search.index_store import Index, IndexStore
from tests.conftest import FakeEmbedder, MakeKb
from webapp.settings import SAMPLE_KB

# A busy machine is no failure; what must be quick has a test of its own.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

BuildEngine = Callable[..., SearchEngine]


def article(
    title: str, body: str = "", *, path: str = "articles/etat-civil/essai.md", questions: tuple[str, ...] = (), tags: tuple[str, ...] = ()
) -> Article:
    """An article that needs no file."""
    return Article.parse(article_text(title, body, questions=questions, tags=tags), path)


def article_text(title: str, body: str = "", *, questions: tuple[str, ...] = (), tags: tuple[str, ...] = (), **front: object) -> str:
    """The text of an article's file; ``front`` is more front matter."""
    lines = [f"title: {title}", *(f"{key}: {value}" for key, value in front.items())]
    if questions:
        lines += ["questions:", *(f"  - {question}" for question in questions)]
    if tags:
        lines += ["tags:", *(f"  - {tag}" for tag in tags)]
    return "---\n" + "\n".join(lines) + f"\n---\n{body}\n"


TOWN = {
    "articles/etat-civil/passeport.md": article_text(
        "Demander un passeport",
        "Le passeport se demande au guichet, sur rendez-vous, avec une photo et un justificatif de domicile.\n\n"
        "## Prix\nUn timbre fiscal de 86 euros pour un adulte.",
        questions=("Comment obtenir un passeport biométrique ?", "Combien coûte un passeport ?"),
        tags=("voyage",),
    ),
    "articles/etat-civil/carte-identite.md": article_text(
        "Refaire sa carte d'identité",
        "La carte nationale d'identité se refait au guichet, sur rendez-vous.",
        questions=("Comment renouveler ma carte d'identité périmée ?",),
        tags=("CNI", "titre d'identité"),
    ),
    "articles/dechets/bac-jaune.md": article_text(
        "Bac jaune non ramassé",
        "Sortez le bac la veille au soir. Laissez-le dehors : la tournée repasse le lendemain.",
        questions=("Ma poubelle jaune n'a pas été ramassée, que faire ?",),
        tags=("tri", "collecte"),
    ),
    "articles/dechets/encombrants.md": article_text(
        "Faire enlever des encombrants",
        "Les meubles et matelas sont enlevés sur rendez-vous, deux fois par mois.",
        questions=("Comment me débarrasser d'un vieux canapé ?",),
        tags=("collecte",),
    ),
    "articles/education/cantine.md": article_text(
        "Inscrire un enfant à la cantine",
        "L'inscription à la restauration scolaire se fait en juin, sur le portail des familles.",
        questions=("Comment inscrire ma fille à la cantine ?", "Quel est le tarif de la cantine ?"),
        tags=("école",),
    ),
    "articles/urbanisme/permis-construire.md": article_text(
        "Déposer un permis de construire",
        "Le dossier se dépose en ligne. L'instruction dure deux mois pour une maison.",
        questions=("Faut-il un permis pour agrandir ma maison ?",),
        audience="internal",
    ),
    "synonyms.yml": "CNI: [carte nationale d'identité]\nordures: [poubelle, déchets]\n",
}


def assert_linear(work: Callable[[int], object], *, small: int = 5_000, large: int = 20_000) -> None:
    """Check that four times the text costs less than nine times the work: a quadratic one costs sixteen.

    ``work`` takes a number of repetitions. What takes a few milliseconds passes, as the clock says nothing of it.
    """
    ratio = 0.0
    for _ in range(4):  # a busy machine may spoil one measure, not four
        quick, slow = _seconds(work, small), _seconds(work, large)
        ratio = slow / max(quick, 0.002)
        if ratio < 9:
            return
    raise AssertionError(f"{large / small:.0f} times the text costs {ratio:.1f} times the work")


def _seconds(work: Callable[[int], object], count: int) -> float:
    started = time.process_time()
    work(count)
    return time.process_time() - started


def words_in_memory(*endings: str) -> list[str]:
    """The words with one of these endings that some container of the process holds, a cache for instance."""
    gc.collect()
    held = [one for container in gc.get_objects() for one in _inside(container)]
    # A dict or a tuple of nothing but strings is no object of the collector's.
    held += [one for inner in held if type(inner) in {dict, tuple} and not gc.is_tracked(inner) for one in _inside(inner)]
    return [one for one in held if type(one) is str and one.endswith(endings) and one not in endings and " " not in one]


def _inside(container: object) -> list[object]:
    # The collector does not go through keys that are strings.
    return [*dict.keys(container), *dict.values(container)] if issubclass(type(container), dict) else gc.get_referents(container)


@pytest.fixture
def town(make_kb: MakeKb) -> Path:
    """A content folder of six articles in four services."""
    return make_kb(TOWN)


@pytest.fixture
def build_engine(tmp_path: Path) -> Iterator[BuildEngine]:
    """Build engines on content folders: ``build_engine(root, mode="keywords", today=…)``; the fake model by default."""
    opened: list[Index] = []

    def make(root: Path, embedder: Embedder | None = None, **options: object) -> SearchEngine:
        model = None if options.get("mode") == "keywords" else embedder or FakeEmbedder()
        library = Library.load(root)
        index = IndexStore(tmp_path / f"engine-{len(opened)}", model).open(library)
        opened.append(index)
        return SearchEngine(library, index, model, **options)  # type: ignore[arg-type]

    yield make
    for index in opened:
        index.keywords.close()


@pytest.fixture(scope="session")
def sample_engine(real_embedder: SentenceTransformerEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The sample content with the real model: what is promised of them together."""
    library = Library.load(SAMPLE_KB)
    index = IndexStore(tmp_path_factory.mktemp("sample"), real_embedder).open(library)
    yield SearchEngine(library, index, real_embedder)
    index.keywords.close()
