"""The tour's part about a preview that nobody uses: cleanup looks, lets it hibernate, tells its author, deletes it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from demo.columns import read_records
from demo.feedback import await_comment, await_live, await_removed, find_line, find_page
from demo.policy_text import change_lines
from demo.witness import CLEANUP_DAG, PROJECT, WitnessError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.steps import Steps
    from demo.witness import Witness

BRANCH = "dev-idle"
NOTICE_S = 60
"""Seconds between telling and deleting in the tour's policy: also a busy machine writes the comment before."""
HIBERNATE = {"dry_run": False, "hibernate_after": "1s"}
DELETE = {"dry_run": False, "hibernate_after": "1s", "delete_after": "2s"}
"""What is filled in; by the policy a preview hibernates after days, and is deleted after weeks."""
DELETE_WORDS = "is deleted on"
"""How a comment announces it."""
_HASTE = {
    "delete_notice: 1d": f"delete_notice: {NOTICE_S}s",
    "max_delete_fraction: 0.25": "max_delete_fraction: 0.5",  # of the tour's four previews two go within minutes
}


def hasten_deletes(policy: str) -> str:
    """Return the policy with the times and bounds that a tour can wait for: its previews are told seconds before."""
    return change_lines(policy, _HASTE)


@dataclass(frozen=True, slots=True)
class Condemned:
    """A preview whose author was told; `number` is its pull request."""

    number: int
    due_at: datetime


def begin(steps: Steps) -> int:
    """Push the branch, and return its pull request's number; its preview is made while something else is played."""
    author = steps.witness.author
    author.start_branch(BRANCH)
    author.commit({"dags/idle.py": "# counts what nobody asks for\n"}, "Count")
    author.push(BRANCH)
    return author.open_pull_request(BRANCH, "main", "Idle")


def live(steps: Steps, number: int) -> Condemned:
    """Play it until its author is told; raises WitnessError at the first step that does not come true.

    :param number: what `begin` returned.
    """
    _await_made(steps.witness)
    _look(steps)
    _hibernate(steps)
    _wake(steps, number)
    return _tell_author(steps, number)


def bury(steps: Steps, told: Condemned) -> None:
    """Play the end: it is deleted once it is due, and stays so."""
    witness = steps.witness
    witness.await_deletion(BRANCH)
    run = witness.await_run(BRANCH, "delete")
    await_removed(witness, BRANCH, told.number)
    why = await_row(witness, BRANCH, "removed")["why"]
    steps.tell("delete due → its run began", measure_delay(run, told.due_at), run, f"the branch lives on: {why}")


def measure_delay(run: Mapping[str, Any], due_at: datetime) -> float:
    """Return how many seconds after it was due the run began; one that began before is an error."""
    delay_s = (datetime.fromisoformat(run["start_date"]) - due_at).total_seconds()
    if delay_s < 0:
        raise WitnessError(f"run {run['dag_run_id']} began {-delay_s:.1f} s before it was due at {due_at:%H:%M:%S} UTC")
    return delay_s


def clean_up(witness: Witness, branches: str, form: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Send cleanup's form for these branches, and return the ended run with the table that it shows."""
    run_id = witness.person.trigger(CLEANUP_DAG, {"branches": branches, **form})
    run = witness.await_success(CLEANUP_DAG, run_id)
    return run, witness.outside.read_field(CLEANUP_DAG, run_id, "find", "table")


def read_verdict(table: str, branch: str) -> str:
    """Return what cleanup's table says of the branch: verdict and reason; empty if it has no such line."""
    found = (row for row in read_records(table) if row.get("branch") == branch)
    return next((f"{row['verdict']}: {row['reason']}" for row in found), "")


def await_status(witness: Witness, branch: str, status: str) -> None:
    """Return once Astro says that the branch's Deployment is so."""

    def look() -> bool:
        return (witness.outside.find_deployment(branch) or {}).get("status") == status

    witness.await_true(f"{branch} to be {status}", look)


def await_row(witness: Witness, branch: str, state: str, step: str = "") -> dict[str, Any]:
    """Return the branch's row of the Deploys page once it is in that state, with that step next if one is given."""

    def look() -> dict[str, Any] | None:
        row = witness.outside.read_rows(PROJECT).get(branch, {})
        is_next = not step or (row.get("next_step") or {}).get("what") == step
        return row if row.get("state") == state and is_next else None

    row: dict[str, Any] = witness.await_true(f"the row of {branch} to be {state}", look)[0]
    return row


def _await_made(witness: Witness) -> None:
    """Go on with the branch, once its preview runs it."""
    witness.author.git("checkout", "--quiet", BRANCH)
    head = witness.author.git("rev-parse", "HEAD")
    witness.await_deploy(BRANCH, head)
    witness.await_run(BRANCH, "create", head)


def _look(steps: Steps) -> None:
    start = time.monotonic()
    run, table = clean_up(steps.witness, BRANCH, {"hibernate_after": "1s"})
    _require(table, "hibernate")
    shown = "\n".join(f"    {line}" for line in table.splitlines() if line)
    steps.tell("cleanup's form, dry run → table", time.monotonic() - start, run, f"nothing is written\n{shown}")


def _require(table: str, verdict: str) -> None:
    if not read_verdict(table, BRANCH).startswith(f"{verdict}: "):
        raise WitnessError(f"cleanup's table does not say {verdict} of {BRANCH}:\n{table}")


def _hibernate(steps: Steps) -> None:
    start = time.monotonic()
    _, table = clean_up(steps.witness, BRANCH, HIBERNATE)
    _require(table, "hibernate")
    await_status(steps.witness, BRANCH, "HIBERNATING")
    run = steps.witness.await_run(BRANCH, "hibernate")
    steps.tell("cleanup → the idle preview hibernates", time.monotonic() - start, run, read_verdict(table, BRANCH))


def _wake(steps: Steps, number: int) -> None:
    """Push, and return once the preview runs it and everybody was told."""
    witness, start = steps.witness, time.monotonic()
    head = witness.author.commit({"dags/idle.py": "# somebody asks\n"}, "Ask")
    witness.author.push(BRANCH)
    witness.await_deploy(BRANCH, head)
    await_status(witness, BRANCH, "HEALTHY")
    seconds = time.monotonic() - start
    run = witness.await_run(BRANCH, "deploy", head)
    files = witness.check_files(BRANCH, head)
    steps.tell("push → it wakes and runs the push", seconds, run, f"{files} deployed files equal {head[:12]}")
    await_live(witness, BRANCH, number, head)  # so control has seen that it woke, which counts as use


def _tell_author(steps: Steps, number: int) -> Condemned:
    witness, start = steps.witness, time.monotonic()
    _, table = clean_up(witness, BRANCH, DELETE)
    _require(table, "told")
    said = find_line(await_comment(witness, number, DELETE_WORDS), DELETE_WORDS)
    steps.tell_page("cleanup → its author is told", time.monotonic() - start, find_page(steps.witness, number), said)
    return Condemned(number, read_due(await_row(witness, BRANCH, "live", "delete")))


def read_due(row: Mapping[str, Any]) -> datetime:
    """Return when cleanup's next step with the row's environment is due."""
    return datetime.fromisoformat(row["next_step"]["at"])
