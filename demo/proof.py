"""The tour's part about a preview that proves itself: what its DAG needs is there, and what does not work is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.feedback import CONTEXT, await_comment, await_live, find_line, find_page
from demo.policy_text import change_lines
from demo.witness import PREVIEW_DAG, WitnessError

if TYPE_CHECKING:
    from demo.steps import Steps
    from demo.witness import Witness

BRANCH = "dev-smoke"
DAG, TASK, FILE = "smoke_orders", "count_orders", "dags/smoke_orders.py"
POOL, SLOTS = "warehouse", 2
GIVEN = " at warehouse.acme.example, at most 1000"
"""What the DAG logs of its connection and of the variable; before it stands the branch's schema."""
SECRETS = ("AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_VAR_ORDER_LIMIT")
"""What the preview's Airflow reads from its environment, and Astro shows to nobody."""
PARSED_AGAIN_S = 1.0
"""Seconds between two parses of a Deployment's files, in the sandbox; Airflow takes 30 by default."""
_PROOF = {
    "projects:": """\
sources: { connections: [preview_*], variables: [preview_*] }
projects:""",
    "previews:": """\
previews:
      environment:
        connections: { warehouse: preview_warehouse }
        variables: { order_limit: { variable: preview_order_limit }, target_schema: "{schema}" }
        pools: { warehouse: { slots: 2, description: What the warehouse bears } }
      verify: { compare_with: production, dags: [{ dag: "smoke_*" }] }""",
    "activity: [deploys]": "activity: [deploys, runs]",
}


def add_proof(policy: str) -> str:
    """Return the policy with what previews are given, how they are verified and that runs count; all else as it is."""
    return change_lines(policy, _PROOF)


def parse_often(witness: Witness) -> None:
    """Have the sandbox's Airflows parse their files as often as a tour can wait for."""
    witness.change_sandbox(parsed_again_s=PARSED_AGAIN_S)


def prove(steps: Steps) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    steps.witness.author.start_branch(BRANCH)
    number = _break(steps)
    _mend_import(steps, number)
    _mend_run(steps, number)


def _push(steps: Steps, text: str, message: str) -> str:
    """Commit the DAG's file as this, push it, and return the commit."""
    author = steps.witness.author
    author.git("rm", "--quiet", "--ignore-unmatch", FILE)
    head = author.commit({FILE: text}, message)
    author.push(BRANCH)
    return head


def _break(steps: Steps) -> int:
    """Push a DAG that cannot be imported, and return its pull request's number."""
    witness, start = steps.witness, time.monotonic()
    head = _push(steps, write_dag("order_limit", needs="import acme_warehouse\n"), "Count orders")
    number = witness.author.open_pull_request(BRANCH, "main", "Count orders")
    _await_end(witness, "create", head)
    error = f"{FILE}, line 3: ModuleNotFoundError: No module named 'acme_warehouse'"
    step = "push of a DAG that imports what is not installed → red, with file and line"
    _tell_failure(steps, step, start, number, _await_failure(witness, number, head, "1 import error", error))
    return number


def _mend_import(steps: Steps, number: int) -> None:
    """Push the DAG so that it is imported, but reads a variable that is not there."""
    witness, start = steps.witness, time.monotonic()
    head = _push(steps, write_dag("orders_limit"), "Import what is there")
    _await_end(witness, "deploy", head)
    said = _await_failure(witness, number, head, f"{DAG} failed after", f"task {TASK}")
    found = _ask(witness, "importErrors")["import_errors"]
    if found:
        raise WitnessError(f"the preview's Airflow has import errors still: {found}")
    step = "push that mends the import → its DAG really runs, and fails: red, with the task"
    _tell_failure(steps, step, start, number, said)


def _mend_run(steps: Steps, number: int) -> None:
    """Push the DAG so that it works."""
    witness, start = steps.witness, time.monotonic()
    head = _push(steps, write_dag("order_limit"), "Read the limit by its name")
    _await_end(witness, "deploy", head)
    shown = await_live(witness, BRANCH, number, head)
    comment = await_comment(witness, number, "**live**, verified", f"{DAG} succeeded after", f"DAGs new: {DAG}")
    seconds = time.monotonic() - start
    logged, states = _read_runs(witness)
    _check_secrets(witness, comment)
    step = "push that mends the DAG → green; it read its connection and variables, in its pool"
    lines = [
        f"{CONTEXT}: {shown.status['description']}",
        f"comment: {find_line(comment, f'{DAG} succeeded')}; {find_line(comment, 'DAGs new')}",
        f"runs in the preview's own Airflow, newest first: {', '.join(states)}; the newest one's log: {logged}",
    ]
    steps.tell_page(step, seconds, find_page(witness, number), "\n    ".join(lines))


def _await_end(witness: Witness, verb: str, head: str) -> None:
    """Return once the head was deployed and its run has ended, in whatever way: two waits, which may both be long."""
    witness.await_deploy(BRANCH, head)
    witness.await_end(PREVIEW_DAG, f"{BRANCH}~{verb}~{head[:12]}")


def _await_failure(witness: Witness, number: int, head: str, *words: str) -> str:
    """Return the head's status once it is a failure and the comment says these words; green before is an error."""

    def look() -> dict[str, Any] | None:
        status = witness.author.show_status(head, CONTEXT)
        return status if status and status["state"] != "pending" else None

    status = witness.await_true(f"the verdict on {head[:12]}", look)[0]
    if status["state"] != "failure" or words[0] not in status["description"]:
        raise WitnessError(f"{CONTEXT} of {head[:12]} is {status['state']}: {status['description']}")
    await_comment(witness, number, *words)
    return str(status["description"])


def _tell_failure(steps: Steps, step: str, start: float, number: int, said: str) -> None:
    steps.tell_page(step, time.monotonic() - start, find_page(steps.witness, number), f"{CONTEXT}: {said}")


def _ask(witness: Witness, path: str) -> Any:
    return witness.outside.ask_airflow(BRANCH, path)


def _read_runs(witness: Witness) -> tuple[str, list[str]]:
    """Return what the newest run's task logged of what it was given, and how all runs ended, newest first."""
    runs = _ask(witness, f"dags/{DAG}/dagRuns?order_by=-run_after")["dag_runs"]
    states = [run["state"] for run in runs]
    if states != ["success", "failed"]:
        raise WitnessError(f"the preview's Airflow shows these runs of {DAG}: {runs}")
    log = _ask(witness, f"dags/{DAG}/dagRuns/{runs[0]['dag_run_id']}/taskInstances/{TASK}/logs/1")["content"]
    logged = next((str(line["event"]) for line in log if GIVEN in str(line["event"])), "")
    if not logged.startswith("dev_smoke"):
        raise WitnessError(f"{TASK} did not log {GIVEN!r}: {log}")
    if (slots := _ask(witness, f"pools/{POOL}")["slots"]) != SLOTS:
        raise WitnessError(f"the pool {POOL} has {slots} slots, not {SLOTS}")
    if not _ask(witness, f"dags/{DAG}")["is_paused"]:
        raise WitnessError(f"{DAG} was not paused again")
    return logged, states


def _check_secrets(witness: Witness, comment: str) -> None:
    """Raise if what is mapped is no secret in Astro, or told."""
    deployment = witness.outside.find_deployment(BRANCH) or {}
    found = {each["key"]: each for each in deployment.get("environmentVariables", ())}
    if told := [key for key in SECRETS if key not in found or not found[key]["isSecret"] or found[key].get("value")]:
        raise WitnessError(f"no secrets of the preview in Astro: {', '.join(told)}")
    if "sandbox-warehouse-password" in comment:
        raise WitnessError(f"the comment tells a password:\n{comment}")


def write_dag(limit: str, needs: str = "") -> str:
    """Return a DAG that reads the variable of that name as its limit; `needs` is imported in its third line."""
    return f'''"""Counts orders where this Deployment may."""

{needs}from airflow.sdk import Connection, Variable, dag, task


@dag(schedule=None, tags=["smoke"])
def {DAG}():
    @task(pool="{POOL}")
    def {TASK}() -> None:
        warehouse, limit = Connection.get("warehouse"), int(Variable.get("{limit}"))
        print(f"{{Variable.get('target_schema')}} at {{warehouse.host}}, at most {{limit}}")

    {TASK}()


{DAG}()
'''
