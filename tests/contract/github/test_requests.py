"""Every request that the product sends to GitHub, and what it is answered there, is as GitHub describes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.change.refs import RefKind, ResolvedRef
from include.deploy_ops.core.errors import CommitMissingError, PermanentError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.github.commit_checks import CommitChecks, read_commit_checks, read_required_checks
from include.deploy_ops.hooks.github.inspection import GithubInspectionHook
from include.deploy_ops.hooks.github.refs import find_merge_base, is_ancestor, resolve_ref
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.observation.doctor.github import PROBES
from include.deploy_ops.triggers.repository import RepositoryTrigger
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import GithubDouble, Reply, connect, put_branches

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev/a#b%c+d&e=f"  # all that Git permits and an address could take for its own
PROMISED_S = 20.0


@pytest.fixture
def hook(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployOpsGithubHook]:
    """Give a hook on a repository with a branch and a merged pull request of it."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file(BRANCH, "dags/a.py", "a = 1\n")
    hub.open_pull(BRANCH)
    hub.send("PUT", "/pulls/1/merge", status=200, json={"merge_method": "squash"})
    hook = DeployOpsGithubHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def assert_described(outgoing: Outgoing, judge: Judge) -> None:
    """Fail unless something was asked, and all of it and of its answers is as described."""
    assert outgoing.exchanges
    problems = [
        problem
        for exchange in outgoing.exchanges
        for problem in (*judge.list_request_problems(exchange), *judge.list_answer_problems(exchange))
    ]
    assert not problems, "\n".join(problems)


def read_conditionally(hook: DeployOpsGithubHook) -> None:
    first = hook.read(hook.branches_url)
    assert hook.read(hook.branches_url, etag=first.etag).is_unchanged
    assert hook.read(hook.pull_requests_url).data


def find_branches(hook: DeployOpsGithubHook) -> None:
    assert hook.find_branch(BRANCH)
    assert hook.find_branch("dev/none") is None


def get_commits(hook: DeployOpsGithubHook) -> None:
    found = hook.find_branch(BRANCH)
    assert found is not None
    assert hook.get_commit(found.head).subject == "Write dags/a.py"
    with pytest.raises(CommitMissingError):
        hook.get_commit("0" * 39 + "1")


def read_tree(hook: DeployOpsGithubHook) -> None:
    found = hook.find_branch(BRANCH)
    assert found is not None
    assert hook.read_tree(hook.get_commit(found.head).tree)


def read_files(hook: DeployOpsGithubHook) -> None:
    assert hook.read_file("dags/a.py", BRANCH) == "a = 1\n"
    assert hook.read_file("dags/b.py", BRANCH) is None
    with pytest.raises(PermanentError):
        hook.read_file("dags", BRANCH)


def ask(hook: DeployOpsGithubHook) -> None:
    assert hook.ask("/git/ref/tags/none").is_absent
    assert hook.ask("", is_required=True).data["full_name"] == REPOSITORY


SILENT = {"close", "hand_on", "hand_on_name", "prefer_git", "remember"}
"""Methods of the hook that ask GitHub nothing."""
READS: dict[str, Callable[[DeployOpsGithubHook], object]] = {
    "read": read_conditionally,
    "ask": ask,
    "list_branches": lambda hook: hook.list_branches("main"),
    "find_branch": find_branches,
    "find_branch_beside": lambda hook: hook.find_branch_beside("dev/none", "main"),
    "get_branch": lambda hook: hook.get_branch("main"),
    "list_pull_requests": lambda hook: hook.list_pull_requests(),
    "read_pull_pages": lambda hook: list(hook.read_pull_pages(2)),
    "list_pull_requests_from": lambda hook: hook.list_pull_requests_from(BRANCH),
    "get_commit": get_commits,
    "read_tree": read_tree,
    "read_file": read_files,
    "read_name": lambda hook: hook.read_name(),
}


def test_what_the_hook_asks_is_described(hook: DeployOpsGithubHook, outgoing: Outgoing, judge: Judge) -> None:
    for read in READS.values():
        read(hook)
    assert_described(outgoing, judge)


def test_every_reading_method_is_among_them() -> None:
    public = {name for name, value in vars(DeployOpsGithubHook).items() if callable(value) and name[0] != "_"}
    assert public - SILENT == READS.keys()


def test_what_a_typed_ref_asks_is_described(
    hub: Hub, hook: DeployOpsGithubHook, outgoing: Outgoing, judge: Judge
) -> None:
    """Every kind of ref, found and not, on a real repository; a commit that no branch holds stands for a fork's."""
    hub.git("fetch", "--quiet", "origin")
    first, head = hub.git("rev-parse", f"origin/{BRANCH}~1"), hub.git("rev-parse", f"origin/{BRANCH}")
    hub.git("tag", "plain", first)
    hub.git("tag", "--annotate", "--message", "One", "noted/v1", first)
    hub.git("tag", "--annotate", "--message", "Two", "twice", "noted/v1")
    hub.git("tag", BRANCH, first)
    hub.git("push", "--quiet", "origin", "--tags")
    tree = hook.get_commit(head).tree
    stray = hub.send("POST", "/git/commits", status=201, json={"message": "x", "tree": tree, "parents": [first]})["sha"]
    lone = hub.send("POST", "/git/commits", status=201, json={"message": "x", "tree": tree, "parents": []})["sha"]

    def resolve(text: str, *heads: str) -> ResolvedRef:
        return resolve_ref(hook, text, trunk="main", heads=heads or ("main",))

    assert resolve(BRANCH).commit == head
    assert "for the tag" in resolve(BRANCH).told
    for tag in ("plain", "noted/v1", "twice", f"refs/tags/{BRANCH}"):
        assert (resolve(tag).kind, resolve(tag).commit) == (RefKind.TAG, first)
    for text in (first, first[:7], first[:12].upper()):
        assert resolve(text).commit == first
    assert resolve(head, BRANCH).commit == head
    for commit in (stray, lone, stray[:8]):
        with pytest.raises(PermanentError, match=r"is not in the history of 'main', 'dev/a#b%c\+d&e=f'"):
            resolve(commit, "main", BRANCH)
    for text in ("noted/v2", "0000000", "0" * 39 + "1"):
        with pytest.raises(PermanentError, match="there is no branch, tag or commit"):
            resolve(text)
    with pytest.raises(PermanentError, match="nearest: tag 'noted/v1'"):
        resolve("noted/v2")
    assert is_ancestor(hook, first, head)
    assert not is_ancestor(hook, head, first)
    assert not is_ancestor(hook, lone, head)
    parted = find_merge_base(hook, first, head)
    assert parted is not None
    assert parted.commit == first
    assert find_merge_base(hook, lone, head) is None
    assert_described(outgoing, judge)


def test_what_is_asked_of_checks_is_described(
    hub: Hub, hook: DeployOpsGithubHook, outgoing: Outgoing, judge: Judge
) -> None:
    """By a token that may read check runs, and by one that may not; each page conditionally, too."""
    head = hub.push_file("dev-b", "dags/b.py", "b = 1\n")
    hub.send("POST", f"/statuses/{head}", status=201, json={"state": "success", "context": "ci"})
    for name, state in (("test", "failure"), ("lint", "queued")):
        assert hub.github.set_check(REPOSITORY, head, name, state)
    for is_blind in (False, True):
        first = read_commit_checks(hook, head, CommitChecks(), is_blind=is_blind)
        assert first.states == (("ci", "success"), ("lint", "queued"), ("test", "failure"))
        assert read_commit_checks(hook, head, first, is_blind=is_blind) == first
    assert [exchange.status for exchange in outgoing.exchanges].count(304) == 5
    assert hub.github.require_checks(REPOSITORY, BRANCH, ("test", "deploy-ops/production"))
    assert read_required_checks(hook, BRANCH).checks == {"test", "deploy-ops/production"}
    assert_described(outgoing, judge)


def test_what_a_look_asks_is_described(hub: Hub, hook: DeployOpsGithubHook, outgoing: Outgoing, judge: Judge) -> None:
    """All that the doctor asks, with each probe, and of a branch that has rules."""
    assert hook.find_branch(BRANCH)
    outgoing.exchanges.clear()
    assert hub.github.set_rules(REPOSITORY, BRANCH, ("update",))
    looking = GithubInspectionHook("github_default", REPOSITORY)
    looking.reach()
    assert looking.find_login() == "deploy-ops"
    state, branch = looking.read_state(), looking.read_branch_state(BRANCH)
    assert state is not None
    assert branch is not None
    (rule,) = looking.list_rules(BRANCH)
    assert looking.read_bypass(rule.ruleset) == "never"
    assert looking.list_recent_heads("main", 3) == (branch.head,)
    for path in PROBES.values():
        looking.probe(path.format(trunk="main"))
    assert looking.read_branch_state("none") is None
    looking.close()
    assert {exchange.method for exchange in outgoing.exchanges} == {"GET"}
    assert_described(outgoing, judge)


def test_what_the_trigger_asks_is_described(
    hub: Hub, hook: DeployOpsGithubHook, outgoing: Outgoing, judge: Judge
) -> None:
    async def see_a_push() -> list[Any]:
        trigger = RepositoryTrigger(
            "shop", "github_default", REPOSITORY, "main", poll_interval_s=0.05, is_listening=True
        )
        events = trigger.run()
        started = await asyncio.wait_for(anext(events), PROMISED_S)
        coming = asyncio.ensure_future(anext(events))
        async with asyncio.timeout(PROMISED_S):
            while not any(exchange.status == 304 for exchange in outgoing.exchanges):
                await asyncio.wait({coming}, timeout=0.01)
        await asyncio.to_thread(hub.push_file, "dev-b", "dags/b.py", "b = 1\n")
        changed = await asyncio.wait_for(coming, PROMISED_S)
        await trigger.cleanup()
        return [started.payload["reason"], changed.payload["reason"]]

    assert asyncio.run(see_a_push()) == ["started", "changed"]
    assert_described(outgoing, judge)


def test_what_a_github_app_asks_is_described(
    outgoing: Outgoing, judge: Judge, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = {"token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z"}
    with GithubDouble() as github:
        github.answers["/app/installations/2/access_tokens"] = Reply(token, 201)
        put_branches(github, "main")
        extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
        connect(monkeypatch, host=github.api_url, extra=extra)
        DeployOpsGithubHook("github_default", "acme/pipes").list_branches("main")
    assert [exchange.method for exchange in outgoing.exchanges] == ["POST", "GET"]
    problems = [problem for exchange in outgoing.exchanges for problem in judge.list_request_problems(exchange)]
    assert not problems, "\n".join(problems)


def test_what_whole_runs_ask_is_described(stage: Stage, outgoing: Outgoing, judge: Judge) -> None:
    """From the first push to the deletion after the merge, by planned runs, and one more by hand."""
    stage.forget_requests()
    stage.push("dev-a")
    play(stage)
    stage.push_more("dev-a", {"requirements.txt": "pendulum\n"})
    play(stage)
    forced = stage.start_form(branch="dev-a", reason="again")
    forced.play()
    assert "failed" not in forced.states.values()
    stage.merge("dev-a")
    (delete,) = stage.plan()
    assert Verb.DELETE.value in delete.run_id
    delete.play()
    assert stage.list_deployments() == []
    assert_described(outgoing, judge)
    # Nothing reached GitHub's API by another way: the author behind the tests only writes.
    api = [request.replace(API_PATH, "") for request in stage.list_requests("github", ["GET"]) if API_PATH in request]
    assert set(api) == {request for request in outgoing.asked if request.startswith("GET ")}


def play(stage: Stage) -> None:
    """Make a pass, and play the runs that it starts."""
    runs = stage.plan()
    assert runs
    for run in runs:
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
