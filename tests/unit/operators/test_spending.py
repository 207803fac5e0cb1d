"""What a branch costs until its code runs: starts of tasks, requests to GitHub and to Airflow. None may grow unseen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import DeployOpsOperator
from include.deploy_ops.operators.sealed import RESULT_KEY
from tests.worlds.doubles.airflow import FakeTaskInstance
from tests.worlds.stages.fleet import make_previews, push_branches
from tests.worlds.stages.spending import list_paid, make_trigger, poll

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-new"
PASS_STARTS = 2
"""Tasks of a control run: plan, and the dispatch of the one action."""

CREATE_STARTS, PUSH_STARTS = 6, 4
CREATE_READS, PUSH_READS = 10, 13
"""At most, before the deploy command and until the code runs: of a new branch, and of a push that changes a DAG.

The poll is a new trigger's here, and costs one request more than where it goes on.
"""

XCOMS = 58
"""Of a new branch's run, read or written: each asks Airflow's API server, which bounds how fast a burst is."""


@dataclass
class Life:
    """A push, from the poll that sees it to the end of its run, and what it asked of GitHub that no 304 answered."""

    stage: Stage
    paid: list[str] = field(default_factory=list)

    def live(self) -> Run:
        """Have the push seen, planned and deployed; return its run."""
        self.stage.forget_requests()
        assert poll(self.trigger, 1)
        (run,) = self.stage.plan()
        run.play()
        self.paid = list_paid(self.stage)
        assert "failed" not in run.states.values(), run.xcoms
        assert run.states["settle"] == "success"
        return run

    def __post_init__(self) -> None:
        self.trigger = make_trigger(self.stage)
        poll(self.trigger, 1)


def count_starts(run: Run) -> int:
    """Return how many tasks started before the one that calls `astro deploy`: each is a process of its own."""
    order = [task.task_id for task in run._make_dag().topological_sort()]
    return PASS_STARTS + len(set(run.tries) & set(order[: order.index("deploy")]))


def test_the_run_of_a_new_branch_asks_airflow_for_no_more_than_it_needs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, known = Counter[str](), Counter[tuple[str, str]]()
    pull, push, get = FakeTaskInstance.xcom_pull, FakeTaskInstance.xcom_push, Connection.get
    at_work = [""]

    def count_pull(ti: FakeTaskInstance, task_ids: str, key: str = RESULT_KEY, **more: Any) -> Any:
        asked[f"{ti.task_id} reads {task_ids}.{key}"] += 1
        return pull(ti, task_ids, key, **more)

    def count_push(ti: FakeTaskInstance, key: str, value: Any) -> None:
        asked[f"{ti.task_id} writes {key}"] += 1
        push(ti, key, value)

    def note_task(task: DeployOpsOperator, context: Any) -> None:
        at_work[0] = task.task_id

    def count_connection(conn_id: str) -> Any:
        known[at_work[0], conn_id] += 1
        return get(conn_id)

    monkeypatch.setattr(FakeTaskInstance, "xcom_pull", count_pull)
    monkeypatch.setattr(FakeTaskInstance, "xcom_push", count_push)
    monkeypatch.setattr(DeployOpsOperator, "pre_execute", note_task)
    monkeypatch.setattr(Connection, "get", count_connection)
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    assert run.play()["settle"] == "success"
    assert asked.total() <= XCOMS, asked
    assert max(asked.values()) == 1, "nothing is read twice by one task"
    assert max(known.values()) == 1, known
    assert {task for task, conn_id in known if conn_id == "github_default"} == {
        "claim",
        "render_template",
        "create",
        "deploy",
    }


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """Give a project that is at work: a preview in sync, a pull request, and passes and a run that knew trunk."""
    heads = push_branches(stage, ["dev-other"])
    make_previews(stage, heads)
    stage.author.open_pull_request("dev-other", "staging", "The other one")
    for _ in range(2):
        assert stage.plan() == []
    return stage


def test_a_new_branch_costs_six_starts_and_ten_requests_and_a_changed_dag_four_and_thirteen(busy: Stage) -> None:
    life = Life(busy)
    head = busy.push(BRANCH)
    run = life.live()
    assert (run.states["change_type"], run.states["create"]) == ("skipped", "success")
    assert count_starts(run) <= CREATE_STARTS
    assert len(life.paid) <= CREATE_READS, life.paid
    assert max(Counter(life.paid).values()) <= 2, life.paid  # the poll and the pass list the refs, two processes
    assert [each for each in life.paid if f"/git/commits/{head}" in each] == [f"GET /git/commits/{head}"]
    assert not [each for each in life.paid if "/git/trees/" in each or "/git/blobs/" in each]
    assert busy.plan() == []
    life = Life(busy)
    busy.push_more(BRANCH, {"dags/more.py": "# more\n"})
    run = life.live()
    assert run.states["image"] == "skipped"
    assert count_starts(run) <= PUSH_STARTS
    assert len(life.paid) <= PUSH_READS, life.paid
