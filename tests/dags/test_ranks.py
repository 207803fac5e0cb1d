"""Which task Airflow's scheduler begins next where workers are few: its own query, on its own tables, of our DAGs."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.executors.executor_utils import ExecutorName
from airflow.executors.local_executor import LocalExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from include.deploy_ops.core.naming import name_run, name_work, slug_branch, slug_target
from include.deploy_ops.operators.ranks import Rank, is_urgent
from include.deploy_ops.run.scope import CLI_POOL

PROJECT = "data_platform"
HEAD = "5" * 40
SCHEDULED = TaskInstanceState.SCHEDULED
DEEP = ("claim", "change_type", "render_template", "image", "create", "deploy", "settle", "verify", "report")
"""What a run does to a new preview, in its order."""


@pytest.fixture
def scheduler(dags: dict[str, Any]) -> Iterator[Scheduler]:
    """Give Airflow's scheduler over tables in memory."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield Scheduler(session, dags)
    engine.dispose()


class Scheduler:
    """Airflow's scheduler, and as many workers as a test lets it have."""

    def __init__(self, session: Session, dags: dict[str, Any]) -> None:
        self.session = session
        session.add_all(
            Pool(pool=name, slots=99, include_deferred=False) for name in (Pool.DEFAULT_POOL_NAME, CLI_POOL)
        )
        session.add(DagBundleModel(name="dags"))
        session.flush()
        self.dags = {dag_id: self._store(dag) for dag_id, dag in dags.items()}
        executor = LocalExecutor(parallelism=99)  # type: ignore[no-untyped-call]
        executor.name = ExecutorName("airflow.executors.local_executor.LocalExecutor", "LocalExecutor")
        self.runner = SchedulerJobRunner(Job(), executors=[executor])  # type: ignore[no-untyped-call]

    def _store(self, dag: Any) -> Any:
        """Store a DAG as the DAG processor does, and return it as the scheduler has it."""
        limit = dag.max_active_tasks
        self.session.add(DagModel(dag_id=dag.dag_id, bundle_name="dags", max_active_tasks=limit, is_paused=False))  # type: ignore[no-untyped-call]
        self.session.flush()
        stored = LazyDeserializedDAG.from_dag(dag)
        SerializedDagModel.write_dag(stored, bundle_name="dags", session=self.session)
        return stored._real_dag

    def start_run(self, dag: str, run_id: str) -> DagRun:
        """Let a run be there, of which no task was looked at yet."""
        run: DagRun = self.dags[f"{PROJECT}.{dag}"].create_dagrun(
            run_id=run_id,
            run_after=datetime.now(UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.OPERATOR,
            state=DagRunState.RUNNING,
            session=self.session,
        )
        return run

    def stand(self, run: DagRun, tasks: Collection[str], state: TaskInstanceState) -> None:
        """Let tasks of a run be in a state."""
        for task in run.get_task_instances(session=self.session):
            if task.task_id in tasks:
                task.state = state
        self.session.flush()

    def proceed(self, run: DagRun) -> None:
        """Let be ready what Airflow finds that may begin of a run."""
        self.session.expire_all()  # Airflow writes states past the session
        run.dag = self.dags[run.dag_id]
        found = run.task_instance_scheduling_decisions(session=self.session)
        run.schedule_tis(found.schedulable_tis, session=self.session)

    def begin(self, count: int = 1) -> list[tuple[str, str]]:
        """Return the runs and names of the tasks that the scheduler begins next; they are queued."""
        found = self.runner._executable_task_instances_to_queued(count, session=self.session)
        return [(task.run_id, task.task_id) for task in found]


def name(verb: str, environment: str) -> str:
    """Return the id of a planned run."""
    return name_run(name_work(environment, verb, HEAD, "0a1b2c3d"), 1)


def test_who_waits_for_few_workers_comes_in_the_order_of_the_ranks_and_the_deepest_first(scheduler: Scheduler) -> None:
    for depth, task in enumerate(DEEP):
        for number in range(2):
            run = scheduler.start_run("preview", name("create", f"dev-{depth}-{number}"))
            scheduler.stand(run, {task}, SCHEDULED)
    by_hand, delete = "manual__2026-11-30T00:00:00+00:00", name("delete", slug_branch("dev-old"))
    for dag, run_id, task in (
        ("preview", delete, "claim"),
        ("preview", by_hand, "claim"),
        ("feedback", "told", "tell"),
        ("cleanup", "clean", "find"),
        ("staging", name("deploy", slug_target("staging")), "claim"),
        ("promotion", "promoted", "claim"),
        ("production.request", "asked", "prepare"),
        ("production", "released", "claim"),
        ("control", "pass", "plan"),
        ("control", "earlier_pass", "dispatch"),
    ):
        scheduler.stand(scheduler.start_run(dag, run_id), {task}, SCHEDULED)
    order = [task for tasks in iter(scheduler.begin, []) for task in tasks]
    assert order[:2] == [("earlier_pass", "dispatch"), ("pass", "plan")]
    releases = {name("deploy", slug_target("staging")), "promoted", "asked", "released"}
    assert {run for run, _ in order[2:6]} == releases
    assert set(order[6:8]) == {("told", "tell"), ("clean", "find")}
    assert set(order[8:10]) == {(delete, "claim"), (by_hand, "claim")}
    depths = [count_before(scheduler, task) for _, task in order[10:]]
    assert len(depths) == 2 * len(DEEP)
    assert depths == sorted(depths, reverse=True)


def count_before(scheduler: Scheduler, task_id: str) -> int:
    """Return how many tasks lie before one of a preview run."""
    return len(scheduler.dags[f"{PROJECT}.preview"].task_dict[task_id].get_flat_relative_ids(upstream=True))


WORKERS = 2
IDLE = {"update", "approve_adoption", "adopt", "decide", "hibernate", "delete"}
"""What the claim of a run skips that makes a preview."""


def test_a_preview_that_was_begun_ends_before_the_next_begins(scheduler: Scheduler) -> None:
    ids = [name("create", f"dev-{number}") for number in range(5)]
    runs = {run_id: scheduler.start_run("preview", run_id) for run_id in ids}
    steps: list[tuple[str, str]] = []
    ended: set[str] = set()
    while len(ended) < len(runs):
        for run in runs.values():
            scheduler.proceed(run)
        for run_id, task in scheduler.begin(WORKERS):
            steps.append((run_id, task))
            scheduler.stand(runs[run_id], {task}, TaskInstanceState.SUCCESS)
            scheduler.stand(runs[run_id], IDLE if task == "claim" else (), TaskInstanceState.SKIPPED)
        begun, ended = ({run for run, task in steps if task == at} for at in ("claim", "report"))
        assert len(begun - ended) <= WORKERS
    assert len(steps) == len(runs) * len(DEEP)


@pytest.mark.parametrize(
    ("run_id", "answer"),
    [
        (name("delete", "dev-a"), True),
        (name("create", "dev-a"), False),
        (name("create", "delete"), False),
        ("manual__2026-11-30T00:00:00+00:00", True),
        ("dev-a~delete", False),
        ("dev-a~deploy~comment~2847562938~1", True),
        ("", False),
    ],
)
def test_a_run_is_urgent_that_deletes_or_that_a_person_waits_for(run_id: str, answer: bool) -> None:
    assert is_urgent(run_id) is answer


def test_every_dag_has_a_rank_and_is_not_so_deep_that_its_tasks_reach_the_next(dags: dict[str, Any]) -> None:
    tasks = {(dag_id, task_id): task for dag_id, dag in dags.items() for task_id, task in dag.task_dict.items()}
    assert {task.priority_weight for task in tasks.values()} == set(Rank) - {Rank.URGENT_PREVIEW}
    dispatches = {key for key, task in tasks.items() if task.priority_weight == Rank.DISPATCH}
    assert dispatches == {(f"{PROJECT}.{dag}", "dispatch") for dag in ("control", "production.request")}
    between = [higher - lower for lower, higher in itertools.pairwise(sorted(Rank))]
    assert min(between) > max(len(dag.task_dict) for dag in dags.values())
