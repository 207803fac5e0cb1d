"""The template DAG as Airflow parses it: only where the policy names a Deployment, daily, and with one switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import CronTriggerTimetable
from airflow.sdk.exceptions import ParamValidationError

from include.deploy_ops.run.scope import CLI_POOL
from tests.dags.test_cleanup_dags import PREVIEWS
from tests.dags.test_dags import make_policy

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

WITH = {"name": "shop", "previews": {**PREVIEWS, "template_from": "Production"}}
OTHER = {"name": "till", "root": "till", "previews": {**PREVIEWS, "template_from": "Production"}}
WITHOUT = {"name": "bare", "root": "bare", "previews": PREVIEWS}


def parse_dags(parse: Parse) -> dict[str, Any]:
    bag = parse(make_policy(WITH, OTHER, WITHOUT))
    assert bag.import_errors == {}
    return {dag_id: dag for dag_id, dag in bag.dags.items() if dag_id.endswith(".template")}


def test_each_project_that_names_a_deployment_has_the_dag_once_a_day_at_its_own_minute(parse: Parse) -> None:
    dags = parse_dags(parse)
    assert dags.keys() == {"shop.template", "till.template"}
    times = set()
    for dag in dags.values():
        assert isinstance(dag.timetable, CronTriggerTimetable)
        minute, hour, *rest = dag.timetable.expression.split()
        assert (0 <= int(minute) < 60, 0 <= int(hour) < 24, rest) == (True, True, ["*", "*", "*"])
        times.add((minute, hour))
        assert (dag.max_active_runs, dag.catchup, dag.start_date) == (1, False, None)
    assert len(times) == len(dags)


def test_its_tasks_follow_one_another_and_show_what_they_did(parse: Parse) -> None:
    dag = parse_dags(parse)["shop.template"]
    assert {task_id: task.upstream_task_ids for task_id, task in dag.task_dict.items()} == {
        "inspect": set(),
        "compare": {"inspect"},
        "propose": {"compare"},
    }
    inspect, compare, propose = (dag.task_dict[name] for name in ("inspect", "compare", "propose"))
    assert inspect.pool == CLI_POOL
    assert tuple(inspect.template_fields) == ()  # what it reads is shown nowhere
    assert tuple(compare.template_fields) == ("table", "template_file", "snapshot_file")
    assert compare.template_fields_renderers == {"template_file": "yaml", "snapshot_file": "yaml"}
    assert tuple(propose.template_fields) == ("outcome",)
    assert all(task.retries >= 1 for task in dag.tasks)


@pytest.mark.parametrize("wrong", [{"dry_run": "yes"}])
def test_the_form_is_one_switch(parse: Parse, wrong: dict[str, Any]) -> None:
    params = parse_dags(parse)["shop.template"].params
    assert params.dump() == {"dry_run": False}
    with pytest.raises(ParamValidationError, match="dry_run"):
        params.update(wrong)
