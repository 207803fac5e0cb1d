"""From a push to running code in the demo, hop by hop: sandbox and Airflow standalone on this machine.

A push counts from its arrival at GitHub. What Airflow did is told by its REST API, what was asked of GitHub and Astro
by the sandbox's journal; all of them read one clock.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.table import print_table
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from demo.witness import CONTROL_DAG, ENDED, PREVIEW_DAG, Witness, make_witness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NEW_BRANCHES = 4
PUSHES = 20
"""To the previews of the new branches, in turn; each changes one DAG."""

HOPS = (
    ("arrives", "the push arrives at GitHub"),
    ("polled", "a poll sees it"),
    ("control_queued", "control's run is queued"),
    ("control_started", "control's run starts"),
    ("plan_started", "task plan starts"),
    ("plan_ended", "task plan ends"),
    ("dispatch_started", "task dispatch starts"),
    ("queued", "the preview's run is queued"),
    ("started", "the preview's run starts"),
    ("claim_started", "its first task, claim, starts"),
    ("claim_ended", "claim ends"),
    ("change_type_started", "task change_type starts"),
    ("change_type_ended", "change_type ends"),
    ("deploy_started", "task deploy starts"),
    ("command", "the CLI creates the deploy"),
    ("deploy_ended", "deploy ends"),
    ("settle_started", "task settle starts"),
    ("settle_ended", "settle ends: the code runs"),
    ("ended", "the preview's run ends"),
)

Trace = dict[str, datetime]


def main() -> None:
    """Start the stack, push, and print where the time went."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every task would compile the DAG files' modules anew
    policy = (ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8")
    poll_interval_s = yaml.safe_load(policy)["projects"][0]["poll_interval_s"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Ports(*find_free_ports(5)), Path(folder) / "airflow", say, policy) as stack,
    ):
        for dag_id in (PREVIEW_DAG, CONTROL_DAG):
            stack.unpause(dag_id)
        witness = make_witness(stack)
        witness.await_watch()
        branches = [f"dev-bench-{number}" for number in range(NEW_BRANCHES)]
        created = [push(witness, branch, "create", poll_interval_s) for branch in branches]
        deployed = [push(witness, branch, "deploy", poll_interval_s) for branch in deal(branches, PUSHES)]
    columns = ("", "hop p50", "p90", "since the push p50", "p90", "new branch: hop p50", "since the push p50")
    title = f"{PUSHES} pushes of a DAG and {NEW_BRANCHES} new branches, polled every {poll_interval_s} s"
    print_table(title, columns, make_rows(deployed, created))


def say(line: str) -> None:
    """Tell what is under way, beside the table."""
    print(line, file=sys.stderr, flush=True)


def deal(branches: Sequence[str], count: int) -> list[str]:
    """Return so many branches, in turn."""
    return list(itertools.islice(itertools.cycle(branches), count))


def push(witness: Witness, branch: str, verb: str, poll_interval_s: float) -> Trace:
    """Push a change of one DAG, await the end of its run, and return when each hop was reached.

    It begins when control is idle, at any time between two polls.
    """
    witness.await_true("control to be idle", lambda: is_idle(witness))
    time.sleep(random.uniform(0, poll_interval_s))  # noqa: S311 - spreads the pushes, no secret
    author = witness.author
    author.start_branch(branch, "origin/main" if verb == "create" else f"origin/{branch}")
    head = author.commit({f"dags/{branch}.py": "# more\n"}, "More")
    author.push(branch)
    run = witness.await_run(branch, verb, head)
    trace = make_trace(witness, run)
    say(f"{run['dag_run_id']}: {(trace['claim_started'] - trace['arrives']).total_seconds():.1f} s to its first task")
    return trace


def is_idle(witness: Witness) -> bool:
    """Whether no pass is under way or about to be."""
    return all(run["state"] in ENDED for run in witness.outside.list_runs(CONTROL_DAG))


def make_trace(witness: Witness, run: Mapping[str, Any]) -> Trace:
    """Return when each hop of an ended preview run was reached."""
    outside = witness.outside
    journal = witness.stack.sandbox.get("/sandbox/requests").json()["requests"]
    queued, ended = read_time(run["queued_at"]), read_time(run["end_date"])
    # Control has one active run at a time: that which was active when it queued this one.
    passes = (each for each in outside.list_runs(CONTROL_DAG) if each["start_date"])
    control = next(each for each in passes if read_time(each["start_date"]) < queued)
    pass_tasks = outside.list_tasks(CONTROL_DAG, control["dag_run_id"])
    tasks = outside.list_tasks(PREVIEW_DAG, run["dag_run_id"])
    control_queued = read_time(control["queued_at"])
    trace = {
        "arrives": find_last(journal, control_queued, "POST", r"/git-receive-pack$"),
        "polled": find_last(journal, control_queued, "GET", "/git/matching-refs/", conditional=True, status=200),
        "control_queued": control_queued,
        "control_started": read_time(control["start_date"]),
        "queued": queued,
        "started": read_time(run["start_date"]),
        "command": find_last(journal, ended, "POST", r"/deploys$"),
        "ended": ended,
    }
    for name in ("plan", "dispatch"):
        trace |= read_task(name, pass_tasks[name])
    for name in ("claim", "change_type", "deploy", "settle"):
        trace |= read_task(name, tasks[name])
    return trace


def read_task(name: str, task: Mapping[str, Any]) -> Trace:
    """Return when the task started and ended."""
    return {f"{name}_started": read_time(task["start_date"]), f"{name}_ended": read_time(task["end_date"])}


def read_time(text: str) -> datetime:
    """Return the time that an API gave."""
    return datetime.fromisoformat(text)


def find_last(
    journal: Iterable[Mapping[str, Any]], before: datetime, method: str, path: str, **wanted: Any
) -> datetime:
    """Return when the last such request before that time came in; `path` is a regular expression."""
    return max(
        at
        for each in journal
        if each["method"] == method
        and re.search(path, each["path"])
        and all(each[name] == value for name, value in wanted.items())
        and (at := read_time(each["at"])) < before
    )


def make_rows(deployed: Sequence[Trace], created: Sequence[Trace]) -> list[list[str]]:
    """Return a row per hop."""
    rows = []
    for (before, _), (name, words) in itertools.pairwise(HOPS):
        hops, totals = measure(deployed, before, name), measure(deployed, "arrives", name)
        new_hops, new_totals = measure(created, before, name), measure(created, "arrives", name)
        shown = (p50(hops), p90(hops), p50(totals), p90(totals), p50(new_hops), p50(new_totals))
        rows.append([words, *(f"{seconds:.1f} s" for seconds in shown)])
    return rows


def measure(traces: Iterable[Trace], start: str, end: str) -> list[float]:
    """Return the seconds from one hop to another, in each trace."""
    return [(trace[end] - trace[start]).total_seconds() for trace in traces]


def p50(seconds: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(seconds)


def p90(seconds: Sequence[float]) -> float:
    """Return what nine of ten stay below."""
    return statistics.quantiles(seconds, n=10, method="inclusive")[-1]


if __name__ == "__main__":
    main()
