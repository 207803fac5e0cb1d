"""The last attempts of works: counted on from what is remembered, by runs alone, in few calls, and no id twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.run.airflow_runs import BATCH, Runs
from tests.worlds.doubles.airflow import FakeAirflow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

HOURS_OF_A_YEAR = 365 * 24


class CountingAirflow(FakeAirflow):
    """Airflow with runs of these ids, whose tasks `airflow db clean` has taken away; it counts what it is asked."""

    def __init__(self, run_ids: Iterable[str]) -> None:
        super().__init__(**dict.fromkeys(run_ids, "failed"))
        self.calls = 0

    def get_task_states(self, dag_id: str, run_ids: Iterable[str]) -> dict[str, str]:
        """Return nothing: the tasks are gone."""
        return {}

    def get_dr_count(
        self, dag_id: str, run_ids: Collection[str] | None = None, states: Collection[str] | None = None
    ) -> int:
        """Return how many of the runs exist."""
        self.calls += 1
        assert run_ids is not None
        assert len(run_ids) <= BATCH
        return super().get_dr_count(dag_id, run_ids, states)


def find(airflow: FakeAirflow, **known: int) -> dict[str, int]:
    return Runs(airflow, "p.preview").find_last_attempts(known)  # type: ignore[arg-type]


def name_runs(work: str, *attempts: int) -> list[str]:
    return [f"{work}~{attempt}" for attempt in attempts]


def test_a_run_whose_tasks_are_gone_keeps_its_id() -> None:
    assert find(CountingAirflow(name_runs("w", 1, 2, 3)), w=0) == {"w": 3}


def test_what_is_remembered_counts_although_its_runs_are_gone() -> None:
    assert find(CountingAirflow([]), w=7) == {"w": 7}


def test_an_attempt_that_did_not_report_is_found() -> None:
    assert find(CountingAirflow(name_runs("w", 6, 7, 8)), w=7) == {"w": 8}


def test_no_works_ask_nothing() -> None:
    airflow = CountingAirflow([])
    assert (find(airflow), airflow.calls) == ({}, 0)


def test_a_year_of_hourly_failures_costs_one_call_where_it_is_remembered_and_few_where_not() -> None:
    airflow = CountingAirflow(name_runs("w", *range(1, HOURS_OF_A_YEAR + 1)))
    assert find(airflow, w=HOURS_OF_A_YEAR) == {"w": HOURS_OF_A_YEAR}
    assert airflow.calls == 1
    assert find(airflow, w=0) == {"w": HOURS_OF_A_YEAR}
    assert airflow.calls < 30


@pytest.mark.parametrize("started", [0, 1])
def test_many_works_of_a_dag_share_their_calls(started: int) -> None:
    known = {f"w{number}": 3 for number in range(60)}
    airflow = CountingAirflow(name_runs("w30", 4) * started)
    assert find(airflow, **known) == known | ({"w30": 4} if started else {})
    assert airflow.calls <= 1 + started * 12


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 20), min_size=1),
    st.sets(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 40))),
)
def test_the_next_attempt_is_never_there_and_none_is_forgotten(
    known: dict[str, int], there: set[tuple[str, int]]
) -> None:
    found = find(CountingAirflow(f"{work}~{attempt}" for work, attempt in there), **known)
    assert found.keys() == known.keys()
    for work, last in found.items():
        assert (work, last + 1) not in there
        assert last == known[work] or (last > known[work] and (work, last) in there)


def test_a_hundred_runs_that_are_all_at_work_are_one_question() -> None:
    ids = [f"w{number}~1" for number in range(BATCH)]
    airflow = CountingAirflow(ids)
    airflow.states = dict.fromkeys(ids, "running")
    assert Runs(airflow, "p.preview").find_living(ids) == set(ids)  # type: ignore[arg-type]
    assert airflow.calls == 1


@given(st.dictionaries(st.integers(0, 40).map(str), st.sampled_from(["queued", "running", "failed", "success", ""])))
def test_the_living_are_found_among_all_others(states: dict[str, str]) -> None:
    airflow = CountingAirflow([])
    airflow.states = {run_id: state for run_id, state in states.items() if state}  # the others Airflow does not know
    asked = [*states, *states]
    found = Runs(airflow, "p.preview").find_living(asked)  # type: ignore[arg-type]
    assert found == {run_id for run_id, state in states.items() if state in {"queued", "running"}}
    assert airflow.calls <= 2 * max(len(states), 1)


def test_what_runs_wait_for_is_one_question() -> None:
    airflow = FakeAirflow(a="running", b="running", c="running")
    airflow.tasks = {"a": {"create": "scheduled"}, "b": {"create": "running"}, "c": {"claim": "success"}}
    found = Runs(airflow, "p.preview").describe_waits(["a", "b", "c", "gone"])  # type: ignore[arg-type]
    assert found.keys() == {"a"}
    assert found["a"].startswith("create waits for a slot")
    assert airflow.asked == 1


def test_whether_a_dag_is_paused_or_not_there_is_told() -> None:
    airflow = FakeAirflow()
    airflow.paused.add("shop.preview")
    airflow.missing.add("shop.control")
    runs = {name: Runs(airflow, f"shop.{name}") for name in ("staging", "preview", "control")}  # type: ignore[arg-type]
    assert {name: (each.find_pause(), each.find_block()) for name, each in runs.items()} == {
        "staging": (False, ""),
        "preview": (True, "paused: DAG shop.preview is paused"),
        "control": (None, "DAG shop.control is not there yet; look at its import errors if it does not come"),
    }
