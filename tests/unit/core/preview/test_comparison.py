"""The difference: each situation of one preview, and what must never be touched."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, Deployment, DeploymentStatus, PullRequest
from include.deploy_ops.core.naming import name_deployment
from include.deploy_ops.core.plan.work import Difference, HoldKind, Remedy
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.template.drift import Drift, Drifted, Fate
from tests.worlds.values.examples import (
    FINGERPRINT,
    PLANE,
    make_deployment,
    make_mark,
    make_project,
    make_pull,
    merged,
    sha,
)

A, B = sha("a"), sha("b")
IN_SYNC = DeployHistory("d1", A, A, A)


def diff(
    heads: dict[str, str],
    deployments: tuple[Deployment, ...] = (),
    histories: dict[str, DeployHistory] | None = None,
    pulls: tuple[PullRequest, ...] = (),
    template: TemplateState | None = None,
    project: Project | None = None,
    targets: frozenset[str] = frozenset({"Production"}),
) -> Difference:
    project = project or make_project()
    branches = (Branch("main", A), *(Branch(name, head) for name, head in heads.items()))
    known = {each.id: IN_SYNC for each in deployments} if histories is None else histories
    return compare(
        project,
        control_plane=PLANE,
        policy="policy",
        targets=targets,
        desired=derive_previews(project, RepositorySnapshot(branches, pulls)),
        observed=Observed(deployments, known),
        template=template or TemplateState(FINGERPRINT, {}, {}),
    )


def works(difference: Difference) -> list[tuple[str, str]]:
    return [(work.verb.value, work.branch) for work in difference.works]


def holds(difference: Difference) -> list[str]:
    return [str(hold) for hold in difference.holds]


def test_equal_worlds_need_nothing() -> None:
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),))
    assert (difference.works, difference.holds, difference.live) == ((), (), 1)


def test_a_new_branch_is_created() -> None:
    (work,) = diff({"dev-x": A}).works
    assert (work.verb.value, work.deployment_name, work.deployment_id) == ("create", "shop-dev-x", "")


def test_a_push_is_deployed() -> None:
    assert works(diff({"dev-x": B}, (make_deployment("dev-x"),))) == [("deploy", "dev-x")]


def test_a_deployment_without_a_deploy_is_deployed() -> None:
    assert works(diff({"dev-x": A}, (make_deployment("dev-x"),), histories={})) == [("deploy", "dev-x")]


def test_a_gone_branch_is_deleted() -> None:
    (work,) = diff({}, (make_deployment("dev-x"),)).works
    assert (work.verb.value, work.reason, work.deployment_id) == ("delete", "the branch is gone", "id-dev-x")


def test_a_merged_branch_is_deleted() -> None:
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), pulls=(merged(make_pull(3, "dev-x", A)),))
    assert works(difference) == [("delete", "dev-x")]


def test_a_merged_branch_without_a_deployment_stays_without() -> None:
    assert works(diff({"dev-x": A}, pulls=(merged(make_pull(3, "dev-x", A)),))) == []


def test_a_branch_that_the_policy_left_keeps_its_preview() -> None:
    project = make_project(previews={"branches": ("feature*",)})
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), project=project)
    assert works(difference) == []
    assert "matches the policy no longer" in holds(difference)[0]
    assert find_remedy(difference) is Remedy.DELETE


@pytest.mark.parametrize("change", [{"control_plane": "other"}, {"project": "other"}, {"repository": "acme/other"}])
def test_a_foreign_mark_is_never_deleted_nor_adopted(change: dict[str, str]) -> None:
    foreign = make_deployment("dev-x", make_mark("dev-x", **change))
    assert (works(diff({}, (foreign,))), diff({}, (foreign,)).live) == ([], 0)
    (hold,) = holds(diff({"dev-x": B}, (foreign,)))
    assert ("it bears our mark for acme/other" if "repository" in change else "exists without our mark") in hold


def test_an_unmarked_deployment_of_the_name_is_refused() -> None:
    unmarked = make_deployment("dev-x", description="by hand")
    difference = diff({"dev-x": A}, (unmarked,))
    assert works(difference) == []
    assert "'shop-dev-x' (id-dev-x) exists without our mark" in holds(difference)[0]


def test_a_target_is_never_touched_even_with_our_mark() -> None:
    target = make_deployment("dev-x", name="Production")
    for heads in ({}, {"dev-x": B}):
        difference = diff(heads, (target,))
        assert works(difference) == []
        assert "is a target" in holds(difference)[0]


def test_a_target_of_another_project_is_none_either() -> None:
    renamed = make_deployment("dev-x", name="Their production")
    difference = diff({}, (renamed,), targets=frozenset({"Their production"}))
    assert works(difference) == []
    assert "is a target" in holds(difference)[0]


def test_twins_are_held_never_deleted() -> None:
    twin = make_deployment("dev-x", id="other", name="renamed")
    for heads in ({}, {"dev-x": B}):
        difference = diff(heads, (make_deployment("dev-x"), twin))
        assert works(difference) == []
        assert "carry the same mark" in holds(difference)[0]


def test_a_name_that_another_branchs_preview_bears_is_told_as_such() -> None:
    renamed = make_deployment("dev-y", name=name_deployment("shop", "dev-x"))
    (hold,) = holds(diff({"dev-x": A, "dev-y": A}, (renamed,)))
    assert hold.endswith("'shop-dev-x' (id-dev-y) is the preview of 'dev-y'; rename it in Astro")


def test_a_renamed_deployment_is_still_the_branchs() -> None:
    renamed = make_deployment("dev-x", name="Ann's playground")
    (work,) = diff({"dev-x": B}, (renamed,)).works
    assert (work.verb.value, work.deployment_name) == ("deploy", "Ann's playground")


def test_a_new_template_updates() -> None:
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), template=TemplateState("new", {}, {}))
    assert works(difference) == [("update", "dev-x")]


def test_a_half_created_deployment_is_completed() -> None:
    template = TemplateState(FINGERPRINT, {"id-dev-x": ("variable STAGE",)}, {})
    (work,) = diff({"dev-x": A}, (make_deployment("dev-x"),), template=template).works
    assert (work.verb.value, work.reason) == ("update", "it lacks variable STAGE")


def test_what_the_cli_cannot_update_is_held() -> None:
    template = TemplateState("new", {}, {"id-dev-x": ("region: a in Astro, b in the template",)})
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), template=template)
    assert works(difference) == []
    assert "recreate it" in holds(difference)[0]
    assert find_remedy(difference) is Remedy.DELETE


def find_remedy(difference: Difference) -> Remedy:
    (hold,) = difference.holds
    return hold.remedy


def test_a_hold_names_what_a_person_does_about_it() -> None:
    unmarked = make_deployment("dev-x", description="by hand")
    assert find_remedy(diff({"dev-x": A}, (unmarked,))) is Remedy.ADOPT
    foreign = make_deployment("dev-x", make_mark("dev-x", control_plane="other"))
    assert find_remedy(diff({"dev-x": A}, (foreign,))) is Remedy.MEND
    overridden = {"id-dev-x": DeployHistory("d2", B, B, A, "a rollback")}
    assert find_remedy(diff({"dev-x": A}, (make_deployment("dev-x"),), overridden)) is Remedy.RESUME


def test_a_broken_template_holds_creates_and_updates_but_no_deploys_or_deletes() -> None:
    template = TemplateState("", {}, {}, "template broken")
    deployments = (make_deployment("dev-moved"), make_deployment("dev-gone"))
    difference = diff({"dev-new": A, "dev-moved": B}, deployments, template=template)
    assert works(difference) == [("delete", "dev-gone"), ("deploy", "dev-moved")]
    assert {hold.what for hold in difference.holds} == {"create", "update"}


def test_an_override_holds_until_the_head_moves() -> None:
    overridden = {"id-dev-x": DeployHistory("d2", B, B, A, "a rollback")}
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), overridden)
    assert works(difference) == []
    assert "overridden by a rollback" in holds(difference)[0]
    assert works(diff({"dev-x": B}, (make_deployment("dev-x"),), overridden)) == [("deploy", "dev-x")]


def test_the_name_of_work_follows_what_it_is_about() -> None:
    deployment = make_deployment("dev-x")
    (one,) = diff({"dev-x": B}, (deployment,)).works
    (same,) = diff({"dev-x": B}, (deployment,)).works
    (later,) = diff({"dev-x": B}, (deployment,), {"id-dev-x": DeployHistory("d2", A, A, A)}).works
    assert one.name == same.name
    assert one.name != later.name
    assert one.name.startswith("dev-x~deploy~bbbbbbbbbbbb~")


BRANCHES = st.dictionaries(st.sampled_from(["dev-a", "dev/a", "dev-b", "dev-c"]), st.sampled_from([A, B]))
OWNED = st.lists(st.sampled_from(["dev-a", "dev/a", "dev-b", "dev-d"]), unique=True)


@given(BRANCHES, OWNED, st.randoms(use_true_random=False))
def test_the_order_of_observations_does_not_matter(heads: dict[str, str], owned: list[str], random: Random) -> None:
    deployments = [make_deployment(branch) for branch in owned]
    expected = diff(heads, tuple(deployments))
    random.shuffle(deployments)
    assert diff(dict(random.sample(list(heads.items()), len(heads))), tuple(deployments)) == expected


@given(BRANCHES, OWNED)
def test_applying_the_difference_leaves_none(heads: dict[str, str], owned: list[str]) -> None:
    deployments = {branch: make_deployment(branch) for branch in owned}
    histories = {f"id-{branch}": IN_SYNC for branch in owned}
    for work in diff(heads, tuple(deployments.values()), histories).works:
        if work.verb.value == "delete":
            del deployments[work.branch]
        else:
            deployments[work.branch] = make_deployment(work.branch)
            histories[f"id-{work.branch}"] = DeployHistory("new", work.head, work.head, work.head)
    after = diff(heads, tuple(deployments.values()), histories)
    assert (after.works, after.holds) == ((), ())
    assert {each.name for each in deployments.values()} == {name_deployment("shop", branch) for branch in heads}


def make_damaged(branch: str, **changes: Any) -> Deployment:
    """Return a preview of the branch of which Astro's answer is malformed, as it is read then."""
    blank = {"runtime_version": "", "image_tag": "", "created_at": None, "status": DeploymentStatus.UNKNOWN}
    return make_deployment(branch, problem="createdAt: Field required", **(blank | changes))


def test_a_template_that_leads_to_production_holds_creates_and_nothing_else() -> None:
    template = TemplateState("new", {}, {}, guard="workload_identity would lead elsewhere")
    difference = diff({"dev-x": A, "dev-y": A}, (make_deployment("dev-x"),), template=template)
    assert works(difference) == [("update", "dev-x")]
    assert holds(difference) == ["create dev-y held: workload_identity would lead elsewhere"]


def test_people_are_told_what_previews_get_whether_or_not_anything_is_due() -> None:
    template = TemplateState(FINGERPRINT, {}, {}, replaced=("STAGE", "MODE"), unfilled=("TOKEN",))
    assert diff({}, template=template).notes == (
        "previews.environment wins over the template: STAGE, MODE",
        "secrets of the template that nothing fills, empty unless a person set them in Astro: TOKEN",
    )


@pytest.mark.parametrize("heads", [{"dev-x": B}, {}])
@pytest.mark.parametrize("template", [None, TemplateState("another", {}, {})])
def test_of_a_preview_that_cannot_be_read_nothing_follows(
    heads: dict[str, str], template: TemplateState | None
) -> None:
    found = diff({**heads, "dev-y": B}, (make_damaged("dev-x"),), histories={}, template=template)
    assert works(found) == [("create", "dev-y")]
    assert [(hold.environment, hold.what) for hold in found.holds] == [("dev-x", "anything")]
    assert "'shop-dev-x' (id-dev-x) cannot be read" in holds(found)[0]
    assert "createdAt: Field required" in holds(found)[0]
    assert found.live == 1


def test_a_preview_whose_mark_cannot_be_read_is_not_made_again() -> None:
    found = diff({"dev-x": B}, (make_damaged("dev-x", description=""),), histories={})
    assert (works(found), [(hold.environment, hold.what) for hold in found.holds]) == ([], [("dev-x", "create")])


def test_what_may_be_any_of_ours_holds_creates_and_nothing_else() -> None:
    nameless = make_damaged("dev-x", name="", description="")
    found = diff({"dev-x": A, "dev-y": B}, (nameless, make_deployment("dev-y"), make_deployment("dev-z")))
    assert works(found) == [("delete", "dev-z"), ("deploy", "dev-y")]
    assert "it may be there already" in holds(found)[0]
    whose = make_damaged("dev-x", mark=make_mark("dev-x", control_plane="other"), name="")
    assert works(diff({"dev-x": A}, (whose,))) == [("create", "dev-x")]


def test_a_stranger_that_cannot_be_read_costs_nothing() -> None:
    stranger = make_damaged("other", name="somebody's", description="theirs")
    assert works(diff({"dev-x": A}, (stranger,))) == [("create", "dev-x")]
    assert holds(diff({"dev-x": A}, (stranger,))) == []


def test_where_a_label_is_required_what_has_none_gets_no_new_preview_and_keeps_the_one_that_it_has() -> None:
    project = make_project(previews={"require_label": "preview"})
    missing = diff({"dev-x": A}, project=project)
    assert holds(missing) == ["create dev-x held: no open pull request of it has the label 'preview'"]
    assert missing.holds[0].kind is HoldKind.NEEDLESS
    assert missing.missing == ()
    labelled = (make_pull(1, "dev-x", A, labels=("preview",)),)
    assert works(diff({"dev-x": A}, pulls=labelled, project=project)) == [("create", "dev-x")]
    assert works(diff({"dev-x": B}, (make_deployment("dev-x"),), project=project)) == [("deploy", "dev-x")]


SIZE = Drift("scheduler_size", "MEDIUM", "SMALL", fate=Fate.DUE, seal="s1")


def drifting(*found: Drift, **changes: Any) -> TemplateState:
    return replace(TemplateState(FINGERPRINT, {}, {}, drift={"id-dev-x": found}), **changes)


def test_what_differs_in_astro_and_is_due_is_an_update() -> None:
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), template=drifting(SIZE))
    (work,) = difference.works
    assert (work.verb.value, work.reason) == ("update", "scheduler_size MEDIUM in Astro, SMALL here")
    assert difference.drift == (Drifted("dev-x", "dev-x", (SIZE,)),)


@pytest.mark.parametrize("fate", [Fate.REPORTED, Fate.KEPT, Fate.FIXED])
def test_what_is_only_told_is_no_work(fate: Fate) -> None:
    found = replace(SIZE, fate=fate)
    difference = diff({"dev-x": A}, (make_deployment("dev-x"),), template=drifting(found))
    assert (difference.works, difference.holds) == ((), ())
    assert difference.drift[0].found == (found,)


def test_a_repair_has_a_name_of_its_own_for_each_difference() -> None:
    def name(*found: Drift) -> str:
        (work,) = diff({"dev-x": A}, (make_deployment("dev-x"),), template=drifting(*found)).works
        return work.name

    other = replace(SIZE, name="executor", seal="s2")
    assert len({name(SIZE), name(other), name(SIZE, other)}) == 3
    assert name(SIZE, other) == name(other, SIZE)
    assert name(SIZE, replace(other, fate=Fate.KEPT)) == name(SIZE)


def test_drift_gives_no_other_work_another_name() -> None:
    def name(template: TemplateState) -> str:
        (deploy,) = [
            each for each in diff({"dev-x": B}, (make_deployment("dev-x"),), template=template).works if each.head == B
        ][:1]
        assert deploy.verb.value == "deploy"
        return deploy.name

    assert name(drifting(SIZE)) == name(drifting())


def test_a_repair_of_what_cannot_be_brought_to_the_template_is_held_as_any_update() -> None:
    template = drifting(SIZE, fixed={"id-dev-x": ("region: a in Astro, b in the template",)})
    (hold,) = holds(diff({"dev-x": A}, (make_deployment("dev-x"),), template=template))
    assert "recreate it" in hold


def test_what_is_not_wanted_or_not_alone_is_not_told() -> None:
    twins = (make_deployment("dev-x"), make_deployment("dev-x", id="id-twin"))
    assert diff({"dev-x": A}, twins, template=drifting(SIZE)).drift == ()
    assert diff({}, (make_deployment("dev-x"),), template=drifting(SIZE)).drift == ()


def test_many_differences_make_no_long_reason() -> None:
    found = [replace(SIZE, name=f"field_{number}", seal=f"s{number}") for number in range(9)]
    (work,) = diff({"dev-x": A}, (make_deployment("dev-x"),), template=drifting(*found)).works
    assert work.reason.endswith("; and 6 more")
