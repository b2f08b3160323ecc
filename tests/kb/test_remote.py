"""Pushing to and fetching from the forge's repository: real repositories, over paths, ``file://`` and HTTP with a token."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest

from kb import remote as remote_module
from kb.remote import TRACKING, BranchMissing, BranchMoved, Remote, RemoteError
from tests.kb.git_server import GitServer, serve

REFUSED = [
    "-",
    "--mirror",
    "-x",
    "a/-b",
    "a b",
    "a..b",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "é",
    "a\nb",
    "a~1",
    "x" * 201,
]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", ".")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@ville.example", "commit", "--quiet", "--message", name)
    return git(folder, "rev-parse", "HEAD")


def branches(folder: Path, prefix: str = "refs/heads/") -> dict[str, str]:
    lines = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
    return {name.removeprefix(prefix): target for name, target in (line.split() for line in lines)}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The content repository, with one commit on ``main``."""
    folder = tmp_path / "here"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "premier")
    return folder


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    """The forge's repository, empty."""
    folder = tmp_path / "forge" / "bible.git"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    git(folder, "config", "http.receivepack", "true")
    return folder


@pytest.fixture
def server(forge: Path) -> Iterator[GitServer]:
    with serve(forge.parent) as running:
        yield running


@pytest.fixture(params=["path", "file", "http"])
def there(request: pytest.FixtureRequest, forge: Path) -> Remote:
    """The forge's repository, the three ways that need no ssh server."""
    if request.param == "http":
        return Remote(request.getfixturevalue("server").url + "/bible.git", token="jeton")
    return Remote(str(forge) if request.param == "path" else forge.as_uri())


def elsewhere(forge: Path, name: str) -> str:
    """Somebody else commits on ``main`` there."""
    folder = forge.parent.parent / f"clone-{name}"
    git(forge, "clone", "--quiet", str(forge), str(folder))
    made = commit(folder, name)
    git(folder, "push", "--quiet", "origin", "main")
    return made


# ---- there and back ----
def test_what_is_pushed_is_there_and_what_is_there_is_fetched(here: Path, forge: Path, there: Remote) -> None:
    first = git(here, "rev-parse", "HEAD")
    there.push(here, ["main", "main:proposals/passeport"])
    assert branches(forge) == {"main": first, "proposals/passeport": first}
    theirs = elsewhere(forge, "second")
    assert there.fetch(here) == theirs
    assert branches(here, TRACKING) == {"main": theirs, "proposals/passeport": first}
    assert (branches(here), git(here, "status", "--porcelain")) == ({"main": first}, ""), "nothing moves here"
    git(here, "merge", "--quiet", "--ff-only", TRACKING + "main")
    there.push(here, ["refs/heads/main:refs/heads/main"])
    assert there.fetch(here) == theirs


def test_nothing_to_push_is_no_error(here: Path, there: Remote) -> None:
    there.push(here, [])
    there.push(here, ["main"])
    there.push(here, ["main"])


def test_commits_that_are_only_there_are_never_lost_unasked(here: Path, forge: Path, there: Remote) -> None:
    there.push(here, ["main"])
    theirs, mine = elsewhere(forge, "theirs"), commit(here, "mine")
    for _ in range(2):
        with pytest.raises(BranchMoved, match="changé sur la forge") as caught:
            there.push(here, ["main"])
        assert caught.value.temporary is False
        assert branches(forge)["main"] == theirs
        there.fetch(here)  # the second time, libgit2 knows the commit that it must not lose
    there.push(here, ["+main:main"])
    assert branches(forge)["main"] == mine


def test_a_branch_that_is_deleted_there_is_no_longer_tracked(here: Path, forge: Path, there: Remote) -> None:
    there.push(here, ["main", "main:proposals/a", "main:proposals/b"])
    there.fetch(here)
    git(forge, "update-ref", "-d", "refs/heads/proposals/a")
    there.fetch(here)
    assert set(branches(here, TRACKING)) == {"main", "proposals/b"}
    there.push(here, [":proposals/b"])
    assert set(branches(forge)) == {"main"}
    there.push(here, [":proposals/b"])  # again: it is gone already


def test_the_live_branch_missing_there_is_told_apart(here: Path, forge: Path, there: Remote) -> None:
    with pytest.raises(BranchMissing, match="« main »"):
        there.fetch(here)
    there.push(here, ["main"])
    there.fetch(here)
    git(forge, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(BranchMissing):
        there.fetch(here)


# ---- refusals ----
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("spec", ["{}", "main:{}", "{}:main", ":{}", "+{}:main", "refs/heads/{}:main"])
def test_odd_and_option_like_names_are_refused(here: Path, forge: Path, name: str, spec: str) -> None:
    with pytest.raises(RemoteError, match="ne peut pas être une branche") as caught:
        Remote(str(forge)).push(here, [spec.format(name)])
    assert caught.value.temporary is False
    assert branches(forge) == {}


@pytest.mark.parametrize("spec", ["", ":", "+", "main:", "refs/tags/v1:refs/tags/v1x y", "main:refs/heads/../../config", "main:a:b"])
def test_nothing_but_branches_travels(here: Path, forge: Path, spec: str) -> None:
    with pytest.raises(RemoteError):
        Remote(str(forge)).push(here, [spec])
    assert branches(forge, "refs/") == {}


def test_the_live_branch_is_checked_too(here: Path, forge: Path) -> None:
    with pytest.raises(RemoteError, match="ne peut pas être une branche"):
        Remote(str(forge), branch="--upload-pack=x").fetch(here)


def test_a_branch_that_is_not_here_cannot_be_pushed(here: Path, there: Remote) -> None:
    with pytest.raises(RemoteError) as caught:
        there.push(here, ["absente"])
    assert caught.value.temporary is False


@pytest.mark.parametrize("url", ["{}/absent.git", "file://{}/absent.git", "--upload-pack=touch", "nfs://ville.example/x"])
def test_no_repository_there_is_not_temporary(here: Path, tmp_path: Path, url: str) -> None:
    for act in (lambda remote: remote.fetch(here), lambda remote: remote.push(here, ["main"])):
        with pytest.raises(RemoteError, match="BIBLE_REMOTE") as caught:
            act(Remote(url.format(tmp_path)))
        assert caught.value.temporary is False


def test_a_folder_that_is_no_repository_is_said(tmp_path: Path, forge: Path) -> None:
    (tmp_path / "vide").mkdir()
    with pytest.raises(RemoteError, match="n'est pas un dépôt git"):
        Remote(str(forge)).fetch(tmp_path / "vide")


def test_a_protected_branch_is_said_with_the_forge_own_words(here: Path, forge: Path, server: GitServer) -> None:
    hook = forge / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" = refs/heads/main ] && exit 1\nexit 0\n')
    hook.chmod(0o755)
    with pytest.raises(RemoteError, match=r"« main » \(hook declined\).*protection") as caught:
        Remote(server.url + "/bible.git", token="jeton").push(here, ["main", "main:proposals/a"])
    assert caught.value.temporary is False
    assert set(branches(forge)) == {"proposals/a"}


# ---- the token ----
@pytest.mark.parametrize("token", ["", "xyz123"])
def test_a_wrong_token_is_shown_once_and_said(here: Path, server: GitServer, token: str) -> None:
    remote = Remote(server.url + "/bible.git", token=token)
    with pytest.raises(RemoteError, match="BIBLE_REMOTE_TOKEN") as caught:
        remote.fetch(here)
    assert caught.value.temporary is False
    assert len(server.seen) <= 3
    assert "xyz123" not in str(caught.value) + repr(remote)


def test_a_redirection_does_not_carry_the_token_elsewhere(here: Path, server: GitServer, tmp_path: Path) -> None:
    with serve(tmp_path / "forge") as thief:
        server.moved_to = thief.url
        with pytest.raises(RemoteError):
            Remote(server.url + "/bible.git", token="jeton").fetch(here)
        assert thief.seen and set(thief.seen) == {None}


def test_a_token_in_the_address_is_not_repeated_in_an_error(here: Path, server: GitServer) -> None:
    address = server.url.replace("http://", "http://moi:secret@") + "/bible.git"
    with pytest.raises(RemoteError) as caught:
        Remote(address).fetch(here)
    assert "secret" not in str(caught.value)


# ---- the forge is down ----
@pytest.mark.parametrize(("status", "said"), [(401, "jeton"), (403, "jeton"), (404, "pas de dépôt")])
def test_what_the_forge_refuses_is_not_temporary(here: Path, server: GitServer, status: int, said: str) -> None:
    server.status = status
    for act in (lambda remote: remote.fetch(here), lambda remote: remote.push(here, ["main"])):
        with pytest.raises(RemoteError, match=said) as caught:
            act(Remote(server.url + "/bible.git", token="jeton"))
        assert caught.value.temporary is False


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_forge_in_trouble_is_temporary(here: Path, server: GitServer, status: int) -> None:
    server.status = status
    for act in (lambda remote: remote.fetch(here), lambda remote: remote.push(here, ["main"])):
        with pytest.raises(RemoteError, match="Rien n'est perdu") as caught:
            act(Remote(server.url + "/bible.git", token="jeton"))
        assert caught.value.temporary is True


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/bible.git", "ssh://git@127.0.0.1:{}/bible.git", "git@forge.invalid:ville/bible.git"])
def test_no_answer_is_temporary(here: Path, url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(RemoteError, match="ne répond pas") as caught:
        Remote(url.format(port)).fetch(here)
    assert caught.value.temporary is True


def test_silence_does_not_last(here: Path) -> None:
    limit = pygit2.settings.server_timeout
    assert limit == remote_module.SILENCE_MS
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the connection is taken, and nothing is ever said
        pygit2.settings.server_timeout = 200
        try:
            with pytest.raises(RemoteError) as caught:
                Remote(f"http://127.0.0.1:{mute.getsockname()[1]}/bible.git").fetch(here)
        finally:
            pygit2.settings.server_timeout = limit
    assert caught.value.temporary is True


def test_an_endless_exchange_is_cut(here: Path, server: GitServer, forge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(server.url + "/bible.git", token="jeton")
    remote.push(here, ["main"])
    elsewhere(forge, "second")
    monkeypatch.setattr(remote_module, "LIMIT_SECONDS", -1)
    with pytest.raises(RemoteError, match="dépassé") as caught:
        remote.fetch(here)
    assert caught.value.temporary is True
