"""The dispatch step: it starts what was sealed for the run that it starts, and the runs of feedback; nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowFailException

from dags.control import make_control_dag
from dags.request import make_request_dag
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.dispatch import DispatchOperator
from include.deploy_ops.run.job import Job, make_dispatch
from tests.worlds.doubles.airflow import FakeTaskInstance
from tests.worlds.stages.request import open_gate

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

JOB = Job(Verb.DEPLOY, "dev-x", "1" * 40, "shop-dev-x", "cl1", "a push", work="dev-x~deploy~111111111111~00000000")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Return the runs that Airflow is asked for."""
    found: list[tuple[str, str | None]] = []

    def trigger(self: TriggerDagRunOperator, _context: Any) -> None:
        found.append((self.trigger_dag_id, self.trigger_run_id))

    monkeypatch.setattr(TriggerDagRunOperator, "execute", trigger)
    return found


def dispatch(stage: Stage, told: dict[str, Any]) -> None:
    scope = stage.scope
    task = DispatchOperator(
        task_id="dispatch",
        control_plane=scope.control_plane,
        astro_conn_id=scope.project.astro_conn_id,
        feedback_dag=scope.feedback_dag,
        commands_dag=scope.commands_dag,
        **told,
    )
    ti = FakeTaskInstance(stage.airflow, {}, "dispatch", 1, "shop.control")
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(run_id="pass")}
    task.execute(context)


def test_what_was_sealed_for_a_run_starts_it(stage: Stage, started: list[Any]) -> None:
    dispatch(stage, make_dispatch(stage.seals, "shop.preview", "r~1", JOB))
    dispatch(stage, {"trigger_dag_id": "shop.feedback", "trigger_run_id": "tell~1", "conf": {}})
    dispatch(stage, {"trigger_dag_id": "shop.commands", "trigger_run_id": "hear~1", "conf": {}})
    assert started == [("shop.preview", "r~1"), ("shop.feedback", "tell~1"), ("shop.commands", "hear~1")]


def test_a_run_is_due_at_once_by_a_clock_of_whole_seconds(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[Any] = []
    monkeypatch.setattr(TriggerDagRunOperator, "execute", lambda self, _context: due.append(self.run_after))
    begun = datetime.now(UTC).replace(microsecond=0)
    dispatch(stage, make_dispatch(stage.seals, "shop.preview", "r~1", JOB))
    assert due[0] < begun, "SQLite's clock shows the second that has begun, and a run is due up to that"


@pytest.mark.parametrize(
    "forged",
    [
        {"trigger_dag_id": "payroll.pay"},
        {"trigger_dag_id": "payroll.pay", "conf": {}},
        {"trigger_dag_id": "shop.production"},
        {"trigger_run_id": "r~2"},
        {"conf": {"job": {}}},
        {"conf": None},
    ],
)
def test_no_other_dag_or_run_is_started(stage: Stage, started: list[Any], forged: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException):
        dispatch(stage, {**make_dispatch(stage.seals, "shop.preview", "r~1", JOB), **forged})
    assert started == []


FIXED: dict[str, Any] = {
    "control_plane": "another",
    "astro_conn_id": "guessed",
    "feedback_dag": "payroll.pay",
    "commands_dag": "payroll.pay",
    "reset_dag_run": True,
    "wait_for_completion": True,
    "deferrable": True,
    "logical_date": "2020-01-01T00:00:00+00:00",
    "run_after": "2099-01-01T00:00:00+00:00",
    "skip_when_already_exists": False,
    "fail_when_dag_is_paused": True,
    "note": "approved by the boss",
    "map_index_template": "{{ conn.astro_default.password }}",
    "execution_timeout": None,
}


@pytest.mark.parametrize("make_dag", [make_control_dag, lambda scope: make_request_dag(scope, "production")])
def test_what_a_rewritten_xcom_may_name_is_the_run_alone(stage: Stage, make_dag: Any, monkeypatch: Any) -> None:
    open_gate(stage, monkeypatch)
    mapped = make_dag(stage.scope).task_dict["dispatch"]
    told = make_dispatch(stage.seals, "shop.preview", "r~1", JOB)
    made = mapped.unmap(told)
    assert (made.trigger_dag_id, made.trigger_run_id, made.conf) == tuple(told.values())
    assert (made.feedback_dag, mapped.unmap({**told, "task_id": "plan"}).task_id) == ("shop.feedback", "dispatch")
    for name, value in FIXED.items():
        with pytest.raises(TypeError, match=name):
            mapped.unmap({**told, name: value})
    for name in ("template_fields", "trigger_dag"):
        with pytest.raises(TypeError, match=name):
            mapped.unmap({**told, name: "conf"})


def test_what_is_mapped_is_no_template(stage: Stage) -> None:
    mapped = make_control_dag(stage.scope).task_dict["dispatch"]
    told = make_dispatch(stage.seals, "shop.preview", "{{ conn.astro_default.password }}", JOB)
    assert mapped.unmap(told).template_fields == ()
