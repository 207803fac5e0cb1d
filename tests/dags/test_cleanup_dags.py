"""The cleanup and orphans DAGs as Airflow parses them: when they run, what waits for whom, what their forms take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import AssetAlias, CronTriggerTimetable
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from include.deploy_ops.run.scope import CLI_POOL
from tests.dags.test_dags import POLICY, make_policy

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

PREVIEWS = {
    "branches": ["dev*"],
    "template": "preview.yaml",
    "merged_into": ["trunk"],
    "cleanup_cron": "15 4 * * 1-5",
}


def test_only_a_project_with_previews_has_the_dag_by_the_policys_clock(parse: Parse) -> None:
    bag = parse(make_policy({"root": "shop", "previews": PREVIEWS}, {"name": "bare", "root": "b", "previews": None}))
    assert bag.import_errors == {}
    assert [dag_id for dag_id in bag.dags if dag_id.endswith(".cleanup")] == ["shop.cleanup"]
    dag: Any = bag.dags["shop.cleanup"]
    assert isinstance(dag.timetable, CronTriggerTimetable)
    assert dag.timetable.expression == "15 4 * * 1-5"
    assert dag.catchup is False
    assert dag.max_active_runs > 1  # an open question keeps neither the next day nor a dry run waiting
    assert set(dag.tags) == {"deploy-ops", "shop"}


def test_find_runs_alone_and_the_rest_follows_its_answer(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.cleanup"]
    assert {task_id: task.upstream_task_ids for task_id, task in dag.task_dict.items()} == {
        "find": set(),
        "approve": {"find"},
        "remember": {"approve"},
        "summary": {"remember", "find"},
    }
    find, approve, remember, summary = (dag.task_dict[name] for name in ("find", "approve", "remember", "summary"))
    assert (find.max_active_tis_per_dag, find.is_setup) == (1, True)  # two never ask about the same
    assert find.execution_timeout is not None
    assert find.outlets == [AssetAlias("deploy_ops.shop.cleanup")]  # the fleet's event comes only with news
    assert [asset.name for asset in remember.outlets] == ["deploy_ops.shop.fleet"]
    assert (summary.is_teardown, summary.on_failure_fail_dagrun) == (True, False)
    for task in dag.task_dict.values():
        assert task.retries >= 1, task.task_id
        assert [asset.name for asset in task.inlets] == ["deploy_ops.shop.fleet"], task.task_id
    assert tuple(find.template_fields) == ("table",)
    assert tuple(summary.template_fields) == ("summary",)
    assert timedelta(hours=12) < approve.response_timeout < timedelta(days=1)


@pytest.mark.parametrize("dag_id", ["shop.cleanup", "orphans"])
def test_who_unpauses_it_first_starts_nothing(parse: Parse, dag_id: str) -> None:
    dag: Any = parse(POLICY).dags[dag_id]
    assert dag.start_date is None
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    timetable = decode_timetable(encode_timetable(dag.timetable))
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first is not None
    assert first.run_after > datetime.now(UTC)


@pytest.mark.parametrize("dag_id", ["shop.cleanup", "orphans"])
def test_a_question_waits_holds_nothing_and_means_no_without_an_answer(parse: Parse, dag_id: str) -> None:
    dag: Any = parse(POLICY).dags[dag_id]
    approve = dag.task_dict["approve"]
    assert approve.defaults == ["Reject"]
    assert approve.retries > 1  # an answer in the moment of parking is lost
    assert approve.execution_timeout < approve.response_timeout  # which is for the worker alone
    assert list(approve.params) == ["comment"]
    assert tuple(approve.template_fields) == ()  # the page holds what others wrote


def test_by_hand_a_run_is_dry(parse: Parse) -> None:
    bag = parse(POLICY)
    assert bag.dags["shop.cleanup"].params.dump() == {
        "dry_run": True,
        "hibernate_after": None,
        "delete_after": None,
        "branches": None,
        "max_deletes": None,
        "reason": None,
    }
    assert bag.dags["orphans"].params.dump() == {"action": "delete", "dry_run": True, "project": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dry_run", "no"),
        ("hibernate_after", "2 days"),
        ("delete_after", "0d"),
        ("branches", 7),
        ("max_deletes", -1),
    ],
)
def test_the_form_refuses_other_values(parse: Parse, field: str, value: Any) -> None:
    params = parse(POLICY).dags["shop.cleanup"].params
    with pytest.raises(ParamValidationError, match=field):
        params[field] = value


@pytest.mark.parametrize("value", ["", "dev-a", "dev-a\ndev-b", ["dev-a", "dev/*"], None])
def test_the_form_takes_branches_as_text_or_list(parse: Parse, value: Any) -> None:
    params = parse(POLICY).dags["shop.cleanup"].params
    params["branches"] = value
    assert params["branches"] == value


@pytest.mark.parametrize("policy", [POLICY, "control_plane: [", "control_plane: a\nprojects: []\n"])
def test_orphans_is_one_dag_whatever_the_policy_says(parse: Parse, policy: str) -> None:
    bag = parse(policy)
    dag: Any = bag.dags["orphans"]
    assert set(dag.tags) == {"deploy-ops"}
    assert (dag.catchup, dag.timetable.expression) == (False, "0 6 * * 1")
    assert dag.max_active_runs > 1
    assert {task_id: task.upstream_task_ids for task_id, task in dag.task_dict.items()} == {
        "find": set(),
        "approve": {"find"},
        "delete": {"approve"},
        "adopt": {"approve"},
    }
    assert dag.task_dict["find"].max_active_tis_per_dag == 1
    assert dag.task_dict["delete"].pool == CLI_POOL
    assert dag.task_dict["delete"].retries >= 1
