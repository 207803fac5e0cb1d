"""When each hop of a life in the demo was reached, by Airflow's API and the sandbox's journal, and the rows of that.

Starts nothing and waits for nothing. What Airflow did is told by its REST API, what was asked of GitHub and Astro by
the sandbox's journal; all of them read one clock.
"""

from __future__ import annotations

import itertools
import re
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from demo.witness import CONTROL_DAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from demo.witness import Witness

Trace = dict[str, datetime]
"""When each hop was reached, by its words; the first one is the beginning."""

COLUMNS = ("", "hop p50", "p90", "since the beginning p50", "p90")
NEWS = r"/git/matching-refs/|/pulls\?state=all"
POLLED, COMMANDED, SETTLED = "a poll sees it", "the CLI creates the deploy", "settle ends: the code runs"


@dataclass
class Reader:
    """Reads what happened, once it is over.

    :param deploying_s: seconds that the sandbox's Astro takes from a deploy's end until it shows it.
    """

    witness: Witness
    deploying_s: float
    journal: list[Mapping[str, Any]] = field(default_factory=list)

    def refresh(self) -> None:
        """Read the journal anew."""
        self.journal = self.witness.stack.sandbox.get("/sandbox/requests").json()["requests"]

    def find_last(self, before: datetime, method: str, path: str) -> datetime:
        """Return when the last such request before that time came in; `path` is a regular expression."""
        return max(
            at
            for each in self.journal
            if each["method"] == method and re.search(path, each["path"]) and (at := read_time(each["at"])) < before
        )

    def trace_poll(self, begun: str, before: datetime, path: str) -> Trace:
        """Return the hops until a poll told somebody of what came to GitHub by the last request of that path."""
        arrived = self.find_last(datetime.now(UTC), "POST", path)
        seen = [at for at in self._list_news() if arrived < at < before]
        return {begun: arrived, POLLED: max(seen, default=arrived)}  # a pass may have begun for another reason

    def _list_news(self) -> list[datetime]:
        """Return when GitHub answered a poll with something new."""
        polls = (each for each in self.journal if each["conditional"] and each["status"] == HTTPStatus.OK)
        return [read_time(each["at"]) for each in polls if re.search(NEWS, each["path"])]

    def trace_pass(self, caused: Mapping[str, Any]) -> Trace:
        """Return the hops of control's pass that started the run."""
        queued = read_time(caused["queued_at"])
        # Control has one active run at a time: that which was active when it queued this one.
        passes = (each for each in self.witness.outside.list_runs(CONTROL_DAG) if each["start_date"])
        control = next(each for each in passes if read_time(each["start_date"]) < queued)
        return self.trace_run("control", control, "plan", "dispatch")

    def trace_run(self, name: str, run: Mapping[str, Any], *tasks: str) -> Trace:
        """Return when the run was queued and started, and when those of its tasks that ran started and ended."""
        found = {f"{name}'s run is queued": read_time(run["queued_at"])}
        found[f"{name}'s run starts"] = read_time(run["start_date"])
        instances = self.witness.outside.list_tasks(run["dag_id"], run["dag_run_id"])
        for task in tasks:
            instance = instances.get(task)
            if instance and instance["state"] == "success":
                found[f"{name}: {task} starts"] = read_time(instance["start_date"])
                found[f"{name}: {task} ends"] = read_time(instance["end_date"])
        return found

    def trace_deploy(self, name: str, run: Mapping[str, Any], *tasks: str) -> Trace:
        """Return the hops of a run that deploys, with the CLI's command, until the code runs."""
        found = self.trace_run(name, run, *tasks, "deploy", "settle")
        found[SETTLED] = found.pop(f"{name}: settle ends")
        found[COMMANDED] = self.find_last(found[f"{name}: deploy ends"], "POST", r"/deploys$")
        return found

    def find_deployed(self, trace: Trace) -> datetime:
        """Return when Astro had all of the deploy: what it takes from then on is its own time."""
        return self.find_last(trace[SETTLED], "POST", r"/deploys/[^/]+/finalize$")

    def split(self, trace: Trace) -> dict[str, float]:
        """Return the seconds of a life: all, until a poll saw it, of Astro's own, and what is left for us."""
        begun, ended = next(iter(trace.values())), trace[SETTLED]
        polled = (trace[POLLED] - begun).total_seconds() if POLLED in trace else 0.0
        deployed = self.find_deployed(trace)
        astro = (min(ended, deployed + timedelta(seconds=self.deploying_s)) - deployed).total_seconds()
        all_s = (ended - begun).total_seconds()
        return {"all": all_s, "poll": polled, "Astro": astro, "ours": all_s - polled - astro}


def read_time(text: str) -> datetime:
    """Return the time that an API gave."""
    return datetime.fromisoformat(text)


def make_rows(traces: Sequence[Trace]) -> Iterator[list[str]]:
    """Yield a row per hop that all of the lives had, in the order in which they usually came."""
    begun = next(iter(traces[0]))
    names = [name for name in traces[0] if all(name in trace for trace in traces)]
    names.sort(key=lambda name: p50(measure(traces, begun, name)))
    for before, name in itertools.pairwise(names):
        hops, totals = measure(traces, before, name), measure(traces, begun, name)
        yield [name, *(f"{seconds:.1f} s" for seconds in (p50(hops), p90(hops), p50(totals), p90(totals)))]


def measure(traces: Iterable[Trace], start: str, end: str) -> list[float]:
    """Return the seconds from one hop to another, in each trace."""
    return [(trace[end] - trace[start]).total_seconds() for trace in traces]


def p50(seconds: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(seconds)


def p90(seconds: Sequence[float]) -> float:
    """Return what nine of ten stay below."""
    return statistics.quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
