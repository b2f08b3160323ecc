"""Editors who work on one content repository: what they do at random, and a model in plain Python of what must come of it."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kb.archive import list_archived
from kb.article import Article
from kb.draft import renamed
from kb.errors import KbError
from kb.git_store import GitStore, Person, settled
from kb.library import Library
from kb.proposals import Branch, MergeConflict, Proposals, StaleProposal, archive, archived_path, edit, restore

EDITORS = (Person("Zoé", "zoe@ville.example"), Person("Ali", "ali@ville.example"), Person("Ève", "eve@ville.example"))
ARTICLES = 20
SERVICES = ("dechets", "etat-civil", "voirie")
DAY_ONE = dt.date(2026, 1, 1)


def body(slots: tuple[str, ...]) -> str:
    """Three paragraphs that change, each between two that never do: changes of two of them can be joined."""
    return "\n" + "\n\n".join(part for number, slot in enumerate(slots) for part in (f"Repère {number}.", slot)) + "\n\nFin.\n"


def slots_of(article: Article) -> tuple[str, ...]:
    return tuple(re.findall(r"^Texte .*$", article.body, re.MULTILINE))


@dataclass(frozen=True)
class State:
    """What one article must be."""

    slug: str
    service: str
    slots: tuple[str, ...]
    tags: frozenset[str] = frozenset()
    reviewed: int = 0
    is_archived: bool = False

    @property
    def path(self) -> str:
        path = f"articles/{self.service}/{self.slug}.md"
        return archived_path(path) if self.is_archived else path

    @classmethod
    def of(cls, article: Article) -> State:
        reviewed = (article.meta.reviewed_on - DAY_ONE).days if article.meta.reviewed_on else 0
        is_archived = article.path.startswith("archive/")
        return cls(article.slug, article.service, slots_of(article), frozenset(article.meta.tags), reviewed, is_archived)


def first_state(number: int) -> State:
    return State(f"a{number}", SERVICES[number % 3], tuple(f"Texte {number}.{slot}" for slot in range(3)))


def first_text(number: int) -> str:
    state = first_state(number)
    return f"---\ntitle: Article {number}\nservice: {state.service}\n---{body(state.slots)}"


def merged(base: State, live: State, proposed: State) -> State | None:
    """What a merge must give, ``None`` where it must be a conflict. A slug or a text that both changed is one; tags are joined."""
    if proposed == live:
        return live
    if base.is_archived != live.is_archived:
        return None
    values: dict[str, object] = {}
    for name in ("slug", "service", "is_archived", "reviewed"):
        was, one, other = (getattr(side, name) for side in (base, live, proposed))
        if one not in (was, other) and other != was:
            return None
        values[name] = other if one == was else one
    slots = []
    for was, one, other in zip(base.slots, live.slots, proposed.slots, strict=True):
        if one not in (was, other) and other != was:
            return None
        slots.append(other if one == was else one)
    tags = (live.tags - (base.tags - proposed.tags)) | (proposed.tags - base.tags)
    return State(**values, slots=tuple(slots), tags=tags)  # type: ignore[arg-type]


@dataclass
class Open:
    """A proposal that is open: its article, and that article where it began and as it wants it."""

    number: int
    base: State
    base_text: str
    proposed: State
    branch: Branch


@dataclass
class Walk:
    """One random walk of three editors, each with a store of their own as if in processes of their own."""

    folder: Path
    seed: int
    live: dict[int, State] = field(default_factory=lambda: {number: first_state(number) for number in range(ARTICLES)})
    proposals: dict[str, Open] = field(default_factory=dict)
    closed: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # name → commit, path, text
    published: list[str] = field(default_factory=list)  # commits that must be in the history for ever
    by_hand: dict[str, str] = field(default_factory=dict)  # path → text, not committed yet as far as we know
    kept: list[str] = field(default_factory=list)  # texts edited by hand that are committed
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.stores = [GitStore(self.folder) for _ in EDITORS]
        self.library = Library.load(self.folder)
        self.serial = 0

    # ---- one step ----
    def step(self) -> None:
        who = self.chance.randrange(3)
        self.who, self.store, self.desk = EDITORS[who], self.stores[who], Proposals(self.stores[who])
        weighted = {"propose": 7, "accept": 5, "amend": 2, "solve": 1, "refuse": 1, "by_hand_edit": 2, "review": 2, "stale": 1}
        name = self.chance.choices(list(weighted), list(weighted.values()))[0]
        if getattr(self, name)():
            self.done[name] = self.done.get(name, 0) + 1
        self.look()

    def look(self) -> None:
        """What readers find after any step: each article as it must be, none broken, the open proposals and no other."""
        self.library = self.library.refreshed()
        assert self.library.problems == ()
        found = {State.of(article) for article in self.library.articles.values()}
        wanted = {state for state in self.live.values() if not state.is_archived}
        assert found == wanted, f"{found - wanted} instead of {wanted - found}"
        assert {one.name: one.tip for one in self.desk.open_branches()} == {name: one.branch.tip for name, one in self.proposals.items()}

    # ---- what editors do ----
    def propose(self) -> bool:
        number = self.chance.randrange(4) if self.chance.random() < 0.7 else self.chance.randrange(ARTICLES)
        base, base_text = self.live[number], self._text(number)
        proposed, changes = self._wanted(base, base_text)
        name = f"p{self.serial}"
        branch = self.desk.propose(name, changes, self.who, f"{name} : article {number}")
        self._committed(*changes)
        self.proposals[name] = Open(number, base, base_text, proposed, branch)
        return True

    def amend(self) -> bool:
        if not self.proposals:
            return False
        name, one = self._any()
        proposed, changes = self._wanted(one.base, one.base_text)
        branch = self.desk.amend(name, one.branch.tip, changes, self.who, "Reprend")
        assert branch.base == one.branch.base
        self._committed(*changes)
        self.proposals[name] = replace(one, proposed=proposed, branch=branch)
        return True

    def accept(self) -> bool:
        if not self.proposals:
            return False
        name, one = self._any()
        wanted = merged(one.base, self.live[one.number], one.proposed)
        try:
            live = self.desk.accept(name, one.branch.tip, self.who, f"Publie {name}", self.library.changed)
        except MergeConflict:
            assert wanted is None, f"{one} on {self.live[one.number]} is no conflict"
            self.done["conflict"] = self.done.get("conflict", 0) + 1
            self._committed(self.live[one.number].path)
            return False
        assert wanted is not None, f"{one} on {self.live[one.number]} is a conflict"
        self.published += [live, one.branch.tip]
        self._committed(self.live[one.number].path, one.proposed.path)
        self.live[one.number] = wanted
        del self.proposals[name]
        return True

    def solve(self) -> bool:
        """Write a proposal again on the text of today."""
        if not self.proposals:
            return False
        name, one = self._any()
        onto = self.store.committed(self.live[one.number].path)
        self._committed(self.live[one.number].path)
        base, base_text = self.live[one.number], self._text(one.number)
        proposed, changes = self._wanted(base, base_text)
        branch = self.desk.amend(name, one.branch.tip, changes, self.who, "Réunit", onto=onto)
        self._committed(*changes)
        self.proposals[name] = Open(one.number, base, base_text, proposed, branch)
        return True

    def refuse(self) -> bool:
        if not self.proposals:
            return False
        name, one = self._any()
        self.desk.close(name)
        self.closed[name] = (one.branch.tip, one.proposed.path, self.store.read(one.proposed.path, one.branch.tip))
        del self.proposals[name]
        return True

    def by_hand_edit(self) -> bool:
        number = self._any_live()
        state, words = self._edited(self.live[number], self._text(number))
        (self.folder / state.path).write_text(words, encoding="utf-8")
        self.live[number] = state
        self.by_hand[state.path] = words
        return True

    def review(self) -> bool:
        """« Relu, rien à changer »."""
        number = self._any_live()
        self.serial += 1
        state = replace(self.live[number], reviewed=self.serial)
        article = Article.parse(self._text(number), state.path).edited({"reviewed_on": DAY_ONE + dt.timedelta(days=self.serial)})
        self.published.append(self.store.publish({state.path: article.source}, self.who, "Relu"))
        self._committed(state.path)
        self.live[number] = state
        return True

    def stale(self) -> bool:
        """Accept what somebody else amended, closed or published meanwhile."""
        gone = next(iter(self.closed), "jamais")
        for name, tip in [(gone, "0" * 40), *((name, one.branch.base) for name, one in list(self.proposals.items())[:1])]:
            try:
                self.desk.accept(name, tip, self.who, "Publie")
            except StaleProposal:
                continue
            raise AssertionError("it was not what the reviewer read")
        return True

    # ---- how ----
    def _any(self) -> tuple[str, Open]:
        return self.chance.choice(list(self.proposals.items()))

    def _any_live(self) -> int:
        return self.chance.choice([number for number, state in self.live.items() if not state.is_archived])

    def _text(self, number: int) -> str:
        return (self.folder / self.live[number].path).read_bytes().decode()

    def _committed(self, *touched: str) -> None:
        """What was edited by hand in these files is in git now."""
        for path in touched:
            if path in self.by_hand:
                self.kept.append(self.by_hand.pop(path))

    def _edited(self, state: State, words: str) -> tuple[State, str]:
        self.serial += 1
        slots = list(state.slots)
        slots[self.chance.randrange(3)] = f"Texte {self.serial}"
        tags = state.tags
        if self.chance.random() < 0.3:
            tags = tags | {f"t{self.serial}"}
        elif tags and self.chance.random() < 0.3:
            tags = tags - {min(tags)}
        new = replace(state, slots=tuple(slots), tags=tags)
        article = Article.parse(words, state.path)
        changes = {} if tags == state.tags else {"tags": sorted(tags) or None}
        return new, article.edited(changes, body(new.slots)).source

    def _wanted(self, base: State, words: str) -> tuple[State, Mapping[str, str | None]]:
        """A change of an article: what it must give, and the files as the software itself makes them."""
        article = Article.parse(words, base.path)
        self.serial += 1
        kind = self.chance.choices(["edit", "rename", "move", "archive"], [10, 3, 2, 2])[0]
        if base.is_archived:
            return replace(base, is_archived=False), restore(article)
        if kind == "archive":
            return replace(base, is_archived=True), archive(article)
        if kind == "rename":
            new = replace(base, slug=f"{base.slug.split('-')[0]}-{self.serial}")
        elif kind == "move":
            new = replace(base, service=self.chance.choice([one for one in SERVICES if one != base.service]))
        else:
            new, source = self._edited(base, words)
            return new, edit(article, Article.parse(source, base.path))
        moved = renamed(article, new.slug, new.service)
        if self.chance.random() < 0.5:
            new, source = self._edited(new, moved.source)
            moved = Article.parse(source, moved.path)
        return new, edit(article, moved)


# ---- at the same time ----
@dataclass
class Worked:
    """What one editor did while others worked: nothing of it may be lost."""

    who: str
    published: list[str] = field(default_factory=list)
    proposed: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    refused: int = 0


def work(folder: Path, who: str, steps: int) -> Worked:
    """Propose, accept, refuse, rename, archive and review at random, on whatever is there; only documented errors are expected."""
    worked = Worked(who)
    chance = random.Random(who)
    store = GitStore(folder)
    desk = Proposals(store)
    library = Library.load(folder)
    for step in range(steps):
        try:
            with settled(folder):  # what the person saw, and when
                library, seen = library.refreshed(), store.head()
                archived = [one.article for one in list_archived(folder) if one.article]
            if library.problems:
                worked.failures.append(f"{who} {step}: {library.problems}")
            _do(chance, store, desk, library, archived, seen, worked, f"{who}-{step}")
        except KbError as error:
            # What an editor may be told: conflict, stale, an address taken or gone meanwhile.
            if type(error).__name__ not in ("MergeConflict", "StaleProposal", "ProposalError", "ContentError"):
                worked.failures.append(f"{who} {step}: {error!r}")
            worked.refused += 1
        except Exception as error:  # whatever it is, it is what the test is about
            worked.failures.append(f"{who} {step}: {error!r}")
    return worked


def _do(
    chance: random.Random, store: GitStore, desk: Proposals, library: Library, archived: list[Article], seen: str, worked: Worked, name: str
) -> None:
    person = Person(worked.who, f"{worked.who}@ville.example")
    article = chance.choice(list(library.articles.values()))
    action = chance.random()
    if action < 0.4:
        slots = list(slots_of(article))
        slots[chance.randrange(3)] = f"Texte {name}"
        new = article.edited(body=body(tuple(slots)))
        kind = chance.random()
        if kind < 0.2:
            changes = edit(article, renamed(new, f"{article.slug.split('-')[0]}-{name}", article.service))
        elif kind < 0.3:
            changes = archive(article)
        elif kind < 0.5 and archived:
            changes = restore(chance.choice(archived))
        else:
            changes = edit(article, new)
        worked.proposed[name] = desk.propose(name, changes, person, name, seen).tip
    elif action < 0.8 and (branches := desk.open_branches()):
        branch = chance.choice(branches)
        if action < 0.5:
            slots = tuple(f"Texte {name} {slot}" for slot in range(3))
            desk.amend(branch.name, branch.tip, edit(article, article.edited(body=body(slots))), person, name, seen)
        elif action < 0.55:
            desk.close(branch.name)
        else:
            worked.published.append(desk.accept(branch.name, branch.tip, person, name, Library.load(store.folder).changed))
            worked.published.append(branch.tip)
    else:
        with settled(store.folder):  # read and written without anybody in between
            here = store.folder / article.path
            if here.exists():
                today = DAY_ONE + dt.timedelta(days=chance.randrange(300))
                reviewed = Article.parse(here.read_text(encoding="utf-8"), article.path).edited({"reviewed_on": today})
                worked.published.append(store.publish({article.path: reviewed.source}, person, name))
        store.history(article.path)
