"""What tasks of a run hand to one another, sealed: read only as a task of ours wrote it, for this run and that task."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.xcom import BaseXCom

from include.deploy_ops.run.seals import WORK, Place, Seals

if TYPE_CHECKING:
    from airflow.sdk import Context

RESULT_KEY = BaseXCom.XCOM_RETURN_KEY
SEAL_PREFIX = "seal."
"""Before an XCom's key: the key of its seal. The value itself stands as it is, for people to read."""


class SealingOperator(BaseOperator):
    """Base of the operators that seal what they return, and believe an XCom by its seal alone."""

    @functools.cached_property
    def seals(self) -> Seals:
        """The seals of what the operator works for."""
        raise NotImplementedError

    def write(self, context: Context, key: str, value: Any) -> None:
        """Hand a JSON value on to later tasks of the run, beside the task's result."""
        context["ti"].xcom_push(key, value)
        self._seal(context, key, value)

    def seal_result(self, context: Context, value: Any) -> None:
        """Seal what the task returns, which Airflow hands on; a task that returns nothing hands on nothing."""
        if value is not None:
            self._seal(context, RESULT_KEY, value)

    def _seal(self, context: Context, key: str, value: Any) -> None:
        place = self._place(context, self.task_id, key)
        context["ti"].xcom_push(SEAL_PREFIX + key, self.seals.make(WORK, place, value))

    def read(self, context: Context, task_id: str, key: str = RESULT_KEY) -> Any:
        """Return what an earlier task of the run handed on; None where it handed on nothing.

        :raises SealError: it is not what that task wrote.
        """
        value = context["ti"].xcom_pull(task_ids=task_id, key=key)
        if value is not None:
            seal = context["ti"].xcom_pull(task_ids=task_id, key=SEAL_PREFIX + key)
            self.seals.check(WORK, self._place(context, task_id, key), value, seal)
        return value

    def _place(self, context: Context, task_id: str, key: str) -> Place:
        return Place(self.dag_id, context["dag_run"].run_id, f"{task_id}.{key}")
