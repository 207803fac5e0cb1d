"""The form that asks what another policy would do: by hand alone, one task, and a bounded text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.definitions.timetables.simple import NullTimetable
from airflow.sdk.exceptions import ParamValidationError

from include.deploy_ops.core.text.document import LENGTH_MAX

if TYPE_CHECKING:
    from tests.dags.conftest import Parse


def test_it_has_one_task_no_schedule_and_no_outlets(dags: dict[str, Any]) -> None:
    dag = dags["data_platform.what_if"]
    (task,) = dag.tasks
    assert (task.task_id, task.outlets) == ("weigh", [])
    assert isinstance(dag.timetable, NullTimetable)
    assert list(task.template_fields) == ["answer", "by_this_text", "today"]
    assert {asset.name for asset in task.inlets} == {
        "deploy_ops.data_platform.repository",
        "deploy_ops.data_platform.fleet",
    }


@pytest.mark.parametrize("text", ["", "x" * (LENGTH_MAX + 1)])
def test_its_text_is_neither_empty_nor_endless(dags: dict[str, Any], text: str) -> None:
    param = dags["data_platform.what_if"].params.get_param("policy")
    with pytest.raises(ParamValidationError):
        param.resolve(text)
    assert param.resolve("projects: []") == "projects: []"


def test_a_project_for_which_nothing_is_planned_has_none(parse: Parse) -> None:
    bag = parse("control_plane: a\nprojects: [{name: shop, repository: acme/shop, image: [reuse]}]")
    assert "shop.what_if" not in bag.dags
