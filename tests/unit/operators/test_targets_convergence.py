"""A state machine: releases, forced deploys, faults and crashes in any order; in the end targets equal their sources.

The real DAGs' tasks run against the real sandbox beside a model that is simple enough to be trusted.
`DEPLOY_OPS_EXAMPLES=40` plays more lives than `make test` does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators import hitl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.worlds.doubles.fuse import AFTER_CLI, Fuse
from tests.worlds.stages.flights import Trouble
from tests.worlds.stages.release_world import INTO, Move, ReleaseWorld

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

pytestmark = pytest.mark.long
EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "2"))
STEPS = 8
FAULTS: tuple[dict[str, Any], ...] = (
    {"face": "github", "status": 502, "times": 20, "path": "/api/v3/"},
    {"face": "github", "drop": "after", "times": 20, "path": "/api/v3/.*pulls"},
    {"face": "github", "method": "POST", "path": "/git/", "status": 500},
    {"face": "github", "method": "PATCH", "path": "/git/refs", "drop": "after"},
    {"face": "github", "method": "PUT", "path": "/merge", "drop": "after"},
    {"face": "github", "method": "PUT", "path": "/merge", "status": 405},
    {"face": "astro", "status": 503, "times": 20},
    {"face": "astro", "method": "POST", "path": "/finalize", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "drop": "after"},
    {"face": "registry", "status": 500, "times": 20},
    {"cli": "deploy", "exit_0_without_deploying": True},
    {"cli": "deploy", "exit": 1, "stderr": "Error: the moon is in the way"},
)
World = ReleaseWorld
moves = st.sampled_from(
    [
        *(World.push, World.push, World.open, World.open, World.merge, World.open_release, World.open_release),
        *(World.push_into, World.push_trunk, World.stray, World.close, World.merge_release, World.draft, World.remake),
    ]
)
interventions = st.sampled_from(
    [
        *(World.force, World.force, World.resume, World.resume, World.adopt, World.promote, World.deploy_by_hand),
        *(World.answer, World.answer, World.pause, World.break_ci, World.forget, World.purge, World.pass_time),
        *(World.read_stale, World.ignore, World.change_people, World.change_approvers, World.change_merging),
        *(World.change_branch, World.rename_target, World.spell_repository, World.move_repository),
        *(World.change_gates, World.change_gates),
    ]
)
disturbances = st.one_of(moves, st.just(World.deploy_by_hand), st.just(World.answer))
edits = st.sampled_from(
    [
        *(World.ignore, World.change_people, World.change_approvers, World.change_merging, World.change_branch),
        *(World.rename_target, World.spell_repository, World.move_repository, World.draft, World.change_gates),
    ]
)
picks = st.integers(0, 99)
days = st.lists(st.tuples(st.one_of(moves, interventions), picks), min_size=1, max_size=4)
contacts = st.one_of(st.integers(1, 12), st.integers(1, 60))
aftermaths = st.sampled_from(["retry", "failed", "lost"])
troubles = st.one_of(st.just(AFTER_CLI), contacts, st.sampled_from(FAULTS))

Deed = tuple[Move, int]


class Lives(RuleBasedStateMachine):
    """Everything that may happen on the way from a dev branch to production."""

    stage: Stage
    fuse: Fuse
    asked: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.world = ReleaseWorld(self.stage, self.fuse, self.asked)

    @initialize(pick=picks)
    def begin(self, pick: int) -> None:
        """Begin with a pull request that is promoted and shown on staging, and one that asks for production."""
        self.world.begin(pick)

    @rule(edits=st.lists(st.tuples(edits, picks), min_size=1, max_size=2), pick=picks)
    def edit(self, edits: list[Deed], pick: int) -> None:
        """Let somebody edit the policy between a question and its answer, and control look in between."""
        self.world.plan(None, 99)
        self.world.finish_runs()
        self.do(edits)
        self.world.live_on()
        self.world.answer(pick)
        self.world.live_on()

    @rule(deeds=days, pick=picks)
    def live_on(self, deeds: list[Deed], pick: int) -> None:
        """Let people do things, somebody answer, and control make an undisturbed pass, whose runs all go on."""
        self.do(deeds)
        self.world.answer(pick)
        self.world.live_on()

    @rule(trouble=st.one_of(st.none(), troubles), dispatched=st.sampled_from([99, 99, 99, 1, 0]))
    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make a pass of control."""
        self.world.plan(trouble, dispatched)

    @rule(deeds=days, stop=picks, trouble=troubles, aftermath=aftermaths)
    def stumble(self, deeds: list[Deed], stop: int, trouble: Trouble, aftermath: str) -> None:
        """Let people do things, and control meet trouble while it acts on them."""
        self.do(deeds)
        self.world.plan(None, 99)
        self.world.stumble(stop, trouble, aftermath)

    @rule(deeds=days, during=disturbances, pick=picks, stop=picks, at=contacts)
    def race(self, deeds: list[Deed], during: Move, pick: int, stop: int, at: int) -> None:
        """Let people do things, and somebody another one in the midst of a task that acts on them."""
        self.do(deeds)
        self.world.plan(None, 99)
        self.world.interfere(during, pick, stop, at)

    def do(self, deeds: list[Deed]) -> None:
        """Let people do things, one after the other."""
        for move, pick in deeds:
            move(self.world, pick)

    def teardown(self) -> None:
        """Come to rest, and look."""
        self.world.settle()
        self.world.check_rest()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what a person is shown."""
    shown: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: shown.update(detail))
    return shown


def test_a_release_is_approved_main_moves_and_staging_is_rolled_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.answer(0)
    world.finish_runs()
    world.push_trunk(0)
    world.push(0)
    world.live_on()
    world.live_on()
    world.force(6)
    world.settle()
    world.check_rest()
    assert world.is_overridden("staging")
    assert world.own_merges
    assert ", approved by " in world.faces.comments[world.own_merges[0]]
    assert world.faces.comments[world.own_merges[0]].partition("</sub>")[0].count(", merged.") == 1


def test_a_yes_outlasts_a_gate_that_closes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.change_gates(0)
    world.answer(0)
    world.finish_runs()
    world.live_on()
    world.pass_time(0)
    world.live_on()
    assert world.list_records("production") == []
    world.change_gates(1)
    asked.clear()
    world.live_on()
    assert len(world.list_records("production")) == 1
    assert not asked
    world.settle()
    world.check_rest()


def test_a_no_outlasts_the_end_of_an_override(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.answer(2)
    world.finish_runs()
    world.resume(1)
    world.live_on()
    asked.clear()
    world.settle()
    world.check_rest()
    assert not asked
    assert "rejected by" in world.read_holds()["production"]


def test_the_comment_of_a_merged_change_tells_that_it_reached_production(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    (work,) = world.list_pulls(INTO)
    world.merge(0)
    world.live_on()
    assert "Target staging: got `" in world.faces.comments[work["number"]]
    assert "Target production: not yet" in world.faces.comments[work["number"]]
    world.settle()
    world.check_rest()
    assert world.own_merges
    assert "Target production: got `" in world.faces.comments[work["number"]]


def test_a_lost_memory_waits_for_no_run_of_a_dag_that_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.rename_target(1)
    world.live_on()
    assert [each.run.dag_id for each in world.questions] == ["shop.production.request", "shop.prod.request"]
    world.rename_target(1)
    world.forget(0)
    world.settle()
    world.check_rest()


def test_a_planned_run_that_claimed_anew_and_was_lost_comes_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.push_into(0)
    world.plan(None, 99)
    (run,) = [each for each in world.flying if each.dag_id == stage.scope.promotion_dag]
    world.forget(0)
    world.advance(run, None)
    assert run.states == {"claim": "success"}
    world.end(run, "failed")
    world.settle()
    world.check_rest()


def test_a_yes_to_less_than_an_edit_makes_due_is_asked_for_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.answer(0)
    world.finish_runs()
    for _ in range(3):
        world.live_on()
    assert world.own_merges
    world.push_into(3)  # what is ignored, until it is no more
    world.live_on()
    world.open_release(0)
    world.live_on()
    world.answer(0)
    world.finish_runs()
    world.ignore(2)
    asked.clear()
    world.live_on()
    world.pass_time(0)
    world.live_on()
    assert asked
    world.settle()
    world.check_rest()


@pytest.mark.parametrize("answer", [2, 3], ids=["no", "silence"])
def test_a_no_to_a_draft_outlasts_the_draft_and_silence_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], answer: int
) -> None:
    world = ReleaseWorld(stage, Fuse(monkeypatch), asked)
    world.begin(0)
    world.draft(3)
    world.answer(answer)
    world.finish_runs()
    asked.clear()
    world.draft(1)
    world.live_on()
    assert bool(asked) is (answer == 3)
    world.settle()
    world.check_rest()


def test_every_life_ends_with_targets_that_equal_their_sources(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    lives = type("Lives", (Lives,), {"stage": stage, "fuse": Fuse(monkeypatch), "asked": asked})
    limits = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lives, settings=limits)
