"""A keyword index small enough for a browser: what the static export searches with when there is no server to ask.

The scores are those of ``term_scores``, rounded. The browser has no French stemmer: it gets every word of the collection with the number
of its stem, and finds other forms of a word by their common beginning (``static/widget/search.js``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search import text
from search.passages import KeywordFields
from search.term_scores import Postings, TermScores

# A score is sent as a whole number of these.
UNIT = 1 / 16


@dataclass(frozen=True)
class BrowserIndex:
    """Words, and what each gives to which document.

    ``words`` are folded and sorted; ``terms[i]`` is the number of the stem of ``words[i]``; ``postings[n]`` alternates document numbers
    and scores in ``UNIT`` for the stem ``n``; ``typical`` is what an unknown word could have given, in ``UNIT``.
    """

    words: tuple[str, ...]
    terms: tuple[int, ...]
    postings: tuple[tuple[int, ...], ...]
    typical: int

    @classmethod
    def of(cls, documents: Sequence[KeywordFields]) -> BrowserIndex:
        """Index documents, which are numbered in their order."""
        forms = {word for fields in documents for value in fields.values() for word in text.words(value)}
        postings = Postings.empty().updated((), dict(enumerate(documents)))
        scores = TermScores(postings, len(documents), len(documents))
        numbers = {term: number for number, term in enumerate(postings.vocabulary)}
        words = tuple(sorted(forms))
        return cls(
            words=words,
            terms=tuple(numbers[text.stem(word)] for word in words),
            postings=tuple(
                tuple(part for document, score in scores.documents_of(term) if (units := round(score / UNIT)) for part in (document, units))
                for term in postings.vocabulary
            ),
            typical=round(scores.typical / UNIT),
        )
