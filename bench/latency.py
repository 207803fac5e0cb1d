"""From a push, a pull request or an approval to running code in the demo, hop by hop, on this machine.

Sandbox and Airflow standalone, or with EXECUTOR=celery Airflow on PostgreSQL and Celery. A life counts from the request
by which it arrives at GitHub, and an approval from its answer. Each ends with the step `settle`, which has seen the
code run; what of it is the poll's and what Astro's own time, as the sandbox plays it, is told apart.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.hops import COLUMNS, COMMANDED, Reader, Trace, make_rows, measure, p50
from bench.table import print_table
from demo.interrupts import hear_first, recall
from demo.needs import read_executor
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from demo.witness import (
    CONTROL_DAG,
    ENDED,
    PREVIEW_DAG,
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROMOTION_DAG,
    STAGING_DAG,
    make_witness,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NEW_BRANCHES = 4
"""Each gets a preview, a pull request into staging, and a release to production."""
PUSHES = 20
"""To the previews of the new branches, in turn; each changes one DAG."""

DAGS = (PREVIEW_DAG, PROMOTION_DAG, STAGING_DAG, PRODUCTION_DAG, PRODUCTION_REQUEST_DAG, CONTROL_DAG)
DEPLOY_BRANCH, TRUNK = "astro_deploy", "main"
PUSHED = r"/git-receive-pack$"


def main() -> None:
    """Start the stack, play the lives, and print where the time went."""
    hear_first()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every task would compile the DAG files' modules anew
    policy = (ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8")
    poll_interval_s = yaml.safe_load(policy)["projects"][0]["poll_interval_s"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Ports(*find_free_ports(5)), Path(folder) / "airflow", say, policy, executor=read_executor()) as stack,
    ):
        for dag_id in DAGS:
            stack.unpause(dag_id)
        witness = make_witness(stack)
        witness.await_watch()
        reader = Reader(witness, stack.sandbox.get("/sandbox/settings").json()["deploying_s"])
        lives: dict[str, list[Trace]] = defaultdict(list)
        try:
            for name, trace in play(Player(reader, poll_interval_s)):
                lives[name].append(trace)
        finally:  # what was measured is told, also where a later life fails
            print_lives(reader, lives, poll_interval_s)


def say(line: str) -> None:
    """Tell what is under way, beside the tables."""
    recall()
    print(line, file=sys.stderr, flush=True)


def play(player: Player) -> Iterator[tuple[str, Trace]]:
    """Yield what each life is, and what became of it."""
    branches = [f"dev-bench-{number}" for number in range(NEW_BRANCHES)]
    for branch in branches:
        yield "push of a new branch → its preview runs it", player.push(branch, "create")
    for branch in itertools.islice(itertools.cycle(branches), PUSHES):
        yield "push of a DAG → the preview runs it", player.push(branch, "deploy")
    for branch in branches:
        yield "pull request into staging → Staging runs it", player.promote(branch)
        yield "approved → Production runs it", player.release()


def print_lives(reader: Reader, lives: Mapping[str, Sequence[Trace]], poll_interval_s: float) -> None:
    """Print what the lives took in all, and the hops of each."""
    rows = [[f"{name}, of {len(traces)}", *split(reader, traces)] for name, traces in lives.items()]
    columns = ("p50 of", "until `deploy` starts", "until the code runs", "of it the poll's", "Astro's own", "ours")
    print_table(f"From a push to running code, polled every {poll_interval_s} s", columns, rows)
    for name, traces in lives.items():
        print_table(name, COLUMNS, make_rows(traces))


def split(reader: Reader, traces: Sequence[Trace]) -> list[str]:
    """Return the medians of what a life took until its deploy started, in all, and of whom."""
    parts = [reader.split(trace) for trace in traces]
    started = next(name for name in traces[0] if name.endswith(": deploy starts"))
    before_s = p50(measure(traces, next(iter(traces[0])), started))
    return [f"{seconds:.1f} s" for seconds in (before_s, *(p50([each[name] for each in parts]) for name in parts[0]))]


class Player:
    """Plays one life after the other, each when control is idle, at any time between two polls."""

    def __init__(self, reader: Reader, poll_interval_s: float) -> None:
        self._reader = reader
        self._witness = reader.witness
        self._poll_interval_s = poll_interval_s

    def push(self, branch: str, verb: str) -> Trace:
        """Push a change of one DAG, and return when each hop of its run was reached."""
        self._rest()
        author = self._witness.author
        author.start_branch(branch, f"origin/{TRUNK}" if verb == "create" else f"origin/{branch}")
        head = author.commit({f"dags/{branch}.py": "# more\n"}, "More")
        author.push(branch)
        run = self._witness.await_run(branch, verb, head)
        tasks = ("claim", "change_type", "image", *(("render_template", "create") if verb == "create" else ()))
        return self._trace("the push arrives at GitHub", PUSHED, run, "the preview", tasks)

    def promote(self, branch: str) -> Trace:
        """Open a pull request into staging, and return when each hop was reached until Staging ran it."""
        self._rest()
        known = self._list_ids(PROMOTION_DAG, STAGING_DAG)
        self._witness.author.open_pull_request(branch, "staging", branch)
        run = self._witness.await_success(STAGING_DAG, "target.staging~deploy~", known)
        promotions = self._witness.outside.list_runs(PROMOTION_DAG)
        promotion = next(each for each in reversed(promotions) if each["dag_run_id"] not in known)
        self._reader.refresh()
        begun = self._reader.trace_pass(promotion)
        queued = next(iter(begun.values()))
        return _name_twice(
            self._reader.trace_poll("the pull request arrives at GitHub", queued, r"/pulls$"),
            begun,
            self._reader.trace_run("the promotion", promotion, "claim", "promote"),
            self._reader.trace_pass(run),
            self._reader.trace_deploy("Staging", run, "claim", "change_type", "image"),
        )

    def release(self) -> Trace:
        """Open a pull request into trunk, approve it, and return when each hop was reached until Production ran it."""
        self._rest()
        witness, known = self._witness, self._list_ids(PRODUCTION_DAG)
        number = witness.author.open_pull_request(DEPLOY_BRANCH, TRUNK, "Release")
        approval = witness.await_approval(PRODUCTION_REQUEST_DAG)
        self._await_idle()
        approved = datetime.now(UTC)
        witness.person.answer(approval, "Approve", comment="go")
        run = witness.await_success(PRODUCTION_DAG, "target.production~deploy~", known)
        witness.await_true("the pull request to be merged", lambda: witness.author.show_pull_request(number)["merged"])
        self._reader.refresh()
        asked = next(
            each for each in witness.outside.list_runs(approval.dag_id) if each["dag_run_id"] == approval.run_id
        )
        request = self._reader.trace_run("the request", asked, "approve", "recheck", "report")
        return {
            "a person approves": approved,
            **{words: at for words, at in request.items() if at > approved},
            **self._reader.trace_pass(run),
            **self._reader.trace_deploy("Production", run, "claim", "change_type", "image"),
        }

    def _trace(self, begun: str, path: str, run: dict[str, Any], name: str, tasks: tuple[str, ...]) -> Trace:
        self._reader.refresh()
        control = self._reader.trace_pass(run)
        polled = self._reader.trace_poll(begun, next(iter(control.values())), path)
        trace = {**polled, **control, **self._reader.trace_deploy(name, run, *tasks)}
        say(f"{run['dag_run_id']}: {(trace[COMMANDED] - trace[begun]).total_seconds():.1f} s to the CLI's command")
        return trace

    def _rest(self) -> None:
        """Return when control is idle, some time between two polls."""
        self._await_idle()
        time.sleep(random.uniform(0, self._poll_interval_s))  # noqa: S311 - spreads the pushes, no secret

    def _await_idle(self) -> None:
        self._witness.await_true("control to be idle", self._is_idle)

    def _is_idle(self) -> bool:
        return all(run["state"] in ENDED for run in self._witness.outside.list_runs(CONTROL_DAG))

    def _list_ids(self, *dag_ids: str) -> set[str]:
        return {run["dag_run_id"] for dag_id in dag_ids for run in self._witness.outside.list_runs(dag_id)}


def _name_twice(*parts: Trace) -> Trace:
    """Return the hops of all parts; what happens a second time is named so."""
    found: Trace = {}
    for part in parts:
        for words, at in part.items():
            found[f"again {words}" if words in found else words] = at
    return found


if __name__ == "__main__":
    main()
