"""Proposals on a real repository: the live text stays until one is accepted, and what went live meanwhile is never written over."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pygit2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kb.article import Article
from kb.draft import renamed
from kb.errors import KbError, StoreError, UnknownRevision, UnknownSlug
from kb.git_store import GitStore, Person
from kb.library import Library
from kb.proposals import MergeConflict, ProposalError, StaleProposal, archive, archived_path, edit, restore
from tests.kb.bible import ALI, BAC, CARTE, EVE, VERRE, ZOE, Bible, text, unplugged

LINES = "Un.\n\nDeux.\n\nTrois.\n\nQuatre.\n\nCinq."
POUBELLE = "articles/dechets/poubelle.md"
CAISSE = "articles/dechets/caisse.md"


def spoken(body: str) -> str:
    return text("Le bac jaune", body, tags="[bac, jaune]")


@pytest.fixture
def bible(tmp_path: Path) -> Iterator[Bible]:
    files = {
        BAC: spoken(LINES),
        VERRE: text("Le verre", "Au conteneur.", questions="[Où jeter le verre ?]"),
        CARTE: text("La carte", "Au guichet."),
        "services.yml": "dechets:\n  name: Déchets\netat-civil:\n  name: État civil\n",
    }
    with unplugged():
        yield Bible(tmp_path / "kb", files)


def at(bible: Bible, path: str) -> Article:
    words = bible.read(path)
    assert words is not None
    return Article.parse(words, path)


def rename(bible: Bible, path: str, slug: str, service: str = "dechets", **fields: str) -> dict[str, str | None]:
    """The change of a person who renames an article, and may edit it at once."""
    article = at(bible, path)
    new = renamed(article, slug, service)
    if fields:
        new = new.edited(body=fields["body"])
    return edit(article, new)


# ---- a proposal is made ----
def test_a_proposal_is_a_commit_beside_the_live_text(bible: Bible) -> None:
    before = bible.picture()
    live = bible.store.head()
    branch = bible.proposals.propose("bac-2", {BAC: spoken("Le mardi."), CARTE: None}, ZOE, "Nouveau jour\n\nDepuis mars.\n")
    files, references, state = bible.picture()
    assert (files, state) == (before[0], before[2]), "no file moves, nothing is staged"
    assert references == before[1] | {"refs/heads/proposals/bac-2": branch.tip}
    assert (branch.name, branch.base, branch.author, branch.message.strip()) == ("bac-2", live, ZOE, "Nouveau jour\n\nDepuis mars.")
    assert bible.show(branch.tip, BAC) == spoken("Le mardi.")
    assert bible.show(branch.tip, CARTE) is None
    assert bible.git("diff", "--name-only", live, branch.tip).split() == [BAC, CARTE], "nothing else is in it"
    assert bible.proposals.open_branches() == [branch.__class__("bac-2", live, branch.tip, ZOE, "Nouveau jour\n\nDepuis mars.")]
    assert not bible.proposals.is_live(branch.tip)
    bible.check()


@pytest.mark.parametrize("zone, offset", [("Asia/Kolkata", "+0530"), ("America/Caracas", "-0400"), ("UTC", "+0000")])
def test_a_commit_says_who_and_when_on_their_clock(bible: Bible, monkeypatch: pytest.MonkeyPatch, zone: str, offset: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = int(time.time())
        branch = bible.propose({BAC: spoken("Le mardi.")})
        live = bible.accept(branch)
    finally:
        monkeypatch.undo()
        time.tzset()
    form = "--format=%an|%ae|%cn|%ce|%at|%ai|%s"
    author, address, committer, committer_address, when, iso, subject = bible.git("log", "-1", form, branch.tip).split("|")
    assert (author, address, committer, committer_address) == (ZOE.name, ZOE.email, ZOE.name, ZOE.email)
    assert subject == "Corrige"
    assert now <= int(when) <= now + 60
    assert iso.endswith(offset)
    assert bible.git("log", "-1", "--format=%an|%ae|%s", live) == f"{ALI.name}|{ALI.email}|Publie"


# Whatever a directory or an identity provider calls people.
@given(st.text(max_size=20), st.text(max_size=20))
@example("", "")
@example("<>\n\0", "\x7f")
@example("'", '"')
@example(",;:", "\\")
@example("Zoé\nauthor X <x@y>", "a@b>\ncommitter")
@example("\u202e\u00a0", "\u3000")
def test_any_name_can_sign(name: str, email: str) -> None:
    signature = Person(name, email).signature()
    raw = signature.raw_name + signature.raw_email
    assert signature.raw_name
    assert signature.raw_email
    assert not set(raw) & set(b"<>\n\0")


@pytest.mark.parametrize("message", ["", "\0", " \n ", "-m x", "é" * 20_000, "Un\r\nDeux", "#comment"])
def test_any_message_is_recorded(bible: Bible, message: str) -> None:
    branch = bible.proposals.propose("p", {BAC: spoken("Le mardi.")}, ZOE, message)
    assert bible.git("log", "-1", "--format=%B", branch.tip).strip() == message.replace("\0", "").strip()
    bible.check()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "--help",
        "..",
        ".",
        "a..b",
        "a.lock",
        "a/b",
        "/a",
        "A",
        "é",
        "a b",
        "a\n",
        "a\x00",
        "a~1",
        "a^",
        "a:b",
        "a@{0}",
        "HEAD",
        "a" * 151,
        "a" * 10000,
        "refs/heads/main",
        "../../heads/main",
        "_a",
    ],
)
def test_a_name_that_is_none_is_refused(bible: Bible, name: str) -> None:
    before = bible.picture()
    refused = [
        lambda: bible.propose({BAC: spoken("x")}, name),
        lambda: bible.proposals.amend(name, bible.store.head(), {BAC: spoken("x")}, ZOE, "x"),
        lambda: bible.proposals.accept(name, bible.store.head(), ALI, "x"),
        lambda: bible.proposals.close(name),
    ]
    for action in refused:
        with pytest.raises(ProposalError, match="n'est pas un nom") as caught:
            action()
        assert len(str(caught.value)) < 300
    assert bible.picture() == before


def test_the_longest_name_will_do(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("x")}, "a" * 150)
    bible.accept(branch)
    bible.check()


@pytest.mark.parametrize(
    "path",
    [
        "../x.md",
        "articles/../../x.md",
        "/etc/passwd",
        "articles/dechets/../../.git/config",
        ".git/config",
        "articles/.git/a.md",
        "README.md",
        "articles/dechets/a.txt",
        "articles\\a.md",
        "articles/a/.md",
        "articles//a.md",
        "",
        "articles",
        "articles/a/-x.md",
        "archive/../a.md",
        "articles/a/b..c.md",
        "organisation.yml/a.md",
        "services.yml\x00",
        "articles/a/" + "x" * 10000 + ".md",
        "articles/a/x.md/y.md",
        "articles/a /x.md",
        "articles/.a/x.md",
        "articles/a~1/x.md",
        "articles/a../x.md",
    ],
)
def test_a_path_that_is_no_content_is_refused(bible: Bible, path: str) -> None:
    before = bible.picture()
    branch = bible.propose({BAC: spoken("x")}, "mine")
    bible.proposals.close("mine")
    with_closed = bible.picture()
    for action in (
        lambda: bible.propose({path: "x"}),
        lambda: bible.propose({path: None}),
        lambda: bible.publish(path, "x"),
        lambda: bible.publish(path, None),
        lambda: bible.store.committed(path),
    ):
        with pytest.raises(UnknownSlug) as caught:
            action()
        assert len(str(caught.value)) < 300
    assert bible.picture() == with_closed
    assert bible.files() == before[0]
    assert branch.tip in bible.references().values()
    bible.check()


def test_a_name_is_taken_once(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("un")})
    with pytest.raises(ProposalError, match="s'appelle déjà"):
        bible.propose({BAC: spoken("deux")})
    bible.proposals.close("p")
    with pytest.raises(ProposalError, match="s'appelle déjà"):
        bible.propose({BAC: spoken("deux")})
    assert bible.references()["refs/bible/closed/p"] == first.tip, "the text that was refused first is not written over"


@pytest.mark.parametrize("changes", [{}, {BAC: spoken(LINES)}, {"articles/dechets/absent.md": None}])
def test_a_proposal_changes_something(bible: Bible, changes: dict[str, str | None]) -> None:
    before = bible.picture()
    with pytest.raises(ProposalError, match="Rien n'a changé"):
        bible.propose(changes)
    assert bible.picture() == before


def test_a_proposal_starts_from_what_the_person_saw(bible: Bible) -> None:
    seen = bible.store.committed(BAC)
    bible.publish(VERRE, text("Le verre", "Au coin."))
    branch = bible.propose({BAC: spoken("Le mardi.")}, base=seen)
    assert branch.base == seen
    assert bible.show(branch.tip, VERRE) == text("Le verre", "Au conteneur.", questions="[Où jeter le verre ?]")
    bible.accept(branch)
    assert bible.read(VERRE) == text("Le verre", "Au coin.")
    assert bible.read(BAC) == spoken("Le mardi.")


def test_a_start_that_is_not_the_live_text_s_is_refused(bible: Bible) -> None:
    beside = bible.propose({BAC: spoken("x")}, "autre").tip
    tree = bible.git("rev-parse", "HEAD^{tree}")
    blob = bible.git("rev-parse", f"HEAD:{BAC}")
    before = bible.picture()
    with pytest.raises(StaleProposal, match="rechargez"):
        bible.propose({BAC: spoken("y")}, base=beside)
    for base in ("0" * 40, "HEAD~1", "main", ":/x", "--help", "abc", tree, blob, "é", "a" * 10_000, "a\0"):
        with pytest.raises(KbError) as caught:
            bible.propose({BAC: spoken("y")}, base=base)
        assert len(str(caught.value)) < 300
    assert bible.picture() == before


# ---- it is amended ----
def test_amending_replaces_the_change_and_keeps_where_it_began(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("un"), VERRE: text("Le verre", "un")})
    bible.publish(CARTE, text("La carte", "ailleurs"))
    second = bible.proposals.amend("p", first.tip, {BAC: spoken("deux")}, EVE, "Reprend")
    assert second.base == first.base
    assert bible.git("diff", "--name-only", second.base, second.tip).split() == [BAC], "what is not in the new change is taken back"
    assert bible.git("log", "--format=%an %s", f"{second.base}..{second.tip}").split("\n") == ["Ève Reprend", "Zoé Müller Corrige"]
    assert bible.proposals.open_branches()[0].tip == second.tip
    assert bible.proposals.open_branches()[0].base == first.base
    bible.accept(second)
    assert (bible.read(BAC), bible.read(CARTE)) == (spoken("deux"), text("La carte", "ailleurs"))
    bible.check()


def test_amending_to_the_same_is_no_new_version(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("un")})
    assert bible.proposals.amend("p", first.tip, {BAC: spoken("un")}, EVE, "Encore").tip == first.tip


def test_only_what_was_seen_is_amended_accepted(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("un")})
    second = bible.proposals.amend("p", first.tip, {BAC: spoken("deux")}, EVE, "Reprend")
    before = bible.picture()
    for tip in (first.tip, "", "HEAD", second.tip[:7], second.base):
        with pytest.raises(StaleProposal):
            bible.proposals.amend("p", tip, {BAC: spoken("trois")}, ZOE, "x")
        with pytest.raises(StaleProposal):
            bible.proposals.accept("p", tip, ALI, "x")
    with pytest.raises(StaleProposal):
        bible.proposals.amend("absente", first.tip, {BAC: spoken("trois")}, ZOE, "x")
    assert bible.picture() == before
    bible.accept(second)
    for action in (lambda: bible.accept(second), lambda: bible.proposals.amend("p", second.tip, {BAC: spoken("x")}, ZOE, "x")):
        with pytest.raises(StaleProposal, match="plus ouverte"):
            action()


def test_nothing_left_is_no_proposal(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("un")})
    with pytest.raises(ProposalError, match="Il ne reste rien"):
        bible.proposals.amend("p", first.tip, {BAC: spoken(LINES)}, ZOE, "x")
    assert bible.references()["refs/heads/proposals/p"] == first.tip


def test_conflicts_are_solved_onto_the_live_text(bible: Bible) -> None:
    first = bible.propose({BAC: spoken("proposé")})
    bible.publish(BAC, spoken("en ligne"))
    bible.publish(VERRE, text("Le verre", "Au coin."))
    with pytest.raises(MergeConflict):
        bible.accept(first)
    solved = bible.proposals.amend("p", first.tip, {BAC: spoken("les deux")}, ALI, "Réunit", bible.store.head())
    assert solved.base == bible.store.head()
    assert bible.git("rev-list", "--parents", "-1", solved.tip).split()[1:] == [first.tip, bible.store.head()]
    bible.accept(solved)
    assert bible.read(BAC) == spoken("les deux")
    assert bible.read(VERRE) == text("Le verre", "Au coin.")
    bible.check()


# ---- it is accepted ----
def test_what_is_solved_onto_a_text_that_is_live_no_more_is_refused(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("proposé")}, "p")
    bible.publish(BAC, spoken("vu"))
    seen = bible.store.head()
    bible.publish(BAC, spoken("entre-temps"))
    before = bible.picture()
    with pytest.raises(StaleProposal, match="a changé pendant"):
        bible.proposals.amend("p", branch.tip, {BAC: spoken("les deux")}, ALI, "Réunit", seen)
    assert bible.picture() == before


def test_accepting_publishes_and_ends_the_branch(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("Le mardi."), CARTE: None, CAISSE: text("La caisse")})
    before = bible.store.head()
    live = bible.accept(branch)
    assert bible.store.head() == live
    assert bible.git("rev-list", "--parents", "-1", live).split()[1:] == [before, branch.tip], "both are in the history"
    assert (bible.read(BAC), bible.read(CARTE), bible.read(CAISSE)) == (spoken("Le mardi."), None, text("La caisse"))
    assert not (bible.folder / CARTE).parent.exists(), "no empty folder stays"
    assert bible.proposals.open_branches() == []
    assert bible.proposals.is_live(branch.tip)
    bible.check()


def test_a_proposal_merges_with_what_went_live_apart(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken(LINES.replace("Un.", "UN."))})
    bible.publish(BAC, spoken(LINES.replace("Cinq.", "CINQ.")))
    bible.publish(VERRE, text("Le verre", "Au coin."))
    assert bible.proposals.merge(branch.tip).changes == {BAC: spoken(LINES.replace("Un.", "UN.").replace("Cinq.", "CINQ."))}
    bible.accept(branch)
    assert bible.read(BAC) == spoken(LINES.replace("Un.", "UN.").replace("Cinq.", "CINQ."))
    assert bible.read(VERRE) == text("Le verre", "Au coin.")
    bible.check()


def test_lists_are_joined(bible: Bible) -> None:
    branch = bible.propose({BAC: text("Le bac jaune", LINES, tags="[bac, jaune, tri]")})
    bible.publish(BAC, text("Le bac jaune", LINES, tags="[jaune, collecte]"))
    bible.accept(branch)
    assert at(bible, BAC).meta.tags == ("jaune", "tri", "collecte")
    bible.check()


def test_the_same_change_on_both_sides_is_no_conflict(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("pareil"), CAISSE: text("Caisse"), VERRE: None})
    bible.store.publish({BAC: spoken("pareil"), CAISSE: text("Caisse"), VERRE: None}, EVE, "Pareil")
    bible.accept(branch)
    assert bible.read(BAC) == spoken("pareil")
    bible.check()


def test_an_edit_follows_a_live_rename(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("proposé")})
    bible.store.publish(rename(bible, BAC, "poubelle"), ALI, "Renomme")
    bible.accept(branch)
    article = at(bible, POUBELLE)
    assert (article.lead, article.meta.aliases, bible.read(BAC)) == ("proposé", ("bac",), None)
    bible.check()


def test_a_rename_takes_the_live_edit_along(bible: Bible) -> None:
    branch = bible.propose(rename(bible, BAC, "poubelle"))
    bible.publish(BAC, spoken("en ligne"))
    bible.accept(branch)
    article = at(bible, POUBELLE)
    assert (article.lead, article.meta.aliases, bible.read(BAC)) == ("en ligne", ("bac",), None)
    bible.check()


def test_a_rename_with_an_edit_merges_with_a_live_edit(bible: Bible) -> None:
    branch = bible.propose(rename(bible, BAC, "poubelle", body="\n" + LINES.replace("Un.", "UN.") + "\n"))
    bible.publish(BAC, spoken(LINES.replace("Cinq.", "CINQ.")))
    bible.accept(branch)
    assert at(bible, POUBELLE).lead == LINES.replace("Un.", "UN.").replace("Cinq.", "CINQ.")
    assert bible.read(BAC) is None
    bible.check()


def test_a_move_to_another_service_merges_with_an_edit_either_way(bible: Bible) -> None:
    there = "articles/etat-civil/bac.md"
    moved = bible.propose(rename(bible, BAC, "bac", "etat-civil"))
    bible.publish(BAC, spoken("en ligne"))
    bible.accept(moved)
    assert (at(bible, there).lead, at(bible, there).service, bible.read(BAC)) == ("en ligne", "etat-civil", None)
    edited = bible.propose({there: at(bible, there).edited(body="proposé\n").source}, "q")
    bible.store.publish(rename(bible, there, "bac", "dechets"), ALI, "Revient")
    bible.accept(edited)
    assert (at(bible, BAC).lead, bible.read(there)) == ("proposé", None)
    bible.check()


def test_an_article_moved_by_git_alone_is_followed(bible: Bible) -> None:
    """In the forge, a folder is renamed without a word in the front matter."""
    there = "articles/proprete/bac.md"
    branch = bible.propose({BAC: spoken("proposé")})
    bible.store.publish({BAC: None, there: spoken(LINES)}, ALI, "Déplace")
    bible.accept(branch)
    assert (bible.read(there), bible.read(BAC)) == (spoken("proposé"), None)


def test_two_moves_of_one_article_are_a_conflict(bible: Bible) -> None:
    branch = bible.propose({BAC: None, "articles/voirie/bac.md": spoken(LINES)})
    bible.store.publish({BAC: None, "articles/proprete/bac.md": spoken(LINES)}, ALI, "Déplace")
    before = bible.picture()
    with pytest.raises(MergeConflict) as caught:
        bible.accept(branch)
    [conflict] = caught.value.merge.conflicts
    assert (conflict.reason, conflict.live_path) == ("both-changed", "articles/proprete/bac.md")
    assert bible.picture() == before


def test_two_names_for_one_article_are_a_conflict_that_says_both(bible: Bible) -> None:
    branch = bible.propose(rename(bible, BAC, "poubelle"))
    bible.store.publish(rename(bible, BAC, "caisse"), ALI, "Renomme")
    before = bible.picture()
    with pytest.raises(MergeConflict) as caught:
        bible.accept(branch)
    [conflict] = caught.value.merge.conflicts
    assert (conflict.reason, conflict.live_path, conflict.change.path) == ("both-changed", CAISSE, POUBELLE)
    assert conflict.merged is not None
    assert [(one.field, one.live, one.proposed) for one in conflict.merged.conflicts] == [("slug", "caisse", "poubelle")]
    assert bible.picture() == before


def test_the_same_name_on_both_sides_is_none(bible: Bible) -> None:
    branch = bible.propose(rename(bible, BAC, "poubelle", body="\n" + LINES.replace("Un.", "UN.") + "\n"))
    bible.store.publish(rename(bible, BAC, "poubelle"), ALI, "Renomme")
    bible.accept(branch)
    assert at(bible, POUBELLE).lead == LINES.replace("Un.", "UN.")
    bible.check()


def test_an_article_of_one_name_in_the_archive_does_not_hide_a_move(bible: Bible) -> None:
    bible.publish("archive/etat-civil/bac.md", text("Un bac d'autrefois"))
    there = "articles/proprete/bac.md"
    branch = bible.propose({BAC: spoken("proposé")})
    bible.store.publish({BAC: None, there: spoken(LINES)}, ALI, "Déplace")
    bible.accept(branch)
    assert bible.read(there) == spoken("proposé")


# What is proposed, what goes live meanwhile, and why the two cannot be joined.
CONFLICTS: dict[str, tuple[dict[str, str | None], dict[str, str | None], str, str | None]] = {
    "both rewrote": ({BAC: spoken("a")}, {BAC: spoken("b")}, "both-changed", BAC),
    "created twice": ({CAISSE: text("A")}, {CAISSE: text("B")}, "exists", CAISSE),
    "moved onto another": ({BAC: None, CAISSE: text("Le bac", aliases="[bac]")}, {CAISSE: text("B")}, "exists", BAC),
    "edited, deleted": ({BAC: spoken("a")}, {BAC: None}, "gone", None),
    "edited, archived": ({BAC: spoken("a")}, {BAC: None, archived_path(BAC): spoken(LINES)}, "gone", archived_path(BAC)),
    "edited and archived here, edited there": (
        {BAC: None, archived_path(BAC): spoken("a")},
        {BAC: spoken("b")},
        "both-changed",
        BAC,
    ),
    "deleted, edited": ({BAC: None}, {BAC: spoken("b")}, "both-changed", BAC),
    "broken here": ({BAC: "sans en-tête"}, {BAC: spoken("b")}, "broken", BAC),
    "broken there": ({BAC: spoken("a")}, {BAC: "---\ntitle: [\n---\n"}, "broken", BAC),
    "services": ({"services.yml": "a: {name: A}\n"}, {"services.yml": "b: {name: B}\n"}, "both-changed", "services.yml"),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_cannot_be_joined_is_a_conflict_and_nothing_moves(bible: Bible, case: str) -> None:
    proposed, meanwhile, reason, where = CONFLICTS[case]
    branch = bible.propose(proposed)
    bible.store.publish(meanwhile, ALI, "Entre-temps")
    before = bible.picture()
    with pytest.raises(MergeConflict, match="mêmes endroits") as caught:
        bible.accept(branch)
    [conflict] = caught.value.merge.conflicts
    assert (conflict.reason, conflict.live_path) == (reason, where)
    assert conflict.live == (bible.read(where) if where else None)
    assert bible.proposals.merge(branch.tip).conflicts == caught.value.merge.conflicts
    assert bible.picture() == before, "the proposal is still open and the live text as it was"


def test_one_conflict_keeps_the_rest_back(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("a"), VERRE: text("Le verre", "a")})
    bible.publish(BAC, spoken("b"))
    with pytest.raises(MergeConflict) as caught:
        bible.accept(branch)
    assert set(caught.value.merge.changes) == {VERRE}
    assert "conteneur" in (bible.read(VERRE) or "")


def test_what_the_check_raises_stops_the_publication(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken(LINES.replace("Un.", "UN."))})
    bible.publish(BAC, spoken(LINES.replace("Cinq.", "CINQ.")))
    before = bible.picture()
    seen: list[Mapping[str, str | None]] = []

    class Refused(KbError):
        pass

    def refuse(changes: Mapping[str, str | None]) -> None:
        seen.append(changes)
        Library.load(bible.folder).changed(changes)  # it may read while the lock is held
        raise Refused("Un lien est cassé.")

    with pytest.raises(Refused, match="lien"):
        bible.proposals.accept("p", branch.tip, ALI, "Publie", refuse)
    assert seen == [{BAC: spoken(LINES.replace("Un.", "UN.").replace("Cinq.", "CINQ."))}], "it is shown the merged text"
    assert bible.picture() == before
    bible.accept(branch)
    bible.check()


def test_archiving_gives_the_address_to_the_replacement_and_restoring_takes_it_back(bible: Bible) -> None:
    branch = bible.propose(archive(at(bible, BAC), at(bible, VERRE)))
    bible.publish(VERRE, at(bible, VERRE).edited(body="\nAu coin.\n").source)
    bible.accept(branch)
    library = Library.load(bible.folder)
    assert library.get("bac").slug == "verre"
    assert library.get("bac").lead == "Au coin."
    assert bible.read(archived_path(BAC)) == spoken(LINES)
    back = bible.propose(restore(at(bible, archived_path(BAC)), at(bible, VERRE)), "retour")
    bible.accept(back)
    library = Library.load(bible.folder)
    assert library.get("bac").source == spoken(LINES)
    assert library.get("verre").meta.aliases == ()
    assert bible.read(archived_path(BAC)) is None
    bible.check()


def test_an_archived_article_leaves_with_what_went_live_meanwhile(bible: Bible) -> None:
    branch = bible.propose(archive(at(bible, BAC)))
    bible.publish(BAC, spoken("en ligne"))
    bible.accept(branch)
    assert bible.read(archived_path(BAC)) == spoken("en ligne")
    assert bible.read(BAC) is None


def test_archiving_twice_is_done_once(bible: Bible) -> None:
    first, second = bible.propose(archive(at(bible, BAC)), "un"), bible.propose(archive(at(bible, BAC)), "deux")
    bible.accept(first)
    bible.accept(second)
    assert bible.read(archived_path(BAC)) == spoken(LINES)
    bible.check()


def test_restoring_onto_a_taken_address_is_a_conflict(bible: Bible) -> None:
    bible.store.publish(archive(at(bible, BAC)), ALI, "Archive")
    branch = bible.propose(restore(at(bible, archived_path(BAC))))
    bible.publish(BAC, text("Un autre bac"))
    with pytest.raises(MergeConflict) as caught:
        bible.accept(branch)
    assert [one.reason for one in caught.value.merge.conflicts] == ["exists"]


def test_what_changes_between_two_versions_is_listed(bible: Bible) -> None:
    old = bible.store.head()
    changes = rename(bible, BAC, "poubelle") | {VERRE: None, CAISSE: text("Caisse"), CARTE: text("La carte", "Ailleurs")}
    branch = bible.propose(changes)
    found = {(one.old_path, one.new_path): (one.before, one.after) for one in bible.proposals.file_changes(old, branch.tip)}
    assert found == {
        (BAC, POUBELLE): (spoken(LINES), changes[POUBELLE]),
        (VERRE, None): (bible.read(VERRE), None),
        (None, CAISSE): (None, text("Caisse")),
        (CARTE, CARTE): (bible.read(CARTE), text("La carte", "Ailleurs")),
    }
    assert bible.proposals.file_changes(old, old) == []


# ---- it is refused ----
def test_a_closed_proposal_keeps_its_text(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("refusé")})
    before = bible.files()
    bible.proposals.close("p")
    assert bible.proposals.open_branches() == []
    assert bible.references()["refs/bible/closed/p"] == branch.tip
    bible.git("gc", "--quiet", "--prune=now")
    assert bible.store.read(BAC, branch.tip) == spoken("refusé")
    assert bible.files() == before
    bible.proposals.close("p")
    bible.proposals.close("jamais-ouverte")
    with pytest.raises(StaleProposal):
        bible.accept(branch)
    bible.check()


def test_everything_works_on_a_packed_repository(bible: Bible) -> None:
    first, second = bible.propose({BAC: spoken("un")}, "un"), bible.propose({VERRE: text("Le verre", "deux")}, "deux")
    bible.git("pack-refs", "--all", "--prune")
    bible.git("gc", "--quiet", "--prune=now")
    assert [one.name for one in bible.proposals.open_branches()] == ["deux", "un"]
    bible.accept(first)
    bible.proposals.close("deux")
    assert set(bible.references()) == {"refs/heads/main", "refs/bible/closed/deux"}
    assert bible.store.read(VERRE, second.tip[:7]) == text("Le verre", "deux")
    bible.check()


# ---- files edited by hand ----
def test_an_edit_by_hand_is_committed_before_anything_is_written(bible: Bible) -> None:
    bible.write(BAC, spoken(LINES.replace("Cinq.", "À LA MAIN.")))
    seen = bible.store.committed(BAC)
    assert bible.show(seen, BAC) == bible.read(BAC)
    branch = bible.propose({BAC: spoken(LINES.replace("Cinq.", "À LA MAIN.").replace("Un.", "UN."))}, base=seen)
    bible.write(BAC, spoken(LINES.replace("Cinq.", "ENCORE.")))
    bible.accept(branch)
    assert bible.read(BAC) == spoken(LINES.replace("Un.", "UN.").replace("Cinq.", "ENCORE."))
    assert {"La Bible"} == set(bible.git("log", "--format=%an", "--grep", "directement sur le serveur").split("\n"))
    bible.check()


def test_an_edit_by_hand_that_meets_the_proposal_is_a_conflict(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("proposé")})
    bible.write(BAC, spoken("à la main"))
    with pytest.raises(MergeConflict) as caught:
        bible.accept(branch)
    assert caught.value.merge.conflicts[0].live == spoken("à la main")
    assert bible.read(BAC) == spoken("à la main")
    assert bible.show("HEAD", BAC) == spoken("à la main")
    bible.check()


@pytest.mark.parametrize("what", ["publish", "accept", "create", "delete"])
def test_no_edit_by_hand_is_lost(bible: Bible, what: str) -> None:
    path = CAISSE if what == "create" else BAC
    branch = bible.propose({VERRE: text("Le verre", "a"), BAC: spoken("a")})
    bible.write(path, text("À la main"))
    if what == "accept":
        with pytest.raises(MergeConflict):
            bible.accept(branch)
    else:
        bible.publish(path, None if what == "delete" else text("Publié"))
        assert bible.read(path) == (None if what == "delete" else text("Publié"))
    assert text("À la main") in [bible.show(revision, path) for revision in bible.git("rev-list", "HEAD").split()]
    bible.check()


def test_a_file_removed_by_hand_is_a_removal(bible: Bible) -> None:
    (bible.folder / BAC).unlink()
    branch = bible.propose({VERRE: text("Le verre", "a")})
    bible.accept(branch)
    assert bible.read(BAC) is None, "it is not brought back by a publication that concerns another"
    head = bible.store.committed(BAC)
    assert bible.show(head, BAC) is None
    bible.check()


def test_other_files_edited_by_hand_stay_as_they_are(bible: Bible) -> None:
    bible.write(CARTE, text("La carte", "à la main"))
    bible.write("notes.txt", "à moi")
    bible.accept(bible.propose({BAC: spoken("a")}))
    assert (bible.read(CARTE), bible.read("notes.txt")) == (text("La carte", "à la main"), "à moi")
    assert bible.git("status", "--porcelain").split("\n") == [" M " + CARTE, "?? notes.txt"]


def test_what_was_staged_by_hand_for_another_file_stays_staged(bible: Bible) -> None:
    bible.write(CARTE, text("La carte", "préparée"))
    bible.git("add", CARTE)
    bible.accept(bible.propose({BAC: spoken("a")}))
    assert bible.git("diff", "--cached", "--name-only") == CARTE
    assert bible.show("", CARTE) == text("La carte", "préparée")


def test_a_text_that_cannot_be_read_is_said_and_kept(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken("a")})
    (bible.folder / BAC).write_bytes(b"---\ntitle: caf\xe9\n---\n")
    with pytest.raises(StoreError, match="UTF-8"):
        bible.accept(branch)
    assert (bible.folder / BAC).read_bytes() == b"---\ntitle: caf\xe9\n---\n"


# ---- commits from a forge ----
WORKFLOW = ".github/workflows/check.yml"


def test_a_commit_made_elsewhere_is_taken_as_it_is(bible: Bible) -> None:
    there = bible.foreign("HEAD", {BAC: spoken("forge"), WORKFLOW: "on: push\n", "README.md": "Bonjour\n", "logo.png": bytes(range(256))})
    assert bible.proposals.adopt_commit(there, EVE, "Réunit") == there, "a plain advance is no merge"
    assert bible.store.head() == there
    assert (bible.read(BAC), bible.read(WORKFLOW), bible.read("README.md")) == (spoken("forge"), "on: push\n", "Bonjour\n")
    assert (bible.folder / "logo.png").read_bytes() == bytes(range(256))
    head = bible.store.head()
    for known in (there, bible.git("rev-parse", "HEAD~1")):
        assert bible.proposals.adopt_commit(known, EVE, "Encore") == head, "what is live already changes nothing"
    (bible.folder / "logo.png").unlink()
    bible.git("checkout", "logo.png")


def test_a_commit_made_elsewhere_is_merged_with_what_went_live(bible: Bible) -> None:
    start = bible.store.head()
    there = bible.foreign(
        start,
        {BAC: spoken(LINES.replace("Un.", "FORGE.")), WORKFLOW: "on: push\n", CARTE: None, CAISSE: text("Caisse"), "logo.png": b"\xff\0"},
    )
    bible.publish(BAC, spoken(LINES.replace("Cinq.", "EN LIGNE.")))
    live = bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert bible.git("rev-list", "--parents", "-1", live).split()[2] == there
    assert bible.git("log", "-1", "--format=%an %s") == "Ève Réunit"
    assert bible.read(BAC) == spoken(LINES.replace("Un.", "FORGE.").replace("Cinq.", "EN LIGNE."))
    assert (bible.read(WORKFLOW), bible.read(CARTE), bible.read(CAISSE)) == ("on: push\n", None, text("Caisse"))
    assert (bible.folder / "logo.png").read_bytes() == b"\xff\0"
    (bible.folder / "logo.png").unlink()
    bible.git("checkout", "logo.png")
    assert bible.git("status", "--porcelain") == ""


def test_a_folder_that_was_made_by_hand_is_content(bible: Bible) -> None:
    path = "articles/vie scolaire/menu de la cantine (été)/cantine.md"
    bible.accept(bible.propose({path: text("La cantine", "À midi.")}))
    assert Library.load(bible.folder).articles["cantine"].path == path
    assert bible.read(path) == text("La cantine", "À midi.")


@pytest.mark.parametrize("path", [WORKFLOW, "README.md", "articles/a~1/bac.md", "articles/logo.png"])
def test_what_no_reviewer_reads_is_not_published(bible: Bible, path: str) -> None:
    """A branch that git made, or continued, may hold anything: beside the articles it is merged on the forge, or not at all."""
    bible.publish(VERRE, text("Le verre", "en ligne"))
    branch = bible.propose({BAC: spoken("a")}, "mine")
    tip = bible.foreign(branch.tip, {path: "caché"})
    assert bible.proposals.follow("mine", tip)
    before = bible.picture()
    assert set(bible.proposals.merge(tip).others) == {path}
    with pytest.raises(ProposalError, match="pas un article"):
        bible.proposals.accept("mine", tip, EVE, "Publie")
    assert bible.picture() == before
    # Once the forge has it, nothing is left to read.
    bible.proposals.adopt_commit(bible.foreign("HEAD", {path: "caché"}), EVE, "Réunit")
    bible.proposals.accept("mine", tip, EVE, "Publie")
    assert bible.read(BAC) == spoken("a")


def test_a_merge_made_elsewhere_leaves_our_publications_in_the_history(bible: Bible) -> None:
    """As « git pull » makes it: theirs first, ours second."""
    bible.publish(BAC, spoken("un"))
    there = bible.foreign("HEAD~1", {VERRE: text("Le verre", "forge")})
    bible.publish(BAC, spoken("deux"))
    head = bible.store.head()
    tree = bible.git("merge-tree", "--write-tree", there, head).split()[0]
    tip = bible.git("commit-tree", tree, "-p", there, "-p", head, "-m", "Merge branch 'main'")
    before = [revision.id for revision in bible.store.history(BAC)]
    live = bible.proposals.adopt_commit(tip, EVE, "Réunit")
    assert (bible.read(BAC), at(bible, VERRE).lead) == (spoken("deux"), "forge")
    assert [revision.id for revision in bible.store.history(BAC)] == before
    assert bible.git("merge-base", "--is-ancestor", tip, live) == ""  # the forge takes it as an advance
    assert bible.git("status", "--porcelain") == ""


def test_a_commit_made_elsewhere_that_conflicts_changes_nothing(bible: Bible) -> None:
    there = bible.foreign("HEAD", {BAC: spoken("forge"), VERRE: text("Le verre", "forge"), "README.md": "forge"})
    bible.publish(BAC, spoken("en ligne"))
    before = bible.picture()
    with pytest.raises(MergeConflict) as caught:
        bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert [one.change.path for one in caught.value.merge.conflicts] == [BAC]
    assert bible.picture() == before


def test_edits_by_hand_survive_a_commit_made_elsewhere(bible: Bible) -> None:
    """What the forge changes too, content or not: the hand's text is committed first."""
    bible.proposals.adopt_commit(bible.foreign("HEAD", {"README.md": "un\n"}), EVE, "Réunit")
    there = bible.foreign("HEAD", {"README.md": "deux\n", VERRE: text("Le verre", "forge"), "notes.txt": "forge\n"})
    bible.write("README.md", "à la main\n")
    bible.write("notes.txt", "à moi\n")
    bible.write(VERRE, text("Le verre", "Au conteneur.", questions="[Où jeter le verre ?, Et les bocaux ?]"))
    bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert at(bible, VERRE).lead == "forge"
    for path, words in (("README.md", "à la main\n"), ("notes.txt", "à moi\n")):
        assert words in [bible.show(revision, path) for revision in bible.git("rev-list", "HEAD").split()], path
    assert bible.git("status", "--porcelain") == ""


def test_a_link_in_a_commit_made_elsewhere_is_not_followed(bible: Bible, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text(text("Secret"), encoding="utf-8")
    lien, dossier = "articles/dechets/lien.md", "articles/porte"
    there = bible.foreign("HEAD", {lien: str(secret), dossier: str(tmp_path), "README.md": "../secret.md"}, mode="120000")
    bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert not any((bible.folder / path).is_symlink() for path in (lien, dossier, "README.md"))
    assert secret.read_text(encoding="utf-8") == text("Secret")
    assert "secret" not in Library.load(bible.folder).articles
    assert all("Secret" not in article.title for article in Library.load(bible.folder).articles.values())
    bible.publish(lien, text("Plus un lien"))
    assert secret.read_text(encoding="utf-8") == text("Secret")
    bible.accept(bible.propose({BAC: spoken("a")}))


def crafted(bible: Bible, path: str, content: bytes = b"[core]\n\tfsmonitor = touch /tmp/x\n") -> str:
    """A commit whose tree has an entry that git itself would never write, on top of the live one."""
    blob = bible.git("hash-object", "-w", "--stdin", stdin=content)
    mode, made = "100644", blob
    for name in reversed(path.split("|")):
        kept = b""
        if name == path.split("|", maxsplit=1)[0]:
            kept = bible.run("cat-file", "tree", "HEAD^{tree}").stdout
        raw = kept + f"{mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(made)
        made = bible.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
        mode = "40000"
    return bible.git("commit-tree", made, "-p", "HEAD", "-m", "Piège")


@pytest.mark.parametrize(
    "path",
    [
        "..|evil.md",
        ".git|config",
        ".git|hooks|post-commit",
        ".GIT|config",
        "zz|..|..|..|evil",
        "zz|.git|config",
        "../evil",
        "zz/../../evil",
        ".",
        "zz|.",
        "/etc",
        "git~1|config",
        "zz|",
    ],
)
@pytest.mark.parametrize("is_merge", [False, True], ids=["advance", "merge"])
def test_a_crafted_tree_writes_nothing(bible: Bible, tmp_path: Path, path: str, is_merge: bool) -> None:
    there = crafted(bible, path)
    if is_merge:
        bible.publish(VERRE, text("Le verre", "en ligne"))
    git_folder = bible.folder / ".git"
    settings = (git_folder / "config").read_bytes(), sorted(one.name for one in (git_folder / "hooks").glob("*"))
    outside = sorted(one.name for one in tmp_path.iterdir())
    before = bible.picture()
    with pytest.raises(StoreError, match=r"retirez ce fichier dans la forge|can't parse filename"):
        bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert ((git_folder / "config").read_bytes(), sorted(one.name for one in (git_folder / "hooks").glob("*"))) == settings
    assert sorted(one.name for one in tmp_path.iterdir()) == outside
    assert bible.picture() == before
    bible.accept(bible.propose({BAC: spoken("a")}))


@pytest.mark.parametrize("is_merge", [False, True], ids=["advance", "merge"])
def test_a_folder_becomes_a_file_and_a_file_a_folder(bible: Bible, is_merge: bool) -> None:
    bible.proposals.adopt_commit(bible.foreign("HEAD", {"docs/a/un.txt": "un", "docs/b.txt": "b", "notes": "n"}), EVE, "Réunit")
    there = bible.foreign("HEAD", {"docs/a/un.txt": None, "docs/b.txt": None, "docs": "un fichier", "notes": None})
    there = bible.foreign(there, {"notes/un.txt": "un"})
    if is_merge:
        bible.publish(BAC, spoken("a"))
    bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert (bible.read("docs"), bible.read("notes/un.txt")) == ("un fichier", "un")
    bible.check()


@pytest.mark.parametrize("path", ["notes", "notes/b.txt", "articles/dechets/caisse.md", "articles/dechets/sous/dossier.md"])
def test_what_lies_in_the_way_stops_before_anything_moves(bible: Bible, path: str) -> None:
    """A folder of somebody's where a file must go, or a file where a folder must go."""
    there = bible.foreign("HEAD", {path: text("De la forge"), VERRE: text("Le verre", "forge")})
    way = bible.folder / path
    if path.endswith(("/b.txt", "/dossier.md")):
        way.parent.write_text("à moi", encoding="utf-8")
        mine = way.parent
    else:
        way.mkdir()
        mine = way / "mien.txt"
        mine.write_text("à moi", encoding="utf-8")
    before = bible.picture()
    with pytest.raises(StoreError, match=path.split("/", maxsplit=1)[0]):
        bible.proposals.adopt_commit(there, EVE, "Réunit")
    assert bible.picture() == before
    assert mine.read_text(encoding="utf-8") == "à moi"
    assert Library.load(bible.folder).get("verre").lead == "Au conteneur.", "everything else goes on"
    bible.accept(bible.propose({BAC: spoken("a")}))


@pytest.mark.parametrize("commit", ["0" * 40, "HEAD", "main", "--help", "", "abc", ":/x"])
def test_a_commit_that_is_none_is_refused(bible: Bible, commit: str) -> None:
    for action in (
        lambda: bible.proposals.adopt_commit(commit, EVE, "x"),
        lambda: bible.proposals.merge(commit),
        lambda: bible.proposals.file_changes(commit, bible.store.head()),
    ):
        with pytest.raises(StoreError, match="n'a pas la version"):
            action()
    assert bible.proposals.is_live(commit) is False


def test_objects_that_are_no_commits_are_refused(bible: Bible) -> None:
    for what in ("HEAD^{tree}", f"HEAD:{BAC}"):
        found = bible.git("rev-parse", what)
        with pytest.raises(StoreError, match="n'a pas la version"):
            bible.proposals.adopt_commit(found, EVE, "x")
        assert bible.proposals.is_live(found) is False


def test_a_branch_without_an_ancestor_in_common_is_refused(bible: Bible) -> None:
    tree = bible.git("rev-parse", "HEAD^{tree}")
    orphan = bible.git("commit-tree", tree, "-m", "Orpheline")
    with pytest.raises(StoreError, match="ancêtre commun"):
        bible.proposals.adopt_commit(orphan, EVE, "x")
    bible.git("update-ref", "refs/heads/proposals/orpheline", orphan)
    [branch] = bible.proposals.open_branches()
    assert branch.name == "orpheline", "one strange branch does not hide the others"
    with pytest.raises(StoreError, match="ancêtre commun"):
        bible.accept(branch)


# ---- any version ----
def test_a_version_is_named_by_its_digits_alone(bible: Bible) -> None:
    first = bible.store.head()
    bible.publish(BAC, spoken("deux"))
    tree, blob = bible.git("rev-parse", "HEAD^{tree}"), bible.git("rev-parse", f"HEAD:{BAC}")
    bible.git("tag", "-a", "v1", "-m", "v1", "HEAD")
    tag = bible.git("rev-parse", "v1")
    names = [
        "HEAD",
        "HEAD~1",
        "main",
        "main@{0}",
        ":/x",
        "--help",
        "-x",
        f"{first}~0",
        f"{first}^",
        first[:6],
        first.upper(),
        "v1",
        "0" * 40,
    ]
    names += [tree, blob, tag, f" {first}", f"{first}\n", "../" + first, "é" * 40, "a" * 10_000, f"{first}0", f"HEAD:{BAC}"]
    for name in names:
        for action in (lambda name=name: bible.store.revision(name), lambda name=name: bible.store.read(BAC, name)):
            with pytest.raises(UnknownRevision, match="historique") as caught:
                action()
            assert len(str(caught.value)) < 200
    for name in (first, first[:7], first[:12]):
        assert bible.store.read(BAC, name) == spoken(LINES)
        assert bible.store.revision(name).id == first
    assert bible.store.read(BAC) == spoken("deux")


def test_digits_that_several_objects_share_name_none(bible: Bible) -> None:
    seen: dict[str, bytes] = {}
    number = 0
    while True:
        content = str(number).encode()
        prefix = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()[:7]
        if prefix in seen:
            break
        seen[prefix] = content
        number += 1
    for one in (content, seen[prefix]):
        bible.git("hash-object", "-w", "--stdin", stdin=one)
    with pytest.raises(UnknownRevision, match=prefix):
        bible.store.revision(prefix)
    with pytest.raises(UnknownRevision, match=prefix):
        bible.store.read(BAC, prefix)


@pytest.mark.parametrize(
    "path", ["", "articles", "articles/dechets", BAC + "/x", "../kb/" + BAC, "/etc/passwd", ".git/config", "a\0b", "x" * 10_000, "\udc80"]
)
def test_what_was_not_there_cannot_be_read(bible: Bible, path: str) -> None:
    with pytest.raises(UnknownSlug, match="n'existait pas"):
        bible.store.read(path)
    assert bible.store.history(path) == [] or path in ("articles", "articles/dechets")


# ---- history ----
def test_the_history_follows_an_article_under_its_old_names(bible: Bible) -> None:
    bible.publish(BAC, spoken("deux"), "Corrige")
    bible.store.publish(rename(bible, BAC, "poubelle"), ALI, "Renomme")
    bible.accept(bible.propose({POUBELLE: at(bible, POUBELLE).edited(body="trois\n").source}))
    history = bible.store.history(POUBELLE)
    assert [one.summary for one in history] == ["Publie", "Renomme", "Corrige", "Contenu d'exemple de La Bible"]
    assert [one.path for one in history] == [POUBELLE, POUBELLE, BAC, BAC]
    for one in history:
        assert bible.store.read(one.path, one.id), "each version can be read where it was"
    assert bible.store.history(POUBELLE, limit=3) == history[:3]
    assert next(one.summary for one in bible.store.history(BAC)) == "Renomme", "the old address has its own"


def test_a_proposal_is_told_once_by_who_published_it_and_who_wrote_it(bible: Bible) -> None:
    branch = bible.propose({BAC: spoken(LINES.replace("Un.", "UN."))})
    branch = bible.proposals.amend(branch.name, branch.tip, {BAC: spoken(LINES.replace("Un.", "Une."))}, ZOE, "Corrige encore")
    before = len(bible.store.history(BAC))
    bible.accept(branch)
    history = bible.store.history(BAC)
    assert len(history) == before + 1
    assert (history[0].author, history[0].writer, history[0].summary) == (ALI.name, ZOE.name, "Publie")
    second = bible.propose({BAC: spoken("proposé")}, "q", base=bible.git("rev-parse", "HEAD~1"))
    with pytest.raises(MergeConflict):
        bible.accept(second)


AT = int(time.time()) + 3600


def commits(bible: Bible, moves: list[tuple[int, bool, bool]]) -> Iterator[str]:
    """Grow a history of edits, side branches and merges, a minute between each; yields the head after every step."""
    repository = pygit2.Repository(str(bible.folder))
    heads = [repository.head.target]
    for number, (side, edits, merges) in enumerate(moves):
        who = pygit2.Signature("Zoé", "zoe@ville.example", AT + 60 * number, 60)
        parent = heads[side % len(heads)]
        parents = [parent]
        other = heads[(side + 1) % len(heads)]
        if merges and other != parent:
            parents.append(other)
        index = pygit2.Index()
        index.read_tree(repository[parent].tree)
        if edits:
            blob = repository.create_blob(f"version {number}".encode())
            index.add(pygit2.IndexEntry(BAC, blob, pygit2.enums.FileMode.BLOB))
        commit = repository.create_commit(None, who, who, f"{number}\n", index.write_tree(repository), parents)
        if len(parents) > 1:
            heads.remove(other)
            heads.remove(parent)
            heads.insert(0, commit)
        elif number % 3 == 0:
            heads.append(commit)
        else:
            heads[heads.index(parent)] = commit
        repository.references.create("refs/heads/main", heads[0], force=True)
        yield str(heads[0])


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bible]:
    with unplugged():
        bible = Bible(tmp_path_factory.mktemp("grown") / "kb", {BAC: spoken(LINES)})
        bible.git("branch", "start")
        yield bible


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_what_is_remembered_of_a_history_is_what_a_fresh_look_finds(grown: Bible, moves: list[tuple[int, bool, bool]]) -> None:
    """Each example starts where the branch was forced to by the last one: what was remembered may be of no use any more."""
    followed = GitStore(grown.folder)
    repository = pygit2.Repository(str(grown.folder))
    repository.references.create("refs/heads/main", repository.references["refs/heads/start"].target, force=True)
    followed.history(BAC)
    for _ in commits(grown, moves):
        assert followed.history(BAC) == GitStore(grown.folder).history(BAC)
    history = followed.history(BAC)
    assert [one.when for one in history] == sorted((one.when for one in history), reverse=True), "newest first"


def test_a_history_after_the_branch_was_forced_back(bible: Bible) -> None:
    first = bible.store.head()
    bible.publish(BAC, spoken("deux"), "Deux")
    bible.publish(BAC, spoken("trois"), "Trois")
    assert [one.summary for one in bible.store.history(BAC)][:2] == ["Trois", "Deux"]
    bible.git("reset", "--quiet", "--hard", first)
    assert [one.id for one in bible.store.history(BAC)] == [first]
    bible.git("reflog", "expire", "--expire=now", "--all")
    bible.git("gc", "--quiet", "--prune=now")
    assert [one.id for one in bible.store.history(BAC)] == [first], "commits that are gone for good are no trouble"
    bible.publish(BAC, spoken("autre"), "Autre")
    assert next(one.summary for one in bible.store.history(BAC)) == "Autre"
