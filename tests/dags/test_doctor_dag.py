"""The doctor's DAG as Airflow parses it: a task for each project, whatever the others and the policy are like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset

from include.deploy_ops.core.doctor.examination import DOCTOR_DAG
from include.deploy_ops.operators.base import STEP_TIME_MAX
from include.deploy_ops.operators.doctor.examine import ExamineOperator

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

ROOT = Path(__file__).parents[2]
POLICY = """
control_plane: acme-test
projects:
  - {name: shop, repository: acme/shop, image: [reuse]}
  - {name: till, repository: acme/till, image: [reuse]}
"""


def test_each_project_has_a_task_of_its_name_and_none_waits_for_another(parse: Parse) -> None:
    bag = parse(POLICY)
    assert bag.import_errors == {}
    dag: Any = bag.dags[DOCTOR_DAG]
    assert set(dag.task_dict) == {"policy-files", "shop", "till"}
    assert not any(task.downstream_task_ids for task in dag.tasks)
    for name in ("shop", "till"):
        task = dag.task_dict[name]
        assert isinstance(task, ExamineOperator)
        assert task.scope.project.name == name
        fleet, repository = task.inlets
        assert (fleet.name, repository.name) == (f"deploy_ops.{name}.fleet", f"deploy_ops.{name}.repository")
        assert not isinstance(repository, Asset), "Airflow would end its trigger, since this file has no watcher of it"
        assert not task.outlets, "nobody is woken by it"
        assert task.template_fields == ("table",)
    assert {task.execution_timeout for task in dag.tasks} == {STEP_TIME_MAX}
    assert {task.pool for task in dag.tasks} == {"default_pool"}


def test_it_runs_daily_and_not_at_once(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags[DOCTOR_DAG]
    assert dag.timetable.expression == "30 4 * * *"
    assert (dag.start_date, dag.catchup, dag.max_active_runs) == (None, False, 1)
    assert not dag.params


@pytest.mark.parametrize(
    ("policy", "tasks"),
    [
        ("nonsense: [", set()),
        (POLICY.replace("repository: acme/till, ", ""), {"shop"}),
        ("control_plane: acme\nprojects: []", set()),
    ],
)
def test_it_is_there_whatever_the_policy_says(parse: Parse, policy: str, tasks: set[str]) -> None:
    dag: Any = parse(policy).dags[DOCTOR_DAG]
    assert set(dag.task_dict) == {"policy-files", *tasks}


def test_where_a_task_of_it_begins_its_projects_are_there(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", DOCTOR_DAG)
    bag = parse(POLICY, "doctor.py")
    assert set(bag.dags[DOCTOR_DAG].task_dict) == {"policy-files", "shop", "till"}
