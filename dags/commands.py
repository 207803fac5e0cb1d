"""One commands DAG per project: a run does what people say on pull requests. Wires tasks only."""

from __future__ import annotations

from airflow.sdk import DAG

from include.deploy_ops.operators.commands.answer import AnswerOperator
from include.deploy_ops.operators.commands.hear import HEAR_TASK, HearOperator
from include.deploy_ops.operators.dispatch import dispatch_runs
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.scope import Scope, is_to_build, read_scopes

GUIDE = """Each run reads the newest comments on pull requests, and starts the preview's run that a comment asks for, as
its form would. The **hear** task says what it heard, and what is not done and why (Rendered Templates). The control DAG
starts the runs; one of them that fails concerns no deploy. Pause this DAG to listen to nobody."""


def make_commands_dag(scope: Scope) -> DAG:
    """Return the project's commands DAG."""
    with DAG(
        dag_id=scope.commands_dag,
        description=f"Does what people say on the pull requests of {scope.project.repository}",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        doc_md=GUIDE,
    ) as dag:
        hear = HearOperator(task_id=HEAR_TASK, scope=scope).as_setup()
        dispatch = dispatch_runs(scope, hear.output)
        answer = AnswerOperator(task_id="answer", scope=scope, retries=3)
        # Whatever became of the dispatches: a mark needs its end, and what failed stays red.
        dispatch >> answer.as_teardown(setups=hear, on_failure_fail_dagrun=True)
    return dag


for each in read_scopes():
    if each.has_commands and is_to_build(each.commands_dag):
        globals()[each.commands_dag] = make_commands_dag(each)
