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

from tests.unit.operators.flights import Trouble
from tests.unit.operators.fuse import AFTER_CLI, Fuse
from tests.unit.operators.release_world import Move, ReleaseWorld

if TYPE_CHECKING:
    from tests.unit.operators.stage import Stage

EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "4"))
STEPS = 10
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
        *(World.push_into, World.push_trunk, World.stray, World.close, World.merge_release),
    ]
)
interventions = st.sampled_from(
    [
        *(World.force, World.force, World.resume, World.resume, World.adopt, World.promote, World.deploy_by_hand),
        *(World.answer, World.answer, World.pause, World.break_ci, World.forget, World.pass_time),
    ]
)
picks = st.integers(0, 99)
contacts = st.one_of(st.integers(1, 12), st.integers(1, 60))
aftermaths = st.sampled_from(["retry", "failed", "lost"])
troubles = st.one_of(st.just(AFTER_CLI), contacts, st.sampled_from(FAULTS))


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
        self.world.push(pick)
        self.world.open(pick)
        self.world.live_on()
        self.world.open_release(pick)
        self.world.live_on()

    @rule(move=moves, pick=picks)
    def move(self, move: Move, pick: int) -> None:
        """Let somebody do something in the repository."""
        move(self.world, pick)

    @rule(move=interventions, pick=picks)
    def intervene(self, move: Move, pick: int) -> None:
        """Let somebody do something to the control plane or to Astro, or something befall them."""
        move(self.world, pick)

    @rule(pick=picks)
    def live_on(self, pick: int) -> None:
        """Answer somebody, make an undisturbed pass, and let all runs go on."""
        self.world.answer(pick)
        self.world.live_on()

    @rule(trouble=st.one_of(st.none(), troubles), dispatched=st.sampled_from([99, 99, 99, 1, 0]))
    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make a pass of control."""
        self.world.plan(trouble, dispatched)

    @rule(before=moves, pick=picks, stop=picks, trouble=troubles, aftermath=aftermaths)
    def act_and_stumble(self, before: Move, pick: int, stop: int, trouble: Trouble, aftermath: str) -> None:
        """Let somebody do something, and control meet trouble while it acts on it."""
        before(self.world, pick)
        self.world.plan(None, 99)
        self.world.stumble(stop, trouble, aftermath)

    @rule(
        before=moves,
        during=st.one_of(moves, st.just(World.deploy_by_hand), st.just(World.answer)),
        picks=st.tuples(picks, picks),
        stop=picks,
        at=contacts,
    )
    def race(self, before: Move, during: Move, picks: tuple[int, int], stop: int, at: int) -> None:
        """Let somebody do one thing, and somebody another in the midst of a task that acts on it."""
        before(self.world, picks[0])
        self.world.plan(None, 99)
        self.world.interfere(during, picks[1], stop, at)

    def teardown(self) -> None:
        """Come to rest, and look."""
        self.world.settle()
        self.world.check_rest()


def test_every_life_ends_with_targets_that_equal_their_sources(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: asked.update(detail))
    lives = type("Lives", (Lives,), {"stage": stage, "fuse": Fuse(monkeypatch), "asked": asked})
    limits = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lives, settings=limits)
