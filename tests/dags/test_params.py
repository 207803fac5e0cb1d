"""The fields of the forms: a task has its own, and in its context those of its DAG, which are checked once a parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Param
from airflow.sdk.definitions.param import process_params
from airflow.serialization.serialized_objects import DagSerialization

if TYPE_CHECKING:
    import pytest


def test_a_parse_checks_each_field_of_a_form_a_few_times_however_many_tasks_there_are(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Param] = []
    resolve = Param.resolve

    def count(field: Param, *args: Any, **options: Any) -> Any:
        checked.append(field)
        return resolve(field, *args, **options)

    monkeypatch.setattr(Param, "resolve", count)
    for dag in dags.values():
        checked.clear()
        DagSerialization.to_dict(dag)
        own = sum(len(set(task.params) - set(dag.params)) for task in dag.tasks)
        assert len(checked) <= 3 * (len(dag.params) + own), dag.dag_id


def test_the_context_of_each_task_has_all_fields_of_its_form(dags: dict[str, Any]) -> None:
    forms = {dag_id: dag for dag_id, dag in dags.items() if dag.params}
    assert {dag_id.rpartition(".")[2] for dag_id in forms} >= {
        "preview",
        "promotion",
        "request",
        "cleanup",
        "production",
    }
    for dag in forms.values():
        for task in dag.tasks:
            given = process_params(dag, task, {}, suppress_exception=True)
            assert given.keys() >= set(dag.params), (dag.dag_id, task.task_id)
            own = {name for name in task.params if isinstance(task, BaseOperator)}
            assert not own & set(dag.params) or task.task_id.startswith("approve"), (dag.dag_id, task.task_id)


def test_a_question_keeps_the_fields_of_its_answer(dags: dict[str, Any]) -> None:
    approve = dags["data_platform.production.request"].task_dict["approve"]
    assert list(approve.params) == ["comment"]
