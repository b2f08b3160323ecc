"""The three forges behind one interface, against servers that hold every request to the published description of each API."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate
from werkzeug.wrappers import Request, Response

from kb import forges
from kb.forges import Forge, ForgedWebhook, ForgeError, forge_for, parse_address
from kb.forges import base as forge_base
from tests.kb.forge_server import API_PATHS, FOLDER, TOKEN, FakeForge, Pull, serve

KINDS = ("github", "gitlab", "forgejo")
PROJECTS = {"github": "ville/bible", "gitlab": "ville/communication/bible.fr", "forgejo": "ville/bible"}
NAMES = {"github": "GitHub", "gitlab": "GitLab", "forgejo": "Forgejo"}
MERGED = "c" * 40


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    """A forge of each kind. No request to it, and no answer of its own, may break the description."""
    with serve(request.param, PROJECTS[request.param]) as running:
        yield running
        assert running.broken == []


@pytest.fixture
def forge(server: FakeForge) -> Forge:
    return adapter(server)


def adapter(server: FakeForge, token: str = TOKEN) -> Forge:
    return forge_for(f"{server.address}/{server.project}.git", server.kind, server.address + API_PATHS[server.kind], token)


@pytest.mark.parametrize("kind", KINDS)
def test_the_excerpts_are_valid_openapi_and_say_where_they_come_from(kind: str) -> None:
    document = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    validate(document)
    assert document["info"]["x-source"]
    assert document["info"]["x-licence"]


# ---- open, read, list, comment, close ----
def test_a_pull_request_is_opened_and_read(server: FakeForge, forge: Forge) -> None:
    made = forge.open("proposals/passeport", "main", "Passeport : délai & tarif", "Texte « proposé »\n\n- par A")
    assert (made.number, made.branch, made.base, made.state, made.merge_commit) == (1, "proposals/passeport", "main", "open", None)
    assert (made.title, made.head) == ("Passeport : délai & tarif", "a" * 40)
    assert made.url == f"https://forge.example/{server.project}/pulls/1"
    assert server.pulls[0].body == "Texte « proposé »\n\n- par A"
    assert forge.read(1) == made


def test_opening_twice_gives_the_first(server: FakeForge, forge: Forge) -> None:
    first = forge.open("proposals/a", "main", "A")
    assert forge.open("proposals/a", "main", "Autre titre") == first
    assert len(server.pulls) == 1


@pytest.mark.parametrize(
    "other",
    [
        Pull(1, "proposals/a", "autre"),
        Pull(1, "proposals/ab", "main"),
        Pull(1, "proposals/a", "main", state="closed"),
        Pull(1, "proposals/a", "main", state="merged", merge_commit=MERGED),
        Pull(1, "proposals/a", "main", fork=True),
        Pull(1, "proposals/a", "main", fork=True, fork_gone=True),
    ],
)
@pytest.mark.parametrize("filters", [True, False])
def test_only_an_open_one_of_this_branch_into_this_base_is_taken_for_it(
    server: FakeForge, forge: Forge, other: Pull, filters: bool
) -> None:
    server.filters = filters
    server.pulls.append(dataclasses.replace(other))
    assert forge.open("proposals/a", "main", "A").number == 2


def test_one_that_was_opened_between_two_requests_is_found(server: FakeForge, forge: Forge) -> None:
    def race(request: Request) -> None:
        if request.method == "POST" and not server.pulls:
            server.pulls.append(Pull(1, "proposals/a", "main", title="Autre agent"))

    server.before = race
    assert forge.open("proposals/a", "main", "A").title == "Autre agent"


def test_a_refusal_to_open_says_why(server: FakeForge, forge: Forge) -> None:
    words = {"message": "Validation Failed", "errors": [{"message": "No commits between main and a", "code": "custom"}]}
    server.before = lambda request: Response(json.dumps(words), 422, content_type="application/json") if request.method == "POST" else None
    with pytest.raises(ForgeError, match="No commits between") as caught:
        forge.open("a", "main", "A")
    assert (caught.value.temporary, caught.value.status) == (False, 422)


@pytest.mark.parametrize(
    ("pull", "state", "commit"),
    [
        (Pull(7, "a", "main"), "open", None),
        (Pull(7, "a", "main", state="closed"), "closed", None),
        (Pull(7, "a", "main", state="merged", merge_commit=MERGED), "merged", MERGED),
        (Pull(7, "a", "main", state="merged", merge_commit=MERGED, branch_gone=True), "merged", MERGED),
    ],
)
def test_the_state_is_read(server: FakeForge, forge: Forge, pull: Pull, state: str, commit: str | None) -> None:
    server.pulls.append(pull)
    found = forge.read(7)
    assert (found.state, found.merge_commit, found.branch) == (state, commit, "a")


@pytest.mark.parametrize(("squash", "commit"), [(None, "a" * 40), (MERGED, MERGED)])
def test_gitlab_without_a_merge_commit_says_where_the_base_went(squash: str | None, commit: str) -> None:
    with serve("gitlab", "ville/bible") as server:
        server.pulls = [Pull(1, "a", "main", state="merged", squash_commit=squash), Pull(2, "b", "main", state="locked")]
        assert adapter(server).read(1).merge_commit == commit
        assert adapter(server).read(2).state == "open", "a merge that is under way is not done"


@pytest.mark.parametrize("page_size", [1, 50, 100])
def test_every_open_one_is_listed_page_after_page(server: FakeForge, forge: Forge, page_size: int) -> None:
    server.page_size = page_size
    total = 7 if page_size == 1 else 120
    server.pulls = [Pull(number, f"proposals/{number}", "main") for number in range(1, total + 1)]
    server.pulls[2].state = "closed"
    server.pulls[4].fork = True
    server.unreadable = server.kind == "forgejo"
    found = forge.list_open()
    assert [item.branch for item in found] == [f"proposals/{number}" for number in range(1, total + 1) if number not in (3, 5)]
    assert server.requests[-1][1].startswith("/"), "the address of the next page is ours, not one that the forge gives"
    assert not any("elsewhere" in path for _, path in server.requests)


def test_a_comment_arrives_word_for_word(server: FakeForge, forge: Forge) -> None:
    server.pulls.append(Pull(3, "a", "main"))
    forge.comment(3, "Merci d'ajouter le tarif.\n\n— Marie")
    assert server.pulls[0].comments == ["Merci d'ajouter le tarif.\n\n— Marie"]


def test_closing_is_done_once_and_leaves_a_merged_one(server: FakeForge, forge: Forge) -> None:
    server.pulls = [Pull(1, "a", "main"), Pull(2, "b", "main", state="merged", merge_commit=MERGED)]
    assert [forge.close(number).state for number in (1, 1, 2)] == ["closed", "closed", "merged"]
    assert [method for method, _ in server.requests if method in ("PUT", "PATCH")] == ["PATCH" if server.kind != "gitlab" else "PUT"]


# ---- errors ----
@pytest.mark.parametrize("act", ["read", "comment", "close"])
def test_what_is_not_there_is_said(forge: Forge, act: str) -> None:
    with pytest.raises(ForgeError, match="n'y existe pas") as caught:
        getattr(forge, act)(99, *(["mot"] if act == "comment" else []))
    assert (caught.value.temporary, caught.value.status) == (False, 404)


def test_a_wrong_token_is_said_and_never_shown(server: FakeForge) -> None:
    with pytest.raises(ForgeError, match="BIBLE_REMOTE_TOKEN") as caught:
        adapter(server, "faux-xyz").list_open()
    assert caught.value.temporary is False
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "temporary", "said"),
    [
        (500, {}, True, "Rien n'est perdu"),
        (502, {}, True, "Rien n'est perdu"),
        (503, {"Retry-After": "60"}, True, "Rien n'est perdu"),
        (408, {}, True, "Rien n'est perdu"),
        (429, {"Retry-After": "60"}, True, "Rien n'est perdu"),
        (403, {"x-ratelimit-remaining": "0"}, True, "Rien n'est perdu"),
        (403, {"Retry-After": "60"}, True, "Rien n'est perdu"),
        (403, {"x-ratelimit-remaining": "42"}, False, "droits"),
        (401, {}, False, "jeton"),
        (404, {}, False, "n'y existe pas"),
        (400, {}, False, "refusée"),
        (301, {"Location": "https://forge.invalid/"}, False, "adresse a changé"),
        (307, {"Location": "/api/ailleurs"}, False, "adresse a changé"),
    ],
)
def test_each_failure_says_whether_to_try_again(
    server: FakeForge, forge: Forge, status: int, headers: dict[str, str], temporary: bool, said: str
) -> None:
    server.before = lambda _: Response("{}", status, headers, content_type="application/json")
    for act in (lambda: forge.read(1), forge.list_open, lambda: forge.open("a", "main", "A"), lambda: forge.comment(1, "x")):
        server.requests.clear()
        with pytest.raises(ForgeError, match=said) as caught:
            act()
        assert (caught.value.temporary, caught.value.status) == (temporary, status)
        assert NAMES[server.kind] in str(caught.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["", "<html>Connexion</html>", "null", "3", '"x"'])
def test_an_answer_of_something_else_is_said(server: FakeForge, forge: Forge, body: str) -> None:
    server.before = lambda _: Response(body, 200, content_type="text/html")
    for act in (lambda: forge.read(1), forge.list_open):
        with pytest.raises(ForgeError, match="BIBLE_FORGE_API") as caught:
            act()
        assert caught.value.temporary is False


def test_an_answer_without_the_documented_fields_is_a_forge_error(server: FakeForge, forge: Forge) -> None:
    server.before = lambda request: Response("{}" if request.path.endswith("/1") else "[{}]", 200, content_type="application/json")
    for act in (lambda: forge.read(1), forge.list_open):
        with pytest.raises(ForgeError, match="BIBLE_FORGE_API"):
            act()


def test_a_redirection_takes_the_token_nowhere(server: FakeForge, forge: Forge) -> None:
    with serve(server.kind, server.project) as thief:
        server.before = lambda request: Response("", 302, {"Location": thief.address + request.path})
        with pytest.raises(ForgeError):
            forge.read(1)
        assert thief.requests == []


def test_a_netrc_does_not_replace_the_token(server: FakeForge, forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login moi password autre\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.pulls.append(Pull(1, "a", "main"))
    assert forge.read(1).number == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_forge_that_is_down_is_temporary(kind: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for remote in (f"{address}/ville/bible.git", "https://forge.invalid/ville/bible.git"):
        with pytest.raises(ForgeError, match="ne répond pas") as caught:
            forge_for(remote, kind).read(1)
        assert caught.value.temporary is True


def test_silence_does_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forge_base, "TIMEOUT_SECONDS", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        forge = forge_for(f"http://127.0.0.1:{mute.getsockname()[1]}/ville/bible", "forgejo")
        with pytest.raises(ForgeError) as caught:
            forge.read(1)
    assert caught.value.temporary is True


# ---- addresses ----
@pytest.mark.parametrize(
    ("remote", "kind", "api", "name", "project"),
    [
        ("https://github.com/ville/bible.git", "", "https://api.github.com", "GitHub", "ville/bible"),
        ("https://oauth2:jeton@github.com/ville/bible", "", "https://api.github.com", "GitHub", "ville/bible"),
        ("git@github.com:ville/bible.git", "", "https://api.github.com", "GitHub", "ville/bible"),
        ("ssh://git@ssh.github.com:443/ville/bible.git", "", "https://api.github.com", "GitHub", "ville/bible"),
        ("git@ville.ghe.com:ville/bible.git", "", "https://api.ville.ghe.com", "GitHub", "ville/bible"),
        ("https://github.ville.example/eau/bible.git", "", "https://github.ville.example/api/v3", "GitHub", "eau/bible"),
        ("git@code.ville.example:eau/bible.git", "github", "https://code.ville.example/api/v3", "GitHub", "eau/bible"),
        ("https://gitlab.com/ville/com/sous/bible.git/", "", "https://gitlab.com/api/v4", "GitLab", "ville/com/sous/bible"),
        ("git@gitlab.com:ville/com/bible.git", "", "https://gitlab.com/api/v4", "GitLab", "ville/com/bible"),
        ("ssh://git@altssh.gitlab.com:443/ville/bible.git", "", "https://gitlab.com/api/v4", "GitLab", "ville/bible"),
        ("ssh://git@gitlab.ville.example:2222/eau/bible.git", "", "https://gitlab.ville.example/api/v4", "GitLab", "eau/bible"),
        ("https://gitlab.ville.example:8443/eau/bible", "", "https://gitlab.ville.example:8443/api/v4", "GitLab", "eau/bible"),
        ("http://127.0.0.1:3000/eau/bible", "gitlab", "http://127.0.0.1:3000/api/v4", "GitLab", "eau/bible"),
        ("https://codeberg.org/ville/bible.git", "", "https://codeberg.org/api/v1", "Forgejo", "ville/bible"),
        ("https://gitea.ville.example/eau/bible.git", "", "https://gitea.ville.example/api/v1", "Forgejo", "eau/bible"),
        ("https://ville.example/git/eau/bible.git", "forgejo", "https://ville.example/git/api/v1", "Forgejo", "eau/bible"),
        ("git@[2001:db8::1]:eau/bible.git", "forgejo", "https://[2001:db8::1]/api/v1", "Forgejo", "eau/bible"),
        ("https://[2001:db8::1]:3000/eau/bible.git", "forgejo", "https://[2001:db8::1]:3000/api/v1", "Forgejo", "eau/bible"),
    ],
)
def test_the_api_is_worked_out_from_the_git_address(remote: str, kind: str, api: str, name: str, project: str) -> None:
    forge = forge_for(remote, kind)
    assert (forge.api, forge.name, forge.project) == (api, name, project)


@pytest.mark.parametrize(
    ("remote", "kind", "api", "project"),
    [
        ("https://ville.example/gitlab/eau/sous/bible.git", "gitlab", "https://ville.example/gitlab/api/v4", "eau/sous/bible"),
        ("git@ville.example:eau/bible.git", "gitlab", "https://ville.example/gitlab/api/v4/", "eau/bible"),
        ("https://ville.example/git/eau/bible.git", "forgejo", "https://ville.example/git/api/v1", "eau/bible"),
        ("https://github.com/eau/bible.git", "", "http://mandataire.example:8080", "eau/bible"),
    ],
)
def test_an_api_address_that_is_given_is_used(remote: str, kind: str, api: str, project: str) -> None:
    forge = forge_for(remote, kind, api)
    assert (forge.api, forge.project) == (api.rstrip("/"), project)


@pytest.mark.parametrize(
    "remote", ["https://git.ville.example/eau/bible.git", "git@monGithub.example:eau/bible", "https://notgitlab.com/a/b"]
)
def test_a_host_that_tells_nothing_asks_for_the_setting(remote: str) -> None:
    with pytest.raises(ForgeError, match="BIBLE_FORGE") as caught:
        forge_for(remote)
    assert caught.value.temporary is False


@pytest.mark.parametrize(
    "remote",
    [
        *["", "bible", "/srv/git/bible.git", "file:///srv/git/bible.git", "C:/depots/bible", "ftp://github.com/a/b", "https://github.com"],
        *[
            "https://github.com/bible.git",
            "https:///a/b",
            "https://github.com/../b",
            "https://github.com/a/b?x#y z",
            "git@github.com:a/b c",
        ],
        *["https://github.com/a/%2e%2e", "https://github.com:port/a/b", "--upload-pack=x:a/b", "git@github.com:a//b", "https://[::1/a/b"],
    ],
)
def test_what_is_no_address_of_a_forge_is_refused(remote: str) -> None:
    with pytest.raises(ForgeError) as caught:
        forge_for(remote, "github")
    assert caught.value.temporary is False


@given(
    st.text(max_size=80)
    | st.from_regex(r"(https|ssh|git)://[\w@:.\[\]-]{0,20}/[\w./%?#-]{0,30}|[\w.@-]{0,15}:[\w./-]{0,30}", fullmatch=True)
)
def test_any_address_is_parsed_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ForgeError:
        return
    assert address.site.startswith(("http://", "https://"))
    assert ".." not in address.path.split("/")


# ---- webhooks ----
SECRET = "secret-du-crochet"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def digest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def sent(server: FakeForge, event: str, payload: Any) -> tuple[dict[str, str], bytes]:
    """Headers and body as a forge of this kind sends them."""
    body = json.dumps(payload).encode()
    if server.kind == "gitlab":
        return {
            "X-Gitlab-Event": {"push": "Push Hook", "pull_request": "Merge Request Hook"}.get(event, event),
            "X-Gitlab-Token": SECRET,
        }, body
    if server.kind == "github":
        return {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest(body)}"}, body
    headers = {"X-Forgejo-Event": event, "X-Gitea-Event": event, "X-GitHub-Event": event}
    return {**headers, "X-Forgejo-Signature": digest(body), "X-Gitea-Signature": digest(body)}, body


def pushed(server: FakeForge, ref: str = "refs/heads/main", after: str = MERGED, project: str = "") -> dict[str, Any]:
    path = project or server.project
    place = {"project": {"path_with_namespace": path}} if server.kind == "gitlab" else {"repository": {"full_name": path}}
    return {"ref": ref, "before": "0" * 40, "after": after, **place}


def told(server: FakeForge, pull: Pull, project: str = "") -> dict[str, Any]:
    shown = server.shown(pull)
    path = project or server.project
    if server.kind != "gitlab":
        return {"action": "closed", "number": pull.number, "pull_request": shown, "repository": {"full_name": path}}
    shown["url"] = shown.pop("web_url")
    shown["last_commit"] = {"id": shown.pop("sha")}
    return {"object_kind": "merge_request", "project": {"path_with_namespace": path}, "object_attributes": {**shown, "action": "merge"}}


@pytest.mark.parametrize(
    ("ref", "after", "expected"),
    [
        ("refs/heads/main", MERGED, ("push", "main", MERGED)),
        ("refs/heads/proposals/a", MERGED, ("push", "proposals/a", MERGED)),
        ("refs/heads/proposals/a", "0" * 40, ("push", "proposals/a", None)),
        ("refs/tags/v1", MERGED, ("other", "", None)),
    ],
)
def test_a_push_is_understood(server: FakeForge, forge: Forge, ref: str, after: str, expected: tuple[str, str, str | None]) -> None:
    event = forge.parse_webhook(*sent(server, "push", pushed(server, ref, after)), SECRET)
    assert (event.kind, event.branch, event.commit) == expected


@pytest.mark.parametrize(("state", "commit"), [("open", None), ("closed", None), ("merged", MERGED)])
def test_a_pull_request_event_says_what_reading_it_would(server: FakeForge, forge: Forge, state: str, commit: str | None) -> None:
    pull = Pull(5, "proposals/a", "main", state=state, merge_commit=commit)
    server.pulls.append(pull)
    event = forge.parse_webhook(*sent(server, "pull_request", told(server, pull)), SECRET)
    assert event.kind == "pull_request"
    assert event.pull_request == forge.read(5)
    assert event.pull_request.state == state


def test_a_repository_that_is_not_ours_is_other(server: FakeForge, forge: Forge) -> None:
    for event, payload in (
        ("push", pushed(server, project="ville/autre")),
        ("pull_request", told(server, Pull(5, "a", "main"), "ville/autre")),
    ):
        assert forge.parse_webhook(*sent(server, event, payload), SECRET).kind == "other"
    same = pushed(server, project=server.project.upper())
    assert forge.parse_webhook(*sent(server, "push", same), SECRET).kind == "push"


@pytest.mark.parametrize("event", ["ping", "issues", "", "Tag Push Hook", "repository"])
def test_any_other_event_is_no_error(server: FakeForge, forge: Forge, event: str) -> None:
    kind = forge.parse_webhook(*sent(server, event, {"zen": "…"}), SECRET).kind
    assert kind == ("ping" if (event, server.kind) == ("ping", "github") else "other")


def test_headers_are_read_in_any_case(server: FakeForge, forge: Forge) -> None:
    headers, body = sent(server, "push", pushed(server))
    for change in (str.lower, str.upper):
        assert forge.parse_webhook({change(key): value for key, value in headers.items()}, body, SECRET).kind == "push"


@pytest.mark.parametrize("forgery", ["body", "secret", "no secret", "no header", "empty", "accent", "other scheme", "other forge"])
def test_a_forged_webhook_is_refused(server: FakeForge, forge: Forge, forgery: str) -> None:
    headers, body = sent(server, "push", pushed(server))
    names = [name for name in headers if "Signature" in name or "Token" in name]
    secret = SECRET
    if forgery == "body":
        if server.kind == "gitlab":
            pytest.skip("the token of GitLab does not cover the body; its signature does, see below")
        body += b" "
    elif forgery == "secret":
        secret = "autre"
    elif forgery == "no secret":
        secret = ""
    elif forgery in ("no header", "other forge"):
        headers = {key: value for key, value in headers.items() if key not in names}
        if forgery == "other forge":
            headers |= {"X-Gitlab-Token": SECRET} if server.kind != "gitlab" else {"X-Hub-Signature-256": f"sha256={digest(body)}"}
    else:
        wrong = {"empty": "", "accent": "é€", "other scheme": "sha1=" + hashlib.sha1(body).hexdigest()}[forgery]
        headers |= dict.fromkeys(names, wrong)
    with pytest.raises(ForgedWebhook, match="BIBLE_WEBHOOK_SECRET") as caught:
        forge.parse_webhook(headers, body, secret)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["X-Gitea-Signature", "X-Hub-Signature-256"])
def test_gitea_and_older_forgejos_sign_under_another_name(name: str) -> None:
    forge = forge_for("https://gitea.ville.example/ville/bible.git")
    body = json.dumps({"ref": "refs/heads/main", "after": MERGED, "repository": {"full_name": "ville/bible"}}).encode()
    value = ("sha256=" if "Hub" in name else "") + digest(body)
    assert forge.parse_webhook({"X-Gitea-Event": "push", name: value}, body, SECRET).branch == "main"
    with pytest.raises(ForgedWebhook):  # a right signature does not rescue a wrong one of Forgejo's own
        forge.parse_webhook({"X-Gitea-Event": "push", name: value, "X-Forgejo-Signature": "0" * 64}, body, SECRET)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ("", True),
        ("several", True),
        ("body", False),
        ("id", False),
        ("old", False),
        ("future", False),
        ("no time", False),
        ("word time", False),
        ("version", False),
        ("none", False),
        ("token only", False),
    ],
)
def test_the_signing_token_of_gitlab(change: str, good: bool) -> None:
    """The « standard webhook » signature: over id, time and body; a message that is old may be a replay."""
    forge = forge_for("https://gitlab.com/ville/bible.git")
    payload = {"ref": "refs/heads/main", "after": MERGED, "project": {"path_with_namespace": "ville/bible"}}
    body, sent_at = json.dumps(payload).encode(), str(int(time.time()) + {"old": -301, "future": 302}.get(change, 0))
    key = base64.b64decode(SIGNING.removeprefix("whsec_"))
    value = "v1," + base64.b64encode(hmac.new(key, f"msg.{sent_at}.".encode() + body, hashlib.sha256).digest()).decode()
    headers = {"X-Gitlab-Event": "Push Hook", "webhook-id": "msg", "webhook-timestamp": sent_at, "webhook-signature": value}
    headers |= {
        "several": {"webhook-signature": f"v1,{'A' * 43}= {value}"},
        "id": {"webhook-id": "autre"},
        "no time": {"webhook-timestamp": ""},
        "word time": {"webhook-timestamp": "hier"},
        "version": {"webhook-signature": value.replace("v1,", "v2,")},
        "none": {"webhook-signature": ""},
        "token only": {"webhook-signature": "", "X-Gitlab-Token": SIGNING},
    }.get(change, {})
    body += b" " if change == "body" else b""
    if good:
        assert forge.parse_webhook(headers, body, SIGNING).branch == "main"
    else:
        with pytest.raises(ForgedWebhook):
            forge.parse_webhook(headers, body, SIGNING)


@pytest.mark.parametrize("text", [b"", b"payload=%7B%7D", b"\xff", b"[" * 100_000, b"3", b"[]", b'{"ref": 3}', b"{}", b"null"])
def test_a_signed_body_of_another_form_is_an_error_that_says_so(server: FakeForge, forge: Forge, text: bytes) -> None:
    headers, _ = sent(server, "push", {})
    headers |= {key: value.replace(digest(b"{}"), digest(text)) for key, value in headers.items()}
    with pytest.raises(ForgeError, match="notification") as caught:
        forge.parse_webhook(headers, text, SECRET)
    assert caught.value.temporary is False


def test_the_interface_is_whole() -> None:
    assert set(forges.__all__) <= set(dir(forges))
