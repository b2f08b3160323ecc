"""What a draft repeats, the pairs of a collection, and what two articles state differently: with the real model, and by words alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kb.library import Library
from search import twins
from search.contradictions import Contradiction, contradictions
from search.embedder import Embedder, SentenceTransformerEmbedder
from search.engine import SearchEngine
from search.index_store import IndexStore
from tests.conftest import FakeEmbedder, MakeKb, copy_sample, in_cpu_seconds
from tests.search.conftest import TOWN, article_text
from tests.search.planted_twins import HELD_OUT, MEASURED, Planted

# A subject, two sentences on it that cannot both be true, and the kind of value that differs.
CONTRADICTORY = {
    "price": (
        "Le badge de la ludothèque",
        "Le badge de la ludothèque coûte 12 euros par an.",
        "Comptez 15 € par an pour le badge de la ludothèque.",
        "montant",
    ),
    "delay": (
        "Le dossier de patinoire",
        "Votre dossier de patinoire est traité sous trois semaines.",
        "Le dossier de patinoire est traité en dix jours ouvrés.",
        "délai ou durée",
    ),
    "age": (
        "L'atelier de poterie",
        "L'atelier de poterie accueille les enfants dès 6 ans.",
        "Les enfants sont accueillis à l'atelier de poterie à partir de 8 ans.",
        "âge",
    ),
    "phone": (
        "Réserver le ponton",
        "Pour le ponton, appelez la capitainerie au 02 61 91 77 01.",
        "Téléphonez à la capitainerie au 02 61 91 77 10 pour le ponton.",
        "numéro de téléphone",
    ),
    "email": (
        "Visiter le jardin botanique",
        "Écrivez au jardin botanique à jardin@valbourg.example pour une visite.",
        "Pour une visite du jardin botanique, écrivez à botanique@valbourg.example.",
        "adresse e-mail",
    ),
    "hours": (
        "La serre tropicale",
        "La serre tropicale est ouverte de 9 h à 12 h.",
        "La serre tropicale ouvre ses portes de 10 h à 12 h 30.",
        "horaire",
    ),
    "date": (
        "Le budget participatif",
        "Les candidatures au budget participatif sont closes le 31 mars.",
        "Déposez votre candidature au budget participatif avant le 15 avril.",
        "date",
    ),
    "percentage": (
        "L'aide au vélo cargo",
        "La ville rembourse 30 % du prix d'un vélo cargo.",
        "Un vélo cargo est remboursé à 40 % de son prix par la ville.",
        "pourcentage",
    ),
    "validity": (
        "La carte de pêche",
        "La carte de pêche de l'étang est valable deux ans.",
        "Votre carte de pêche pour l'étang est valable un an.",
        "durée de validité",
    ),
}
# Two sentences that differ and may both be true.
COMPATIBLE = {
    "same delay": ("Votre dossier de patinoire est traité sous quinze jours.", "Votre dossier de patinoire est traité sous deux semaines."),
    "same price": ("Le badge de la ludothèque coûte 1 200 euros.", "Le badge de la ludothèque coûte 1200,00 €."),
    "two ages": ("Pour un adulte, le badge de la ludothèque coûte 12 €.", "Pour un enfant, le badge de la ludothèque coûte 5 €."),
    "two days": ("Le samedi, la serre tropicale ouvre de 9 h à 12 h.", "Le dimanche, la serre tropicale ouvre de 10 h à 13 h."),
    "two kinds": ("La carte de pêche est valable deux ans.", "La carte de pêche coûte deux euros."),
    "two subjects": ("Votre dossier de patinoire est traité sous trois semaines.", "Le vélo cargo est prêté pendant trois mois."),
    "one list": ("Le badge coûte 12 €, ou 5 € pour les familles.", "Le badge coûte 12 € pour tous les habitants."),
    "a year left out": ("Les candidatures sont closes le 31 mars.", "Les candidatures sont closes le 31 mars 2027."),
}


def planted_text(planted: Planted) -> str:
    return article_text(f'"{planted.title}"', planted.lead, questions=tuple(f'"{one}"' for one in planted.questions))


def engine_on(root: Path, folder: Path, embedder: Embedder | None) -> SearchEngine:
    library = Library.load(root)
    return SearchEngine(library, IndexStore(folder, embedder).open(library), embedder)


@pytest.fixture(scope="module")
def sample(real_embedder: SentenceTransformerEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The sample with the real model, read only."""
    folder = tmp_path_factory.mktemp("twins")
    engine = engine_on(copy_sample(folder / "kb"), folder / "index", real_embedder)
    yield engine
    engine.index.keywords.close()


@pytest.fixture(scope="module")
def sample_words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The sample without a model."""
    folder = tmp_path_factory.mktemp("twins-words")
    engine = engine_on(copy_sample(folder / "kb"), folder / "index", None)
    yield engine
    engine.index.keywords.close()


@pytest.fixture(scope="module")
def doubled(real_embedder: SentenceTransformerEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The sample, every planted twin, and every contradiction in two articles of two services."""
    folder = tmp_path_factory.mktemp("twins-doubled")
    root = copy_sample(folder / "kb")
    for planted in (*MEASURED, *HELD_OUT):
        (root / "articles" / "relation-usagers" / f"double-{planted.slug}.md").write_text(planted_text(planted), encoding="utf-8")
    for name, (title, first, second, _) in CONTRADICTORY.items():
        for folder_name, sentence in (("culture-sport", first), ("voirie", second)):
            (root / "articles" / folder_name / f"{name}-{folder_name}.md").write_text(article_text(title, sentence), encoding="utf-8")
    engine = engine_on(root, folder / "index", real_embedder)
    yield engine
    engine.index.keywords.close()


def write_both(make_kb: MakeKb, first: str, second: str, **more: str) -> Path:
    title = "Ludothèque, patinoire, serre, pêche et vélo cargo"
    return make_kb(
        {
            "articles/culture-sport/un.md": article_text(title, first),
            "articles/voirie/deux.md": article_text(title, second),
            **{name.replace("__", "."): words for name, words in more.items()},
        }
    )


# ---- while one types ----
@pytest.mark.parametrize("planted", HELD_OUT, ids=lambda planted: planted.slug)
def test_a_draft_is_told_which_article_it_repeats(sample: SearchEngine, planted: Planted) -> None:
    [first, *_] = twins.near(sample, planted.title, planted.questions, planted.lead)
    assert first.slug == planted.slug
    assert twins.TWINS_FROM <= first.likeness <= 1
    assert first.shared


def test_a_title_alone_is_mostly_enough(sample: SearchEngine) -> None:
    found = [twins.near(sample, planted.title) for planted in HELD_OUT]
    right = [bool(near) and near[0].slug == planted.slug for near, planted in zip(found, HELD_OUT, strict=True)]
    assert sum(right) >= 10
    assert not any(near and near[0].slug != planted.slug for near, planted in zip(found, HELD_OUT, strict=True))


def test_a_new_subject_is_left_in_peace(sample: SearchEngine) -> None:
    """Every sample article, typed as if it were not there: nine in ten are near nothing."""
    warned = [
        bool(twins.near(sample, article.title, article.meta.questions[:3], article.lead, exclude={article.slug}))
        for article in sample.library.articles.values()
    ]
    assert sum(warned) <= len(warned) / 10


@pytest.mark.parametrize("planted", MEASURED, ids=lambda planted: planted.slug)
def test_words_alone_tell_what_a_whole_draft_repeats(sample_words: SearchEngine, planted: Planted) -> None:
    near = twins.near(sample_words, planted.title, planted.questions, planted.lead)
    assert near[0].slug == planted.slug


def test_an_article_is_not_near_itself_while_it_is_edited(sample: SearchEngine, sample_words: SearchEngine) -> None:
    article = sample.library.articles["encombrants"]
    for engine in (sample, sample_words):
        [own, *_] = twins.near(engine, article.title, article.meta.questions, article.lead)
        assert own.slug == "encombrants"
        assert "encombrants" not in {one.slug for one in twins.near(engine, article.title, exclude={"encombrants"})}


@pytest.mark.parametrize("title", ["", "   ", "?!", "\x00", "de la le"])
def test_nothing_typed_is_near_nothing(sample: SearchEngine, sample_words: SearchEngine, title: str) -> None:
    assert twins.near(sample, title) == twins.near(sample_words, title) == []


@pytest.mark.parametrize("has_model", [True, False])
def test_an_empty_collection_has_neither_near_nor_twins(make_kb: MakeKb, tmp_path: Path, has_model: bool) -> None:
    engine = engine_on(make_kb({}), tmp_path / "index", FakeEmbedder() if has_model else None)
    assert twins.near(engine, "Le bac jaune") == twins.twins(engine) == contradictions(engine) == []


def test_what_is_shared_is_written_as_it_was_typed(sample_words: SearchEngine) -> None:
    [first, *_] = twins.near(sample_words, "Obtenir un Passeport biométrique", ["Combien coûte un passeport ?"])
    assert first.slug == "passeport-demande"
    assert {"passeport", "biométrique"} <= set(first.shared)


def test_five_thousand_articles_are_not_compared_one_by_one(make_kb: MakeKb, tmp_path: Path) -> None:
    engine = large_engine(make_kb, tmp_path, FakeEmbedder())
    words = SearchEngine(engine.library, engine.index, None)
    for one in (engine, words):
        assert in_cpu_seconds(5, partial(twins.near, one, "Article 33 du quartier 8", ["Où va la question 33 ?"]))
    in_cpu_seconds(60, lambda: twins.twins(engine))


def large_engine(make_kb: MakeKb, tmp_path: Path, embedder: FakeEmbedder) -> SearchEngine:
    subjects = ("bac", "passeport", "piscine", "crèche", "permis", "cimetière", "école", "bus", "impôt", "trottoir")
    files = {
        f"articles/s{number % 10}/a{number}.md": article_text(
            f"Article {number} sur {subjects[number % 10]} du quartier {number % 97}",
            f"Réponse {number} : le service {number % 53} traite la demande {number}.",
            questions=(f"Où va la question {number} ?",),
        )
        for number in range(5000)
    }
    return engine_on(make_kb(files), tmp_path / "large", embedder)


# ---- over the collection ----
def test_the_sample_holds_no_twins(sample: SearchEngine) -> None:
    assert twins.twins(sample) == []


def test_repeated_articles_come_out_and_their_neighbours_do_not(doubled: SearchEngine) -> None:
    found = {(one.a, one.b) for one in twins.twins(doubled) if one.a.split("-")[0] not in CONTRADICTORY}
    wanted = {frozenset((planted.slug, f"double-{planted.slug}")) for planted in HELD_OUT}
    planted_too = wanted | {frozenset((planted.slug, f"double-{planted.slug}")) for planted in MEASURED}
    assert wanted <= {frozenset(pair) for pair in found}
    assert {frozenset(pair) for pair in found} <= planted_too


def test_twins_are_ordered_and_each_pair_comes_once(doubled: SearchEngine) -> None:
    found = twins.twins(doubled)
    assert [one.likeness for one in found] == sorted((one.likeness for one in found), reverse=True)
    assert len({frozenset((one.a, one.b)) for one in found}) == len(found)
    assert all(one.a != one.b for one in found)


def test_words_alone_flood_nobody(sample_words: SearchEngine) -> None:
    assert len(twins.twins(sample_words)) <= 5


def test_a_copy_is_a_twin_with_and_without_a_model(make_kb: MakeKb, tmp_path: Path) -> None:
    copy = {path.replace("bac-jaune", "copie"): words for path, words in TOWN.items() if "bac-jaune" in path}
    root = make_kb({**TOWN, **copy})
    for name, embedder in (("fake", FakeEmbedder()), ("words", None)):
        [pair] = twins.twins(engine_on(root, tmp_path / name, embedder))
        assert {pair.a, pair.b} == {"bac-jaune", "copie"}
        assert pair.likeness == pytest.approx(1, abs=0.01)


def test_advice_and_answer_are_no_twins(make_kb: MakeKb, tmp_path: Path) -> None:
    words = "Laissez votre bac dehors, la tournée repasse demain."
    root = make_kb(
        {"articles/a/un.md": article_text("Le bac", words), "articles/a/deux.md": article_text("Le bac", words, kind="advice"), **TOWN}
    )
    assert twins.twins(engine_on(root, tmp_path / "index", FakeEmbedder())) == []


def test_a_deleted_article_is_nobodys_twin(make_kb: MakeKb, tmp_path: Path) -> None:
    root = make_kb({**TOWN, "articles/dechets/copie.md": TOWN["articles/dechets/bac-jaune.md"]})
    store = IndexStore(tmp_path / "index", FakeEmbedder())
    before = Library.load(root)
    store.open(before)
    (root / "articles/dechets/copie.md").unlink()
    after = before.refreshed()
    engine = SearchEngine(after, store.open(after), FakeEmbedder())
    assert twins.twins(engine) == []
    assert "copie" not in {one.slug for one in twins.near(engine, "Bac jaune non ramassé")}


# ---- contradictions ----
def found_in(engine: SearchEngine, name: str) -> list[Contradiction]:
    return [one for one in contradictions(engine) if {one.a, one.b} == {f"{name}-culture-sport", f"{name}-voirie"}]


@pytest.mark.parametrize("name", CONTRADICTORY)
def test_a_planted_contradiction_comes_out(doubled: SearchEngine, name: str) -> None:
    _, first, second, what = CONTRADICTORY[name]
    [found] = found_in(doubled, name)
    assert {found.sentence_a, found.sentence_b} == {first, second}
    assert found.what == what
    assert found.value_a in found.sentence_a and found.value_b in found.sentence_b


def test_the_sample_gives_no_false_alarm(sample: SearchEngine) -> None:
    assert contradictions(sample) == []


def test_words_alone_give_few_false_alarms(sample_words: SearchEngine) -> None:
    assert len(contradictions(sample_words)) <= 2


@pytest.mark.parametrize("name", COMPATIBLE)
@pytest.mark.parametrize("has_model", [True, False])
def test_what_may_both_be_true_is_left_alone(
    make_kb: MakeKb, tmp_path: Path, real_embedder: SentenceTransformerEmbedder, name: str, has_model: bool
) -> None:
    root = write_both(make_kb, *COMPATIBLE[name])
    assert contradictions(engine_on(root, tmp_path / "index", real_embedder if has_model else None), [("un", "deux")]) == []


SERVICES = """\
culture-sport:
  name: Culture
  phone: 01 11 11 11 11
  facts: {tarif: 12 euros}
voirie:
  name: Voirie
  phone: 02 22 22 22 22
  facts: {tarif: 15 euros}
"""


def test_each_service_has_a_phone_and_facts_of_its_own(make_kb: MakeKb, tmp_path: Path) -> None:
    for sentence in (
        "Pour le badge de la ludothèque, appelez le {{ service.phone }}.",
        "Le badge de la ludothèque coûte {{ service.facts.tarif }}.",
    ):
        root = write_both(make_kb, sentence, sentence, services__yml=SERVICES)
        assert contradictions(engine_on(root, tmp_path / root.name, None), [("un", "deux")]) == []


def test_a_figure_typed_by_hand_contradicts_the_fact(make_kb: MakeKb, tmp_path: Path) -> None:
    root = write_both(
        make_kb,
        "Le badge de la ludothèque coûte {{ service.facts.tarif }}.",
        "Le badge de la ludothèque coûte 15 €.",
        services__yml=SERVICES,
    )
    [found] = contradictions(engine_on(root, tmp_path / "index", None), [("un", "deux")])
    assert (found.value_a, found.value_b) == ("12 euros", "15 €")
    assert found.sentence_a == "Le badge de la ludothèque coûte 12 euros."


def test_one_value_of_a_list_that_differs_comes_out(make_kb: MakeKb, tmp_path: Path) -> None:
    root = write_both(make_kb, "Le badge coûte 12 € en semaine, 5 € le soir.", "Le badge coûte 14 € en semaine, 5 € le soir.")
    [found] = contradictions(engine_on(root, tmp_path / "index", None), [("un", "deux")])
    assert (found.value_a, found.value_b) == ("12 €", "14 €")
