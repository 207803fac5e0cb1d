"""When Airflow drops an asset's state store, on its own tables: that is where our memory lies."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import (
    AssetActive,
    AssetModel,
    DagScheduleAssetReference,
    TaskInletAssetReference,
    remove_references_to_deleted_dags,
)
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from sqlalchemy import create_engine, delete, func, select
from sqlalchemy.orm import Session

CONTROL, NAME = "shop.control", "deploy_ops.shop.fleet"


@pytest.fixture
def session() -> Iterator[Session]:
    """Give Airflow's tables with our control DAG, which has the fleet asset in its schedule and in its inlets."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fleet = AssetModel(name=NAME, uri=NAME)
        control = DagModel(dag_id=CONTROL, bundle_name="dags")  # type: ignore[no-untyped-call]
        session.add_all([fleet, DagBundleModel(name="dags"), control])
        session.flush()
        session.add_all(
            [
                AssetActive.for_asset(fleet),
                DagScheduleAssetReference(asset_id=fleet.id, dag_id=CONTROL),
                TaskInletAssetReference(asset_id=fleet.id, dag_id=CONTROL, task_id="plan"),
                AssetStateStoreModel(asset_id=fleet.id, key="environment.dev-x.remembered", value="{}"),
            ]
        )
        session.flush()
        yield session
    engine.dispose()


def tidy_up(session: Session) -> int:
    """Let the scheduler look for orphaned assets, as it does every minute; return how many keys are left."""
    runner: Any = SimpleNamespace(
        **{
            name: getattr(SchedulerJobRunner, name)
            for name in (
                "_orphan_unreferenced_assets",
                "_activate_referenced_assets",
                "_cleanup_orphaned_asset_state_store",
            )
        }
    )
    SchedulerJobRunner._update_asset_orphanage(runner, session=session)
    session.flush()
    return session.scalar(select(func.count()).select_from(AssetStateStoreModel)) or 0


def test_a_dag_file_that_is_absent_for_a_while_costs_no_memory(session: Session) -> None:
    assert tidy_up(session) == 1
    for dag in session.scalars(select(DagModel)):
        dag.is_stale = True
    session.flush()
    remove_references_to_deleted_dags(session=session)
    assert session.scalar(select(func.count()).select_from(DagScheduleAssetReference)) == 0
    assert tidy_up(session) == 1  # what a task has in its inlets is referenced on


def test_deleting_the_rows_of_all_dags_costs_the_memory_also_when_they_come_back(session: Session) -> None:
    for model in (TaskInletAssetReference, DagScheduleAssetReference):
        session.execute(delete(model).where(model.dag_id == CONTROL))  # as `airflow dags delete` does
    assert tidy_up(session) == 0
    (fleet,) = session.scalars(select(AssetModel))
    session.add(TaskInletAssetReference(asset_id=fleet.id, dag_id=CONTROL, task_id="plan"))
    session.flush()
    assert tidy_up(session) == 0
    assert session.scalar(select(func.count()).select_from(AssetActive)) == 1
