"""What a typed ref stands for on GitHub, which commits are ours, and which answers are not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.change.refs import RefKind, ResolvedRef
from include.deploy_ops.core.errors import CommitMissingError, ObservationError, PermanentError
from include.deploy_ops.hooks.github.refs import find_merge_base, is_ancestor, resolve_plain_ref, resolve_ref
from tests.unit.hooks.github.test_repository import make_commit
from tests.worlds.doubles.github import REPO, GithubDouble, Reply, make_ref, make_sha, put_branches

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

SHA, OLD, TAG = make_sha("commit"), make_sha("old"), make_sha("tag object")
TREE = make_sha("tree")
NO_COMMIT = {"message": "No commit found for SHA: 0123456", "documentation_url": "https://x.example", "status": "422"}
NO_ANCESTOR = {"message": f"No common ancestor between {SHA} and {OLD}.", "status": "404"}


def put_branch(github: GithubDouble, name: str, head: str = SHA) -> None:
    github.answers[f"{REPO}/git/ref/heads/{name}"] = Reply(make_ref(name, head))


def put_tag(github: GithubDouble, name: str, sha: str = SHA, kind: str = "commit") -> None:
    ref = {"ref": f"refs/tags/{name}", "object": {"type": kind, "sha": sha}}
    github.answers[f"{REPO}/git/ref/tags/{name}"] = Reply(ref)


def put_tag_object(github: GithubDouble, sha: str, target: str, kind: str) -> None:
    github.answers[f"{REPO}/git/tags/{sha}"] = Reply({"sha": sha, "object": {"type": kind, "sha": target}})


def put_relation(github: GithubDouble, head: str, commit: str, reply: Reply) -> None:
    github.answers[f"{REPO}/compare/{head}...{commit}?page=2&per_page=1"] = reply


def put_commit(github: GithubDouble, sha: str = SHA) -> None:
    github.answers[f"{REPO}/git/commits/{sha}"] = Reply(make_commit(sha))


def put_refs(github: GithubDouble, tags: list[str], *branches: str) -> None:
    """Let these be all names, for the nearest ones; none of them is what is asked for."""
    put_branches(github, "main", *branches)
    listed = [{"ref": f"refs/tags/{name}", "object": {"type": "commit", "sha": SHA}} for name in tags]
    github.answers[f"{REPO}/git/matching-refs/tags/"] = Reply(listed)
    github.answers[REPO] = Reply({"id": 7})


def resolve(hook: DeployOpsGithubHook, text: str, *heads: str) -> ResolvedRef:
    return resolve_ref(hook, text, trunk="main", heads=heads)


def list_asked(github: GithubDouble) -> list[str]:
    return [asked.path.removeprefix(REPO) for asked in github.asked]


def test_branch(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_branch(github, "dev-a")
    assert resolve(hook, "dev-a") == ResolvedRef(RefKind.BRANCH, "dev-a", SHA)
    assert list_asked(github) == ["/git/ref/heads/dev-a", "/git/ref/tags/dev-a"]


def test_branch_written_as_git_shows_it(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_branch(github, "dev-a")
    assert resolve(hook, "origin/dev-a").name == "dev-a"
    assert resolve(hook, "refs/heads/dev-a").name == "dev-a"
    put_branch(github, "origin/dev-a", OLD)
    assert resolve(hook, "origin/dev-a").commit == OLD


def test_branch_wins_over_a_tag_and_the_choice_is_told(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_branch(github, "v1")
    put_tag(github, "v1", OLD)
    found = resolve(hook, "v1")
    assert (found.kind, found.commit) == (RefKind.BRANCH, SHA)
    assert found.told == "taken as the branch 'v1'; for the tag 'v1' write refs/tags/v1"
    assert resolve(hook, "refs/tags/v1") == ResolvedRef(RefKind.TAG, "v1", OLD)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_tags_are_followed_to_their_commit(github: GithubDouble, hook: DeployOpsGithubHook, depth: int) -> None:
    chain = [make_sha(f"tag {number}") for number in range(depth)] + [SHA]
    put_tag(github, "v1", chain[0], "tag" if depth else "commit")
    for number in range(depth):
        put_tag_object(github, chain[number], chain[number + 1], "commit" if number == depth - 1 else "tag")
    assert resolve(hook, "v1") == ResolvedRef(RefKind.TAG, "v1", SHA)


def test_tag_of_something_else_is_refused(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_tag(github, "key", TAG, "tag")
    put_tag_object(github, TAG, SHA, "blob")
    with pytest.raises(PermanentError, match="tag 'key' in acme/pipes names a blob, not a commit"):
        resolve(hook, "key")


def test_tags_that_name_each_other_end(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_tag(github, "v1", TAG, "tag")
    put_tag_object(github, TAG, TAG, "tag")
    with pytest.raises(PermanentError, match="names a tag, not a commit"):
        resolve(hook, "v1")


@pytest.mark.parametrize("status", ["behind", "identical"])
def test_commit_of_a_head_is_ours(github: GithubDouble, hook: DeployOpsGithubHook, status: str) -> None:
    put_commit(github)
    put_branch(github, "main", make_sha("main"))
    put_relation(github, make_sha("main"), SHA, Reply({"status": status}))
    assert resolve(hook, SHA, "main") == ResolvedRef(RefKind.COMMIT, SHA, SHA)
    assert resolve(hook, SHA.upper(), "main").commit == SHA


def test_head_itself_needs_no_comparison(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_commit(github)
    put_branch(github, "main")
    assert resolve(hook, SHA, "main").commit == resolve(hook, SHA, SHA).commit == SHA
    assert not any("compare" in path for path in list_asked(github))


def test_short_id_is_made_whole(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[f"{REPO}/commits/{SHA[:8]}?per_page=1"] = Reply({"sha": SHA, "files": [], "commit": {}})
    assert resolve(hook, SHA[:8], SHA) == ResolvedRef(RefKind.COMMIT, SHA, SHA)


def test_branch_called_like_an_id_is_the_branch_and_told(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_branch(github, "decade5", OLD)
    found = resolve(hook, "decade5")
    assert (found.kind, found.commit) == (RefKind.BRANCH, OLD)
    assert found.told == "taken as the branch 'decade5'; for a commit of that id write all 40 digits"


def resolve_plain(hook: DeployOpsGithubHook, text: str, *heads: str) -> ResolvedRef:
    return resolve_plain_ref(hook, text, trunk="main", heads=heads)


def test_at_a_target_a_branch_and_a_tag_of_one_name_are_refused(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_branch(github, "v1")
    put_tag(github, "v1", TAG, "tag")
    put_tag_object(github, TAG, OLD, "commit")
    with pytest.raises(
        PermanentError, match=f"the branch 'v1' at {SHA}, or the tag 'v1' at {OLD}; write refs/heads/v1"
    ):
        resolve_plain(hook, "v1")
    assert resolve_plain(hook, "refs/tags/v1") == ResolvedRef(RefKind.TAG, "v1", OLD)
    assert resolve_plain(hook, "refs/heads/v1") == ResolvedRef(RefKind.BRANCH, "v1", SHA)
    put_tag(github, "v1")
    assert resolve_plain(hook, "v1").commit == SHA


@pytest.mark.parametrize("text", ["origin/v1", "heads/v1", "remotes/origin/v1", "tags/v1"])
def test_at_a_target_what_git_shortens_is_no_choice_either(
    github: GithubDouble, hook: DeployOpsGithubHook, text: str
) -> None:
    (put_tag if text.startswith("tags/") else put_branch)(github, "v1", OLD)
    assert resolve_plain(hook, text).commit == OLD
    put_branch(github, text)
    with pytest.raises(PermanentError, match="is ambiguous"):
        resolve_plain(hook, text)


@pytest.mark.parametrize("text", ["decade5", "DECADE5"])
@pytest.mark.parametrize("put", [put_branch, put_tag])
def test_at_a_target_a_name_like_an_id_is_refused(
    github: GithubDouble, hook: DeployOpsGithubHook, put: Any, text: str
) -> None:
    """GitHub takes the id for the name, so what the id means is never asked while there is such a name."""
    put(github, "decade5", OLD)
    with pytest.raises(PermanentError, match=f"'decade5' at {OLD}, or perhaps a commit"):
        resolve_plain(hook, text, OLD)
    assert not any("/commits/" in path for path in list_asked(github))


def test_at_a_target_an_id_is_found_where_no_name_is_like_it(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_commit(github)
    put_branch(github, SHA, OLD)
    github.answers[f"{REPO}/commits/{SHA[:8]}?per_page=1"] = Reply({"sha": SHA, "files": [], "commit": {}})
    for text in (SHA, SHA[:8], SHA.upper()):
        assert resolve_plain(hook, text, SHA) == ResolvedRef(RefKind.COMMIT, SHA, SHA)
    put_relation(github, OLD, SHA, Reply({"status": "ahead"}))
    with pytest.raises(PermanentError, match="is not in the history of"):
        resolve_plain(hook, SHA[:8], OLD)


def test_at_a_target_a_missing_ref_names_the_nearest(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_refs(github, ["dev-order"], "dev-orders")
    for text in ("dev-ordesr", make_sha("nowhere")):
        with pytest.raises(PermanentError, match="there is no branch, tag or commit"):
            resolve_plain(hook, text, "main")


def test_forks_commit_is_refused(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    """GitHub knows the commit, but no head of ours contains it."""
    put_commit(github)
    for number, reply in enumerate(
        [Reply({"status": "ahead"}), Reply({"status": "diverged"}), Reply(NO_ANCESTOR, 404)]
    ):
        put_branch(github, f"b{number}", make_sha(number))
        put_relation(github, make_sha(number), SHA, reply)
    with pytest.raises(PermanentError, match=f"commit {SHA} is not in the history of 'b0', 'b1', 'b2', 'gone' of"):
        resolve(hook, SHA, "b0", "b1", "b2", "gone")


def test_later_head_may_contain_the_commit_and_a_lost_one_is_passed_over(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    put_commit(github)
    put_relation(github, OLD, SHA, Reply({"status": "diverged"}))
    put_relation(github, TAG, SHA, Reply({"status": "behind"}))
    lost = make_sha("lost")
    assert resolve(hook, SHA, lost, "gone", OLD, TAG).commit == SHA


@pytest.mark.parametrize("text", ["dev-ordesr", "0123456", make_sha("nowhere")])
def test_missing_ref_names_the_nearest(github: GithubDouble, hook: DeployOpsGithubHook, text: str) -> None:
    put_refs(github, ["dev-order"], "dev-orders", "dev-reports")
    github.answers[f"{REPO}/commits/0123456?per_page=1"] = Reply(NO_COMMIT, 422)
    near = "nearest: tag 'dev-order', 'dev-orders'" if text == "dev-ordesr" else "no branch or tag has a name"
    with pytest.raises(PermanentError, match=f"^ref: there is no branch, tag or commit '{text}' in acme/pipes; {near}"):
        resolve(hook, text, "main")


def test_lost_repository_is_no_missing_ref(hook: DeployOpsGithubHook) -> None:
    with pytest.raises(ObservationError, match="the token lost access to it"):
        resolve(hook, "dev-a")


@pytest.mark.parametrize(
    ("path", "reply", "said"),
    [
        ("/git/ref/tags/v1", Reply({"ref": "refs/tags/v1.0", "object": {"type": "commit", "sha": SHA}}), "another ref"),
        ("/git/ref/tags/v1", Reply({"ref": "refs/tags/v1", "object": {"sha": SHA}}), "no usable object.type"),
        ("/git/ref/tags/v1", Reply({"message": "Nope"}, 422), "answered HTTP 422"),
    ],
)
def test_odd_answer_about_a_tag_is_not_believed(
    github: GithubDouble, hook: DeployOpsGithubHook, path: str, reply: Reply, said: str
) -> None:
    github.answers[f"{REPO}{path}"] = reply
    with pytest.raises(ObservationError, match=said):
        resolve(hook, "v1")


@pytest.mark.parametrize(("body", "said"), [({"sha": OLD}, "another commit"), ({}, "no usable sha"), ([], "no usable")])
def test_odd_answer_about_a_short_id_is_not_believed(
    github: GithubDouble, hook: DeployOpsGithubHook, body: Any, said: str
) -> None:
    github.answers[f"{REPO}/commits/{SHA[:8]}?per_page=1"] = Reply(body)
    with pytest.raises(ObservationError, match=said):
        resolve(hook, SHA[:8], SHA)


def test_tag_object_that_is_gone_is_no_missing_tag(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_tag(github, "v1", TAG, "tag")
    with pytest.raises(ObservationError, match=f"/git/tags/{TAG} answered HTTP 404"):
        resolve(hook, "v1")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply({"status": "behind", "files": []}), True),
        (Reply({"status": "identical"}), True),
        (Reply({"status": "ahead"}), False),
        (Reply({"status": "diverged"}), False),
        (Reply(NO_ANCESTOR, 404), False),
    ],
)
def test_rollback_is_told_by_ancestry(
    github: GithubDouble, hook: DeployOpsGithubHook, reply: Reply, expected: bool
) -> None:
    put_relation(github, SHA, OLD, reply)
    assert is_ancestor(hook, OLD, SHA) is expected


def make_side(commit: str) -> dict[str, Any]:
    return {"sha": commit, "commit": {"tree": {"sha": TREE}}}


def test_where_two_commits_parted_is_told(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    sides = {"base_commit": make_side(SHA), "merge_base_commit": make_side(TAG)}
    put_relation(github, SHA, OLD, Reply({"status": "diverged", **sides}))
    assert find_merge_base(hook, SHA, OLD) == Snapshot(TAG, TREE)
    put_relation(github, SHA, OLD, Reply(NO_ANCESTOR, 404))
    assert find_merge_base(hook, SHA, OLD) is None
    put_relation(github, SHA, OLD, Reply({"status": "diverged", "base_commit": make_side(SHA)}))
    with pytest.raises(ObservationError, match="merge_base_commit"):
        find_merge_base(hook, SHA, OLD)
    with pytest.raises(CommitMissingError, match="one of the commits is not in acme/pipes"):
        find_merge_base(hook, OLD, TAG)


def test_relation_that_is_unknown_is_an_error(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    put_relation(github, SHA, OLD, Reply({"status": "sideways"}))
    with pytest.raises(ObservationError, match="no usable status"):
        is_ancestor(hook, OLD, SHA)
    with pytest.raises(CommitMissingError, match="one of the commits is not in acme/pipes"):
        is_ancestor(hook, OLD, TAG)
