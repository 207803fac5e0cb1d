"""What a branch costs until its code runs: tasks that start, and requests to GitHub, none of which may grow unseen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

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
