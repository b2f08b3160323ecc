"""BM25F of a whole message in well under a millisecond: Whoosh's formula, computed for every posting when the index is built.

Whoosh scores a query posting by posting in Python, so a message of 60 words over 20,000 articles takes hundreds of milliseconds
(docs/adr/0003). The score of a term in an article does not depend on the message, so it is computed once, with Whoosh's own
formula, and a message costs one sum over the rows of its terms. A test holds the two equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from search import text
from search.passages import KEYWORD_BOOSTS, KeywordFields

# Whoosh's defaults, which `keyword_index` uses as well.
B, K1 = 0.75, 1.2
Scores = npt.NDArray[np.float32]

_BOOSTS = np.array(list(KEYWORD_BOOSTS.values()), dtype=np.float64)


@dataclass(frozen=True)
class Postings:
    """How often each term occurs in each field of each article: four arrays of one length, and the vocabulary.

    ``documents``, ``fields``, ``terms`` and ``counts`` are parallel; ``vocabulary[terms[i]]`` is a term.
    """

    documents: npt.NDArray[np.int32]
    fields: npt.NDArray[np.int8]
    terms: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    vocabulary: tuple[str, ...]

    @classmethod
    def empty(cls) -> Postings:
        none = np.empty(0, dtype=np.int32)
        return cls(none, none.astype(np.int8), none, none, ())

    def updated(self, gone: Iterable[int], added: Mapping[int, KeywordFields]) -> Postings:
        """Replace the postings of some documents.

        Args:
            gone: numbers of the documents whose postings go.
            added: document number → its text by field.
        """
        numbers = {term: number for number, term in enumerate(self.vocabulary)}
        rows: list[tuple[int, int, int, int]] = []
        for document, fields in added.items():
            for field, value in enumerate(fields.values()):
                for term, count in Counter(text.terms(value, is_content=True)).items():
                    rows.append((document, field, numbers.setdefault(term, len(numbers)), count))
        new = np.array(rows, dtype=np.int32).reshape(-1, 4)
        kept = ~np.isin(self.documents, np.fromiter(gone, dtype=np.int32))
        return Postings(
            np.concatenate([self.documents[kept], new[:, 0]]),
            np.concatenate([self.fields[kept], new[:, 1].astype(np.int8)]),
            np.concatenate([self.terms[kept], new[:, 2]]),
            np.concatenate([self.counts[kept], new[:, 3]]),
            tuple(numbers),
        )


class TermScores:
    """The BM25F scores of every term in every article, ready to be summed.

    Args:
        postings: what occurs where.
        documents: how many document numbers there are, the empty ones included.
        alive: how many of them hold an article.
    """

    def __init__(self, postings: Postings, documents: int, alive: int) -> None:
        self.postings = postings
        self.documents = documents
        self._matrix = _score_matrix(postings, documents, alive)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        # A term whose last article is gone stays in the vocabulary, and must count as unknown.
        occurrences = np.diff(self._matrix.indptr).tolist()
        return {term: number for number, term in enumerate(self.postings.vocabulary) if occurrences[number]}

    @cached_property
    def _best(self) -> Scores:
        """Per term, the highest score that it gives to any article."""
        starts, data = self._matrix.indptr, self._matrix.data
        best = np.zeros(self._matrix.shape[0], dtype=np.float32)
        filled = np.flatnonzero(np.diff(starts))
        if filled.size:
            best[filled] = np.maximum.reduceat(data, starts[filled])
        return best

    @cached_property
    def typical(self) -> float:
        """The median, over the vocabulary, of the best score of a term: what an unknown term could have given."""
        best = self._best[list(self._numbers.values())]
        return float(np.median(best)) if best.size else 0.0

    def scores(self, message_terms: Sequence[str]) -> Scores:
        """Score every document for a message: array of shape (documents,), BM25F summed over the distinct known terms."""
        total = np.zeros(self.documents, dtype=np.float32)
        starts, columns, data = self._matrix.indptr, self._matrix.indices, self._matrix.data
        for number in self._known(message_terms):
            span = slice(starts[number], starts[number + 1])
            total[columns[span]] += data[span]
        return total

    def ceiling(self, message_terms: Sequence[str]) -> float:
        """The score of an imaginary article that is the best one for every term of the message: what a perfect match would get."""
        known = self._known(message_terms)
        unknown = len(set(message_terms)) - len(known)
        return float(self._best[known].sum()) + unknown * self.typical

    def knows(self, term: str) -> bool:
        """Tell whether some article holds a term."""
        return term in self._numbers

    def known_share(self, message_terms: Sequence[str]) -> float:
        """The share of the distinct terms of a message that some article holds, 0 to 1; 0 without a term."""
        distinct = len(set(message_terms))
        return len(self._known(message_terms)) / distinct if distinct else 0.0

    def contributions(self, message_terms: Sequence[str], document: int) -> dict[str, float]:
        """Term → the score it gives to one document, for the terms that occur in it."""
        found = {}
        for term in dict.fromkeys(message_terms):
            number = self._numbers.get(term)
            if number is None:
                continue
            start, stop = self._matrix.indptr[number], self._matrix.indptr[number + 1]
            at = start + self._matrix.indices[start:stop].searchsorted(document)
            if at < stop and self._matrix.indices[at] == document:
                found[term] = float(self._matrix.data[at])
        return found

    def documents_of(self, term: str) -> list[tuple[int, float]]:
        """List the documents that hold a term, by number, each with the score that it gives."""
        number = self._numbers.get(term)
        if number is None:
            return []
        span = slice(self._matrix.indptr[number], self._matrix.indptr[number + 1])
        return list(zip(self._matrix.indices[span].tolist(), self._matrix.data[span].tolist(), strict=True))

    def _known(self, message_terms: Sequence[str]) -> list[int]:
        return [self._numbers[term] for term in dict.fromkeys(message_terms) if term in self._numbers]


def _score_matrix(postings: Postings, documents: int, alive: int) -> sparse.csr_matrix:
    """Compute a (terms, documents) matrix of BM25F scores, fields summed, with the formula of ``whoosh.scoring``."""
    fields, terms = postings.fields.astype(np.int64), postings.terms.astype(np.int64)
    vocabulary, field_count = len(postings.vocabulary), len(_BOOSTS)
    size = max(documents, 1)
    lengths = np.bincount(fields * size + postings.documents, weights=postings.counts, minlength=field_count * size).reshape(-1, size)
    average = lengths.sum(axis=1) / max(alive, 1)
    frequency = np.bincount(fields * vocabulary + terms, minlength=field_count * vocabulary).reshape(field_count, -1)
    idf = np.log(alive / (frequency[fields, terms] + 1)) + 1 if vocabulary else np.empty(0)
    ratio = lengths[fields, postings.documents] / np.maximum(average[fields], 1e-9)
    counts = postings.counts.astype(np.float64)
    saturated = counts * (K1 + 1) / (counts + K1 * ((1 - B) + B * ratio))
    data = _BOOSTS[fields] * np.maximum(idf, 0.0) * saturated
    matrix = sparse.csr_matrix((data, (postings.terms, postings.documents)), shape=(vocabulary, documents))
    # Fields are summed in no fixed order: in double precision, so that edits and a build from scratch give the same score.
    matrix.sum_duplicates()
    return matrix.astype(np.float32)
