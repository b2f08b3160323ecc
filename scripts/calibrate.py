"""Fit the confidence on the messages that are not for testing, and print the coefficients for ``search/confidence.py``.

Every message gives its first ``CANDIDATES`` articles; the target is whether an article is one that the message expects. Off-topic
messages weigh ``OFF_TOPIC_WEIGHT`` times more while the direction is sought: an answer to a joke is worse than a wrong suggestion that an
agent sees through. The probability is then set right on the messages as they are. Collections that are smaller and poorer than the
sample (no questions, a third of the articles, a dozen of them) are part of it, so that the coefficients do not lean on its riches.

The refusal threshold is the one that refuses the most off-topic messages while ``MAX_FALSE_REFUSALS`` of the real ones at most are
refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from kb.library import Library
from scripts.training_messages import Message, Split, messages
from search.confidence import FEATURES, Calibration
from search.embedder import Embedder
from search.engine import Mode, SearchEngine
from search.evaluation import auroc
from search.fusion import Scores
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB, load_settings

CANDIDATES = 3
OFF_TOPIC_WEIGHT = 15.0
MAX_FALSE_REFUSALS = 0.045
# "Sûre" promises an agent that this share of such answers is right.
SURE_PRECISION = 0.85
SEED = 7
# How many articles a town may begin with.
BEGINNING = 12
LEVELS = (0.03, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What the first candidates of a set of messages looked like: ``features``, ``right`` and ``message`` are parallel.

    ``message`` is the number of the message in ``kinds``; a message without candidate has no row.
    """

    features: Scores
    right: npt.NDArray[np.bool_]
    message: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.str_]

    def top(self, logits: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The logit of each message's first candidate, and whether it is right; minus infinity without a candidate."""
        value = np.full(len(self.kinds), -np.inf)
        right = np.zeros(len(self.kinds), dtype=np.bool_)
        first = np.unique(self.message, return_index=True)[1]
        value[self.message[first]] = logits[first]
        right[self.message[first]] = self.right[first]
        return value, right


def main(arguments: list[str] | None = None) -> int:
    """Fit and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", nargs="+", default=["dev"], choices=["train", "dev"])
    options = parser.parse_args(arguments)
    embedder = load_settings().load_embedder()
    modes: tuple[Mode, ...] = ("hybrid", "keywords")
    for mode in modes:
        print(f"{mode}: {fit(list(samples(embedder, mode, options.splits)))}")
    return 0


def samples(embedder: Embedder, mode: Mode, splits: Sequence[Split]) -> Iterator[Sample]:
    """Collect what the search says on the sample as it is, then on poorer collections; the first is the one that thresholds are for."""
    written = [message for split in splits for message in messages(split) if message.kind in {"topic", "off-topic"}]
    library = Library.load(SAMPLE_KB)
    yield sample_of(library, embedder, mode, written)
    bare = without_questions(library)
    asked = _plain_questions(written)
    yield sample_of(bare, embedder, mode, asked)
    slugs = sorted(bare.articles)
    random.Random(SEED).shuffle(slugs)  # noqa: S311  # a shuffle, not a secret
    for kept in (*(slugs[part::3] for part in range(3)), slugs[:BEGINNING], slugs[-BEGINNING:]):
        part = dataclasses.replace(bare, articles={slug: bare.articles[slug] for slug in bare.articles if slug in set(kept)})
        yield sample_of(part, embedder, mode, [one for one in asked if one.kind == "off-topic" or set(kept) & set(one.topics)])


def without_questions(library: Library) -> Library:
    """The library as another town's list of frequent questions would be: titles, tags and bodies, no advice."""
    articles = {
        slug: article.model_copy(update={"meta": article.meta.model_copy(update={"questions": ()})})
        for slug, article in library.articles.items()
        if not article.is_advice
    }
    return dataclasses.replace(library, articles=articles)


def _plain_questions(written: Sequence[Message]) -> list[Message]:
    """The plain question of each need instead of its messages, and the off-topic messages as they are."""
    asked: dict[str, Message] = {}
    for message in written:
        if message.question:
            asked.setdefault(message.need, dataclasses.replace(message, text=message.question))
    return [*asked.values(), *(message for message in written if message.kind == "off-topic")]


def sample_of(library: Library, embedder: Embedder, mode: Mode, chosen: Sequence[Message]) -> Sample:
    """Send messages through the search of a library and keep what it says of the first candidates."""
    rows: list[tuple[float, ...]] = []
    right: list[bool] = []
    numbers: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        index = IndexStore(Path(folder), embedder).open(library)
        engine = SearchEngine(library, index, embedder, mode=mode)
        for number, message in enumerate(chosen):
            for match in engine.match(message.text, limit=CANDIDATES).matches:
                rows.append(match.features)
                right.append(match.slug in message.topics)
                numbers.append(number)
        index.keywords.close()
    kinds = np.array([message.kind for message in chosen])
    return Sample(np.array(rows, dtype=np.float32).reshape(-1, FEATURES), np.array(right), np.array(numbers), kinds)


def logistic(features: Scores, right: npt.NDArray[np.bool_], weights: Floats) -> tuple[float, Floats]:
    """Fit a logistic regression whose signs make sense: more of a signal never lowers the confidence.

    Args:
        features: shape (rows, columns).
        right: shape (rows,).
        weights: how much each row counts, shape (rows,).

    Returns:
        The intercept, and one weight a feature.
    """

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits = parameters[0] + features @ parameters[1:]
        error = (expit(logits) - right) * weights
        penalty = 0.05 * parameters[1:]
        value = float(((np.logaddexp(0, logits) - logits * right) * weights).sum() + penalty @ parameters[1:] / 2)
        return value, np.concatenate([[error.sum()], features.T @ error + penalty])

    bounds = [(None, None), *[(0.0, None)] * features.shape[1]]
    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(found.x[0]), np.asarray(found.x[1:], dtype=np.float64)


def fit(collected: Sequence[Sample]) -> Calibration:
    """Fit the direction on all samples with the off-topic messages weighed up, the scale on the first as it is, then the thresholds."""
    features = np.concatenate([sample.features for sample in collected])
    right = np.concatenate([sample.right for sample in collected])
    off = np.concatenate([sample.kinds[sample.message] == "off-topic" for sample in collected])
    # Every collection counts the same, however many messages it answers.
    size = np.concatenate([np.full(len(sample.message), len(collected[0].message) / len(sample.message)) for sample in collected])
    _, direction = logistic(features, right, np.where(off, OFF_TOPIC_WEIGHT, 1.0) * size)
    sample = collected[0]
    # The scale is that of the first candidates, whose confidence is what an agent reads.
    first = np.unique(sample.message, return_index=True)[1]
    along = (sample.features[first] @ direction)[:, None].astype(np.float32)
    intercept, [scale] = logistic(along, sample.right[first], np.ones(len(along)))
    direction = direction * scale
    answered_from, sure_from = 0.0, 1.0
    for number, one in enumerate(collected):
        value, top_right = one.top(intercept + one.features @ direction)
        top, real, joke = expit(value), one.kinds == "topic", one.kinds == "off-topic"
        if number == 0:
            answered_from = float(np.quantile(top[real], MAX_FALSE_REFUSALS))
            precise = [level for level in np.sort(top) if top_right[top >= level].mean() >= SURE_PRECISION]
            sure_from = float(min(precise, default=0.95))
        _report(number, top, top_right, real, joke, answered_from, sure_from)
    names = [field.name for field in dataclasses.fields(Calibration)][1 : 1 + FEATURES]
    fitted = {name: round(float(value), 2) for name, value in zip(names, direction, strict=True)}
    return Calibration(intercept=round(intercept, 2), **fitted, answered_from=round(answered_from, 3), sure_from=round(sure_from, 2))


def _report(
    number: int,
    top: Floats,
    right: npt.NDArray[np.bool_],
    real: npt.NDArray[np.bool_],
    joke: npt.NDArray[np.bool_],
    answered_from: float,
    sure_from: float,
) -> None:
    refused = f"refused: off-topic {np.mean(top[joke] < answered_from):.2f}, real {np.mean(top[real] < answered_from):.2f}"
    sure = f"sure: {np.mean(top[real] >= sure_from):.2f} of the real ones, right {right[top >= sure_from].mean():.2f}"
    separated = f"AUROC real / off-topic {auroc(list(top[real]), list(top[joke])):.3f}"
    print(f"  collection {number}: {separated}; {refused}; {sure}; first right {right[real].mean():.2f}", file=sys.stderr)
    if number:
        return
    for level in LEVELS:
        print(f"    from {level:.2f}: off-topic {np.mean(top[joke] < level):.2f}, real {np.mean(top[real] < level):.2f}", file=sys.stderr)
    for low in np.arange(0, 1, 0.1):
        inside = (top >= low) & (top < low + 0.1)
        if inside.sum():
            print(f"    {low:.1f}–{low + 0.1:.1f}: {inside.sum():4d} messages, {right[inside].mean():.2f} right", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
