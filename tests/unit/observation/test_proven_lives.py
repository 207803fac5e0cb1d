"""Whatever verdicts, values and uses come in whatever order: in the end all is equal, nothing is merged unproven."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.view.row import State
from include.deploy_ops.observation import checks, gates, rotation, uses
from include.deploy_ops.operators.control import row_writer
from tests.worlds.values.proven_world import SOAK, VERIFIES, ProvenWorld
from tests.worlds.values.truth import Clock

EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "60"))
World = ProvenWorld
DEEDS = {
    each.__name__: each
    for each in (
        *(World.push, World.push_staging, World.push_main, World.open_release, World.open, World.close, World.delete),
        *(World.deploy_by_hand, World.resume, World.verify_again, World.work, World.rest, World.wake),
        *(World.add_variable, World.change_policy, World.count_deploys_only, World.map, World.rotate, World.lose),
        *(World.mute, World.unmute, World.pass_time, World.step, World.die, World.finish, World.clean, World.live_on),
        *(World.control, World.forget, World.idle, World.release),
    )
}
OFTEN = [
    "push",
    "push_staging",
    "open_release",
    "control",
    "live_on",
    "live_on",
    "step",
    "step",
    "pass_time",
    "clean",
    "idle",
    "release",
]
deeds = st.lists(st.tuples(st.sampled_from([*DEEDS, *OFTEN]), st.integers(0, 999)), max_size=40)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(deeds=deeds, verify=st.integers(0, 7), mapping=st.integers(0, 4))
def test_whatever_happens_in_the_end_all_is_equal_or_held(
    deeds: list[tuple[str, int]], verify: int, mapping: int
) -> None:
    play(deeds, verify, mapping)


def play(deeds: list[tuple[str, int]], verify: int = 0, mapping: int = 0) -> ProvenWorld:
    """Play a life, and look at what is left."""
    world = ProvenWorld.begin(verify, mapping)
    with stand_in(world):
        world.live_on()
        for name, pick in deeds:
            DEEDS[name](world, pick)
        world.settle()
        world.check_rest()
        world.check_proven()
        world.check_sleep()
    return world


@contextmanager
def stand_in(world: ProvenWorld) -> Iterator[None]:
    """Let the product ask the world's truth for time, values, runs and persons."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (checks, gates):
            patch.setattr(module, "datetime", Clock(world.truth))
        patch.setattr(gates, "ChangeReader", lambda *_: world.truth)
        patch.setattr(gates, "find_merge_base", lambda *_: None)
        for module in (rotation, uses):
            patch.setattr(module, "read_secrets", world.truth.read_secrets)
        patch.setattr(uses, "read_work", world.truth.read_work)
        for name in ("Runs", "Claims"):
            patch.setattr(row_writer, name, world.stand_in)
        yield


def test_production_waits_until_staging_has_soaked() -> None:
    world = ProvenWorld.begin(len(VERIFIES), 0)
    with stand_in(world):
        world.open_release(0)
        world.live_on()
        row = world.rows["target.production"]
        assert row.why.startswith("deploy: staging runs other content: ")
        world.live_on()
        assert "soaks on staging until " in world.rows["target.production"].why
        assert world.find_target("production").records == []
        world.truth.now += SOAK
        world.live_on()
        world.live_on()
        assert world.truth.find_release() is None, "soaked, and not merged"


def test_while_a_person_has_it_verified_again_a_merge_waits_for_the_answer() -> None:
    """Nothing else is due there, so that the run is known by what it asks alone."""
    world = ProvenWorld.begin(0, 0)
    with stand_in(world):
        world.open_release(0)
        world.find_target("production").is_mute = True
        world.live_on()
        world.control()
        row = world.rows["target.production"]
        assert (row.state, row.why.partition(";")[0]) == (State.HELD, "merge: not verified: HTTP 503")
        world.verify_again(2)
        for _ in range(2):
            world.step(0)
        for _ in range(2):
            world.control()
            row = world.rows["target.production"]
            assert (row.state, row.run_id) == (State.DEPLOYING, "manual__1")
            assert row.verification is not None
            assert row.verification.said == "being verified"
        world.find_target("production").is_mute = False
        world.finish()
        world.live_on()
        assert world.truth.find_release() is None, "verified, and not merged"
