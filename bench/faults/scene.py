"""The runs that are in flight when a fault strikes, and what is seen of them while parts of Airflow do not answer."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from bench.faults.verdict import Found, Wanted
from demo.witness import CONTROL_DAG, FEEDBACK_DAG, PREVIEW_DAG, WitnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.witness import Witness

RELEASE = "dev-release"
"""The branch whose pull request feeds Staging: a push to it is a DAG deploy and a release."""
FIRST_GONE = "dev-before"
"""The branch that the first round deletes; each later one deletes what the round before created."""
ALWAYS = {CONTROL_DAG, FEEDBACK_DAG}
"""What comes again and again, also while nothing is wanted; were it stuck, the next round would show it."""
SUPERVISOR = "demo.supervisor"
DEPLOY_BRANCH, STAGING = "astro_deploy", "Staging"
_COMMIT = re.compile(r" commit=([0-9a-f]{40}) ")
_AT_WORK = ("queued", "running")
_TASK_AT_WORK = (
    *_AT_WORK,
    "scheduled",
    "deferred",
    "up_for_retry",
    "up_for_reschedule",
    "restarting",
    "awaiting_input",
)
_CREATED = re.compile(r"/deployments$")


@dataclass
class Scene:
    """A round: what was pushed to be created, deployed, deleted and released, and when the fault struck.

    :param pushed: the commits of each branch that lives, oldest first.
    :param first: the deploy branch's commit before all rounds.
    :param tip: the same before this round.
    """

    witness: Witness
    pushed: dict[str, list[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    created: int = 0
    first: str = ""
    tip: str = ""
    newest: str = FIRST_GONE
    name: str = ""
    struck: datetime = field(default_factory=lambda: datetime.now(UTC))
    ignored: frozenset[str] = frozenset()

    def open(self) -> float:
        """Make the branch that is released, its pull request, and the branch that the first round deletes.

        Returns the seconds until all of that is deployed.
        """
        author = self.witness.author
        self.first = self.tip = self.find_tip()
        before = self._list_commits(STAGING, self.witness.outside.find_named(STAGING))
        self.ignored = frozenset({*before, self.first})  # where it began, which control may deploy at first
        self._push(FIRST_GONE, "origin/main")
        self._push(RELEASE, "origin/staging")
        author.open_pull_request(RELEASE, "staging", "Release")
        return self.await_done()

    def push_round(self, name: str) -> None:
        """Create a preview, deploy to one, delete one, and release, all at once."""
        self.tip = self.find_tip()
        branch, old = f"dev-{name}", self.newest
        self._push(branch, "origin/main")
        self._push(RELEASE, f"origin/{RELEASE}")
        self.witness.author.delete(old)
        self.gone.add(old)
        del self.pushed[old]
        self.newest = branch

    def _push(self, branch: str, base: str) -> None:
        author = self.witness.author
        author.start_branch(branch, base)
        self.created += branch not in self.pushed
        commit = author.commit({f"dags/{branch.replace('-', '_')}.py": "# more\n"}, "More")
        self.pushed.setdefault(branch, []).append(commit)
        author.push(branch)

    @property
    def hit(self) -> str:
        """The beginning of the ids of the runs that deploy what was pushed to the released branch."""
        return f"{RELEASE}~deploy~{self.pushed[RELEASE][-1][:12]}"

    def find_released(self) -> dict[str, Any]:
        """Return the Deployment of the released branch."""
        found = self.witness.outside.find_deployment(RELEASE)
        if found is None:
            raise WitnessError(f"{RELEASE} has no Deployment")
        return found

    def find_tip(self) -> str:
        """Return the deploy branch's commit."""
        self.witness.author.git("fetch", "--quiet", "--prune")
        return self.witness.author.git("rev-parse", f"origin/{DEPLOY_BRANCH}")

    def strike(self, act: Callable[[], None]) -> None:
        """Note when the fault struck, and let it."""
        self.struck = datetime.now(UTC)
        act()

    def since(self, at: str | datetime | None = None) -> float:
        """Return the seconds from the strike to a time that an API gave, or to now."""
        end = datetime.fromisoformat(at) if isinstance(at, str) else at or datetime.now(UTC)
        return (end - self.struck).total_seconds()

    def await_calmly(self, what: str, look: Callable[[], Any]) -> Any:
        """Return what the look finds once it finds something, also while nobody answers, or what is looked at ends."""

        def dare() -> Any:
            try:
                return look()
            except (httpx.HTTPError, psutil.NoSuchProcess, ProcessLookupError):
                return None

        return self.witness.await_true(what, dare)[0]

    def find_hit_tasks(self, task_id: str) -> Iterator[dict[str, Any]]:
        """Yield the task of each run that deploys what the released branch was pushed."""
        for run in self.witness.outside.list_runs(PREVIEW_DAG):
            if run["dag_run_id"].startswith(self.hit):
                yield self.witness.outside.list_tasks(PREVIEW_DAG, run["dag_run_id"])[task_id]

    def list_started(self) -> list[dict[str, Any]]:
        """Return the tasks that were queued and started since the strike, first one first."""
        found = self._list_tasks(start_date_gte=self.struck.isoformat(), order_by="start_date")
        return [each for each in found if each["queued_when"] and self.since(each["queued_when"]) > 0]

    def _list_tasks(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.witness.stack.api.get("/api/v2/dags/~/dagRuns/~/taskInstances", params={"limit": 100, **query})
        answer.raise_for_status()
        return list(answer.json()["task_instances"])

    def await_done(self) -> float:
        """Return the seconds since the strike after which all that was pushed is there, and no run is at work."""
        self.await_calmly("all of the round to be done", self._is_done)
        return self.since()

    def _is_done(self) -> bool:
        outside = self.witness.outside
        if self._list_open_runs() or any(outside.find_deployment(branch) for branch in self.gone):
            return False
        commits = {branch: self._list_commits(branch, outside.find_deployment(branch)) for branch in self.pushed}
        if any(self.pushed[branch][-1] not in commits[branch] for branch in self.pushed):
            return False
        tip = self.find_tip()
        return tip != self.tip and tip in self._list_commits(STAGING, outside.find_named(STAGING))

    def _list_open_runs(self) -> list[str]:
        answer = self.witness.stack.api.get("/api/v2/dags/~/dagRuns", params={"state": _AT_WORK, "limit": 100})
        answer.raise_for_status()
        runs = (run for run in answer.json()["dag_runs"] if run["dag_id"] not in ALWAYS)
        return [f"{run['dag_id']} {run['dag_run_id']} ({run['state']})" for run in runs]

    def _list_commits(self, name: str, deployment: dict[str, Any] | None) -> list[str]:
        """Return the commits of a Deployment's deploys that came to their end; of Staging, those of the rounds."""
        if deployment is None:
            return []
        deploys = self.witness.outside.list_deploys(deployment["id"])
        commits = [found[1] for each in deploys if (found := _COMMIT.search(each.get("description") or ""))]
        return [each for each in commits if name != STAGING or each not in self.ignored]

    def list_wanted(self) -> Wanted:
        """Return what has to be there of all rounds until now."""
        promoted = self.witness.author.git("log", "--format=%H", "--first-parent", f"{self.first}..{self.find_tip()}")
        return Wanted({**self.pushed, STAGING: promoted.split()}, frozenset(self.gone), self.created)

    def look(self) -> Found:
        """Return what is there."""
        outside = self.witness.outside
        marks = Counter(
            found[1]
            for each in outside.list_deployments()
            if (found := re.search(r" branch=(\S+) ", each.get("description") or ""))
        )
        deploys = {name: self._list_commits(name, outside.find_deployment(name)) for name in self.pushed}
        deploys[STAGING] = self._list_commits(STAGING, outside.find_named(STAGING))
        return Found(
            deployments={branch: marks[branch] for branch in [*self.pushed, *(self.gone & set(marks))]},
            deploys=deploys,
            created=self._count_creates(),
            open_runs=self._list_open_runs(),
            open_tasks=[
                f"{each['dag_id']} {each['dag_run_id']} {each['task_id']} ({each['state']})"
                for each in self._list_tasks(state=_TASK_AT_WORK)
                if each["dag_id"] not in ALWAYS
            ],
            processes=[f"{each.pid}: {' '.join(words)}"[:200] for each, words in self._list_left()],
        )

    def _count_creates(self) -> int:
        """Return how many Deployments Astro was asked for, and made."""
        requests = self.witness.stack.sandbox.get("/sandbox/requests").json()["requests"]
        made = (each for each in requests if each["face"] == "astro" and each["method"] == "POST")
        return sum(each["status"] == httpx.codes.OK and _CREATED.search(each["path"]) is not None for each in made)

    def list_kept(self) -> list[psutil.Process]:
        """Return what the supervisors keep running."""
        supervisors = [each for each, argv in list_processes() if SUPERVISOR in argv]
        return [child for each in supervisors for child in each.children() if os.getsid(child.pid) == child.pid]

    def find_kept(self, name: str) -> psutil.Process:
        """Return what is kept under that name: what it writes goes to that log. Command lines are titles by then."""
        log = (self.witness.stack.home / f"{name}.log").resolve()
        for each in self.list_kept():
            if Path(f"/proc/{each.pid}/fd/1").resolve() == log:
                return each
        raise WitnessError(f"{name} does not run")

    def list_commands(self, *words: str) -> list[psutil.Process]:
        """Return the processes of the Astro CLI's calls with these words among their arguments."""
        cli = self.witness.stack.environment()["ASTRO_CLI"]
        return [each for each, argv in list_processes() if {cli, *words} <= set(argv)]

    def _list_left(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """Yield what runs although no run does: calls of the CLI, and tasks whose worker is gone."""
        calls = set(self.list_commands())
        for process, argv in list_processes():
            if process in calls or is_orphan(process):
                yield process, argv


def list_processes() -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield the processes of the stack that run, each with its command line."""
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.cmdline()
        except psutil.NoSuchProcess:
            continue


def is_orphan(process: psutil.Process) -> bool:
    """Whether a supervisor adopted it instead of starting it: what that starts leads a session of its own."""
    try:
        parent = process.parent()
        return parent is not None and SUPERVISOR in parent.cmdline() and os.getsid(process.pid) != process.pid
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
