"""What each part of the training brings: the model trained without it, on the development split (`make ablation-training`).

    python -m scripts.ablate_training [--only "without the lexicon" …]

One training is some minutes on one core. Every line gives the vectors alone and the search in full, whose weights stay those of the
shipped model.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from kb.library import Library
from scripts.train_model import CORPUS, Recipe, train
from scripts.training_messages import messages
from search.embedder import load_embedder
from search.engine import Mode, SearchEngine
from search.evaluation import Query, figures, run
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB

WHOLE = Recipe()
VARIANTS = {
    "the whole recipe": WHOLE,
    "another seed": replace(WHOLE, seed=1),
    "without the lexicon": replace(WHOLE, use_lexicon=False),
    "without the messages": replace(WHOLE, use_messages=False),
    "without the articles": replace(WHOLE, use_articles=False),
    "without the corpus": replace(WHOLE, use_corpus=False),
    "random start instead of PPMI": replace(WHOLE, ppmi=False),
    "no token dropped": replace(WHOLE, dropped=0.0),
    "no query disturbed": replace(WHOLE, disturbed=0.0),
    "256 dimensions": replace(WHOLE, dimensions=256),
}


def main(arguments: list[str] | None = None) -> int:
    """Train and measure; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args(arguments)
    library = Library.load(SAMPLE_KB)
    queries = [
        Query(id=str(number), message=message.text, expected=message.topics)
        for number, message in enumerate(one for one in messages("dev") if one.kind == "topic")
    ]
    print("| training | model alone, recall@1 / @3 | in full, recall@1 / @3 |\n|---|---|---|")
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.redirect_stdout(io.StringIO()):
                train(VARIANTS[name], options.corpus, Path(folder) / "model")
            embedder = load_embedder(str(Path(folder) / "model"))
            index = IndexStore(Path(folder) / "index", embedder).open(library)
            modes: tuple[Mode, ...] = ("vectors", "hybrid")
            found = [figures(queries, run(SearchEngine(library, index, embedder, mode=mode), queries)) for mode in modes]
        print(f"| {name} | {' | '.join(f'{one.recall_1:.3f} / {one.recall_3:.3f}' for one in found)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
