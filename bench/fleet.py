"""A fleet on PostgreSQL and Celery, two workers of four tasks: projects idle, and many pushes at once.

`SCENARIOS="idle-5 branches-10"` plays some, in any number: `idle-<projects>`, `branches-<new branches>`,
`pushes-<pushes to previews>`, `spread-<projects>x<pushes to each>`. A push counts from its arrival at GitHub.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from bench.asked import SCENARIOS, read_names, tell_scenarios
from bench.meters import Database, Meter, Taken, find_share
from bench.page_load import Load, PageLoad
from bench.table import print_table
from demo.author import Author
from demo.interrupts import hear_first, recall
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from sandbox.identity import GITHUB_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

IDLE_S = 180
QUIET_S = 20
"""Seconds without a run that begins or goes on, after which nothing is under way."""
LIMIT_S = 1_800
"""Seconds after which what is awaited never comes."""
LOOK_S = 5
HOUR_S = 3_600
SETTINGS = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
RELEASE_BRANCH = "staging"
"""The branch whose newest commit the target `staging` runs."""

GOAL_STARTS_S = 120.0
"""Until deploys start of 95 of 100 pushes, where there are so many task starts in a second:"""
GOAL_RATE = 3.2
GOAL_FIRST_S, GOAL_DONE_S, GOAL_PASS_S, GOAL_PLANNED_S = 40.0, 300.0, 10.0, 30.0
GOAL_WATCHFUL = 0.4
GOAL_PROJECTS = 50

_TRACES = """\
SELECT deploy.start_date, settle.end_date, run.end_date, run.state,
    (SELECT count(*) FROM task_instance AS task WHERE task.dag_id = run.dag_id AND task.run_id = run.run_id
        AND task.start_date < deploy.start_date AND task.state <> 'skipped')
FROM dag_run AS run
LEFT JOIN task_instance AS deploy USING (dag_id, run_id)
LEFT JOIN task_instance AS settle USING (dag_id, run_id)
WHERE run.dag_id = :dag AND run.run_id LIKE :run AND deploy.task_id = 'deploy' AND settle.task_id = 'settle'
    AND deploy.map_index = -1 AND settle.map_index = -1
ORDER BY run.queued_at DESC LIMIT 1"""
_PASSES = """\
SELECT coalesce(max(extract(epoch FROM coalesce(end_date, now()) - start_date)), 0), count(*)
FROM dag_run WHERE dag_id LIKE '%.control' AND start_date >= :since"""
_SPANS = "SELECT start_date, coalesce(end_date, now()) FROM dag_run WHERE coalesce(end_date, now()) >= :since"
_UNDER_WAY = "SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')"
_WATCHED = """\
SELECT count(DISTINCT dag_id) FROM dag_run
WHERE dag_id LIKE '%.control' AND run_type = 'asset_triggered' AND state = 'success'"""
_PLANNED = "SELECT min(queued_at) FROM dag_run WHERE dag_id = :dag AND queued_at >= :since"


@dataclass(frozen=True, slots=True)
class Trace:
    """Seconds since the push: until its deploy started, until its code ran. `starts` of tasks before the deploy's."""

    deploy_s: float
    done_s: float
    starts: int


@dataclass
class Column:
    """What one scenario measured; the table's column. `polled` of the quota were asked while no run was under way."""

    name: str
    taken: Taken
    pass_s: float
    passes: int
    load: Load
    projects: int
    first_passes_s: float | None = None
    polled: int | None = None
    traces: Sequence[Trace] = ()
    planned_s: float | None = None


@dataclass
class Project:
    """A project of the fleet, and its author."""

    name: str
    author: Author
    previews: list[str] = field(default_factory=list)

    def make_commits(self, branches: Sequence[str], base: Callable[[str], str]) -> dict[str, str]:
        """Commit a change of one DAG for each branch, and return the commits; nothing is pushed yet."""
        self.author.git("fetch", "--quiet", "--prune")
        commits = {}
        for branch in branches:
            self.author.git("checkout", "--quiet", "--detach", base(branch))
            commits[branch] = self.author.commit({f"dags/{branch}.py": "# more\n"}, f"Work on {branch}")
        return commits

    def push_all(self, commits: Mapping[str, str]) -> None:
        """Push the commits to their branches, all at once."""
        refs = [f"{commit}:refs/heads/{branch}" for branch, commit in commits.items()]
        self.author.git("push", "--quiet", "origin", *refs)


class Fleet:
    """A running stack with projects that become more."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.database = Database(stack)
        self.projects: list[Project] = []

    def grow(self, count: int) -> float:
        """Have so many projects; return the seconds until each was watched, and looked at once."""
        start = time.monotonic()
        while len(self.projects) < count:
            self.projects.append(self._make_project(len(self.projects)))
        self.stack.write_policy(write_policy([each.name for each in self.projects]))
        self.await_true(f"first passes of {count} projects", lambda: self._count(_WATCHED) >= count)
        return time.monotonic() - start

    def _make_project(self, number: int) -> Project:
        name = f"project-{number}" if number else "data-platform"
        if number:
            self.stack.sandbox.post("/sandbox/repositories", json={"name": name}).raise_for_status()
        author = Author(self.stack.home / "clones" / name, self.stack.ports.sandbox_url, GITHUB_TOKEN, f"acme/{name}")
        return Project(name.replace("-", "_"), author)

    def _count(self, query: str) -> int:
        return int(self.database.ask(query)[0][0])

    def await_true(self, what: str, look: Callable[[], bool]) -> None:
        """Return as soon as it is true; say every half minute that it is not."""
        told = start = time.monotonic()
        while not look():
            now = time.monotonic()
            if now - start > LIMIT_S:
                raise TimeoutError(f"{what}: not within {LIMIT_S} s; see {self.stack.home}")
            if now - told > 30:  # noqa: PLR2004 - seconds
                told = now
                say(f"  … {what}, {now - start:.0f} s, {self._count(_UNDER_WAY)} runs under way")
            time.sleep(LOOK_S)

    def await_quiet(self) -> None:
        """Return once nothing was under way for a while."""
        quiet_since: float | None = None

        def is_quiet() -> bool:
            nonlocal quiet_since
            if self._count(_UNDER_WAY):
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            return quiet_since is not None and time.monotonic() - quiet_since >= QUIET_S

        self.await_true("nothing to be under way", is_quiet)

    def idle(self, name: str, count: int) -> Column:
        """Let so many projects be idle."""
        first_passes_s = self.grow(count)
        self.await_quiet()
        meter, since = Meter(self.stack, self.database), datetime.now(UTC)
        time.sleep(IDLE_S)  # what is measured is that nothing happens in this time
        taken = meter.read()
        spans = [(start, end) for start, end in self.database.ask(_SPANS, since=since) if start]
        polled = sum(not any(start <= at <= end for start, end in spans) for at in taken.counted)
        return Column(name, taken, *self._read_passes(since), self._load_page(), count, first_passes_s, polled)

    def push(
        self, name: str, commits: Mapping[str, Mapping[str, str]], verb: str, *, has_release: bool = False
    ) -> Column:
        """Push commits, by project and branch, all at once, and await their code.

        :param has_release: in the midst of it a commit is pushed to the branch of the first project's target.
        """
        known = {each.name: each for each in self.projects}
        self.await_quiet()
        release = self.projects[0].make_commits([RELEASE_BRANCH], lambda branch: f"origin/{branch}")
        meter, since = Meter(self.stack, self.database), datetime.now(UTC)
        for project, pushed in commits.items():
            known[project].push_all(pushed)
        arrived = {project: self._find_arrival(known[project]) for project in commits}
        wanted = [(p, f"{b}~{verb}~{c[:12]}~%") for p, pushed in commits.items() for b, c in pushed.items()]
        # Branches of several projects may have the same name and, made in the same second, the same commit.
        found: dict[tuple[str, str], Trace] = {}
        pushed_at: datetime | None = None
        load: Load | None = None

        def look() -> bool:
            nonlocal pushed_at, load
            meter.look()
            for project, run in wanted:
                if (project, run) not in found and (trace := self._trace(project, run, arrived[project])):
                    found[project, run] = trace
            if pushed_at is None and len(found) >= len(wanted) // 4:
                load = PageLoad(self.stack.api).measure()
                pushed_at = datetime.now(UTC)
                if has_release:
                    self.projects[0].push_all(release)
            return len(found) == len(wanted)

        self.await_true(f"{len(wanted)} pushes to run", look)
        taken, passes = meter.read(), self._read_passes(since)
        planned_s = self._await_planned(pushed_at) if has_release and pushed_at else None
        column = Column(name, taken, *passes, load or self._load_page(), len(self.projects))
        column.traces, column.planned_s = [*found.values()], planned_s
        return column

    def _find_arrival(self, project: Project) -> datetime:
        """Return when the project's newest push reached GitHub."""
        path = f"/github/{project.author.repository}.git/git-receive-pack"
        journal = self.stack.sandbox.get("/sandbox/requests").json()["requests"]
        return max(datetime.fromisoformat(each["at"]) for each in journal if each["path"] == path)

    def _trace(self, project: str, run: str, arrived: datetime) -> Trace | None:
        """Return the run's trace once its code runs."""
        rows = self.database.ask(_TRACES, dag=f"{project}.preview", run=run)
        if not rows:
            return None
        deploy, settled, ended, state, starts = rows[0]
        if state == "failed":
            raise RuntimeError(f"{project}.preview {run} failed; see {self.stack.home}")
        if ended is None:
            return None
        return Trace((deploy - arrived).total_seconds(), (settled - arrived).total_seconds(), starts)

    def _await_planned(self, since: datetime) -> float:
        dag = f"{self.projects[0].name}.staging"
        self.await_true("the release to be planned", lambda: self._find_planned(dag, since) is not None)
        found = self._find_planned(dag, since)
        return (found - since).total_seconds() if found else float("inf")

    def _find_planned(self, dag: str, since: datetime) -> datetime | None:
        found: datetime | None = self.database.ask(_PLANNED, dag=dag, since=since)[0][0]
        return found

    def _read_passes(self, since: datetime) -> tuple[float, int]:
        longest, count = self.database.ask(_PASSES, since=since)[0]
        return float(longest), int(count)

    def _load_page(self) -> Load:
        return PageLoad(self.stack.api).measure()

    def make_previews(self, counts: Sequence[int]) -> Column | None:
        """Have so many previews in each project, in order; None where they are all there."""
        self.grow(max(len(counts), len(self.projects)))
        commits = {}
        for project, count in zip(self.projects, counts, strict=False):
            new = [f"dev-{number}" for number in range(len(project.previews), count)]
            if new:
                if not project.author.folder.exists():
                    project.author.clone()
                commits[project.name] = project.make_commits(new, lambda _: "origin/main")
                project.previews += new
        if not commits:
            return None
        total = sum(map(len, commits.values()))
        return self.push(f"{total} new branches", commits, "create", has_release=len(counts) == 1)

    def push_to_previews(self, name: str, counts: Sequence[int]) -> Column:
        """Push to so many previews of each project."""
        self.make_previews(counts)
        commits = {
            project.name: project.make_commits(project.previews[:count], lambda branch: f"origin/{branch}")
            for project, count in zip(self.projects, counts, strict=False)
        }
        return self.push(name, commits, "deploy")


def main() -> int:
    """Play the scenarios that are named, and print the table."""
    if lack := tell_scenarios():
        say(lack)
        return 2
    names = read_names("SCENARIOS", SCENARIOS)
    hear_first()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every task would compile the DAG files' modules anew
    idle = [name for name in names if name.startswith("idle")]
    columns: list[Column] = []
    try:
        play(idle, columns)
        play([name for name in names if name not in idle], columns)
    finally:  # what was measured stands, whatever failed after it
        print_columns(columns)
    return 0


def play(names: Sequence[str], columns: list[Column]) -> None:
    """Play scenarios one after the other on one stack, and add a column for each."""
    if not names:
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(
            Ports(*find_free_ports(5)),
            Path(folder) / "airflow",
            say,
            write_policy(["data_platform"]),
            SETTINGS,
            executor="celery",
        ) as stack,
    ):
        fleet = Fleet(stack)
        try:
            for name in names:
                columns.append(play_one(fleet, name))  # noqa: PERF401 - each stands as soon as it was measured
        finally:
            fleet.database.close()


def play_one(fleet: Fleet, name: str) -> Column:
    """Play one scenario."""
    say(f"{datetime.now(UTC):%H:%M:%S} {name}")
    kind, _, size = name.partition("-")
    if kind == "idle":
        column = fleet.idle(f"{size} idle", int(size))
    elif kind == "branches":
        made = fleet.make_previews([int(size)])
        if made is None:
            raise ValueError(f"{name}: there are so many already; it comes first, or alone")
        column = made
    elif kind == "pushes":
        column = fleet.push_to_previews(f"{size} pushes", [int(size)])
    else:
        projects, each = map(int, size.split("x"))
        column = fleet.push_to_previews(f"{each} pushes to each of {projects}", [each] * projects)
    return column


def say(line: str) -> None:
    """Tell what is under way, beside the table."""
    recall()
    print(line, file=sys.stderr, flush=True)


def write_policy(projects: Sequence[str]) -> str:
    """Return a policy with these projects: previews and feedback, and for the first one a target."""
    document = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    (seen,) = document["projects"]
    previews = {**seen["previews"], "max_live": 150}
    kept = ("image", "trunk", "ignore", "feedback", "limits", "poll_interval_s", "settle_timeout_s")
    document["projects"] = [
        {
            **{key: seen[key] for key in kept},
            "name": name,
            "repository": f"acme/{name.replace('_', '-')}",
            "previews": previews,
        }
        for name in projects
    ]
    document["projects"][0]["targets"] = {"staging": {"deployment": "Staging", "branch": RELEASE_BRANCH}}
    return json.dumps(document)  # YAML, too, and without aliases, which a policy may not have


def print_columns(columns: Sequence[Column]) -> None:
    """Print the table, a figure a row, and the goals that these scenarios have."""
    cells = [list_cells(column) for column in columns]
    words = list(dict.fromkeys(word for each in cells for word in each))
    rows = [[word, *(each.get(word, "") for each in cells)] for word in words]
    print_table("A fleet on PostgreSQL and Celery", ("", *(column.name for column in columns)), rows)
    goals = [goal for column in columns for goal in list_goals(column)]
    if goals:
        print_table("Goals", ("", "", "goal", "measured", ""), goals)


def list_cells(column: Column) -> dict[str, str]:
    """Return a column's cells by their rows' words."""
    taken, cells = column.taken, {}
    if column.first_passes_s is not None:
        cells["first passes done after"] = f"{column.first_passes_s:.0f} s"
    if column.traces:
        starts, done = [each.deploy_s for each in column.traces], [each.done_s for each in column.traces]
        cells["push → deploy starts, p50"] = f"{find_share(starts, 0.5):.0f} s"
        cells["p95"] = f"{find_share(starts, 0.95):.0f} s"
        cells["push → its code runs, the first"] = f"{min(done):.0f} s"
        cells["p50"] = f"{find_share(done, 0.5):.0f} s"
        cells["p95 "] = f"{find_share(done, 0.95):.0f} s"
        cells["task starts until a deploy's, with it"] = f"{1 + max(each.starts for each in column.traces)}"
    if column.planned_s is not None:
        cells["release pushed in the midst → planned"] = f"{column.planned_s:.1f} s"
    cells["control's longest pass"] = f"{column.pass_s:.1f} s"
    cells["passes"] = f"{column.passes}"
    cells["task starts"] = f"{taken.starts}"
    cells["task starts a second"] = f"{taken.starts / taken.seconds:.2f}"
    cells["GitHub: of the quota"] = f"{taken.quota}"
    if column.polled is not None:
        cells["of it outside of runs"] = f"{column.polled}"
        cells["GitHub: of the quota, an hour"] = f"{taken.quota * HOUR_S / taken.seconds:.0f}"
    cells["GitHub: 304"] = f"{taken.unchanged}"
    cells |= {f"{face} requests": f"{taken.requests.get(face, 0)}" for face in ("git", "astro", "registry")}
    for name, cores in taken.cpu.items():
        cells[f"CPU: {name}"] = f"{100 * cores:.0f} %"
    cells["CPU: scheduler, triggerers, dag-processor"] = f"{100 * taken.watchful:.0f} %"
    cells["memory of Airflow, at most"] = f"{taken.memory_mb:.0f} MB"
    pushes = len(column.traces)
    of = " a push" if pushes else " an hour"
    share = pushes or taken.seconds / HOUR_S
    cells[f"rows{of}"] = f"{taken.rows / share:.0f}"
    cells[f"database grows by{of}"] = f"{taken.kilobytes / share:.0f} kB"
    cells["Deploys page opens"] = f"{column.load.seconds:.1f} s, {column.load.requests} requests"
    return cells


def list_goals(column: Column) -> list[list[str]]:
    """Return a row per goal: scenario, what, the goal, what was measured, whether it is reached."""
    rows = []

    def add(what: str, goal: float, measured: float, unit: str) -> None:
        reached = "reached" if measured <= goal else "missed"
        rows.append([column.name, what, f"≤ {goal:.0f}{unit}", f"{measured:.1f}{unit}", reached])

    if column.polled is not None:
        if column.projects >= GOAL_PROJECTS:
            add("scheduler, triggerers, dag-processor", 100 * GOAL_WATCHFUL, 100 * column.taken.watchful, " %")
            add("of GitHub's quota, outside of the hourly runs", 0, column.polled, "")
        return rows
    add("control's longest pass", GOAL_PASS_S, column.pass_s, " s")
    if column.planned_s is not None:
        add("release pushed → planned", GOAL_PLANNED_S, column.planned_s, " s")
    if column.name.endswith("branches"):
        done = [each.done_s for each in column.traces]
        add("first running code", GOAL_FIRST_S, min(done), " s")
        add("push → its code runs, p95", GOAL_DONE_S, find_share(done, 0.95), " s")
        return rows
    rate = column.taken.starts / column.taken.seconds
    starts = 1 + max(each.starts for each in column.traces)
    goal = GOAL_STARTS_S if rate >= GOAL_RATE else starts * 0.95 * len(column.traces) / rate
    add(
        f"push → deploy starts, p95, at {rate:.2f} starts a second",
        goal,
        find_share([each.deploy_s for each in column.traces], 0.95),
        " s",
    )
    return rows


if __name__ == "__main__":
    sys.exit(main())
