"""What looking costs: requests to GitHub and Astro, calls of Airflow, bytes remembered and seconds, poll or pass.

The far side is the sandbox with 1,000 branches, 300 previews and 100 pull requests. Airflow itself is played by tables
in memory: the calls that a pass makes of it are counted, but cost no time here.
"""

from __future__ import annotations

import contextlib
import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.counting import CountedAirflow, open_counted_stage
from bench.table import print_table
from tests.worlds.stages.fleet import make_previews, push_branches, record_deploy
from tests.worlds.stages.spending import ASTRO_MAX, GITHUB_MAX, Spending, count_pages, make_trigger, poll, spend

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.stage import Stage

BRANCHES = 1_000
PREVIEWS = 300
PULLS = 100
WAITING = 700
POLLS = 10
COLUMNS = ("", "GitHub", "at most", "of it 304", "Astro", "at most", "calls of Airflow", "remembered", "seconds")


@dataclass
class Bench:
    """A stage whose Airflow is counted, and the table's rows."""

    stage: Stage
    airflow: CountedAirflow
    rows: list[list[object]] = field(default_factory=list)

    def measure_poll(self) -> None:
        """Add the row of an idle poll, over several."""
        trigger = make_trigger(self.stage)
        poll(trigger, 1)
        spent, seconds = self._spend(lambda: poll(trigger, POLLS))
        github, unchanged, astro = (f"{count / POLLS:g}" for count in (spent.github, spent.unchanged, spent.astro))
        self.rows.append(
            ["idle poll", github, count_pages(self.stage) + 1, unchanged, astro, 0, "", "", seconds / POLLS]
        )

    def measure_pass(self, what: str, *, changed: int = 0, is_warm: bool = True) -> None:
        """Add a pass's row; `changed` Deployments are read again. Without a warm cache nothing is promised."""
        task = self.stage.make_plan_task()
        spent, seconds = self._spend(lambda: self.stage.run_plan(task))
        github_max, astro_max = (GITHUB_MAX + count_pages(self.stage), ASTRO_MAX + changed) if is_warm else ("", "")
        told = (self.airflow.calls, f"{self.airflow.written / 1000:.1f} kB", seconds)
        self.rows.append([what, spent.github, github_max, spent.unchanged, spent.astro, astro_max, *told])

    def _spend(self, act: Callable[[], object]) -> tuple[Spending, float]:
        self.airflow.forget_counts()
        start = time.perf_counter()
        spent = spend(self.stage, act)
        return spent, time.perf_counter() - start

    def push(self, branch: str) -> str:
        """Commit to the branch and push it; return its head."""
        author = self.stage.author
        author.start_branch(branch, f"origin/{branch}")
        head = author.commit({"dags/more.py": "# more\n"}, "More")
        author.push(branch)
        return head


def main() -> None:
    """Make the world, look at it in every situation, and print the table."""
    # The plan's own lines, of which there are hundreds, are not shown.
    with open_counted_stage() as (stage, airflow), contextlib.redirect_stdout(io.StringIO()):
        bench = Bench(stage, airflow)
        make_world(stage)
        look(bench)
    rows = [[*row[:-1], f"{row[-1]:.2f} s"] for row in bench.rows]
    print_table(f"Looking at {BRANCHES:,} branches and {PREVIEWS} previews", COLUMNS, rows)


def make_world(stage: Stage) -> None:
    """Make branches, previews in sync and pull requests."""
    stage.change_project(previews={"max_live": PREVIEWS + 1})
    seeded = 2  # main and staging
    others = [f"feature-{number}" for number in range(BRANCHES - PREVIEWS - seeded)]
    previews = [f"dev-{number}" for number in range(PREVIEWS)]
    heads = push_branches(stage, [*previews, *others])
    make_previews(stage, {branch: heads[branch] for branch in previews})
    for branch in previews[:PULLS]:
        stage.author.open_pull_request(branch, "staging", f"Work on {branch}")


def look(bench: Bench) -> None:
    """Poll, and make a pass after each kind of change; what the pass would start is done by hand."""
    stage = bench.stage
    bench.measure_poll()
    bench.measure_pass("first pass ever", is_warm=False)
    bench.measure_pass("pass, nothing changed")
    head = bench.push("dev-0")
    bench.measure_pass("pass, a push")
    record_deploy(stage, stage.find_deployment("dev-0")["id"], "dev-0", head)
    bench.measure_pass("pass, after its deploy", changed=1)
    bench.push("main")
    bench.measure_pass("pass, a push to trunk")
    number = stage.author.open_pull_request("dev-299", "staging", "The last")
    stage.author.merge(number)
    bench.measure_pass("pass, a merge")
    stage.ask_astro("DELETE", f"deployments/{stage.find_deployment('dev-299')['id']}")
    stage.author.delete("dev-298")
    bench.measure_pass("pass, a branch deleted")
    stage.ask_astro("DELETE", f"deployments/{stage.find_deployment('dev-298')['id']}")
    push_branches(stage, ["dev-new"])
    bench.measure_pass("pass, a new branch")
    push_branches(stage, [f"dev-waiting-{number}" for number in range(WAITING)])
    stage.change_project(previews={"max_live": len(stage.list_deployments()) + 1})
    bench.measure_pass(f"pass, {WAITING} new branches wait for the room of one", is_warm=False)
    bench.measure_pass("the next pass, they wait")


if __name__ == "__main__":
    main()
