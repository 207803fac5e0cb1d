"""Kept passes under another policy: what they would have done, and whether this would have deleted it."""

from __future__ import annotations

from dataclasses import replace

from demo.columns import read_columns
from include.deploy_ops.core.passes.decision import decide
from include.deploy_ops.core.passes.replay import Replayed, render_replays, replay
from include.deploy_ops.core.passes.snapshot import Snapshot, make_snapshot
from include.deploy_ops.core.policy.keys import Project
from tests.worlds.values.examples import make_deployment, make_project, sha
from tests.worlds.values.generated import Owned, World
from tests.worlds.values.passes import make_facts, make_rules

# Three branches are gone, and the brake lets one preview go.
BRAKED = make_project(limits={"max_deletes": 1}, targets={})
GONE = tuple(Owned(make_deployment(branch), branch) for branch in ("dev-a", "dev-b", "dev-c"))
WORLD = World({"main": sha("a")}, astro=GONE, project=BRAKED)


def keep(world: World) -> Snapshot:
    rules, facts = make_rules(world.project), make_facts(world)
    return make_snapshot(rules, facts, decide(rules, facts))


def play(project: Project) -> Replayed:
    rules = make_rules(project)
    return replay(keep(WORLD), project, rules.control_plane, rules.targets)


def test_by_the_policy_of_then_nothing_is_otherwise() -> None:
    page = render_replays([play(BRAKED)])
    assert page == "1 pass, of which 1 would have decided the same; 1 of them by this very policy"


def test_a_wider_brake_would_have_deleted_them_at_once() -> None:
    replayed = play(make_project(limits={"max_deletes": 9}, targets={}))
    assert not replayed.is_same_policy
    rows = read_columns(render_replays([replayed]))
    assert [row[1:4] for row in rows] == [
        ["dev-b", "delete, later", "delete, starts"],
        ["dev-c", "delete, later", "delete, starts"],
    ]


def test_of_one_environment_each_pass_is_told_whatever_it_did() -> None:
    (row,) = read_columns(render_replays([play(BRAKED)], only="dev-a"))
    assert row[1:4] == ["dev-a", "delete, starts", "delete, starts"]
    assert "the branch is gone" in row[4]


def test_cells_may_be_shown_without_names() -> None:
    page = render_replays([play(BRAKED)], only="dev-a", show=lambda cell: cell.replace("dev-a", "name-1"))
    assert "dev-a" not in page
    assert "name-1" in page


def test_without_previews_none_is_ended_and_what_was_not_read_is_told() -> None:
    replayed = play(BRAKED.model_copy(update={"previews": None}))
    assert replayed.decision.plan.actions == ()
    told = render_replays([replace(replayed, unknown=("targets.live: what it would follow was not read",))])
    assert "Not known, since nobody read it then:\n- targets.live" in told
