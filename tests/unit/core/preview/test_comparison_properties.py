"""The difference, over generated worlds: what may be touched, what must be done, and that doing it leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import name_deployment
from include.deploy_ops.core.plan.work import Difference, Verb, Work
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from tests.worlds.values.examples import FINGERPRINT, PLANE, make_deployment, make_mark, sha
from tests.worlds.values.generated import MATCHING, PROJECT, START, World, worlds

LASTING_HOLDS = (
    "is a target of the policy",
    "carry the same mark",
    "matches the policy no longer",
    "exists without our mark",
    "it bears our mark for",
    "is the preview of",
    "bears a later release's mark",
    "overridden by",
    "recreate it, Astro cannot change these",
    "the template is broken",
)


def list_works(difference: Difference, branch: str) -> list[str]:
    return [work.verb.value for work in difference.works if work.branch == branch]


def is_changing(deploy: Deploy) -> bool:
    return deploy.status is DeployStatus.DEPLOYED and deploy.kind is not DeployKind.BUNDLE


def find_deployed_head(records: tuple[Deploy, ...]) -> str | None:
    """Return the head at our newest successful deploy that is no rollback; its note was written by the generator."""
    ours = [each for each in records if is_changing(each) and each.rollback_from_id is None]
    ours = [each for each in ours if " how=planned " in each.description]
    newest = max(ours, key=lambda each: (each.created_at, each.id), default=None)
    return newest.description.partition(" head=")[2][:40] if newest else None


@given(worlds())
@settings(max_examples=150)
def test_nothing_unowned_foreign_or_a_target_is_changed_or_deleted(world: World) -> None:
    for work in world.compare().works:
        if work.verb is Verb.CREATE:
            assert work.deployment_id == ""
            assert not world.find_named(work.deployment_name)
            assert work.deployment_name not in world.targets
        else:
            (own,) = world.list_own(work.branch)
            assert (own.id, own.name) == (work.deployment_id, work.deployment_name)
            assert own.name not in world.targets
        if work.verb is Verb.DELETE:
            assert work.branch not in world.heads or (work.branch in MATCHING and world.is_merged(work.branch))
        else:
            assert world.lives(work.branch)


@given(worlds())
@settings(max_examples=150)
def test_each_branch_gets_what_it_needs(world: World) -> None:
    difference = world.compare()
    held = {(hold.environment, hold.what) for hold in difference.holds}
    for branch in {*world.heads, *(each.branch for each in world.astro)} - {""}:
        works, own = list_works(difference, branch), world.list_own(branch)
        if world.is_untouchable(branch):
            assert (works, (branch, "anything") in held) == ([], True)
        elif not own:
            is_held = (branch, "create") in held or (branch, "anything") in held
            assert (works == ["create"]) + is_held == world.lives(branch)
        elif not world.lives(branch):
            is_left = branch in world.heads and branch not in MATCHING
            assert (works, (branch, "anything") in held) == ([] if is_left else ["delete"], is_left)
        else:
            deployed = find_deployed_head(world.records[own[0].id])
            assert ("deploy" in works) == (deployed != world.heads[branch])
            assert not {"create", "delete"} & set(works)


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_of_observations_does_not_matter(world: World, random: Random) -> None:
    assert world.shuffle(lambda items: random.sample(items, len(items))).compare() == world.compare()


@given(worlds())
@settings(max_examples=100)
def test_after_all_works_are_done_nothing_is_left_to_do(world: World) -> None:
    at = START
    for _ in range(2):  # a name that a delete makes free is used by the next pass
        for work in world.compare().works:
            at += timedelta(minutes=1)
            world = world.apply(work, at)
    after = world.compare()
    assert after.works == ()
    assert all(any(reason in hold.reason for reason in LASTING_HOLDS) for hold in after.holds)
    for branch in {*world.heads, *(each.branch for each in world.astro)} - {""}:
        own = world.list_own(branch)
        is_held = any(hold.environment == branch for hold in after.holds)
        assert is_held or len(own) == world.lives(branch)
        if world.lives(branch) and not is_held:
            assert find_deployed_head(world.records[own[0].id]) == world.heads[branch]


@given(worlds())
@settings(max_examples=100)
def test_each_work_has_a_name_of_its_own_that_nothing_beside_it_changes(world: World) -> None:
    works = world.compare().works
    assert len({work.name for work in works}) == len(works)
    for work in works:
        heads = {name: head for name, head in world.heads.items() if name in {"main", work.branch}}
        astro = tuple(each for each in world.astro if work.branch == each.branch)
        alone = replace(world, heads=heads, astro=astro)
        assert work in alone.compare().works


FACTS = st.fixed_dictionaries(
    {
        "project": st.sampled_from(["shop", "shop_2"]),
        "branch": st.sampled_from(["dev-a", "dev/a", "dev-A"]),
        "head": st.sampled_from([sha("a"), sha("a")[:-1] + "b"]),
        "deployment": st.sampled_from(["id1", "id2"]),
        "deploy": st.sampled_from(["d1", "d2"]),
        "mark": st.sampled_from([FINGERPRINT, "0" * 12]),
        "template": st.sampled_from([FINGERPRINT, "1" * 12]),
        "policy": st.sampled_from(["p1", "p2"]),
        "goal": st.sampled_from([Verb.DEPLOY, Verb.UPDATE]),
    }
)


def make_work(facts: dict[str, Any]) -> Work:
    """Return the work of a preview that needs both a deploy and, for want of a variable, an update."""
    project = PROJECT.model_copy(update={"name": facts["project"]})
    mark = make_mark(facts["branch"], facts["mark"], project=facts["project"])
    heads = {"main": sha("f"), facts["branch"]: facts["head"]}
    difference = compare(
        project,
        control_plane=PLANE,
        policy=facts["policy"],
        targets=frozenset(),
        desired=derive_previews(project, World(heads).snapshot),
        observed=Observed(
            (make_deployment(facts["branch"], mark, id=facts["deployment"]),),
            {facts["deployment"]: DeployHistory(facts["deploy"], None, None, sha("e"))},
        ),
        template=TemplateState(facts["template"], {facts["deployment"]: ("variable STAGE",)}, {}),
    )
    (work,) = (each for each in difference.works if each.verb is facts["goal"])
    return work


@given(FACTS, FACTS, st.data())
def test_work_has_another_name_exactly_when_anything_it_rests_on_differs(
    one: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    assert (make_work(one).name == make_work(other).name) == (one == other)
    key = data.draw(st.sampled_from(sorted(one)))
    changed = one | {key: other[key]}
    assert (make_work(one).name == make_work(changed).name) == (one == changed)


@given(worlds())
def test_a_listing_without_trunk_is_an_error_and_shrinks_nothing(world: World) -> None:
    branches = tuple(branch for branch in world.snapshot.branches if branch.name != world.project.trunk)
    with pytest.raises(ObservationError, match="lacks trunk 'main'"):
        derive_previews(world.project, RepositorySnapshot(branches, world.pulls))


@given(worlds(), st.data())
def test_only_a_branch_that_ends_takes_its_preview_along(world: World, data: st.DataObject) -> None:
    """What is observed less of pull requests, records or Astro itself deletes nothing that was not ending before."""
    ending = {work.branch for work in world.compare().works if work.verb is Verb.DELETE}
    less = replace(
        world,
        pulls=tuple(pull for pull in world.pulls if pull.is_open or data.draw(st.booleans())),
        astro=tuple(each for each in world.astro if world.is_untouchable(each.branch) or data.draw(st.booleans())),
        records={},
        problem="the template is broken",
    )
    assert {work.branch for work in less.compare().works if work.verb is Verb.DELETE} <= ending


def test_a_target_that_is_not_there_yet_gets_no_preview_of_its_name() -> None:
    (target,) = PROJECT.targets.values()
    named = target.model_copy(update={"deployment": name_deployment("shop", "dev-a")})
    world = World(
        {"main": sha("a"), "dev-a": sha("a")}, project=PROJECT.model_copy(update={"targets": {"production": named}})
    )
    difference = world.compare()
    assert difference.works == ()
    assert "is a target of the policy" in str(difference.holds[0])
