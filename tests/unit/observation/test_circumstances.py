"""What a pass asks Airflow about what is due: about claims only where one may lie, and it misses none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.run.memory import Claim
from tests.unit.observation.test_requests import CountingStore
from tests.worlds.stages.fleet import make_previews, push_branches
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

COUNT = 6
ROOM = 2
PREVIEWS = [f"dev-{number}" for number in range(COUNT)]


@pytest.fixture
def burst(stage: Stage) -> Stage:
    """Give a stage with previews of which each has a push, and room for two deploys in a pass."""
    make_previews(stage, push_branches(stage, PREVIEWS))
    assert stage.plan() == []
    for branch in PREVIEWS:
        stage.author.start_branch(branch, f"origin/{branch}")
        stage.push_more(branch, {"dags/more.py": "# more\n"})
    stage.change_project(limits={"max_actions_per_pass": ROOM})
    return stage


def plan_counted(stage: Stage) -> tuple[list[Run], list[str]]:
    """Make a pass; return its runs, and for which registers it asked before it claimed."""
    store = CountingStore(stage.stores[stage.scope.fleet.name].values)
    stage.stores[stage.scope.fleet.name] = store
    runs = stage.plan()
    return runs, sorted(key for key in store.read if key.endswith((PLANNED, MANUAL)))


def show_plan(stage: Stage) -> str:
    """Make a pass, in which as much starts as has room, and return its plan."""
    task = stage.make_plan_task()
    assert len(stage.run_plan(task)) == ROOM
    return fold_page(str(task.plan))


def name_registers(branches: list[str], register: str) -> list[str]:
    return [f"environment.{branch}.{register}" for branch in branches]


def test_claims_are_read_only_where_one_may_lie(burst: Stage) -> None:
    first = burst.plan()
    begun = [run.conf["job"]["branch"] for run in first]
    second, asked = plan_counted(burst)
    following = [run.conf["job"]["branch"] for run in second]
    assert len(following) == ROOM
    assert not {*begun} & {*following}
    # What was begun, whether a person is at work on what begins; and nothing of the previews that wait.
    assert asked == sorted([*name_registers(begun, PLANNED), *name_registers(following, MANUAL)])
    for run in first:
        assert "failed" not in run.play().values()
    burst.plan()
    known = burst.memory.continuity.read()
    assert known is not None
    assert not {*begun} & {*(known.claimed or ())}, "what has ended is looked for no more"


def test_a_persons_run_among_many_that_wait_is_seen(burst: Stage) -> None:
    burst.plan()
    burst.airflow.states["manual__1"] = "running"
    burst.memory.claim(PREVIEWS[-1], MANUAL).write(Claim("manual__1", datetime.now(UTC)))
    assert f"| hold | {PREVIEWS[-1]} | deploy | in flight: manual__1 |" in show_plan(burst)


def test_what_an_older_release_claimed_is_found(burst: Stage) -> None:
    begun = burst.plan()
    known = burst.memory.continuity.read()
    assert known is not None
    burst.memory.continuity.write(replace(known, claimed=None))
    said = show_plan(burst)
    for run in begun:
        assert f"| hold | {run.conf['job']['branch']} | deploy | in flight: {run.run_id} |" in said
    noted = burst.memory.continuity.read()
    assert noted is not None
    assert {run.conf["job"]["branch"] for run in begun} < {*(noted.claimed or ())}
