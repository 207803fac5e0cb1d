"""The tour's first part: a branch gets a preview, pushes reach it as cheaply as they can, a merge takes it away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo.feedback import CONTEXT, await_live, await_removed, find_line, find_page
from demo.witness import PREVIEW_DAG, WitnessError

if TYPE_CHECKING:
    from demo.steps import Steps

BRANCH = "dev-orders"
SLOW_CI_S, USUAL_CI_S = 25.0, 3.0
"""Seconds the CI takes for one image of the tour's, long enough that the run really waits for it; and for others."""


def preview(steps: Steps) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    number = _create(steps)
    head = _push(steps, {"dags/orders.py": "\n# hourly since the shop opened abroad\n"}, "Say why hourly")
    _tell_deploy(steps, "push of a DAG → DAG-only deploy", head, "DAG_ONLY")
    witness = steps.witness
    witness.change_sandbox(ci_delay_s=SLOW_CI_S)
    head = _push(steps, {"requirements.txt": "tabulate==0.9.0\n"}, "Need tabulate")
    _tell_deploy(steps, "push of requirements.txt → the CI's image awaited → image deploy", head, "IMAGE_AND_DAG")
    witness.change_sandbox(ci_delay_s=USUAL_CI_S)
    head = _deploy_nothing(steps)
    _delete(steps, number, head)


def _push(steps: Steps, files: dict[str, str], message: str) -> str:
    """Commit and push, and return the commit."""
    head = steps.witness.author.commit(files, message)
    steps.witness.author.push(BRANCH)
    return head


def _create(steps: Steps) -> int:
    witness = steps.witness
    witness.author.start_branch(BRANCH)
    head = _push(steps, {"dags/orders.py": ORDERS_DAG}, "Add the orders DAG")
    _, created = witness.await_deployment(BRANCH)
    steps.measured.append(("push → Deployment created", created))
    number = witness.author.open_pull_request(BRANCH, "main", "Orders")
    _, more = witness.await_deploy(BRANCH, head)
    run = witness.await_run(BRANCH, "create", head)
    files = witness.check_files(BRANCH, head)
    step = f"push of a new branch → its Deployment runs its code (created after {created:.1f} s)"
    steps.tell(step, created + more, run, f"{files} deployed files equal {head[:12]}")
    _tell_live(steps, number, head)
    return number


def _tell_live(steps: Steps, number: int, head: str) -> None:
    """Play the step in which the pull request tells of its preview."""
    witness = steps.witness
    shown, seconds = steps.time(lambda: await_live(witness, BRANCH, number, head))
    url = shown.deployment["newest"]["environment_url"]
    deployment = witness.outside.find_deployment(BRANCH)
    if deployment is None or not url.endswith(deployment["webServerUrl"]):
        raise WitnessError(f"View deployment leads to {url!r}, not to the preview's Airflow: {deployment}")
    said = f"comment: {find_line(shown.comment, 'live')}\n    {CONTEXT}: {shown.status['description']}"
    steps.tell_page(
        "preview live → comment, commit status, GitHub Deployment",
        seconds,
        find_page(witness, number),
        f"{said}\n    View deployment: {url}",
    )


def _tell_deploy(steps: Steps, step: str, head: str, kind: str) -> None:
    """Await the deploy of a push and tell it; another kind of deploy than expected is an error."""
    record, seconds = steps.witness.await_deploy(BRANCH, head)
    if record["type"] != kind:
        raise WitnessError(f"deploy {record['id']} is {record['type']}, expected {kind}")
    run = steps.witness.await_run(BRANCH, "deploy", head)
    steps.tell(step, seconds, run, f"{steps.witness.check_files(BRANCH, head)} deployed files equal {head[:12]}")


def _deploy_nothing(steps: Steps) -> str:
    start = time.monotonic()
    head = _push(steps, {"README.md": "\nOrders arrive hourly.\n"}, "Document the hours")
    run = steps.witness.await_run(BRANCH, "deploy", head)
    seconds = time.monotonic() - start
    tasks = steps.witness.outside.list_tasks(PREVIEW_DAG, run["dag_run_id"])
    states = {name: tasks[name]["state"] for name in ("change_type", "deploy")}
    if states != {"change_type": "success", "deploy": "skipped"}:
        raise WitnessError(f"a README was deployed, {states}: {run['dag_run_id']}")
    steps.tell("push of a README → no deploy", seconds, run, "the policy ignores *.md")
    return head


def _delete(steps: Steps, number: int, head: str) -> None:
    witness = steps.witness
    witness.author.merge(number)
    seconds = witness.await_deletion(BRANCH)
    run = witness.await_run(BRANCH, "delete")
    steps.tell("pull request merged → Deployment deleted", seconds, run, f"pull request #{number}, head {head[:12]}")
    comment, seconds = steps.time(lambda: await_removed(witness, BRANCH, number))
    said = f"comment: {find_line(comment, 'removed')}"
    steps.tell_page(
        "deleted → the comment says so, GitHub Deployment inactive", seconds, find_page(witness, number), said
    )


ORDERS_DAG = '''"""Counts the orders of the last hour."""

from airflow.sdk import dag, task


@dag(schedule="@hourly", catchup=False)
def orders():
    @task
    def count() -> int:
        return 42

    count()


orders()
'''
