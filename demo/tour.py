"""The tour: one branch's life, each step awaited, timed, checked against the commit, and linked to its run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from demo import feedback, living
from demo.page import show_page
from demo.release import DEPLOY_BRANCH, FEATURE, release
from demo.witness import PREVIEW_DAG, Witness, WitnessError

T = TypeVar("T")
BRANCH = "dev-orders"
ENVIRONMENTS = (BRANCH, living.BRANCH, FEATURE, "staging", "production", DEPLOY_BRANCH)
"""All that the tour has to do with, each on the Deployments page."""
SLOW_CI_S = 25.0
"""Seconds the CI takes for the tour's image: long enough that the run really waits for it."""


@dataclass
class Tour:
    """The witness who plays it, and what was measured."""

    witness: Witness
    say: Callable[[str], None]
    measured: list[tuple[str, float]] = field(default_factory=list)

    def tell(self, step: str, seconds: float, run: dict[str, Any], detail: str) -> None:
        """Print one finished step, with its run's page."""
        self.tell_page(step, seconds, self.witness.link(run), detail)

    def tell_page(self, step: str, seconds: float, page: str, detail: str) -> None:
        """Print one finished step, with the page that shows it."""
        self.measured.append((step, seconds))
        self.say(f"✔ {step}: {seconds:.1f} s; {detail}\n    {page}")

    def time(self, play: Callable[[], T]) -> tuple[T, float]:
        """Return what comes of it, and after how many seconds."""
        start = time.monotonic()
        return play(), time.monotonic() - start

    def push(self, files: dict[str, str], message: str) -> str:
        """Commit and push, and return the commit."""
        head = self.witness.author.commit(files, message)
        self.witness.author.push(BRANCH)
        return head

    def tell_deploy(self, step: str, head: str, kind: str) -> None:
        """Await the deploy of a push and tell it; another kind of deploy than expected is an error."""
        record, seconds = self.witness.await_deploy(BRANCH, head)
        if record["type"] != kind:
            raise WitnessError(f"deploy {record['id']} is {record['type']}, expected {kind}")
        run = self.witness.await_run(BRANCH, "deploy", head)
        self.tell(step, seconds, run, f"{self.witness.check_files(BRANCH, head)} deployed files equal {head[:12]}")


def play(witness: Witness, say: Callable[[str], None]) -> None:
    """Play the tour; raises WitnessError at the first step that does not come true."""
    tour = Tour(witness, say)
    number = _create(tour)
    head = tour.push({"dags/orders.py": "\n# hourly since the shop opened abroad\n"}, "Say why hourly")
    tour.tell_deploy("push of a DAG → DAG-only deploy", head, "DAG_ONLY")
    witness.stack.sandbox.post("/sandbox/settings", json={"ci_delay_s": SLOW_CI_S}).raise_for_status()
    head = tour.push({"requirements.txt": "tabulate==0.9.0\n"}, "Need tabulate")
    tour.tell_deploy("push of requirements.txt → the CI's image awaited → image deploy", head, "IMAGE_AND_DAG")
    head = _deploy_nothing(tour)
    _delete(tour, number, head)
    told = living.live(tour)
    release(tour)
    living.bury(tour, told)
    show_page(tour, ENVIRONMENTS)
    say("Every step came true:")
    for step, seconds in tour.measured:
        say(f"  {seconds:6.1f} s  {step}")


def _create(tour: Tour) -> int:
    witness = tour.witness
    witness.author.start_branch(BRANCH)
    head = tour.push({"dags/orders.py": ORDERS_DAG}, "Add the orders DAG")
    _, created = witness.await_deployment(BRANCH)
    tour.measured.append(("push → Deployment created", created))
    number = witness.author.open_pull_request(BRANCH, "main", "Orders")
    _, more = witness.await_deploy(BRANCH, head)
    run = witness.await_run(BRANCH, "create", head)
    files = witness.check_files(BRANCH, head)
    step = f"push of a new branch → its Deployment runs its code (created after {created:.1f} s)"
    tour.tell(step, created + more, run, f"{files} deployed files equal {head[:12]}")
    feedback.tell_live(tour, BRANCH, number, head)
    return number


def _deploy_nothing(tour: Tour) -> str:
    start = time.monotonic()
    head = tour.push({"README.md": "\nOrders arrive hourly.\n"}, "Document the hours")
    run = tour.witness.await_run(BRANCH, "deploy", head)
    seconds = time.monotonic() - start
    tasks = tour.witness.outside.list_tasks(PREVIEW_DAG, run["dag_run_id"])
    states = {name: tasks[name]["state"] for name in ("change_type", "deploy")}
    if states != {"change_type": "success", "deploy": "skipped"}:
        raise WitnessError(f"a README was deployed, {states}: {run['dag_run_id']}")
    tour.tell("push of a README → no deploy", seconds, run, "the policy ignores *.md")
    return head


def _delete(tour: Tour, number: int, head: str) -> None:
    tour.witness.author.merge(number)
    seconds = tour.witness.await_deletion(BRANCH)
    run = tour.witness.await_run(BRANCH, "delete")
    tour.tell("pull request merged → Deployment deleted", seconds, run, f"pull request #{number}, head {head[:12]}")
    feedback.tell_removed(tour, BRANCH, number)


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
