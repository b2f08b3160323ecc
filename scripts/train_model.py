"""Train ``models/bible-fr``: a static French sentence-embedding model, from text alone, in minutes on two cores.

    python -m scripts.train_model [--corpus ../shared/corpus/pairs.jsonl.gz] [--out models/bible-fr]

1. A WordPiece vocabulary on lower-cased, accent-free text.
2. Token vectors from co-occurrence: positive pointwise mutual information in a window, then a truncated SVD (Levy and Goldberg, 2014),
   scaled by smooth inverse frequency so that frequent words weigh little (Arora et al., 2017).
3. Symmetric multiple-negatives ranking (Henderson et al., 2017) on pairs of texts that mean the same: citizens' messages and the plain
   questions behind them, handfuls of words of one lexical field and what they are about, headings and their passages, sentences and
   those that follow; part of the queries are disturbed (typos, SMS spelling) so that the model has met them.

Only the train split of ``training/messages`` is used. The result is loaded by ``SentenceTransformer(path)``. The words of the
well-written texts go to ``search/french_words.txt``: the speller leaves them alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tqdm import tqdm

from kb.article import Article
from kb.library import Library
from scripts.training_lexicon import LexicalField, lexical_fields
from scripts.training_messages import Message, messages
from search import text
from search.embedder import DEFAULT_MODEL, OWN_MODELS
from search.passages import passages
from search.spelling import FRENCH_WORDS, MIN_LETTERS
from webapp.settings import PROJECT, SAMPLE_KB

Matrix = npt.NDArray[np.float32]

CORPUS = PROJECT.parent / "shared" / "corpus" / "pairs.jsonl.gz"
OUT = OWN_MODELS / DEFAULT_MODEL

UNKNOWN, UNKNOWN_ID = "[UNK]", 1
OFF_TOPIC_ADVICE = "conseil-demande-incongrue"
# Styles without mistakes: their words are French.
WELL_WRITTEN = frozenset({"mail", "situation", "senior"})
# The share of handfuls of words that are paired with what they are about, the others with one another.
LEXICON_ABOUT = 0.7


@dataclass(frozen=True)
class Recipe:
    """Every choice of the training, with the values that the ablations of the model card kept."""

    seed: int = 20_261_122
    vocabulary: int = 24_000
    dimensions: int = 384
    window: int = 6
    sif: float = 1e-3
    epochs: int = 5
    batch: int = 512
    scale: float = 20.0
    learning_rate: float = 3e-3
    disturbed: float = 0.4
    dropped: float = 0.4
    next_sentence_weight: float = 1.6
    message_repeats: int = 3
    lexicon_samples: int = 250  # handfuls for every 100 expressions
    lexicon_fewest: int = 2
    lexicon_most: int = 6
    ppmi: bool = True
    use_messages: bool = True
    use_lexicon: bool = True
    use_corpus: bool = True
    use_articles: bool = True


@dataclass(frozen=True)
class Pair:
    """Two texts that mean the same. Pairs of one ``group`` are never each other's negatives; ``weight`` scales the loss."""

    query: str
    passage: str
    group: str
    weight: float = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Train and save; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--out", type=Path, default=OUT)
    for field in fields(Recipe):
        option = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default, help="for ablations")
        else:
            parser.add_argument(option, type=type(field.default), default=field.default)
    options = parser.parse_args(arguments)
    if not options.corpus.exists():
        print(f"{options.corpus} is missing: give the training corpus with --corpus.", file=sys.stderr)
        return 2
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    started = time.perf_counter()
    train(recipe, options.corpus, options.out, words=FRENCH_WORDS if options.out.resolve() == OUT else None)
    size_mb = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file()) / 1e6
    print(f"{options.out}: {size_mb:.1f} MB in {time.perf_counter() - started:.0f} s")
    return 0


def train(recipe: Recipe, corpus: Path, out: Path, words: Path | None = None, unseen: frozenset[str] = frozenset()) -> None:
    """Run the whole recipe and save the model in ``out``, which is replaced only when all went well.

    Args:
        recipe: the choices of the training.
        corpus: gzipped JSON lines of pairs.
        out: the folder of the model.
        words: where the words of the well-written texts go, one a line; nowhere by default.
        unseen: slugs of topics that nothing is learnt of, neither message nor article nor lexical field.
    """
    random.seed(recipe.seed)
    np.random.seed(recipe.seed)  # scikit-learn's SVD reads it
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    written = [message for message in messages("train") if recipe.use_messages and not unseen & set(message.topics)]
    lexicon = [field for field in lexical_fields() if recipe.use_lexicon and field.subject not in unseen]
    chance = random.Random(recipe.seed)  # noqa: S311  # training, not a secret
    corpus_pairs = read_corpus(corpus, recipe)
    texts = [one for pair in corpus_pairs for one in (pair.query, pair.passage)]
    texts += [one for message in written for one in (message.text, message.question, *message.paraphrases) if one]
    articles = [article for slug, article in Library.load(SAMPLE_KB).articles.items() if slug not in unseen]
    texts += [passage.encoded for article in articles for passage in passages(article)]
    # The expressions of a field side by side: a window that slides over them sees which words go together.
    texts += [field.sample(chance, len(field.expressions), len(field.expressions)) for field in lexicon]
    texts = list(dict.fromkeys(texts))
    print(f"{len(corpus_pairs)} pairs of the corpus, {len(written)} messages, {len(lexicon)} lexical fields, {len(texts)} distinct texts")
    tokenizer = train_tokenizer(texts, recipe)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    vectors = initial_vectors(ids, tokenizer.get_vocab_size(), recipe)
    pairs = corpus_pairs if recipe.use_corpus else []
    pairs = [*pairs, *message_pairs(written, recipe), *article_pairs(articles, written, recipe)]
    pairs += lexicon_pairs(lexicon, articles, recipe, chance)
    vectors = contrast(vectors, tokenizer, pairs, recipe)
    save(vectors, tokenizer, out)
    if words:
        careful = [one for pair in corpus_pairs for one in (pair.query, pair.passage)]
        careful += [one for message in written for one in (message.question, *message.paraphrases)]
        careful += [message.text for message in written if message.style in WELL_WRITTEN]
        careful += [passage.encoded for article in articles for passage in passages(article)]
        words.write_text("\n".join(french_words(dict.fromkeys(careful))) + "\n", encoding="utf-8")


def read_corpus(path: Path, recipe: Recipe) -> list[Pair]:
    """Read the pairs of the corpus; a passage is the group, as several questions may share it."""
    pairs = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            weight = recipe.next_sentence_weight if entry["kind"] == "next_sentences" else 1.0
            pairs.append(Pair(entry["query"], entry["passage"], entry["passage"], weight))
    return pairs


def message_pairs(written: Sequence[Message], recipe: Recipe) -> list[Pair]:
    """Pair each message with what it means: its question, its paraphrases, and how somebody else said the same."""
    by_need: dict[str, list[Message]] = {}
    for message in written:
        if message.question:
            by_need.setdefault(message.need, []).append(message)
    pairs = []
    for need, told in by_need.items():
        # Needs of one topic share most of their words: they are no good negatives of each other.
        group = told[0].topics[0] if told[0].topics else need
        plain = [told[0].question, *told[0].paraphrases]
        pairs += [Pair(one, other, group) for one in plain for other in plain if one != other]
        for message in told:
            others = [other.text for other in told if other.text != message.text]
            targets = [*plain, *random.sample(others, k=min(len(others), recipe.message_repeats))]
            pairs += [Pair(message.text, target, group) for target in targets]
    return pairs


def article_pairs(articles: Sequence[Article], written: Sequence[Message], recipe: Recipe) -> list[Pair]:
    """Pair each article's questions, and the messages that it answers, with its title, its lead and one another."""
    if not recipe.use_articles:
        return []
    told: dict[str, list[str]] = {}
    for message in written:
        # What no town hall answers is drawn to the advice on such messages, which is how the desk recognises it.
        for topic in (OFF_TOPIC_ADVICE,) if message.kind == "off-topic" else message.topics[:1]:
            told.setdefault(topic, []).append(message.text)
    pairs = []
    for article in articles:
        title, lead = article.title, text.plain(article.lead)
        questions = list(article.meta.questions)
        pairs += [Pair(title, lead, article.slug)]
        for question in questions:
            others = random.sample([other for other in questions if other != question], k=min(2, len(questions) - 1))
            pairs += [Pair(question, target, article.slug) for target in (title, lead, *others)]
        for words in told.get(article.slug, []):
            others = [other for other in told[article.slug] if other != words]
            near = [*random.sample(questions, k=min(2, len(questions))), *random.sample(others, k=min(1, len(others)))]
            pairs += [Pair(words, target, article.slug) for target in (title, lead, *near)]
    return pairs


def lexicon_pairs(lexicon: Sequence[LexicalField], articles: Sequence[Article], recipe: Recipe, chance: random.Random) -> list[Pair]:
    """Pair handfuls of expressions of a field with what the field is about: its title, its article's questions, another handful."""
    pairs = []
    by_slug = {article.slug: article for article in articles}
    for field in lexicon:
        group = OFF_TOPIC_ADVICE if field.kind == "off-topic" else field.subject
        article = by_slug.get(group)
        about = [field.title] if field.title else []
        if article and recipe.use_articles:
            about += [article.title, text.plain(article.lead), *article.meta.questions]
        for _ in range(recipe.lexicon_samples * len(field.expressions) // 100):
            handful = field.sample(chance, recipe.lexicon_fewest, recipe.lexicon_most)
            other = field.sample(chance, recipe.lexicon_fewest, recipe.lexicon_most)
            pairs.append(Pair(handful, chance.choice(about) if about and chance.random() < LEXICON_ABOUT else other, group))
    return pairs


def french_words(texts: Iterable[str]) -> list[str]:
    """List the words that the texts hold twice or more, folded, in alphabetical order: rarer ones may be mistakes."""
    counts = Counter(word for one in texts for word in re.findall(r"[^\W\d_]+", text.fold(one)))
    return sorted(word for word, count in counts.items() if count >= 2 and len(word) >= MIN_LETTERS)


def train_tokenizer(texts: Iterable[str], recipe: Recipe) -> Tokenizer:
    """Learn a WordPiece vocabulary on lower-cased, accent-free words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=40))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace("œ", "oe"), normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=recipe.vocabulary, min_frequency=2, special_tokens=["[PAD]", UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def initial_vectors(ids: Sequence[Sequence[int]], size: int, recipe: Recipe) -> Matrix:
    """Make token vectors from co-occurrence, scaled by smooth inverse frequency; shape (size, dimensions)."""
    counts = Counter(token for sequence in ids for token in sequence)
    frequency = np.array([counts[token] for token in range(size)], dtype=np.float64) + 1.0
    weights = recipe.sif / (recipe.sif + frequency / frequency.sum())
    if recipe.ppmi:
        left = _scaled_svd(_ppmi(ids, size, recipe.window), recipe)
    else:
        left = np.random.default_rng(recipe.seed).normal(size=(size, recipe.dimensions))
    norms = np.linalg.norm(left, axis=1, keepdims=True)
    unit = left / np.maximum(norms, 1e-9)
    return np.asarray(unit * weights[:, None], dtype=np.float32)


def _ppmi(ids: Sequence[Sequence[int]], size: int, window: int) -> sparse.csr_matrix:
    total = sparse.csr_matrix((size, size), dtype=np.float64)
    flat = np.concatenate([[*sequence, *([-1] * window)] for sequence in ids])
    for distance in range(1, window + 1):
        one, other = flat[:-distance], flat[distance:]
        both = (one >= 0) & (other >= 0)
        # A nearer word says more: its count is divided by the distance.
        weight = np.full(both.sum(), 1.0 / distance)
        total = total + sparse.csr_matrix((weight, (one[both], other[both])), shape=(size, size))
    total = (total + total.T).tocoo()
    sums = np.asarray(total.sum(axis=1)).ravel()
    smoothed = sums**0.75
    value = np.log(total.data * smoothed.sum() / (sums[total.row] * smoothed[total.col]))
    kept = value > 0
    return sparse.csr_matrix((value[kept], (total.row[kept], total.col[kept])), shape=(size, size))


def _scaled_svd(matrix: sparse.csr_matrix, recipe: Recipe) -> npt.NDArray[np.float64]:
    left, singular, _ = randomized_svd(matrix, n_components=recipe.dimensions, n_iter=4, random_state=recipe.seed)
    return np.asarray(left * np.sqrt(singular), dtype=np.float64)


def contrast(vectors: Matrix, tokenizer: Tokenizer, pairs: Sequence[Pair], recipe: Recipe) -> Matrix:
    """Pull the two texts of a pair together and push the others of the batch away."""
    bag = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(vectors), mode="sum", freeze=False, sparse=True)
    optimizer = torch.optim.SparseAdam(bag.parameters(), lr=recipe.learning_rate)
    known = _tokenized(tokenizer, [one for pair in pairs for one in (pair.query, pair.passage)])
    steps_per_epoch = len(pairs) // recipe.batch
    total_steps = recipe.epochs * steps_per_epoch
    # The rows start small (SIF): the step is relative to their size.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.02, 1 - step / max(total_steps, 1)))
    shuffler = random.Random(recipe.seed)  # noqa: S311  # a shuffle, not a secret
    bar = tqdm(total=total_steps, desc="training", unit="batch")
    for _ in range(recipe.epochs):
        order = list(pairs)
        shuffler.shuffle(order)
        for start in range(0, steps_per_epoch * recipe.batch, recipe.batch):
            chosen = order[start : start + recipe.batch]
            disturbed = {pair.query: disturb(pair.query, shuffler) for pair in chosen if shuffler.random() < recipe.disturbed}
            ids = _tokenized(tokenizer, disturbed.values())
            queries = [ids[disturbed[pair.query]] if pair.query in disturbed else known[pair.query] for pair in chosen]
            left = _embed(bag, queries, recipe.dropped)
            right = _embed(bag, [known[pair.passage] for pair in chosen], recipe.dropped)
            loss = _ranking_loss(left, right, chosen, recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    return np.asarray(bag.weight.detach().numpy(), dtype=np.float32)


def _tokenized(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, list[int]]:
    """Map each text to its token numbers, the unknown token where it has none."""
    distinct = list(dict.fromkeys(texts))
    encodings = tokenizer.encode_batch(distinct, add_special_tokens=False)
    return {one: encoding.ids or [UNKNOWN_ID] for one, encoding in zip(distinct, encodings, strict=True)}


def _embed(bag: torch.nn.EmbeddingBag, ids: Sequence[Sequence[int]], dropped: float) -> torch.Tensor:
    """Embed tokenised texts with some of their tokens left out, so that no single word decides."""
    lengths = torch.tensor([len(sequence) for sequence in ids])
    tokens = torch.tensor([token for sequence in ids for token in sequence])
    owners = torch.repeat_interleave(torch.arange(len(ids)), lengths)
    # A text keeps one token at least, its first one if need be.
    starts = torch.cumsum(lengths, 0) - lengths
    kept = torch.rand(len(tokens)) >= dropped
    kept[starts] |= torch.bincount(owners[kept], minlength=len(ids)) == 0
    counts = torch.bincount(owners[kept], minlength=len(ids))
    return torch.nn.functional.normalize(bag(tokens[kept], torch.cumsum(counts, 0) - counts))


def _ranking_loss(left: torch.Tensor, right: torch.Tensor, chosen: Sequence[Pair], recipe: Recipe) -> torch.Tensor:
    scores = left @ right.T * recipe.scale
    numbers: dict[str, int] = {}
    groups = torch.tensor([numbers.setdefault(pair.group, len(numbers)) for pair in chosen])
    twins = (groups[:, None] == groups[None, :]) & ~torch.eye(len(chosen), dtype=torch.bool)
    scores = scores.masked_fill(twins, -1e4)
    weights = torch.tensor([pair.weight for pair in chosen])
    target = torch.arange(len(chosen))
    forward = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    backward = torch.nn.functional.cross_entropy(scores.T, target, reduction="none")
    return ((forward + backward) / 2 * weights).sum() / weights.sum()


_SHORTCUTS = {
    "quoi": "koi", "que": "ke", "qui": "ki", "quand": "kan", "pourquoi": "pk", "comment": "cmt", "pour": "pr", "dans": "ds", "avec": "av",
    "c'est": "c", "j'ai": "g", "est-ce que": "esk", "bonjour": "bjr", "salut": "slt", "s'il vous plait": "svp", "s'il vous plaît": "svp",
    "merci": "mrc", "beaucoup": "bcp", "rendez-vous": "rdv", "toujours": "tjr", "aujourd'hui": "auj", "maintenant": "mtn",
    "parce que": "pcq",
    "vous": "vs", "nous": "ns", "tout": "tt", "tous": "ts", "problème": "pb", "c'était": "c t", "fait": "fé", "mais": "mé",
}  # fmt: skip
_NEIGHBOURS = dict(
    zip(
        "azertyuiopqsdfghjklmwxcvbn",
        ["zq", "aes", "zrd", "etf", "ryg", "tuh", "yij", "uok", "ipl", "om", "asw", "qdzx", "sfec", "dgrv", "fhtb", "gjyn", "hkun",
         "jli", "kmo", "lp", "xqs", "wcs", "xvd", "cbf", "vng", "bhj"],
        strict=True,
    )
)  # fmt: skip


def disturb(text: str, chance: random.Random) -> str:
    """Write a text as a hurried person would: SMS spelling, missing apostrophes, a typo in some words."""
    lowered = text.lower()
    if chance.random() < 0.5:
        for plain, short in _SHORTCUTS.items():
            if plain in lowered and chance.random() < 0.6:
                lowered = f" {lowered} ".replace(f" {plain} ", f" {short} ").strip()
    if chance.random() < 0.4:
        lowered = lowered.replace("'", "" if chance.random() < 0.5 else " ")
    words = [_typo(word, chance) if len(word) > 4 and chance.random() < 0.12 else word for word in lowered.split(" ")]
    return " ".join(words)


def _typo(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + chance.choice(_NEIGHBOURS.get(word[at], word[at])) + word[at + 1 :]


def save(vectors: Matrix, tokenizer: Tokenizer, out: Path) -> None:
    """Save a sentence-transformers model, rows in half precision: half the size, and nothing measurable is lost."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    staging = out.with_name(f".{out.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.parent.mkdir(parents=True, exist_ok=True)
    module = StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(vectors).half())
    SentenceTransformer(modules=[module, Normalize()], device="cpu").save(str(staging), create_model_card=False)
    card = out / "README.md"
    if card.exists():
        shutil.copy2(card, staging / "README.md")
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)


if __name__ == "__main__":
    sys.exit(main())
