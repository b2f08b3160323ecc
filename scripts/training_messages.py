"""The messages written for training, split by need so that no need is both learnt and tested."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from webapp.settings import PROJECT

Split = Literal["train", "dev", "test"]
Kind = Literal["topic", "multi", "off-topic", "beyond"]

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
FOLDER = PROJECT / "training" / "messages"


@dataclass(frozen=True)
class Message:
    """A message as a citizen would write it; ``topics`` are the slugs that answer it, ``question`` what it means in plain words."""

    kind: Kind
    style: str
    need: str
    topics: tuple[str, ...]
    text: str
    question: str
    paraphrases: tuple[str, ...]


def split_of(need: str) -> Split:
    """The split of a need: 60 % train, 20 % dev, 20 % test, by the digest of its name."""
    bucket = int.from_bytes(hashlib.blake2b(need.encode(), digest_size=4).digest(), "big") % 100
    return "train" if bucket < 60 else "dev" if bucket < 80 else "test"


def messages(split: Split, folder: Path = FOLDER) -> list[Message]:
    """Read the messages of a split, in the order of the files."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        kind = _kind(path.stem)
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip():
                continue
            entry = json.loads(line)
            if split_of(entry["need"]) != split:
                continue
            common = (entry["need"], tuple(entry["topics"]))
            asked = (entry.get("question", ""), tuple(entry.get("paraphrases", ())))
            found += [Message(kind, one["style"], *common, one["text"], *asked) for one in entry["messages"]]
    return found


def _kind(stem: str) -> Kind:
    if stem.startswith("multi"):
        return "multi"
    if stem.startswith("off-topic"):
        return "off-topic"
    return "beyond" if stem.startswith("beyond") else "topic"
