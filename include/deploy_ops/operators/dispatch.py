"""The dispatch step of control, and of an approved request: starts one run per action.

What it is handed is data, never a template; and since an XCom may be rewritten by whoever has rights on this one DAG,
it starts nothing but what was sealed for the run that it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.operators.base import STEP_TIME_MAX, tell_failures
from include.deploy_ops.operators.ranks import Rank
from include.deploy_ops.operators.sealed import SealingOperator
from include.deploy_ops.run.job import open_conf
from include.deploy_ops.run.seals import Seals

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    from include.deploy_ops.run.scope import Scope


AT_ONCE = timedelta(seconds=1)
"""How long ago a run's time was that is to begin now: Airflow's SQLite compares whole seconds, and would begin it with
the next one."""


class DispatchOperator(SealingOperator, TriggerDagRunOperator):
    """Triggers a run without rendering its arguments: a branch called `{{ conn.x.password }}` is only a name.

    Airflow renders what an upstream task returned when it comes through a mapping. A mapped task's arguments are stored
    with its DAG, so these are texts.

    :param control_plane: the control plane's name.
    :param astro_conn_id: the connection of the project's workspace, whose token seals.
    :param feedback_dag: a DAG whose runs have no job: they tell what is so anyway.
    :param commands_dag: another: they read themselves what people say.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self, *, control_plane: str, astro_conn_id: str, feedback_dag: str, commands_dag: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.control_plane = control_plane
        self.astro_conn_id = astro_conn_id
        self.feedback_dag = feedback_dag
        self.commands_dag = commands_dag

    @tell_failures
    def execute(self, context: Context) -> None:
        """Trigger the run."""
        if self.trigger_dag_id not in {self.feedback_dag, self.commands_dag}:
            self.seals = Seals(self.control_plane, (read_astro_connection(self.astro_conn_id).token,))
            open_conf(self.seals, self.trigger_dag_id, str(self.trigger_run_id), dict(self.conf or {}))
        self.run_after = datetime.now(UTC) - AT_ONCE
        TriggerDagRunOperator.execute(self, context)


def dispatch_runs(scope: Scope, found: XComArg) -> MappedOperator:
    """Return the task `dispatch`, which starts a run for each `{"trigger_dag_id", "trigger_run_id", "conf"}`.

    A run whose id is there already was started by an earlier try.
    """
    return DispatchOperator.partial(
        task_id="dispatch",
        control_plane=scope.control_plane,
        astro_conn_id=scope.project.astro_conn_id,
        feedback_dag=scope.feedback_dag,
        commands_dag=scope.commands_dag,
        execution_timeout=STEP_TIME_MAX,
        priority_weight=int(Rank.DISPATCH),
        weight_rule="absolute",
        # Named here, so that nothing that is mapped can name them.
        reset_dag_run=False,
        wait_for_completion=False,
        deferrable=False,
        logical_date=None,  # a DAG has one run at most for each; without one there may be any number
        run_after=None,
        note=None,
        fail_when_dag_is_paused=False,
        skip_when_already_exists=True,
        map_index_template="{{ task.trigger_run_id }}",
    ).expand_kwargs(found)
