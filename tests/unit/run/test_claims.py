"""Claims: of two that want one environment at most one works, whatever the order of their reads and writes."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore, FakeAirflow


def ask(airflow: Any) -> Runs:
    return Runs(airflow, "p.preview")


def make(**states: str) -> Claims:
    return Claims(Memory(DictStore()), ask(FakeAirflow(**states)), sleep=lambda _: None)


def test_a_planned_run_confirms_its_claim() -> None:
    claims = make(planned="running")
    assert claims.plan("dev-x", "planned") is None
    assert claims.confirm("dev-x", "planned") is None
    assert claims.find_holder("dev-x") == "planned"


def test_control_steps_back_for_a_living_manual_run() -> None:
    claims = make(manual="running")
    assert claims.take("dev-x", "manual") is None
    assert claims.plan("dev-x", "planned") == "manual"
    assert claims.find_holder("dev-x") == "manual"


@pytest.mark.parametrize("state", ["success", "failed"])
def test_the_claim_of_an_ended_run_is_worth_nothing(state: str) -> None:
    claims = make(manual=state)
    claims.take("dev-x", "manual")
    assert claims.plan("dev-x", "planned") is None


def test_the_claim_of_a_purged_run_is_worth_nothing() -> None:
    claims = make()
    claims.take("dev-x", "purged")
    assert claims.find_holder("dev-x") is None


def test_a_manual_run_waits_for_a_planned_one() -> None:
    claims = make(planned="queued", manual="running")
    claims.plan("dev-x", "planned")
    assert claims.take("dev-x", "manual") == "planned"


def test_a_planned_run_steps_back_when_a_manual_one_came_between() -> None:
    claims = make(manual="running")  # the planned run is not there yet, so the manual one sees nobody
    claims.plan("dev-x", "planned")
    assert claims.take("dev-x", "manual") is None
    assert claims.confirm("dev-x", "planned") == "manual"


def test_a_cleared_run_claims_again_as_manual() -> None:
    claims = make(first="running", second="running")
    claims.plan("dev-x", "first")
    claims.release("dev-x", "first")
    assert claims.confirm("dev-x", "first") is None
    assert claims.plan("dev-x", "second") == "first"


def test_of_two_manual_runs_the_one_that_reads_itself_back_wins() -> None:
    memory = Memory(DictStore())
    runs = ask(FakeAirflow(one="running", two="running"))
    results: dict[str, str | None] = {}
    other = Claims(memory, runs, sleep=lambda _: None)

    def overtake(_: float) -> None:
        memory.claim("dev-x", "manual").forget()  # as if `two` had read before `one` wrote
        results["two"] = other.take("dev-x", "two")

    results["one"] = Claims(memory, runs, sleep=overtake).take("dev-x", "one")
    assert results == {"one": "two", "two": None}


def test_release_leaves_another_runs_claim_alone() -> None:
    claims = make(one="running")
    claims.take("dev-x", "one")
    claims.release("dev-x", "two")
    assert claims.find_holder("dev-x") == "one"


def test_environments_do_not_disturb_each_other() -> None:
    claims = make(one="running")
    claims.take("dev-x", "one")
    assert claims.plan("dev-y", "planned") is None


def test_an_airflow_that_fails_is_no_dead_run() -> None:
    class Broken(FakeAirflow):
        def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))

    with pytest.raises(AirflowRuntimeError):
        ask(Broken()).is_alive("run")


@pytest.mark.parametrize(
    ("dags", "tasks", "is_in_the_way"),
    [
        ({"p.staging"}, {}, True),  # its DAG is there: also a run that is parked goes on
        ({"p.uat"}, {"deploy": "running"}, True),
        ({"p.uat"}, {"deploy": "success", "settle": "deferred"}, False),
    ],
)
def test_of_two_names_of_one_deployment_one_works(dags: set[str], tasks: dict[str, str], is_in_the_way: bool) -> None:
    airflow = FakeAirflow(old="running", new="running")
    airflow.tasks["old"] = tasks
    memory = Memory(DictStore())
    old, new = (Claims(memory, Runs(airflow, dag)) for dag in ("p.staging", "p.uat"))  # type: ignore[arg-type]
    assert old.occupy("cl1", "old", {"p.staging"}) is None
    assert new.occupy("cl1", "new", dags) == ("old" if is_in_the_way else None)
    new.leave("cl1", "old" if not is_in_the_way else "new")
    assert memory.occupant("cl1").read() is not None  # another run's note is left alone
    airflow.states["old"] = "failed"
    assert new.occupy("cl1", "new", dags) is None
