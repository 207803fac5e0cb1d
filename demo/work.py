"""The tour's part about a preview in which a person works: nothing was pushed for long, and cleanup keeps it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.living import clean_up, read_verdict
from demo.proof import BRANCH, DAG
from demo.witness import WitnessError

if TYPE_CHECKING:
    from demo.steps import Steps
    from demo.witness import Witness

KEPT = "keep: a person started a run at "


def keep(steps: Steps) -> None:
    """Run a DAG in the preview that proved itself, and have cleanup look; raises WitnessError if it does not stay."""
    witness, start = steps.witness, time.monotonic()
    idle_s = _measure_idle(witness)
    _run(witness)
    form = {"dry_run": False, "hibernate_after": f"{idle_s}s"}
    run, table = clean_up(witness, BRANCH, form)
    said = read_verdict(table, BRANCH)
    if not said.startswith(KEPT):
        raise WitnessError(f"cleanup's table does not say {KEPT!r} of {BRANCH}:\n{table}")
    steps.tell("a person's run in an idle preview → cleanup keeps it", time.monotonic() - start, run, said)


def _measure_idle(witness: Witness) -> int:
    """Return for how many seconds nothing was deployed there: by this limit it would hibernate."""
    deployment = witness.outside.find_deployment(BRANCH) or {}
    newest = witness.outside.list_deploys(str(deployment.get("id")))[0]
    return int((datetime.now(UTC) - datetime.fromisoformat(newest["updatedAt"])).total_seconds())


def _run(witness: Witness) -> None:
    """Start the DAG as a person does in the preview's own Airflow, and return once it ended well."""
    ask = witness.outside.ask_airflow
    ask(BRANCH, f"dags/{DAG}", "PATCH", {"is_paused": False})
    run_id = ask(BRANCH, f"dags/{DAG}/dagRuns", "POST", {"logical_date": None})["dag_run_id"]

    def look() -> dict[str, Any] | None:
        run: dict[str, Any] = ask(BRANCH, f"dags/{DAG}/dagRuns/{run_id}")
        return run if run["state"] in {"success", "failed"} else None

    if (state := witness.await_true(f"the run of {DAG}", look)[0]["state"]) != "success":
        raise WitnessError(f"the run {run_id} of {DAG} is {state}")
