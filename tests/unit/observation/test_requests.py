"""What looking may cost: an idle poll asks for what changed and gets nothing, a pass asks little more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import RateLimitError
from include.deploy_ops.core.plan.remembered import Remembered, Removal
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.stages.fleet import make_previews, push_branches
from tests.worlds.stages.spending import ASTRO_MAX, GITHUB_MAX, Spending, count_pages, make_trigger, poll, spend

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.stage import Stage


class CountingStore(DictStore):
    """A state store that tells what was read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values
        self.read: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        self.read.append(key)
        return super().get(key, default)


PREVIEWS = [f"dev-{number}" for number in range(4)]
OTHERS = [f"feature-{number}" for number in range(8)]
POLLS = 3
ASKED_MAX = 45
"""Of Airflow's store: what a small fleet has lies in few of its keys, and each that is asked for is a request."""


@pytest.fixture
def fleet(stage: Stage) -> Stage:
    """Give a stage with branches and with previews in sync, of which the passes know all."""
    heads = push_branches(stage, [*PREVIEWS, *OTHERS])
    make_previews(stage, {branch: heads[branch] for branch in PREVIEWS})
    stage.author.open_pull_request("dev-0", "staging", "The first")
    for _ in range(2):
        assert stage.plan() == []
    return stage


def test_an_idle_poll_asks_for_refs_and_pull_requests_and_is_told_that_nothing_changed(fleet: Stage) -> None:
    trigger = make_trigger(fleet)
    assert poll(trigger, 1) == ["started"]
    assert spend(fleet, lambda: poll(trigger, POLLS)) == Spending(2 * POLLS, unchanged=2 * POLLS, astro=0)


def push(stage: Stage) -> None:
    stage.author.start_branch("dev-0", "origin/dev-0")
    stage.push_more("dev-0", {"dags/more.py": "# more\n"})


def push_new(stage: Stage) -> None:
    stage.push("dev-new")


def delete(stage: Stage) -> None:
    stage.author.delete("dev-0")


def merge(stage: Stage) -> None:
    stage.author.merge(1)


def move_trunk(stage: Stage) -> None:
    stage.author.start_branch("main")
    stage.push_more("main", {"README.md": "More.\n"})


@pytest.mark.parametrize(
    ("change", "verbs"),
    [(push, ["deploy"]), (push_new, ["create"]), (delete, ["delete"]), (merge, ["delete"]), (move_trunk, [])],
)
def test_a_pass_asks_little_more_than_for_the_refs(
    change: Callable[[Stage], None], verbs: list[str], fleet: Stage
) -> None:
    change(fleet)
    runs = []
    store = fleet.stores[fleet.scope.fleet.name]
    store.asked = 0
    spent = spend(fleet, lambda: runs.extend(fleet.plan()))
    assert store.asked <= ASKED_MAX
    assert [run.conf["job"]["verb"] for run in runs] == verbs
    assert spent.github <= GITHUB_MAX + count_pages(fleet)
    assert spent.astro <= ASTRO_MAX


def test_after_a_run_a_pass_reads_that_deployments_records(fleet: Stage) -> None:
    push(fleet)
    (run,) = fleet.plan()
    assert "failed" not in run.play().values()
    spent = spend(fleet, fleet.plan)
    assert spent.github <= GITHUB_MAX + count_pages(fleet)
    assert 1 < spent.astro <= ASTRO_MAX + 1


def test_the_template_is_read_again_only_when_trunk_moved(fleet: Stage) -> None:
    without = spend(fleet, fleet.plan).github
    move_trunk(fleet)
    assert spend(fleet, fleet.plan).github > without
    assert spend(fleet, fleet.plan).github == without


def test_branches_that_wait_for_room_are_looked_at_once(fleet: Stage) -> None:
    push_branches(fleet, [f"dev-waiting-{number}" for number in range(10)])
    fleet.change_project(previews={"max_live": len(PREVIEWS) + 1})
    first = spend(fleet, lambda: fleet.run_plan(fleet.make_plan_task())).github
    assert first >= count_pages(fleet) + 10
    assert spend(fleet, fleet.plan).github <= GITHUB_MAX + count_pages(fleet)


@pytest.mark.parametrize("room", [1, 0])
def test_branches_that_stay_away_cost_a_pass_no_look(room: int, stage: Stage) -> None:
    heads = push_branches(stage, [f"dev-{number}" for number in range(10)])
    for branch, head in heads.items():
        stage.memory.environment(branch).write(Remembered(removal=Removal(head, "idle")))
    stage.plan()
    stage.change_project(previews={"max_live": room})
    store = CountingStore(stage.stores[stage.scope.fleet.name].values)
    stage.stores[stage.scope.fleet.name] = store
    stage.plan()
    assert [key for key in store.read if key.startswith("environment.")] == []


def test_a_first_pass_that_the_rate_limit_ends_was_not_in_vain(stage: Stage) -> None:
    heads = push_branches(stage, [f"dev-{number}" for number in range(6)])
    last = f"/git/commits/{heads['dev-5']}"
    stage.sandbox.plant(face="github", path=last, status=429, headers={"retry-after": "3600"})
    with pytest.raises(RateLimitError):
        stage.plan()
    stage.forget_requests()
    stage.plan()
    asked = [request for request in stage.list_requests("github") if "/git/commits/" in request]
    first, *others = [request.rpartition("/")[2] for request in asked]
    assert first == heads["dev-5"]
    assert len(others) <= 1  # whose author is not known yet
