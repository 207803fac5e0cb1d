"""The dispatch step of control, and of an approved request: starts one run per action.

What it is handed is data, never a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

if TYPE_CHECKING:
    from airflow.sdk import XComArg
    from airflow.sdk.definitions.mappedoperator import MappedOperator


class DispatchOperator(TriggerDagRunOperator):
    """Triggers a run without rendering its arguments: a branch called `{{ conn.x.password }}` is only a name.

    Airflow renders what an upstream task returned when it comes through a mapping.
    """

    template_fields: Sequence[str] = ()


def dispatch_runs(found: XComArg) -> MappedOperator:
    """Return the task `dispatch`, which starts a run for each `{"trigger_dag_id", "trigger_run_id", "conf"}`.

    A run whose id is there already was started by an earlier try.
    """
    return DispatchOperator.partial(
        task_id="dispatch",
        logical_date=None,  # a DAG has one run at most for each; without one there may be any number
        skip_when_already_exists=True,
        map_index_template="{{ task.trigger_run_id }}",
    ).expand_kwargs(found)
