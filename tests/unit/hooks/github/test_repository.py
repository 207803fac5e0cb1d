"""What the hook reads of a repository, and what it refuses to believe."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from include.deploy_ops.core.errors import CommitMissingError, ObservationError, PermanentError
from include.deploy_ops.core.model import Branch, KnownAnswer, TreeEntry
from include.deploy_ops.hooks.github.answers import RepositoryName
from include.deploy_ops.hooks.github.repository import HANDED_LENGTH_MAX, DeployOpsGithubHook
from include.deploy_ops.run.job import dump_answers, load_answers
from tests.worlds.doubles.github import (
    BRANCHES,
    HTML,
    NOT_FOUND,
    PULLS,
    REPO,
    GithubDouble,
    Reply,
    make_pull,
    make_ref,
    make_sha,
    put_branches,
)

if TYPE_CHECKING:
    pass

SHA = make_sha("commit")
PULLS_OF_BRANCH = f"{REPO}/pulls?head=acme%3Adev-a&per_page=100&state=all"
HEAD_OF_BRANCH = {"ref": "dev-a", "sha": SHA, "repo": {"id": 7}}


def make_blob(content: bytes) -> tuple[str, dict[str, Any]]:
    sha = make_sha_of_blob(content)
    return sha, {
        "sha": sha,
        "encoding": "base64",
        "size": len(content),
        "content": base64.encodebytes(content).decode(),
    }


def make_sha_of_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def make_commit(sha: str = SHA, tree: str | None = None) -> dict[str, Any]:
    return {
        "sha": sha,
        "message": "Add a DAG\n\nIt is fine.",
        "tree": {"sha": tree or make_sha("tree")},
        "parents": [{"sha": make_sha("first")}, {"sha": make_sha("second")}],
        "committer": {"name": "Ada", "date": "2026-02-03T04:05:06Z"},
    }


def make_tree(sha: str, *entries: tuple[str, str, str], truncated: bool = False) -> dict[str, Any]:
    lines = [{"path": path, "mode": mode, "type": "blob", "sha": entry} for path, mode, entry in entries]
    return {"sha": sha, "tree": lines, "truncated": truncated}


def test_branches_are_read_from_all_pages_and_sorted(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[BRANCHES] = Reply(
        [make_ref("main"), make_ref("dev/a")], headers=github.link_to(f"{REPO}/page2?page=2")
    )
    github.answers[f"{REPO}/page2?page=2"] = Reply([make_ref("dev-ü")])
    assert [branch.name for branch in hook.list_branches("main")] == ["dev-ü", "dev/a", "main"]


def test_reading_again_costs_nothing_if_nothing_changed(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_branches(github, "main", "dev-a")
    first = hook.list_branches("main")
    assert hook.list_branches("main") == first
    put_branches(github, "main")
    assert hook.list_branches("main") == (Branch("main", make_sha("main")),)
    assert github.statuses(BRANCHES) == [200, 304, 200]


def test_a_full_last_page_is_read_again_since_a_page_may_have_come_after_it(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    full = [make_ref("main"), *(make_ref(f"dev-{number}") for number in range(99))]
    github.answers[BRANCHES] = Reply(full)
    hook.list_branches("main")
    github.answers[BRANCHES] = Reply(full, headers=github.link_to(f"{REPO}/page2"))
    github.answers[f"{REPO}/page2"] = Reply([make_ref("dev-new")])
    assert len(hook.list_branches("main")) == 101


def test_a_listing_that_is_not_paged_costs_nothing_if_nothing_changed(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_branches(github, "main", *(f"dev-{number}" for number in range(150)))
    assert hook.list_branches("main") == hook.list_branches("main")
    assert github.statuses(BRANCHES) == [200, 304]


def test_a_failing_second_page_fails_the_listing(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[BRANCHES] = Reply([make_ref("main")], headers=github.link_to(f"{REPO}/page2"))
    with pytest.raises(ObservationError, match="page2 answered HTTP 404"):
        hook.list_branches("main")


def test_a_page_that_names_itself_next_is_an_error(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[BRANCHES] = Reply([make_ref("main")], headers=github.link_to(BRANCHES))
    with pytest.raises(ObservationError, match="repeats an earlier page"):
        hook.list_branches("main")


@pytest.mark.parametrize("name", ["main", "dev/a#b?c%", "dev/ü x", "--upload-pack=x;$(y)"])
def test_any_branch_name_is_asked_for_by_whole_segments(
    name: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[f"{REPO}/git/ref/heads/{quote(name)}"] = Reply(make_ref(name))
    assert hook.find_branch(name) == Branch(name, make_sha(name))


def test_json_is_utf8_whatever_the_header_says(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    body = json.dumps([make_ref("main"), make_ref("dev-größe")], ensure_ascii=False).encode()
    github.answers[BRANCHES] = Reply(body, headers={"Content-Type": "text/plain"})
    assert [branch.name for branch in hook.list_branches("main")] == ["dev-größe", "main"]


def test_another_ref_than_the_asked_one_is_an_error(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[f"{REPO}/git/ref/heads/dev-a"] = Reply(make_ref("dev-ab"))
    with pytest.raises(ObservationError, match="another ref, refs/heads/dev-ab"):
        hook.find_branch("dev-a")


def test_a_branch_is_gone_only_while_trunk_answers(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    with pytest.raises(ObservationError, match=r"heads/dev-a answered HTTP 404, and so does trunk 'main'"):
        hook.find_branch_beside("dev-a", "main")
    github.answers[f"{REPO}/git/ref/heads/main"] = Reply(make_ref("main"))
    assert hook.get_branch("main")
    assert hook.find_branch_beside("dev-a", "main") is None
    github.answers[f"{REPO}/git/ref/heads/dev-a"] = Reply(make_ref("dev-a"))
    assert hook.find_branch_beside("dev-a", "main") == Branch("dev-a", make_sha("dev-a"))
    assert not any("If-None-Match" in asked.headers for asked in github.asked)


@pytest.mark.parametrize("reply", [Reply(HTML, 404), Reply({}, 404), Reply(HTML), Reply({"message": "no"}, 401)])
def test_a_branch_is_not_gone_because_the_question_failed(
    reply: Reply, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[f"{REPO}/git/ref/heads/main"] = Reply(make_ref("main"))
    github.answers[f"{REPO}/git/ref/heads/dev-a"] = reply
    with pytest.raises(ObservationError, match="git/ref/heads/dev-a"):
        hook.find_branch_beside("dev-a", "main")


def test_a_pull_request_is_read_with_all_that_decides(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    fork = {"ref": "dev-1", "sha": SHA, "repo": None}
    github.answers[PULLS] = Reply(
        [
            make_pull(2, state="closed", merged_at="2026-01-01T00:00:00Z", user=None),
            make_pull(1, head=fork, labels=[{"id": 2, "name": "keep-preview"}, {"id": 1, "name": "a"}]),
        ]
    )
    forked, merged = hook.list_pull_requests().pulls
    assert (forked.number, forked.head_repo_id, forked.is_from_fork, forked.head_sha) == (1, None, True, SHA)
    assert (merged.is_open, merged.is_merged, merged.author, merged.base_ref) == (False, True, "", "staging")
    assert merged.url.endswith("/pull/2")
    assert (forked.labels, merged.labels) == (("a", "keep-preview"), ())


@pytest.mark.parametrize(
    "change",
    [
        {"user": None},
        {"user": None, "head": {"ref": "dev-1", "sha": SHA, "repo": None, "user": None}},
        {"title": "\u202e|<!-- x -->\ufffd\x00"},
        {"head": {"ref": "\ufffd/\U0001f600" + "x" * 240, "sha": SHA, "repo": {"id": 9}}},
        {"base": {"ref": "a-base-that-is-gone", "sha": SHA, "repo": {"id": 7}}},
        {"number": 2**53, "labels": [{"id": 1, "name": "", "description": None}]},
        {"milestone": None, "auto_merge": {"merge_method": "squash"}, "a_new_field": []},
    ],
)
def test_no_strangers_pull_request_that_github_may_show_is_malformed(
    change: dict[str, Any], github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    """By GitHub's description: what may be null or left out there, and what whoever opens one writes himself."""
    shown = make_pull(1) | change
    github.answers[PULLS] = Reply([shown, make_pull(3)])
    assert {pull.number for pull in hook.list_pull_requests().pulls} == {shown["number"], 3}


def test_pages_beyond_since_are_not_read(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    days = [make_pull(number, f"2026-01-0{number}T00:00:00Z") for number in (3, 2, 1)]
    github.answers[PULLS] = Reply(days, headers=github.link_to(f"{REPO}/older"))
    listing = hook.list_pull_requests(since="2026-01-02T00:00:00Z")
    assert ([pull.number for pull in listing.pulls], listing.has_more) == ([1, 2, 3], True)
    assert [asked.path for asked in github.asked] == [PULLS]


def test_a_pull_request_updated_while_paging_is_not_lost(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    old = [make_pull(number, f"2026-01-0{number}T00:00:00Z") for number in (4, 3, 2, 1)]
    moved = make_pull(1, "2026-01-05T00:00:00Z", state="closed", merged_at="2026-01-05T00:00:00Z")
    older = github.link_to(f"{REPO}/older")
    github.answers[PULLS] = [Reply(old[:2], headers=older), Reply([moved, old[0]], headers=older)]
    github.answers[f"{REPO}/older"] = Reply([old[1], old[2]])
    pulls = hook.list_pull_requests().pulls
    assert [pull.number for pull in pulls] == [1, 2, 3, 4]
    assert pulls[0].is_merged


def test_many_pull_requests_of_one_second_end_the_reading(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[PULLS] = Reply([make_pull(1), make_pull(2)], headers=github.link_to(f"{REPO}/older"))
    github.answers[f"{REPO}/older"] = Reply([make_pull(3)])
    assert [pull.number for pull in hook.list_pull_requests().pulls] == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"merged_at": 5},
        {"state": "draft"},
        {"updated_at": "yesterday"},
        {"number": "7"},
        {"head": {"ref": "dev-1", "sha": SHA}},
        {"base": {"ref": "main", "repo": None}},
        {"labels": [{"id": 1}]},
    ],
)
def test_a_malformed_pull_request_is_an_error(
    change: dict[str, Any], github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[PULLS] = Reply([make_pull(1) | change])
    with pytest.raises(ObservationError, match=rf"pulls.*usable 0\.{next(iter(change))}"):
        hook.list_pull_requests()


def test_pull_requests_of_a_branch_are_filtered_exactly(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    path = f"{REPO}/pulls?head=acme%3Adev%2Fa%23b&per_page=100&state=all"
    mine = {"ref": "dev/a#b", "sha": SHA, "repo": {"id": 7}}
    github.answers[path] = Reply([make_pull(1, head=mine), make_pull(2)], headers=github.link_to(f"{REPO}/more"))
    github.answers[f"{REPO}/more"] = Reply([make_pull(3, head=mine)])
    assert [pull.number for pull in hook.list_pull_requests_from("dev/a#b")] == [1, 3]
    github.answers[f"{REPO}/more"] = Reply([make_pull(3, head=mine), make_pull(4, head=mine)])
    assert [pull.number for pull in hook.list_pull_requests_from("dev/a#b")] == [1, 3, 4]
    assert github.statuses(path) == [200, 304]
    assert hook.hand_on("dev/a#b", SHA) == ()  # what has more pages may change beyond the first


def put_all(github: GithubDouble) -> None:
    """Let a branch, its pull request, the repository and a commit be there."""
    github.answers[f"{REPO}/git/ref/heads/dev-a"] = Reply(make_ref("dev-a"))
    github.answers[PULLS_OF_BRANCH] = Reply([make_pull(1, head=HEAD_OF_BRANCH, title="Load orders")])
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit() | {"author": {"name": "Ada"}})
    github.answers[REPO] = Reply({"id": 7, "full_name": "acme/pipes", "private": True, "size": 1})


def read_all(hook: DeployOpsGithubHook) -> tuple[Any, ...]:
    """Return all of it."""
    return hook.find_branch("dev-a"), hook.list_pull_requests_from("dev-a"), hook.get_commit(SHA), hook.read_name()


def hand_over(hook: DeployOpsGithubHook) -> tuple[KnownAnswer, ...]:
    """Return what one step hands on, as the next one loads it."""
    return load_answers(json.loads(json.dumps(dump_answers((*hook.hand_on("dev-a", SHA), *hook.hand_on_name())))))


def test_what_another_step_read_is_asked_again_and_costs_nothing_while_it_is_the_same(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    assert hand_over(hook) == ()
    put_all(github)
    found, handed = read_all(hook), hand_over(hook)
    assert [known.etag is None for known in handed] == [False, False, True, False]
    assert "size" not in handed[3].data
    github.asked.clear()
    with closing(DeployOpsGithubHook("github_default", "acme/pipes")) as later:
        later.remember(handed)
        assert read_all(later) == found
        assert [asked.status for asked in github.asked] == [304, 304, 304]  # and the commit is not asked for
        assert hand_over(later) == handed


def test_what_changed_since_another_step_read_it_is_read_anew(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_all(github)
    read_all(hook)
    handed = hand_over(hook)
    github.answers[f"{REPO}/git/ref/heads/dev-a"] = Reply(make_ref("dev-a", make_sha("newer")))
    github.answers[PULLS_OF_BRANCH] = Reply([make_pull(1, head=HEAD_OF_BRANCH, merged_at="2026-01-01T00:00:00Z")])
    github.answers[REPO] = Reply({"id": 8, "full_name": "acme/pipes"})
    with closing(DeployOpsGithubHook("github_default", "acme/pipes")) as later:
        later.remember(handed)
        branch, (pull,), _, name = read_all(later)
        assert branch == Branch("dev-a", make_sha("newer"))
        assert pull.is_merged
        assert name == RepositoryName(8, "acme/pipes")


@pytest.mark.parametrize("another", ["acme/other", "acme/pipe"])
def test_what_was_read_of_another_repository_is_not_believed(
    github: GithubDouble, hook: DeployOpsGithubHook, another: str
) -> None:
    put_all(github)
    read_all(hook)
    handed = hand_over(hook)
    with closing(DeployOpsGithubHook("github_default", another)) as later:
        later.remember(handed)
        with pytest.raises(ObservationError, match="gone or renamed"):
            later.get_commit(SHA)
        assert later.hand_on("dev-a", SHA) == ()


def test_what_a_release_that_read_less_handed_on_is_asked_for_anew(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_all(github)
    found, handed = read_all(hook), hand_over(hook)
    with closing(DeployOpsGithubHook("github_default", "acme/pipes")) as later:
        later.remember(replace(known, data=[{}] if isinstance(known.data, list) else {}) for known in handed)
        assert read_all(later) == found


@pytest.mark.parametrize(
    "message",
    ["long " * HANDED_LENGTH_MAX, f"Mend it\n\nghp_{'a1' * 18}", "from https://ada:hunter2@host.example/x"],
    ids=["long", "token", "login"],
)
def test_a_commit_with_a_long_message_or_a_secret_in_it_is_read_again(
    github: GithubDouble, hook: DeployOpsGithubHook, message: str
) -> None:
    put_all(github)
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit() | {"message": message})
    read_all(hook)
    assert [known.etag is None for known in hook.hand_on("dev-a", SHA)] == [False, False]


def test_what_is_handed_on_holds_nothing_that_airflows_database_refuses(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_all(github)
    github.answers[PULLS_OF_BRANCH] = Reply([make_pull(1, head=HEAD_OF_BRANCH, title="Load\0orders")])
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit() | {"message": "Load\0orders"})
    _, (pull,), commit, _ = read_all(hook)
    assert pull.title == commit.subject == "Load\ufffdorders"
    assert "\\u0000" not in json.dumps(dump_answers(hook.hand_on("dev-a", SHA)))


def test_a_commit_is_read_once(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit())
    commit = hook.get_commit(SHA)
    assert hook.get_commit(SHA) is commit
    assert commit.tree == make_sha("tree")
    assert commit.parents == (make_sha("first"), make_sha("second"))
    assert commit.committed_at.isoformat() == "2026-02-03T04:05:06+00:00"
    assert (commit.subject, commit.author) == ("Add a DAG", "")
    assert len(github.asked) == 1


def test_a_commits_author_is_read_where_github_tells(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit() | {"author": {"name": "Ada", "email": "a@x"}})
    assert hook.get_commit(SHA).author == "Ada"


def test_a_missing_commit_is_told_from_a_lost_repository(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    with pytest.raises(ObservationError, match="repository is gone or renamed"):
        hook.get_commit(SHA)
    github.answers[REPO] = Reply({"id": 7})
    with pytest.raises(CommitMissingError, match=SHA):
        hook.get_commit(SHA)
    with pytest.raises(CommitMissingError, match="'abc' is no commit id"):
        hook.get_commit("abc")


def test_another_commit_than_the_asked_one_is_an_error(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit(make_sha("other")))
    with pytest.raises(ObservationError, match="another object"):
        hook.get_commit(SHA)


def test_a_tree_is_read_once_with_its_modes(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    entries = (("run", "100755", make_sha(1)), ("dags", "040000", make_sha(2)), ("a link", "120000", make_sha(3)))
    github.answers[f"{REPO}/git/trees/{SHA}"] = Reply(make_tree(SHA, *entries))
    assert hook.read_tree(SHA) == tuple(sorted(TreeEntry(*entry) for entry in entries))
    hook.read_tree(SHA)
    assert len(github.asked) == 1


def test_names_that_json_cannot_tell_apart_are_all_kept(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    entries = (("caf\ufffd.py", "100644", SHA), ("caf\ufffd.py", "100644", make_sha("other")))
    github.answers[f"{REPO}/git/trees/{SHA}"] = Reply(make_tree(SHA, *entries))
    assert hook.read_tree(SHA) == tuple(sorted(TreeEntry(*entry) for entry in entries))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (make_tree(SHA, truncated=True), "truncated"),
        (make_tree(make_sha("other")), "another object"),
        (make_tree(SHA, ("a", "100644", SHA), ("a", "100644", SHA)), "twice"),
        (make_tree(SHA, ("a", "file", SHA)), r"tree\.0\.mode"),
        ({"sha": SHA, "tree": []}, "truncated"),
        (NOT_FOUND, r"usable sha"),
    ],
)
def test_an_incomplete_tree_is_an_error(
    answer: dict[str, Any], words: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[f"{REPO}/git/trees/{SHA}"] = Reply(answer)
    with pytest.raises(ObservationError, match=words):
        hook.read_tree(SHA)


ROOT, FOLDER = make_sha("root"), make_sha("folder")


def put_file(github: GithubDouble, content: bytes) -> str:
    sha, blob = make_blob(content)
    github.answers[f"{REPO}/git/ref/heads/main"] = Reply(make_ref("main", SHA))
    github.answers[f"{REPO}/git/commits/{SHA}"] = Reply(make_commit(tree=ROOT))
    github.answers[f"{REPO}/git/trees/{ROOT}"] = Reply(
        make_tree(ROOT, ("deployments", "040000", FOLDER), ("lib", "160000", SHA), ("link", "120000", SHA))
    )
    github.answers[f"{REPO}/git/trees/{FOLDER}"] = Reply(make_tree(FOLDER, ("preview.yaml", "100644", sha)))
    github.answers[f"{REPO}/git/blobs/{sha}"] = Reply(blob)
    return sha


@pytest.mark.parametrize("ref", ["main", SHA])
@pytest.mark.parametrize("content", [b"", "größer: ja\r\n".encode(), b"x" * 1_500_000])
def test_a_file_of_any_size_is_read_as_it_is(
    content: bytes, ref: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_file(github, content)
    text = hook.read_file("deployments/preview.yaml", ref)
    assert text is not None
    assert text.encode() == content


@pytest.mark.parametrize("path", ["nothing.yaml", "nowhere/preview.yaml", "deployments/preview.yaml/more"])
def test_a_file_that_is_not_there_is_none(path: str, github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_file(github, b"x")
    assert hook.read_file(path, SHA) is None


@pytest.mark.parametrize("path", ["deployments", "link", "lib", "link/preview.yaml", "lib/x", "../x", "/etc/x", ""])
def test_what_is_no_file_of_the_repository_is_refused(
    path: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_file(github, b"x")
    with pytest.raises(PermanentError):
        hook.read_file(path, SHA)


def test_a_file_that_is_no_text_is_refused(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_file(github, b"\xff\xfe")
    with pytest.raises(PermanentError, match=r"preview\.yaml at main is not UTF-8"):
        hook.read_file("deployments/preview.yaml", "main")


@pytest.mark.parametrize("content", ["", "eA", "eHh4", "%%%%"])
def test_a_file_cut_short_is_an_error(content: str, github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    sha = put_file(github, b"x")
    github.answers[f"{REPO}/git/blobs/{sha}"] = Reply({"sha": sha, "encoding": "base64", "content": content})
    with pytest.raises(ObservationError, match="git/blobs"):
        hook.read_file("deployments/preview.yaml", SHA)


def test_a_file_of_a_missing_branch_is_an_error(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_file(github, b"x")
    with pytest.raises(ObservationError, match="heads/dev-gone answered HTTP 404: the policy names no such branch"):
        hook.read_file("deployments/preview.yaml", "dev-gone")
