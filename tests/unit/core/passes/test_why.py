"""Which key of the policy decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.deploy_ops.core.model import ChangeDecision, ChangeType, PathVerdict
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.passes.decision import decide
from include.deploy_ops.core.passes.why import describe_match, find_change_rules, find_pattern, find_rule
from include.deploy_ops.core.plan.work import Hold, Verb
from include.deploy_ops.core.text.schema import format_location
from tests.worlds.values.examples import make_deployment, make_project, sha
from tests.worlds.values.generated import START, Owned, World
from tests.worlds.values.passes import make_facts, make_rules
from tests.worlds.values.works import make_work

PROJECT = make_project(previews={"branches": ("dev*", "fix*"), "exclude": ("develop", "*-old")}, ignore=("*.md",))


@pytest.mark.parametrize(
    ("branch", "key", "said"),
    [
        ("dev-a", ("branches", 0), "branches matches dev*"),
        ("fix-a", ("branches", 1), "branches matches fix*"),
        ("dev-old", ("exclude", 1), "exclude matches *-old"),
        ("main", ("branches",), "no pattern of branches matches"),
    ],
)
def test_a_branch_gets_a_preview_by_the_first_pattern_that_decides(
    branch: str, key: tuple[str | int, ...], said: str
) -> None:
    assert PROJECT.previews is not None
    assert find_pattern(PROJECT.previews, branch) == key
    assert describe_match(PROJECT, branch) == said


@pytest.mark.parametrize(
    ("work", "key"),
    [
        (make_work("dev-a", Verb.CREATE), "previews.branches[0]"),
        (replace(make_work("dev-a", Verb.DELETE), reason="the branch is gone"), "previews.branches[0]"),
        (
            replace(make_work("dev-a", Verb.DELETE), reason="pull request #1 was merged into main"),
            "previews.merged_into",
        ),
        (replace(make_work("dev-a", Verb.DELETE), reason="idle since long ago"), "previews.delete_after"),
        (replace(make_work("dev-a", Verb.HIBERNATE), due_at=START), "previews.hibernate_after"),
        (make_work("dev-a", Verb.UPDATE), "previews.template"),
        (make_work("astro_deploy", Verb.PROMOTE), "promotion"),
        (replace(make_work("x", Verb.DEPLOY), target="production"), "targets.production.pull_request"),
        (replace(make_work("x", Verb.REQUEST), target="production"), "targets.production.approval"),
        (replace(make_work("x", Verb.DEPLOY), target="production", undoes="d"), "targets.production.verify.on_failure"),
        (Hold("dev-old", "anything", "no more"), "previews.exclude[1]"),
        (Hold("production", "merge", "w", slug=slug_target("production")), "targets.production.merge"),
        (Hold("x", "create", "full", rule=("previews", "max_live")), "previews.max_live"),
    ],
)
def test_work_and_holds_name_their_key(work: Hold, key: str) -> None:
    assert format_location(find_rule(PROJECT, work)) == key


def test_a_brake_and_a_full_fleet_name_their_limits() -> None:
    gone = tuple(Owned(make_deployment(branch), branch) for branch in ("dev-a", "dev-b", "dev-c"))
    project = make_project(limits={"max_deletes": 1}, previews={"max_live": 3}, targets={})
    world = World({"main": sha("a"), "dev-new": sha("b")}, astro=gone, project=project)
    holds = decide(make_rules(project), make_facts(world)).plan.holds
    assert {(hold.environment, format_location(find_rule(project, hold))) for hold in holds} == {
        ("dev-b", "limits.max_deletes"),
        ("dev-c", "limits.max_deletes"),
        ("dev-new", "previews.max_live"),
    }


def test_changed_paths_name_the_rules_that_judged_them() -> None:
    paths = (
        PathVerdict("README.md", ChangeType.NONE, "ignored by '*.md'"),
        PathVerdict("dags/a.py", ChangeType.DAGS, "below dags/"),
        PathVerdict("x", ChangeType.NONE, "outside the root"),
    )
    decision = ChangeDecision(ChangeType.DAGS, sha("1"), None, None, "why", paths)
    assert find_change_rules(PROJECT, decision) == (("ignore", 0), ("root",))
