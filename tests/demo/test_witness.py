"""What the witness waits for: which run is meant, and how long a question stands before it is answered."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from demo.person import REST_S, Approval
from demo.witness import Witness, WitnessError, select_run

if TYPE_CHECKING:
    from demo.author import Author
    from demo.outside import Outside
    from demo.person import Person
    from demo.stack import Stack

APPROVAL = Approval("p.request", "production~deploy~1", "approve", -1, "Deploy?", "", ("Approve", "Reject"), 0.0)


@dataclass
class Clock:
    """Stands in for stack, person and Airflow: each look is half a second later."""

    patience_s: float = 180.0
    now_s: float = 0.0
    asks_after_s: float = 3.0
    runs: list[dict[str, Any]] = field(default_factory=list)

    def ticks(self, timeout_s: float, _what: str) -> Iterator[float]:
        for step in itertools.takewhile(lambda step: step < timeout_s * 2, itertools.count()):
            yield step / 2
            self.now_s += 0.5

    def list_approvals(self, _dag_id: str) -> list[Approval]:
        asked = [replace(APPROVAL, run_id="another"), APPROVAL] if self.now_s >= self.asks_after_s else []
        return [replace(each, seen_s=self.now_s) for each in asked]

    def list_runs(self, _dag_id: str) -> list[dict[str, Any]]:
        return self.runs

    def link(self, dag_id: str, run_id: str) -> str:
        return f"{dag_id}/{run_id}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now_s)
    return made


@pytest.fixture
def witness(clock: Clock) -> Witness:
    return Witness(cast("Stack", clock), cast("Author", None), cast("Outside", clock), cast("Person", clock))


def test_a_question_is_read_before_it_is_answered(witness: Witness, clock: Clock) -> None:
    assert witness.await_approval("p.request", "production~") == APPROVAL
    assert clock.now_s == clock.asks_after_s + REST_S


@pytest.mark.parametrize(
    ("load", "told"), [(17.4, r"; the machine is busy: a load of 17 on 2 cores$"), (4.0, "no run was started$")]
)
def test_what_never_comes_on_a_busy_machine_is_told_with_its_load(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, load: float, told: str
) -> None:
    monkeypatch.setattr("demo.stack.os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("demo.stack.os.cpu_count", lambda: 2)
    with pytest.raises(WitnessError, match=told):
        witness.await_true("a preview", lambda: None)


def test_a_question_that_never_comes_is_told_with_the_latest_runs(witness: Witness, clock: Clock) -> None:
    clock.asks_after_s = 1e9
    clock.runs = [{"dag_id": "p.control", "dag_run_id": "x", "state": "failed"}]
    with pytest.raises(WitnessError, match=r"a question of p.request: not within 180 s; p.control x failed"):
        witness.await_approval("p.request")


def make_run(run_id: str, state: str = "success") -> dict[str, Any]:
    return {"dag_id": "p.staging", "dag_run_id": run_id, "state": state}


def test_the_newest_run_of_the_prefix_is_meant() -> None:
    runs = [make_run("manual__2"), make_run("target.staging~deploy~b"), make_run("target.staging~deploy~a")]
    assert select_run(runs, "target.staging~", ()) == runs[1]
    assert select_run(runs, "target.staging~", {"target.staging~deploy~b"}) == runs[2]
    assert select_run(runs, "target.production~", ()) is None


def test_a_run_that_failed_has_ended_and_is_no_success(witness: Witness, clock: Clock) -> None:
    clock.runs = [make_run("a", "failed")]
    assert witness.await_end("p.staging")["state"] == "failed"
    with pytest.raises(WitnessError, match=r"run a failed: p.staging/a"):
        witness.await_success("p.staging")


def test_while_the_newest_run_works_an_older_one_is_not_taken_for_it(witness: Witness, clock: Clock) -> None:
    clock.runs = [make_run("b", "running"), make_run("a")]
    with pytest.raises(WitnessError, match="to end: not within"):
        witness.await_end("p.staging")
