"""One form per project that asks what another policy would do now. By hand alone, and read-only. Wires tasks only."""

from __future__ import annotations

from airflow.sdk import DAG

from include.deploy_ops.operators.control.what_if import WhatIfOperator, make_what_if_params
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.forms import leave_params_to
from include.deploy_ops.run.scope import Scope, read_scopes

GUIDE = """Put in the policy file in which the project stands, with your change: **weigh** shows what control and
cleanup would do by it now, beside what they do today (Rendered Templates, `answer`). Nothing is written, and nothing of
the text comes into force. Connections, repository, image, control plane and notifiers have to be those in force."""


def make_what_if_dag(scope: Scope) -> DAG:
    """Return the project's DAG for questions."""
    with DAG(
        dag_id=scope.what_if_dag,
        description=f"Tells what another policy would do for {scope.project.repository}, and writes nothing",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        tags=["deploy-ops", scope.project.name],
        params=make_what_if_params(),
        doc_md=GUIDE,
    ) as dag:
        WhatIfOperator(task_id="weigh", scope=scope, inlets=[scope.repository, scope.fleet])
    return leave_params_to(dag)


for each in read_scopes():
    if each.project.is_planned:
        globals()[each.what_if_dag] = make_what_if_dag(each)
