"""How the search does on subjects that its model has never seen, as in another town's list of frequent questions.

    python -m scripts.evaluate_transfer

Trains a model without half of the topics (no message, article or lexical field of theirs), then asks the plain questions and paraphrases of
these topics to a collection that holds their articles only, without questions: titles, tags and bodies. Some minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
import tempfile
from pathlib import Path

from kb.library import Library
from scripts.calibrate import without_questions
from scripts.train_model import CORPUS, Recipe, train
from scripts.training_messages import SPLITS, messages
from search.embedder import load_embedder
from search.engine import Mode, SearchEngine
from search.evaluation import Query, figures, run
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB

MODES: tuple[Mode, ...] = ("keywords", "vectors", "hybrid")


def main(arguments: list[str] | None = None) -> int:
    """Train and measure; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    options = parser.parse_args(arguments)
    library = without_questions(Library.load(SAMPLE_KB))
    unseen = frozenset(slug for slug in library.articles if _is_unseen(slug))
    library = dataclasses.replace(library, articles={slug: library.articles[slug] for slug in library.articles if slug in unseen})
    needs = {one.need: one for split in SPLITS for one in messages(split) if one.kind == "topic" and unseen >= set(one.topics)}
    asked = [(question, one.topics) for one in needs.values() for question in (one.question, *one.paraphrases) if question]
    queries = [Query(id=str(number), message=question, expected=topics) for number, (question, topics) in enumerate(asked)]
    with tempfile.TemporaryDirectory() as folder:
        train(Recipe(), options.corpus, Path(folder) / "model", unseen=unseen)
        embedder = load_embedder(str(Path(folder) / "model"))
        index = IndexStore(Path(folder) / "index", embedder).open(library)
        print(f"{len(library.articles)} articles, {len(queries)} questions\n\n| search | recall@1 | recall@3 | MRR |\n|---|---|---|---|")
        for mode in MODES:
            found = figures(queries, run(SearchEngine(library, index, embedder, mode=mode), queries))
            print(f"| {mode} | {found.recall_1:.3f} | {found.recall_3:.3f} | {found.mrr:.3f} |")
    return 0


def _is_unseen(slug: str) -> bool:
    """Half of the topics, by the digest of their names."""
    return hashlib.blake2b(slug.encode(), digest_size=2).digest()[0] % 2 == 0


if __name__ == "__main__":
    sys.exit(main())
