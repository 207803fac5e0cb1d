"""The promotion DAG as Airflow parses it: only where the policy has a promotion, one run at a time, with its form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from tests.dags.test_dags import get_task, make_policy

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

PROMOTION = {"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"}
WITH = {"name": "shop", "previews": None, "promotion": PROMOTION}


def parse_dag(parse: Parse) -> Any:
    bag = parse(make_policy(WITH, {"name": "till", "root": "till"}))
    assert bag.import_errors == {}
    assert [dag_id for dag_id in bag.dags if dag_id.endswith(".promotion")] == ["shop.promotion"]
    return bag.dags["shop.promotion"]


def test_only_a_project_with_a_promotion_has_the_dag_and_one_run_at_a_time(parse: Parse) -> None:
    dag = parse_dag(parse)
    assert (dag.max_active_runs, dag.schedule, dag.catchup) == (1, None, False)
    assert {"deploy-ops", "shop"} == set(dag.tags)


def test_the_claim_is_the_setup_of_the_report_which_wakes_control(parse: Parse) -> None:
    dag = parse_dag(parse)
    claim, promote, report = (dag.task_dict[name] for name in ("claim", "promote", "report"))
    assert set(dag.task_dict) == {"claim", "promote", "report"}
    assert (claim.is_setup, report.is_teardown, report.on_failure_fail_dagrun) == (True, True, False)
    assert promote.upstream_task_ids == {"claim"}
    assert report.upstream_task_ids == {"claim", "promote"}
    assert [asset.name for asset in report.outlets] == ["deploy_ops.shop.fleet"]
    assert all(task.retries == 1 for task in dag.tasks)


@pytest.mark.parametrize("wrong", [{"action": "delete"}, {"dry_run": "yes"}, {"reason": 7}])
def test_the_form_takes_only_what_it_knows(parse: Parse, wrong: dict[str, Any]) -> None:
    params = parse_dag(parse).params
    assert params.dump() == {"action": "promote", "dry_run": False, "reason": ""}
    with pytest.raises(ParamValidationError, match=next(iter(wrong))):
        params.update(wrong)


def test_what_a_run_decided_shows_as_markdown(parse: Parse) -> None:
    bag = parse(make_policy(WITH))
    task = get_task(bag, "shop.promotion", "promote")
    assert tuple(task.template_fields) == ("decision",)
    assert tuple(task.template_fields) == ("decision",)
