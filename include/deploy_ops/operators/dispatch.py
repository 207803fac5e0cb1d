"""The dispatch step of control, and of an approved request: starts one run per action.

What it is handed is data, never a template.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator


class DispatchOperator(TriggerDagRunOperator):
    """Triggers a run without rendering its arguments: a branch called `{{ conn.x.password }}` is only a name.

    Airflow renders what an upstream task returned when it comes through a mapping.
    """

    template_fields: Sequence[str] = ()
