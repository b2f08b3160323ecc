"""Train ``search/topicality.npz``: which messages speak of public services, whatever the collection.

    python -m scripts.train_topicality

Public services are the messages of the train split (those that other administrations answer too), the plain questions behind them, the
sample articles' questions, and handfuls of words of their lexical fields; the others are the off-topic ones. Prints how well the
development split is separated by this sign alone.
"""

from __future__ import annotations

import random
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

from kb.library import Library
from scripts.train_model import OFF_TOPIC_ADVICE
from scripts.training_lexicon import lexical_fields
from scripts.training_messages import messages
from search import topicality
from search.evaluation import auroc
from search.requests import strip_message
from webapp.settings import SAMPLE_KB

SEED = 20_261_122
# Inverse strength of the penalty, chosen on dev among 10, 30 and 100.
C = 10.0
HANDFULS, HANDFULS_OFF_TOPIC = 20, 40


def main() -> int:
    """Train, save and report; returns an exit status."""
    texts, civic = examples()
    model = LogisticRegression(C=C, max_iter=1000, class_weight="balanced").fit(topicality.features(texts), civic)
    np.savez_compressed(topicality.WEIGHTS, weights=model.coef_[0].astype(np.float16), intercept=np.float32(model.intercept_[0]))
    dev = [message for message in messages("dev") if message.kind in {"topic", "off-topic"}]
    scores = topicality.topicality([strip_message(message.text) for message in dev])
    real = np.array([message.kind == "topic" for message in dev])
    refused = np.mean(scores[~real] < np.quantile(scores[real], 0.05))
    separated = auroc(list(scores[real]), list(scores[~real]))
    print(f"{len(texts)} texts; dev: AUROC {separated:.3f}, {refused:.2f} of the off-topic ones refused at 5 %")
    return 0


def examples() -> tuple[list[str], list[bool]]:
    """Gather the texts, and whether each speaks of public services."""
    found: list[tuple[str, bool]] = []
    for message in messages("train"):
        found.append((strip_message(message.text), message.kind != "off-topic"))
    plain = {message.need: (message.question, *message.paraphrases) for message in messages("train") if message.question}
    found += [(question, True) for questions in plain.values() for question in questions]
    for article in Library.load(SAMPLE_KB).articles.values():
        if not article.is_advice or article.slug == OFF_TOPIC_ADVICE:
            found += [(question, not article.is_advice) for question in article.meta.questions]
    chance = random.Random(SEED)  # noqa: S311  # training, not a secret
    for field in lexical_fields():
        off_topic = field.kind == "off-topic"
        if field.kind != "general":
            count = HANDFULS_OFF_TOPIC if off_topic else HANDFULS
            found += [(field.sample(chance, 2, 8), not off_topic) for _ in range(count)]
    return [text for text, _ in found], [civic for _, civic in found]


if __name__ == "__main__":
    sys.exit(main())
