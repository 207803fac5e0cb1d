"""A state machine: people, faults and crashes in any order; in the end every preview equals its branch, none is left.

The real DAGs' tasks run against the real sandbox, one task at a time, beside a model that is simple enough to be
trusted. `DEPLOY_OPS_EXAMPLES=200` plays more lives than `make test` does, some with 1,000 removals.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.worlds.doubles.fuse import AFTER_CLI, Fuse
from tests.worlds.stages.cleanup import OrphansStage
from tests.worlds.stages.fixtures import POLICY
from tests.worlds.stages.flights import Trouble
from tests.worlds.stages.world import BRANCHES, World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

pytestmark = pytest.mark.long
Move = Callable[[World, str, int], None]
EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "8"))
IS_BY_HAND = "DEPLOY_OPS_EXAMPLES" in os.environ
STEPS = 12
FAULTS: tuple[dict[str, Any], ...] = (
    {"face": "github", "status": 502, "times": 20, "path": "/api/v3/"},
    {"face": "github", "drop": "after", "times": 20, "path": "/api/v3/.*pulls"},
    {"face": "github", "status": 500, "times": 20, "path": "/git-upload-pack"},
    {"face": "astro", "status": 503, "times": 20},
    {"face": "astro", "method": "POST", "path": "/deployments$", "drop": "after"},
    {"face": "astro", "method": "POST", "path": "/deployments$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/deployments/[^/]+$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "drop": "after"},
    {"face": "astro", "method": "DELETE", "drop": "after"},
    {"face": "registry", "status": 500, "times": 20},
    {"cli": "deploy", "exit_0_without_deploying": True},
    {"cli": "deploy", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "create", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "update", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "delete", "exit": 1, "stderr": "Error: the moon is in the way"},
)
moves = st.sampled_from(
    [
        *(World.push, World.push, World.jump, World.delete, World.open, World.merge, World.merge, World.close),
        *(World.edit_template, World.break_template, World.force, World.clear, World.draft, World.remake),
    ]
)
interventions = st.sampled_from(
    [
        *(World.freeze, World.stay_dry, World.forget, World.purge, World.read_stale, World.keep, World.expire),
        *(World.speak, World.speak),
        *(World.exclude, World.override, World.ignore, World.spell_repository, World.move_repository),
        *(World.choose_when, World.choose_when),
    ]
)
branches = st.sampled_from(BRANCHES)
picks = st.integers(0, 99)
crowds = st.sampled_from([200, 200, 200, 1000] if IS_BY_HAND else [200])
aftermaths = st.sampled_from(["retry", "failed", "lost"])
troubles = st.one_of(st.none(), st.just(AFTER_CLI), st.integers(1, 12), st.integers(1, 60), st.sampled_from(FAULTS))
"""Nothing, a crash at that contact with the world, or a fault outside."""


class Lives(RuleBasedStateMachine):
    """Everything that may happen to a repository, its previews and the machines that keep them."""

    stage: Stage
    fuse: Fuse
    orphans: OrphansStage

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.stage, self.fuse, self.orphans)

    @initialize(kinds=st.lists(picks, min_size=1, max_size=len(BRANCHES)))
    def begin(self, kinds: list[int]) -> None:
        """Begin with previews that run."""
        for branch, kind in zip(BRANCHES, kinds, strict=False):
            self.world.push(branch, kind)
        self.world.live_on()

    @rule(move=moves, branch=branches, pick=picks)
    def move(self, move: Move, branch: str, pick: int) -> None:
        """Let somebody do something in the repository."""
        move(self.world, branch, pick)

    @rule(move=interventions, branch=branches, pick=picks)
    def intervene(self, move: Move, branch: str, pick: int) -> None:
        """Let somebody do something to the control plane, or something befall it."""
        move(self.world, branch, pick)

    @rule()
    def live_on(self) -> None:
        """Make an undisturbed pass, whose runs end, and those that fly."""
        self.world.live_on()

    @rule(trouble=troubles, dispatched=st.sampled_from([99, 99, 99, 1, 0]))
    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make a pass of control."""
        self.world.plan(trouble, dispatched)

    @rule(stop=picks, trouble=troubles, aftermath=aftermaths)
    def stumble(self, stop: int, trouble: Trouble, aftermath: str) -> None:
        """Let a run go on up to a task that meets trouble."""
        self.world.stumble(stop, trouble, aftermath)

    @rule(before=moves, branch=branches, pick=picks, stop=picks, trouble=troubles, aftermath=aftermaths)
    def act_and_stumble(
        self, before: Move, branch: str, pick: int, stop: int, trouble: Trouble, aftermath: str
    ) -> None:
        """Let somebody do something, and control meet trouble while it acts on it."""
        before(self.world, branch, pick)
        self.world.plan(None, 99)
        self.world.stumble(stop, trouble, aftermath)

    @rule(before=moves, during=moves, branch=branches, picks=st.tuples(picks, picks), stop=picks)
    def race(self, before: Move, during: Move, branch: str, picks: tuple[int, int], stop: int) -> None:
        """Let somebody do one thing, control act on it, and somebody do another before its runs have ended."""
        before(self.world, branch, picks[0])
        self.world.plan(None, 99)
        self.world.advance_to(stop)
        during(self.world, branch, picks[1])
        self.world.live_on()

    @rule()
    def pass_time(self) -> None:
        """Let hours go by."""
        self.world.let_time_pass()

    @rule(size=crowds)
    def crowd(self, size: int) -> None:
        """Let many branches go at once."""
        self.world.crowd(size)

    @invariant()
    def check_twins(self) -> None:
        """See that no branch has two Deployments, whatever they are called."""
        branches = self.world.list_marked()
        assert len(branches) == len(set(branches))

    def teardown(self) -> None:
        """Come to rest, and look."""
        self.world.settle()
        self.world.check_rest()


def test_every_life_ends_with_previews_that_equal_their_branches(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphans = OrphansStage.open(stage, POLICY.format(host=stage.sandbox.host), tmp_path / "policy.yaml", monkeypatch)
    lives = type("Lives", (Lives,), {"stage": stage, "fuse": Fuse(monkeypatch), "orphans": orphans})
    limits = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lives, settings=limits)
