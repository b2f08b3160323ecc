"""What each part of the search brings, on the development split: every part left out in turn (`make ablation`).

    python -m scripts.ablation

The first table is about ranking: recall and MRR of clean and of disturbed messages. The second is about refusing: the confidence is fitted
anew without each of its signs. Parts that bring nothing on dev have to go, or to say why they stay.
"""

from __future__ import annotations

import dataclasses
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kb.library import Library
from scripts.calibrate import OFF_TOPIC_WEIGHT, Sample, logistic, sample_of, without_questions
from scripts.train_model import disturb
from scripts.training_messages import Message, messages
from search import fusion
from search.confidence import Calibration
from search.embedder import Embedder
from search.engine import SearchEngine
from search.evaluation import Figures, Query, auroc, figures, run
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB, load_settings

SEED = 20_261_122


def main() -> int:
    """Measure and print; returns an exit status."""
    embedder = load_settings().load_embedder()
    library = Library.load(SAMPLE_KB)
    dev = [message for message in messages("dev") if message.kind == "topic"]
    chance = random.Random(SEED)  # noqa: S311  # disturbance, not a secret
    disturbed = [dataclasses.replace(message, text=disturb(message.text, chance)) for message in dev]
    print("| left out | recall@1 | recall@3 | MRR | situations, recall@3 | disturbed, MRR |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, engine in engines(library, embedder, Path(folder)):
            clean = measured(engine, dev)
            situations = measured(engine, [message for message in dev if message.style == "situation"])
            noisy = measured(engine, disturbed)
            cells = (clean.recall_1, clean.recall_3, clean.mrr, situations.recall_3, noisy.mrr)
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in cells)} |", flush=True)
    print("\n| left out | AUROC | off-topic refused at 5 % false refusals |\n|---|---|---|")
    sample = sample_of(library, embedder, "hybrid", [message for message in messages("dev") if message.kind in {"topic", "off-topic"}])
    names = [field.name for field in dataclasses.fields(Calibration)][1 : 1 + sample.features.shape[1]]
    for left_out in (None, *names):
        separated, refused = refusal(sample, [name != left_out for name in names])
        print(f"| {left_out or 'nothing'} | {separated:.3f} | {refused:.2f} |", flush=True)
    return 0


def engines(library: Library, embedder: Embedder, folder: Path) -> Iterator[tuple[str, SearchEngine]]:
    """The search as it is, then without each of its parts."""
    index = IndexStore(folder / "whole", embedder).open(library)
    yield "nothing", SearchEngine(library, index, embedder)
    for signal in ("ask", "whole", "coverage"):
        yield signal, SearchEngine(library, index, embedder, weights=dataclasses.replace(fusion.HYBRID, **{signal: 0.0}))
    yield "repair of misspelt words", SearchEngine(library, index, embedder, repairs_words=False)
    share = fusion.PIECE_SHARE
    fusion.PIECE_SHARE = 0.0
    yield "best piece of the message", SearchEngine(library, index, embedder)
    fusion.PIECE_SHARE = share
    poorer = {
        "synonyms": dataclasses.replace(library, context=library.context.model_copy(update={"synonyms": ()})),
        "articles' questions": without_questions(library),
    }
    for name, other in poorer.items():
        yield name, SearchEngine(other, IndexStore(folder / name, embedder).open(other), embedder)


def measured(engine: SearchEngine, chosen: Sequence[Message]) -> Figures:
    """Send messages through an engine."""
    queries = [Query(id=str(number), message=one.text, expected=one.topics) for number, one in enumerate(chosen)]
    return figures(queries, run(engine, queries))


def refusal(sample: Sample, kept: Sequence[bool]) -> tuple[float, float]:
    """Fit the confidence on some columns only: how well it separates, and the share of off-topic messages refused at 5 %."""
    features = np.where(kept, sample.features, 0.0).astype(np.float32)
    off = sample.kinds[sample.message] == "off-topic"
    intercept, weights = logistic(features, sample.right, np.where(off, OFF_TOPIC_WEIGHT, 1.0))
    value, _ = sample.top(intercept + features @ weights)
    real, joke = value[sample.kinds == "topic"], value[sample.kinds == "off-topic"]
    return auroc(list(real), list(joke)), float(np.mean(joke < np.quantile(real, 0.05)))


if __name__ == "__main__":
    sys.exit(main())
