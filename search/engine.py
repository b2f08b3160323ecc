"""A message → the articles that answer it, request by request; and a keyword query → articles.

How a message travels: ``requests`` strips and cuts it → one encoding of all pieces → candidates from FAISS and from the words →
exact signals of the candidates → ``fusion`` → ``confidence`` → pieces that ask the same thing are joined into one request.

An engine is an immutable snapshot of a library and its index: safe to use from many threads, replaced whole when content changes.
Messages are neither kept nor logged.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from kb import personal_data
from kb.article import Article
from kb.library import Library
from search import confidence, fusion, spelling, text
from search.confidence import Calibration, Level, MessageSigns
from search.embedder import Embedder, Vectors
from search.fusion import Scores, Signals, Weights
from search.index_store import Index
from search.keyword_index import KeywordHits
from search.passages import passages
from search.requests import segments, strip_message
from search.topicality import topicality

Mode = Literal["hybrid", "keywords", "vectors"]

MAX_MESSAGE_CHARS = 20_000
# A message is read up to here: beyond, a mail is an attachment or a thread, and its request was asked before.
MAX_READ_CHARS = 6_000
_CANDIDATES = 32
_NEAR_ROWS = 160
# From this share of the best score a second article is about the same thing.
_NEAR_SECOND = 0.5
# Stands for the cosine of a passage that is not there, below any real one.
_ABSENT = np.float32(-1e6)
# A capital with small letters, or digits: a name, a street, a date, a sum.
_NAME = re.compile(r"\b[^\W\d_a-zà-öø-ÿ][a-zà-öø-ÿœ]+\b|\w*\d\w*")
# Under this confidence a match would only pad the list.
SHOWN_FROM = 0.10


@dataclass(frozen=True)
class Match:
    """An article found.

    ``score`` orders matches within one result; ``confidence`` is the probability that it answers, 0 to 1; ``matched_on`` is the question or
    passage of the article that came nearest; ``words`` are words of the message that the article holds, the telling ones first;
    ``features`` is what the confidence was computed from, see ``confidence.features``.
    """

    slug: str
    score: float
    confidence: float
    level: Level
    matched_on: str
    words: tuple[str, ...]
    features: tuple[float, ...]


@dataclass(frozen=True)
class RequestMatches:
    """One request of a message with what answers it, best first; ``text`` is what asks it, personal data masked."""

    text: str
    answered: bool
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class MatchResult:
    """What was found for a message.

    ``matches`` covers the whole message, one entry an article, best first; ``advice`` is the internal article that tells an agent how to
    handle such a message, never an answer; ``encode_ms`` is the part of ``took_ms`` that the model took. ``degraded`` says in
    French why search runs without vectors, or is ``None``.
    """

    mode: Mode
    degraded: str | None
    answered: bool
    matches: tuple[Match, ...]
    requests: tuple[RequestMatches, ...]
    advice: Match | None
    took_ms: float
    encode_ms: float


@dataclass(frozen=True)
class _Nearest:
    """The passage of each candidate that is nearest to each text: its cosine and its place in the article, of shape (texts, candidates)."""

    cosines: Scores
    places: npt.NDArray[np.int64]

    def passage(self, texts: Sequence[int], candidate: int) -> int:
        """The place of the passage that is nearest to any of some texts."""
        nearest = max(texts, key=lambda number: self.cosines[number, candidate])
        return int(self.places[nearest, candidate])


@dataclass(frozen=True)
class _Ranking:
    """The candidates of one text, scored: parallel arrays over the candidates, answers and advice alike."""

    text: str
    signals: Signals
    signs: MessageSigns
    scores: Scores
    features: Scores
    confidences: Scores
    is_advice: npt.NDArray[np.bool_]

    @cached_property
    def order(self) -> list[int]:
        """Positions of the answers, best first."""
        return [int(position) for position in np.argsort(-self.scores, kind="stable") if not self.is_advice[position]]

    @property
    def answered(self) -> float:
        """Confidence of the best answer, 0 when there is none."""
        return float(self.confidences[self.order[0]]) if self.order else 0.0


class SearchEngine:
    """Search over one snapshot.

    Args:
        library: the articles.
        index: the index of these articles.
        embedder: the model that the index was built with, or ``None``.
        degraded: why there is no model, in French; ``None`` when there is one.
        mode: ``hybrid``, or one of its halves for comparisons; without a model it is always ``keywords``.
        weights: other weights than the mode's, for comparisons.
        repairs_words: ``False`` leaves misspelt words alone, for comparisons.
        today: the day on which reviews are late; today by default.
    """

    def __init__(
        self,
        library: Library,
        index: Index,
        embedder: Embedder | None,
        *,
        degraded: str | None = None,
        mode: Mode = "hybrid",
        weights: Weights | None = None,
        repairs_words: bool = True,
        today: dt.date | None = None,
    ) -> None:
        self.library = library
        self.index = index
        self.degraded = degraded
        self.mode: Mode = "keywords" if embedder is None or index.vectors is None else mode
        self._embedder = embedder if self.mode != "keywords" else None
        own_weights, self.calibration = self._tuning()
        self._weights = weights or own_weights
        self._repairs_words = repairs_words
        self._today = today
        articles = [library.articles.get(slug) for slug in index.slugs]
        self._is_advice = np.array([article is not None and article.is_advice for article in articles], dtype=np.bool_)
        self._is_public = np.array([article is not None and article.is_public for article in articles], dtype=np.bool_) & ~self._is_advice
        self._services = np.array([article.service if article else "" for article in articles], dtype=np.str_)
        self._review_by = np.array([article.meta.review_by if article else None for article in articles], dtype="datetime64[D]")
        self._passage_text = lru_cache(maxsize=10_000)(self._passage_text_of)

    @property
    def embedder(self) -> Embedder | None:
        """The model behind the vectors; ``None`` where only words are searched."""
        return self._embedder

    @cached_property
    def _words(self) -> list[str]:
        return self.index.keywords.words()

    @cached_property
    def _speller(self) -> spelling.Speller:
        return spelling.Speller(self._words, self.index.terms.knows)

    def _tuning(self) -> tuple[Weights, Calibration]:
        if self.mode == "keywords":
            return fusion.KEYWORDS, confidence.KEYWORDS
        if self.mode == "vectors":
            return Weights(coverage=0.0), confidence.HYBRID
        return fusion.HYBRID, confidence.HYBRID

    def warm_up(self) -> None:
        """Pay now for what is made on first use: better this call than an agent's message."""
        text.learn(text.fold(word) for word in self._words)
        self._speller.warm_up()
        self.match("mise en route")

    def match(self, message: str, *, limit: int = 5, service: str | None = None, public_only: bool = False) -> MatchResult:
        """Find the articles that answer a message.

        Args:
            message: as it was pasted; only its first ``MAX_READ_CHARS`` characters are read.
            limit: how many articles at most.
            service: key of the agent's own service, which gets a light preference.
            public_only: rank the public answers alone.
        """
        started = time.perf_counter()
        # Who asks, and how to reach them, says nothing of the subject, and finds lost property or a change of name.
        stripped = strip_message(personal_data.mask(message[:MAX_READ_CHARS]).text)
        # A piece that is nothing but an address or a number asks for nothing.
        cut = [piece for piece in segments(stripped) if _has_words(piece)]
        texts = [stripped] if len(cut) <= 1 else [stripped, *cut]
        if not self.index.numbers or not _has_words(stripped):
            return self._result((), (RequestMatches(stripped, False, ()),), None, started, 0.0)
        plain = [personal_data.without_marks(one) for one in texts]
        repairs = self._speller.repairs(plain[0]) if self._repairs_words else {}
        understood = [spelling.apply(repairs, one) for one in plain]
        encoding = time.perf_counter()
        vectors = self._encode(understood)
        encode_ms = (time.perf_counter() - encoding) * 1000
        terms = [text.terms(one) for one in understood]
        documents, signals, nearest = self._signals(terms, vectors, public_only=public_only)
        if not documents:
            return self._result((), (RequestMatches(stripped, False, ()),), None, started, encode_ms)
        priors = self._priors(documents, service)
        signs = self._signs(understood, terms)
        rankings = [self._rank(*of_text, priors, documents) for of_text in zip(texts, signals, signs, strict=True)]
        requests = tuple(self._request(group, rankings, priors, documents, nearest, repairs, limit) for group in self._groups(rankings))
        advice = self._advice(rankings[0], documents, nearest, repairs, answered=any(request.answered for request in requests))
        return self._result(_interleaved(requests, limit), requests, advice, started, encode_ms)

    def search(
        self,
        query: str,
        *,
        service: str | None = None,
        tag: str | None = None,
        audience: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> KeywordHits:
        """Search articles by keywords; see ``KeywordIndex.search``."""
        return self.index.keywords.search(query, service=service, tag=tag, audience=audience, offset=offset, limit=limit)

    def _result(
        self, matches: tuple[Match, ...], requests: tuple[RequestMatches, ...], advice: Match | None, started: float, encode_ms: float
    ) -> MatchResult:
        return MatchResult(
            mode=self.mode,
            degraded=self.degraded,
            answered=any(request.answered for request in requests),
            matches=matches,
            requests=requests,
            advice=advice,
            took_ms=(time.perf_counter() - started) * 1000,
            encode_ms=encode_ms,
        )

    def _encode(self, texts: Sequence[str]) -> Vectors | None:
        return self._embedder.encode_queries(texts) if self._embedder else None

    def _signals(
        self, terms: Sequence[Sequence[str]], vectors: Vectors | None, *, public_only: bool = False
    ) -> tuple[list[int], list[Signals], _Nearest | None]:
        """Find the candidates of all texts together, what each text's signals say of each of them, and their nearest passages.

        Args:
            terms: the terms of each text.
            vectors: the vector of each text, or ``None`` without a model.
            public_only: see ``match``.
        """
        words = [self.index.terms.scores(one) for one in terms]
        documents = self._candidates(words, vectors, public_only=public_only)
        if not documents:
            return [], [], None
        ask, whole, nearest = self._cosines(documents, vectors, len(terms))
        signals = []
        for number in range(len(terms)):
            ceiling = self.index.terms.ceiling(terms[number])
            scored = words[number][documents]
            coverage = np.minimum(scored / ceiling, 1.0).astype(np.float32) if ceiling else np.zeros_like(scored)
            signals.append(Signals(ask[number], whole[number], coverage))
        return documents, signals, nearest

    def _signs(self, texts: Sequence[str], terms: Sequence[Sequence[str]]) -> list[MessageSigns]:
        return [
            MessageSigns(float(civic), self._known_share(one, of_text))
            for one, civic, of_text in zip(texts, topicality(texts), terms, strict=True)
        ]

    def _known_share(self, message: str, terms: Sequence[str]) -> float:
        """The share of the terms that some article holds; names and numbers that none does say nothing of the subject and do not count."""
        names = set(text.terms(" ".join(_NAME.findall(message))))
        counted = [term for term in terms if term not in names or self.index.terms.knows(term)]
        return self.index.terms.known_share(counted or terms)

    def _rank(self, asked: str, signals: Signals, signs: MessageSigns, priors: Scores, documents: Sequence[int]) -> _Ranking:
        scores = fusion.fuse(signals, self._weights) + priors
        is_advice = self._is_advice[documents]
        given = np.zeros((len(documents), confidence.FEATURES), dtype=np.float32)
        given[~is_advice] = confidence.features(signals[~is_advice], scores[~is_advice], signs)
        given[is_advice] = confidence.features(signals[is_advice], scores[is_advice], signs)
        return _Ranking(asked, signals, signs, scores, given, confidence.confidences(given, self.calibration), is_advice)

    def _candidates(self, words: Sequence[Scores], vectors: Vectors | None, *, public_only: bool) -> list[int]:
        found: set[int] = set()
        allowed = self._is_public if public_only else np.ones_like(self._is_public)
        if self.mode != "vectors":
            for given in words:
                scores = np.where(allowed, given, 0)
                count = min(_CANDIDATES, len(scores))
                top = np.argpartition(-scores, count - 1)[:count]
                found.update(int(document) for document in top if scores[document] > 0)
        if vectors is not None and self.index.vectors is not None:
            rows = self.index.vectors.search(vectors, _NEAR_ROWS)
            for near in rows:
                nearest = dict.fromkeys(int(document) for document in self.index.row_documents[near[near >= 0]])
                found.update([document for document in nearest if document >= 0 and allowed[document]][:_CANDIDATES])
        found.update(np.flatnonzero(self._is_advice & allowed).tolist())
        # By slug: numbers depend on the edits that led here, and decide which of two equal articles comes first.
        return sorted(found, key=self.index.slugs.__getitem__)

    def _cosines(self, documents: Sequence[int], vectors: Vectors | None, count: int) -> tuple[Scores, Scores, _Nearest | None]:
        """Exact cosines of each text with each candidate: ``ask`` and ``whole`` of shape (texts, candidates), and the nearest passages."""
        if vectors is None or self.index.vectors is None:
            none = np.zeros((count, len(documents)), dtype=np.float32)
            return none, none, None
        spans = [self.index.rows_of(document) for document in documents]
        sizes = np.array([len(span) for span in spans])
        rows = np.concatenate(spans)
        # One line a candidate, one column a passage, padded: articles have different numbers of passages.
        filled = np.arange(sizes.max()) < sizes[:, None]
        cosines = np.full((count, *filled.shape), _ABSENT, dtype=np.float32)
        cosines[:, filled] = self._relative(self.index.vectors.similarities(vectors, rows))
        is_ask = np.zeros_like(filled)
        is_ask[filled] = self.index.row_asks[rows]
        asks = np.where(is_ask, cosines, _ABSENT)
        nearest = -np.partition(-asks, min(fusion.NEAREST, asks.shape[2]) - 1, axis=2)[:, :, : fusion.NEAREST]
        ask = nearest.sum(axis=2, where=nearest > _ABSENT) / np.maximum((nearest > _ABSENT).sum(axis=2), 1)
        whole = cosines.sum(axis=2, where=filled) / sizes
        position = cosines.argmax(axis=2)
        return ask, whole, _Nearest(np.take_along_axis(cosines, position[:, :, None], axis=2)[:, :, 0], position)

    def _relative(self, cosines: Scores) -> Scores:
        """Count cosines from where nothing is in common, in the same unit whatever the model: weights then fit them all."""
        assert self._embedder is not None
        mean, deviation = self._embedder.background
        return (cosines - np.float32(mean)) * np.float32(fusion.UNIT / max(deviation, 1e-6))

    def _priors(self, documents: Sequence[int], service: str | None) -> Scores:
        """What is added to the score of each candidate whatever the message: shape (candidates,)."""
        today = np.datetime64(self._today or dt.datetime.now(tz=dt.UTC).date())
        own = self._services[documents] == service if service else np.zeros(len(documents), dtype=np.bool_)
        overdue = self._review_by[documents] < today  # never true of an article without a date
        return np.asarray(self._weights.service * own - self._weights.overdue * overdue, dtype=np.float32)

    def _groups(self, rankings: Sequence[_Ranking]) -> list[list[int]]:
        """Decide which pieces ask the same thing: lists of their numbers; 0, the whole message, comes first where all ask one thing.

        A piece opens a new request when something answers it that no request before it points to. Pieces that nothing answers are
        context: they stay with the request that they follow, or with the first one.
        """
        if len(rankings) == 1:
            return [[0]]
        groups: list[list[int]] = []
        leaders: list[_Ranking | None] = []
        for number, piece in enumerate(rankings[1:], start=1):
            if piece.answered < self.calibration.answered_from:
                if not groups:
                    groups.append([])
                    leaders.append(None)
                groups[-1].append(number)
                continue
            same = next((at for at, leader in enumerate(leaders) if leader is None or _same_request(leader, piece)), None)
            if same is None:
                groups.append([number])
                leaders.append(piece)
            else:
                groups[same].append(number)
                leaders[same] = leaders[same] or piece
        return groups if len(groups) > 1 else [[0, *groups[0]]]

    def _request(
        self,
        group: Sequence[int],
        rankings: Sequence[_Ranking],
        priors: Scores,
        documents: Sequence[int],
        nearest: _Nearest | None,
        repairs: Mapping[str, str],
        limit: int,
    ) -> RequestMatches:
        asked = rankings[group[0]].text if group[0] == 0 else " ".join(rankings[number].text for number in group)
        if len(group) == 1:
            ranking = rankings[group[0]]
        else:
            # Without the whole message, which asks other things too, the piece that is answered best speaks for the request.
            leader = group[0] if group[0] == 0 else max(group, key=lambda number: rankings[number].answered)
            others = [rankings[number].signals for number in group if number != 0]
            ranking = self._rank(asked, fusion.join(rankings[leader].signals, others), rankings[leader].signs, priors, documents)
        words = _words_by_stem(asked, repairs)
        matches: list[Match] = []
        ceiling = 1.0
        for position in ranking.order[:limit]:
            # The list is ordered by score; a confidence never rises down the list.
            ceiling = min(ceiling, float(ranking.confidences[position]))
            passage = nearest.passage(group, position) if nearest else None
            matches.append(self._match(ranking, position, ceiling, documents[position], passage, words))
        return RequestMatches(asked, bool(matches) and matches[0].level != "none", tuple(matches))

    def _advice(
        self, ranking: _Ranking, documents: Sequence[int], nearest: _Nearest | None, repairs: Mapping[str, str], *, answered: bool
    ) -> Match | None:
        """The advice article for such a message: when nothing answers it, or when it is nearer than any answer."""
        positions = np.flatnonzero(ranking.is_advice)
        if not positions.size:
            return None
        best = int(positions[np.argmax(ranking.scores[positions])])
        leads = not ranking.order or ranking.scores[best] > ranking.scores[ranking.order[0]]
        value = float(ranking.confidences[best])
        if answered and not leads:
            return None
        return self._match(
            ranking, best, value, documents[best], nearest.passage((0,), best) if nearest else None, _words_by_stem(ranking.text, repairs)
        )

    def _match(self, ranking: _Ranking, position: int, value: float, document: int, passage: int | None, words: dict[str, str]) -> Match:
        return Match(
            slug=self.index.slugs[document],
            score=float(ranking.scores[position]),
            confidence=round(value, 4),
            level=confidence.level(value, self.calibration),
            matched_on=self._matched_on(document, passage),
            words=self._matched_words(document, words),
            features=tuple(float(feature) for feature in ranking.features[position]),
        )

    def _matched_on(self, document: int, passage: int | None) -> str:
        article = self._article(document)
        if passage is None:
            return article.title
        return self._passage_text(article.slug, int(self.index.row_passages[self.index.rows_of(document)[passage]]))

    def _passage_text_of(self, slug: str, position: int) -> str:
        found = passages(self.library.articles[slug])
        return found[position].text if position < len(found) else found[0].text

    def _matched_words(self, document: int, words: dict[str, str]) -> tuple[str, ...]:
        given = self.index.terms.contributions(list(words), document)
        return tuple(words[stem] for stem in sorted(given, key=lambda stem: -given[stem])[:4])

    def _article(self, document: int) -> Article:
        return self.library.articles[self.index.slugs[document]]


def _same_request(one: _Ranking, other: _Ranking) -> bool:
    """Tell whether two pieces point to one another's best article among their leaders."""
    return one.order[0] in _leaders(other) or other.order[0] in _leaders(one)


def _leaders(ranking: _Ranking) -> list[int]:
    """The best article, and the second where it is not far behind: in a small collection anything is second."""
    enough = _NEAR_SECOND * ranking.scores[ranking.order[0]]
    return ranking.order[:1] + [position for position in ranking.order[1:2] if ranking.scores[position] >= enough]


def _has_words(text: str) -> bool:
    return re.search(r"\w", personal_data.without_marks(text)) is not None


def _words_by_stem(message: str, repairs: Mapping[str, str]) -> dict[str, str]:
    """Stem → the word of the message as it was written, mistakes and all, the first one."""
    found: dict[str, str] = {}
    for word in re.findall(r"\w+", personal_data.without_marks(message)):
        for stem in text.terms(repairs.get(word, word)):
            found.setdefault(stem, word.lower())
    return found


def _interleaved(requests: Sequence[RequestMatches], limit: int) -> tuple[Match, ...]:
    """Order the matches of several requests: the best of each, then the second of each, …; answered requests first."""
    ordered = sorted(requests, key=lambda request: not request.answered)
    found: dict[str, Match] = {}
    for rank in range(max((len(request.matches) for request in ordered), default=0)):
        for request in ordered:
            if rank < len(request.matches):
                match = request.matches[rank]
                found.setdefault(match.slug, match)
    return tuple(list(found.values())[:limit])


__all__ = ["Match", "MatchResult", "Mode", "RequestMatches", "SearchEngine"]
