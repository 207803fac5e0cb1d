"""Of which commits people may wait for the word on a preview: each open pull request's, and each merge group's."""

from __future__ import annotations

from dataclasses import replace

from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.plan.work import Hold, HoldKind
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.view.awaited import Awaited, list_awaited
from tests.worlds.values.examples import make_project, make_pull, merged, sha

PROJECT, BASE = make_project(), "main"
HEAD = sha("a")


def test_success_is_promised_only_where_no_preview_can_exist() -> None:
    own = make_pull(1, "dev-x", HEAD)
    fork = replace(make_pull(2, "dev-x", HEAD), head_repo_id=99)
    other = make_pull(3, "feature", HEAD)
    found = list_awaited(PROJECT, RepositorySnapshot((), (own,), (fork, other)), {}, ())
    assert found == {
        "pull/1": Awaited(HEAD, "there is no preview", "dev-x"),
        "pull/2": Awaited(HEAD, "no preview for the branch of a fork"),
        "pull/3": Awaited(HEAD, "no preview for this branch"),
    }


def test_it_says_why_a_branch_has_none_and_knows_the_branchs_own_head() -> None:
    pull = make_pull(1, "dev-x", HEAD)
    snapshot = RepositorySnapshot((Branch("dev-x", sha("b")),), (pull,))
    held = Hold("dev-x", "create", "idle", kind=HoldKind.ENDED)
    update = Hold("dev-x", "update", "the template is broken")
    assert list_awaited(PROJECT, snapshot, {}, (held, update)) == {"pull/1": Awaited(sha("b"), "idle", "dev-x")}
    needless = replace(held, reason="changes nothing of this project", kind=HoldKind.NEEDLESS)
    found = list_awaited(PROJECT, snapshot, {}, (needless, update))
    assert found == {"pull/1": Awaited(sha("b"), needless.reason)}, "nobody waits for what nothing asks for"
    ended = {"dev-x": "pull request #9 was merged into main"}
    assert list_awaited(PROJECT, snapshot, ended, ())["pull/1"].why == ended["dev-x"]


def test_merge_groups_of_those_branches_are_awaited_and_never_get_a_preview() -> None:
    name = f"gh-readonly-queue/{BASE}/pr-7-{HEAD}"
    branches = (Branch(name, HEAD), Branch(f"gh-readonly-queue/elsewhere/pr-8-{HEAD}", HEAD))
    wild = make_project(previews={"branches": ("*",)})
    found = list_awaited(wild, RepositorySnapshot(branches, ()), {}, ())
    assert found == {f"group/{name}": Awaited(HEAD, "no preview for a merge group")}
    assert not wild.wants_preview(name)


def test_nobody_waits_for_what_is_closed_goes_elsewhere_or_has_no_previews_beside_it() -> None:
    pull = make_pull(1, "feature", HEAD)
    for gone in (merged(pull), replace(pull, is_open=False), replace(pull, base_ref="elsewhere")):
        assert list_awaited(PROJECT, RepositorySnapshot((), (), (gone,)), {}, ()) == {}
    bare = PROJECT.model_copy(update={"previews": None})
    assert list_awaited(bare, RepositorySnapshot((), (), (pull,)), {}, ()) == {}
