"""Texts → vectors, with any sentence-transformers model: ours, a folder, an installed package, a hub name, or two of them ("a+b").

Guarantees: vectors are float32 and of length 1; the fingerprint changes when the weights or the prompts do; a model that cannot
load raises ``ModelUnavailable`` with the reason, never anything else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search.errors import ModelUnavailable

Vectors = npt.NDArray[np.float32]
Progress = Callable[[int], None]

DEFAULT_MODEL = "bible-fr"
OWN_MODELS = Path(__file__).resolve().parent.parent / "models"
# Models of the E5 family were trained with these words before every text, and lose much without them.
E5_PROMPTS = ("query: ", "passage: ")
BATCH = 64
# Sentences on different subjects: what their cosines are says where "nothing in common" lies for a model (0.05 for ours, 0.4 for MiniLM).
_UNRELATED = (
    "Comment renouveler mon passeport ?",
    "Mon bac jaune n'a pas été vidé ce matin.",
    "À quelle heure ouvre la piscine le dimanche ?",
    "Je voudrais inscrire ma fille à la cantine.",
    "Le lampadaire devant chez moi ne s'allume plus.",
    "Où déposer une demande de permis de construire ?",
    "Mon voisin fait du bruit toutes les nuits.",
    "Combien coûte une concession au cimetière ?",
    "Mon père âgé a besoin d'une aide à domicile.",
    "J'ai reçu une amende de stationnement.",
    "Quels papiers faut-il pour se marier ?",
    "L'eau du robinet a un goût de chlore.",
    "Le bus scolaire est encore passé en retard.",
    "Nous créons une association de théâtre.",
    "Je cherche un emploi de jardinier.",
    "Comment voter quand on est en vacances ?",
    "Un chien errant traîne près de l'école.",
    "La taxe foncière a beaucoup augmenté.",
    "Peut-on emprunter des livres gratuitement ?",
    "J'ai perdu mes clés au marché samedi.",
    "Mon appartement est humide et moisi.",
    "Quand a lieu le prochain conseil municipal ?",
    "Je veux louer la salle des fêtes.",
    "La recette de la tarte aux pommes, s'il vous plaît.",
)


class Embedder(Protocol):
    """What the index and the engine need of a model.

    ``encode_*`` return an array of shape (len(texts), dimensions), rows of length 1; ``background`` is the mean and the standard
    deviation of the cosines of texts that have nothing in common, by which models are made comparable.
    """

    name: str
    fingerprint: str
    dimensions: int
    background: tuple[float, float]

    def encode_queries(self, texts: Sequence[str]) -> Vectors: ...

    def encode_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors: ...


class SentenceTransformerEmbedder:
    """A sentence-transformers model on the CPU.

    Args:
        name: a folder, the name of an installed package with ``get_model_path()``, or a hub name.
        query_prompt: words before every query; ``None`` takes those of the model, or of E5 for an E5.
        passage_prompt: the same for passages.
        threads: CPU threads while encoding a query; passages use all of them.

    Raises:
        ModelUnavailable: the model cannot be found or loaded.
    """

    def __init__(
        self, name: str = DEFAULT_MODEL, *, query_prompt: str | None = None, passage_prompt: str | None = None, threads: int = 1
    ) -> None:
        self.name = name
        self._threads = threads
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            folder = model_folder(name)
            import torch  # heavy: only a process that encodes pays for it
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()

            self._torch: Any = torch
            torch.set_num_threads(threads)
            self._model = SentenceTransformer(str(folder), device="cpu")
            dimensions = self._model.get_embedding_dimension()
            own: dict[str, str] = self._model.prompts or {}
            is_e5 = "e5" in name.lower().replace("/", "-").split("-") and not any(own.values())
            default_query, default_passage = (
                E5_PROMPTS if is_e5 else (own.get("query", ""), own.get("document") or own.get("passage") or "")
            )
            self._query_prompt = default_query if query_prompt is None else query_prompt
            self._passage_prompt = default_passage if passage_prompt is None else passage_prompt
            self.dimensions = int(dimensions or self._encode(["dimension"], "")[0].shape[-1])
            self.fingerprint = _fingerprint(folder, self._query_prompt, self._passage_prompt)
            self.background = _background(self)
        except ModelUnavailable:
            raise
        except Exception as error:  # a damaged model fails in as many ways as there are libraries under it
            raise ModelUnavailable(
                f"le modèle « {name} » ne se charge pas ({error.__class__.__name__} : {error}). Vérifiez BIBLE_MODEL."
            ) from error

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode messages; see ``Embedder``."""
        return self._encode(texts, self._query_prompt)

    def encode_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode passages of articles, the longest first so that batches pad little; ``progress`` gets the number done after each."""
        order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        self._torch.set_num_threads(max(self._threads, os.cpu_count() or 1))
        try:
            for start in range(0, len(order), BATCH):
                batch = order[start : start + BATCH]
                vectors[batch] = self._encode([texts[position] for position in batch], self._passage_prompt)
                if progress:
                    progress(len(batch))
        finally:
            self._torch.set_num_threads(self._threads)
        return vectors

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), prompt=prompt or None, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        # A model kept in half precision gives lengths that are 1 to three digits only.
        # And a text without a word may give no number at all.
        single = np.nan_to_num(np.asarray(vectors, dtype=np.float32))
        lengths = np.linalg.norm(single, axis=1, keepdims=True)
        return np.asarray(single / np.maximum(lengths, 1e-12), dtype=np.float32)


class ConcatenatedEmbedder:
    """Several models side by side: a vector is theirs end to end, so that a cosine is the mean of theirs.

    Args:
        parts: the models, each with its own prompts.
    """

    def __init__(self, parts: Sequence[Embedder]) -> None:
        self._parts = parts
        self.name = "+".join(part.name for part in parts)
        self.dimensions = sum(part.dimensions for part in parts)
        self.background = _background(self)
        self.fingerprint = hashlib.blake2b("+".join(part.fingerprint for part in parts).encode(), digest_size=16).hexdigest()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode messages; see ``Embedder``."""
        return self._joined([part.encode_queries(texts) for part in self._parts])

    def encode_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode passages; ``progress`` follows the last model."""
        last = len(self._parts) - 1
        return self._joined([part.encode_passages(texts, progress if at == last else None) for at, part in enumerate(self._parts)])

    def _joined(self, vectors: Sequence[Vectors]) -> Vectors:
        return np.concatenate(vectors, axis=1) / np.float32(np.sqrt(len(self._parts)))


def load_embedder(name: str = DEFAULT_MODEL, *, query_prompt: str | None = None, passage_prompt: str | None = None) -> Embedder:
    """Load the model, or the models joined by ``+``, that a setting names.

    Raises:
        ModelUnavailable: one of them cannot be found or loaded.
    """
    names = [part.strip() for part in name.split("+")] if not Path(name).is_dir() else [name]
    parts = [SentenceTransformerEmbedder(part, query_prompt=query_prompt, passage_prompt=passage_prompt) for part in names]
    return parts[0] if len(parts) == 1 else ConcatenatedEmbedder(parts)


def model_folder(name: str) -> Path:
    """Find the folder of a model: one of ours, ``name`` itself, an installed package, or the hub's local copy.

    Raises:
        ModelUnavailable: it is none of these.
    """
    if (OWN_MODELS / name / "modules.json").is_file():
        return OWN_MODELS / name
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    package = name.replace("-", "_")
    if package.isidentifier() and importlib.util.find_spec(package):
        path = importlib.import_module(package).get_model_path()
        return Path(path)
    if "/" not in name:
        raise ModelUnavailable(
            f"le modèle « {name} » n'est ni un dossier, ni un paquet installé, ni un nom « auteur/modèle ». Corrigez BIBLE_MODEL."
        )
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name))


def _background(embedder: Embedder) -> tuple[float, float]:
    """Measure what the cosine of a query and a passage is when they have nothing in common: mean and standard deviation."""
    cosines = embedder.encode_queries(_UNRELATED) @ embedder.encode_passages(_UNRELATED).T
    others = cosines[~np.eye(len(_UNRELATED), dtype=np.bool_)]
    return float(others.mean()), float(others.std())


def _fingerprint(folder: Path, *prompts: str) -> str:
    """Digest of what decides the vectors: every file of the model but its prose, and the prompts."""
    digest = hashlib.blake2b("\0".join(prompts).encode(), digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".json", ".safetensors", ".bin", ".txt", ".model"}:
            digest.update(str(path.relative_to(folder)).encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
