"""Another policy beside today's: numbers first, then each environment, and nothing where nothing is otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings

from demo.columns import read_columns
from include.deploy_ops.core.cleanup.expiry import Expiry
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.passes.answer import (
    STEPS_SHOWN,
    Change,
    Steps,
    count_changes,
    find_changes,
    list_expiry,
    list_steps,
    render_answer,
)
from include.deploy_ops.core.passes.decision import Decision, decide
from tests.worlds.values.examples import make_deployment, make_project, sha
from tests.worlds.values.generated import START, Owned, World, worlds
from tests.worlds.values.passes import make_facts, make_rules

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project

NAMES = ("dev-a", "dev-b", "dev-legacy-1", "dev-legacy-2")
OWNED = tuple(Owned(make_deployment(branch), branch) for branch in NAMES)
LIVE = World({"main": sha("a"), **dict.fromkeys(NAMES, sha("b"))}, astro=OWNED, project=make_project(targets={}))
TODAY = LIVE.project


def weigh(project: Project, world: World = LIVE) -> Decision:
    return decide(make_rules(project), make_facts(world))


def list_all(project: Project, world: World = LIVE) -> Steps:
    decision = weigh(project, world)
    return list_steps(project, decision.plan, decision.due)


def compare(project: Project, world: World = LIVE) -> tuple[Change, ...]:
    return find_changes(TODAY, project, list_all(TODAY, world), list_all(project, world))


@settings(max_examples=30)
@given(worlds())
def test_the_same_policy_changes_nothing(world: World) -> None:
    steps = list_all(world.project, world)
    assert find_changes(world.project, world.project, steps, steps) == ()
    plan = weigh(world.project, world).plan
    assert render_answer((), plan, plan).startswith("nothing would be otherwise\n")


def test_an_exclude_is_counted_by_its_pattern_and_deletes_nothing() -> None:
    other = make_project(targets={}, previews={"exclude": ("develop", "dev-legacy*")})
    changes = compare(other)
    assert {each.step.environment for each in changes} == {"dev-legacy-1", "dev-legacy-2"}
    assert "delete" not in " ".join(count_changes(changes))
    assert "would hold 2 previews: exclude matches dev-legacy*" in count_changes(changes)


def test_a_wider_pattern_is_counted_as_what_it_makes() -> None:
    world = World({**LIVE.heads, "fix-1": sha("c"), "fix-2": sha("c"), "fix-3": sha("c")}, astro=OWNED, project=TODAY)
    other = make_project(targets={}, previews={"branches": ("dev*", "fix*")})
    assert count_changes(compare(other, world)) == ["would create 3 previews: branches matches fix*"]


def test_a_branch_that_ends_by_another_base_is_deleted() -> None:
    gone = World({"main": sha("a")}, astro=OWNED, project=make_project(targets={}, limits={"max_deletes": 1}))
    braked = list_all(gone.project, gone)
    other = make_project(targets={}, limits={"max_deletes": 9, "max_delete_fraction": 1.0})
    changes = find_changes(gone.project, other, braked, list_all(other, gone))
    assert count_changes(changes) == ["would delete 3 previews at another time: limits.max_deletes 1 → 9"]


def test_what_today_does_and_the_other_does_not_is_told_last() -> None:
    world = World({**LIVE.heads, "dev-new": sha("c")}, astro=OWNED, project=TODAY)
    other = make_project(targets={}, previews={"max_live": 4, "exclude": ("dev-a",)})
    lines = count_changes(compare(other, world))
    assert lines[-1] == "would hold 1 preview: exclude matches dev-a"
    assert "would create 1 preview at another time: previews.max_live 20 → 4" in lines


def test_cleanups_own_decisions_count_where_they_are_new() -> None:
    verdict = Verdict(
        "delete", "dev-a", "id-dev-a", "shop-dev-a", sha("b"), "", START, START, START, "idle since long ago", "what-if"
    )
    old = replace(verdict, branch="dev-b", deployment_id="id-dev-b")
    expiry = Expiry({"id-dev-a": verdict, "id-dev-b": old}, (), frozenset({"id-dev-a"}))
    assert [step.environment for step in list_expiry(expiry).values()] == ["dev-a"]
    assert list_expiry(None) == {}
    before = make_project(previews={"delete_after": timedelta(days=14)})
    after = make_project(previews={"delete_after": timedelta(days=3)})
    (line,) = count_changes(find_changes(before, after, {}, list_expiry(expiry)))
    assert line.startswith("would delete 1 preview: previews.delete_after 14")


def test_the_page_names_place_and_both_sides_and_what_is_not_known() -> None:
    other = make_project(targets={}, previews={"exclude": ("develop", "dev-legacy*")})
    page = render_answer(
        compare(other), weigh(TODAY).plan, weigh(other).plan, unknown=["trunk: not read"], tell=lambda _: "x.yaml:3"
    )
    assert "Not known, since nothing is asked for this answer:\n- trunk: not read" in page
    rows = read_columns(page)
    assert {row[0] for row in rows} == {"dev-legacy-1", "dev-legacy-2"}
    assert all(row[3].endswith("exclude matches dev-legacy*; x.yaml:3") for row in rows if row[2].startswith("held"))


def test_of_very_many_the_first_are_named_and_all_are_counted() -> None:
    names = [f"dev-{number}" for number in range(STEPS_SHOWN + 5)]
    world = World({"main": sha("a"), **dict.fromkeys(names, sha("b"))}, project=make_project(targets={}))
    other = make_project(targets={}, previews={"branches": ("nothing",)})
    changes = find_changes(world.project, other, list_all(world.project, world), list_all(other, world))
    assert sum(int(line.split()[3]) for line in count_changes(changes)) == STEPS_SHOWN + 5
    page = render_answer(changes, weigh(world.project, world).plan, weigh(other, world).plan)
    assert page.endswith("\n… and 5 more")
