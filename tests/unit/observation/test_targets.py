"""A target's pull request whose base or head is not what it was: that target is held, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from include.deploy_ops.core.errors import SupersededError
from include.deploy_ops.core.model import Branch, MergeResult, MergeState, PullRequest
from include.deploy_ops.core.plan.work import Hold, Verb
from include.deploy_ops.core.policy.keys import Verify
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.target.comparison import compare_target
from include.deploy_ops.observation.checks import DueCheck, check_source
from include.deploy_ops.observation.targets import TargetObserver
from include.deploy_ops.run.job import Job
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.scope import Scope
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, sha
from tests.worlds.values.feedback_examples import make_target

PULL = make_pull(7, "astro_deploy", sha("a"))
PRODUCTION = make_deployment("p", id="prod", name="Production", description="")
STAGING = make_deployment("s", id="stag", name="Staging", description="")
SCOPE = Scope(PLANE, is_dry=False, project=make_project(), targets=frozenset({"Production", "Staging"}))


@dataclass
class FakeGithub:
    """The release's pull request and the repository's branches."""

    merge: MergeResult = field(
        default_factory=lambda: MergeResult(PULL, "", MergeState.BASELESS, "", "its base main is gone")
    )
    pulls: tuple[PullRequest, ...] = (PULL,)
    branches: tuple[str, ...] = ("trunk",)

    def read_merge(self, _: int) -> MergeResult:
        """Return it."""
        return self.merge

    def list_pull_requests_from(self, _: str) -> tuple[PullRequest, ...]:
        """Return it."""
        return self.pulls

    def find_branch_beside(self, name: str, trunk: str) -> Branch | None:
        """Return the branch, if there is one."""
        assert trunk == SCOPE.project.trunk
        return Branch(name, sha("b")) if name in self.branches else None


def compare(github: FakeGithub, *pulls: PullRequest) -> Any:
    """Return what is due at production."""
    observer = TargetObserver(SCOPE, cast("Any", github), Memory(DictStore()), cast("Any", None))
    state = observer.read_state(
        "production",
        SCOPE.project.targets["production"],
        RepositorySnapshot((), pulls or (PULL,)),
        Observed((PRODUCTION,), {}),
    )
    return compare_target(state, "shop", "policy")


def test_a_release_whose_base_is_gone_is_held_and_says_why() -> None:
    found = compare(FakeGithub())
    assert isinstance(found, Hold)
    assert found.reason == "pull request #7: its base main is gone"


@pytest.mark.parametrize(
    ("run_id", "verb", "is_asking"),
    [("r1", "deploy", True), ("r1", "", True), ("r1", "merge", False), ("", "", False)],
    ids=["deploy", "person", "merge", "none"],
)
def test_whether_a_run_verifies_the_row_of_the_last_pass_tells(run_id: str, verb: str, is_asking: bool) -> None:
    target = SCOPE.project.targets["production"].model_copy(update={"verify": Verify(), "merge": True})
    memory = Memory(DictStore())
    memory.write_rows({}, {"target.production": make_target(run_id=run_id, verb=verb)})
    observer = TargetObserver(SCOPE, cast("Any", FakeGithub()), memory, cast("Any", None))
    state = observer.read_state("production", target, RepositorySnapshot((), ()), Observed((PRODUCTION,), {}))
    assert state.is_asking == is_asking


def test_a_release_that_got_another_base_since_it_was_listed_is_none() -> None:
    other = MergeResult(make_pull(7, "astro_deploy", sha("a"), base_ref="main-2"), sha("c"), MergeState.READY, sha("d"))
    assert compare(FakeGithub(merge=other)) is None


def test_a_release_of_a_fork_that_is_gone_is_none() -> None:
    """Nobody asks for its merge then."""
    pull = make_pull(7, "astro_deploy", sha("a"), head_repo_id=None)
    assert compare(FakeGithub(merge=cast("Any", None)), pull) is None


def make_job(**changes: Any) -> Job:
    facts: dict[str, Any] = {
        "commit": sha("d"),
        "pull": 7,
        "base": sha("c"),
        "target": "production",
        "work": "w",
    } | changes
    return Job(Verb.DEPLOY, "astro_deploy", sha("a"), "Production", "prod", "why", **facts)


@pytest.mark.parametrize(
    ("branches", "said"), [(("main",), "#7's base moved from cccccccccccc to bbbbbbbbbbbb"), ((), "#7's base is gone")]
)
def test_a_deploy_onto_a_base_that_moved_or_is_gone_is_superseded(branches: tuple[str, ...], said: str) -> None:
    with pytest.raises(SupersededError, match=said):
        check_source(SCOPE, cast("Any", FakeGithub(branches=branches)), make_job())


def test_a_deploy_of_a_followed_branch_that_is_gone_is_superseded() -> None:
    target = SCOPE.project.targets["production"].model_copy(update={"branch": "astro_deploy", "pull_request": None})
    scope = Scope(PLANE, is_dry=False, project=make_project(targets={"production": target}), targets=frozenset())
    astro: Any = SimpleNamespace(get_deployment=lambda _: PRODUCTION, list_deploys=lambda _: ())
    check = DueCheck(scope, cast("Any", FakeGithub()), astro, Memory(DictStore()), cast("Any", None))
    with pytest.raises(SupersededError, match="there is no branch 'astro_deploy'"):
        check.check_due(make_job(pull=0, base="", commit=""))
