"""What becomes of an answer that Airflow took while the task was about to wait, by its own code on its own tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.api_fastapi.execution_api.datamodels.hitl import HITLDetailRequest
from airflow.api_fastapi.execution_api.routes.hitl import upsert_hitl_detail
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.tasklog import LogTemplate
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session

DAG, APPROVE = "data_platform.production.request", "approve"
ANSWERED_AT = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def session() -> Iterator[Session]:
    """Give Airflow's tables, in which a row that is another's goes with it."""
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def stuck(session: Session, dags: dict[str, Any]) -> TaskInstance:
    """Give a task that waits for an answer which is there."""
    session.add_all([DagBundleModel(name="dags"), LogTemplate(id=0, filename="", elasticsearch_id="")])
    session.flush()
    session.add(DagModel(dag_id=DAG, bundle_name="dags", max_active_tasks=16, is_paused=False))  # type: ignore[no-untyped-call]
    session.flush()
    stored = LazyDeserializedDAG.from_dag(dags[DAG])
    SerializedDagModel.write_dag(stored, bundle_name="dags", session=session)
    run = stored._real_dag.create_dagrun(
        run_id="r1",
        run_after=ANSWERED_AT,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.OPERATOR,
        state=DagRunState.RUNNING,
        session=session,
    )
    task: TaskInstance
    (task,) = [each for each in run.get_task_instances(session=session) if each.task_id == APPROVE]
    task.state, task.next_method, task.next_kwargs = TaskInstanceState.AWAITING_INPUT, "execute_complete", {}
    task.trigger_timeout = datetime.now(UTC) + timedelta(days=1)
    detail = HITLDetail(ti_id=task.id, options=["Approve", "Reject"], subject="Deploy?", defaults=["Reject"], params={})
    detail.responded_at, detail.responded_by = ANSWERED_AT, {"id": "7", "name": "boris"}
    detail.chosen_options, detail.params_input = ["Approve"], {"comment": "fine"}
    session.add(detail)
    session.flush()
    return task


def sweep(session: Session) -> None:
    """Let the scheduler look for questions whose time is over, as it does every 15 s."""
    runner: Any = SimpleNamespace(log=logging.getLogger(__name__))
    SchedulerJobRunner.check_awaiting_input_timeouts(runner, session=session)


def test_it_wakes_nobody_until_the_time_to_answer_is_over_and_counts_then(
    session: Session, stuck: TaskInstance
) -> None:
    sweep(session)
    assert stuck.state == TaskInstanceState.AWAITING_INPUT
    stuck.trigger_timeout = datetime.now(UTC) - timedelta(seconds=1)
    session.flush()
    sweep(session)
    assert stuck.state == TaskInstanceState.SCHEDULED
    assert "boris" in str(stuck.next_kwargs)
    assert "Approve" in str(stuck.next_kwargs)


def test_clearing_the_run_has_it_asked_again_without_the_answer(session: Session, stuck: TaskInstance) -> None:
    run, before = stuck.dag_run, stuck.id
    clear_task_instances(run.get_task_instances(session=session), session)
    assert (stuck.state, stuck.next_method, run.clear_number) == (None, None, 1)
    assert stuck.id != before
    asked = HITLDetailRequest(ti_id=stuck.id, options=["Approve", "Reject"], subject="Deploy?", assigned_users=[])
    upsert_hitl_detail(stuck.id, asked, session)
    session.flush()
    session.expire_all()
    (detail,) = session.scalars(select(HITLDetail).where(HITLDetail.ti_id == stuck.id))
    assert not detail.response_received
