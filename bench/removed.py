"""What past previews cost: a pass beside 0, 1,000 and 5,000 branches that stay on GitHub and have no preview any more.

Of each second one a pull request was merged, the others nobody used. The first pass after their end notes them, the
second is the one at which their rows go, and the third is what each quiet one costs from then on. The far side is the
sandbox with 20 previews; Airflow is played by tables in memory, and each of its calls is counted.
"""

from __future__ import annotations

import contextlib
import io
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.counting import CountedAirflow, open_counted_stage
from bench.table import print_table
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.remembered import Ending, Remembered, Removal
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.run.memory import PullCache
from tests.worlds.stages.fleet import make_previews, push_branches
from tests.worlds.stages.spending import spend
from tests.worlds.values.examples import make_pull, merged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.worlds.stages.stage import Stage

PREVIEWS = 20
REMOVED = (0, 1_000, 5_000)
COLUMNS = (
    "removed",
    "pass",
    "GitHub",
    "Astro",
    "calls of Airflow",
    "read",
    "written",
    "largest value",
    "of the CPU",
    "seconds",
)


def main() -> None:
    """Make the world, let more and more of it be over, and print the table."""
    # The plan's own lines are not shown.
    with open_counted_stage() as (stage, airflow), contextlib.redirect_stdout(io.StringIO()):
        rows = list(look(stage, airflow))
    print_table(f"A pass beside {PREVIEWS} previews and branches whose previews are over", COLUMNS, rows)


def look(stage: Stage, airflow: CountedAirflow) -> list[list[object]]:
    """Return the rows: of the pass right after more previews ended, and of the second one after that."""
    stage.change_project(previews={"max_live": 2 * PREVIEWS})
    previews = [f"dev-live-{number}" for number in range(PREVIEWS)]
    make_previews(stage, push_branches(stage, previews))
    run_pass(stage, airflow)
    rows: list[list[object]] = []
    count = 0
    for removed in REMOVED:
        if removed:
            end_previews(stage, push_branches(stage, [f"dev-over-{each}" for each in range(count, removed)]))
        count = removed
        rows += [[f"{removed:,}", what, *run_pass(stage, airflow)] for what in ("first", "second", "third")]
    return rows


def end_previews(stage: Stage, heads: Mapping[str, str]) -> None:
    """Remember what is left of previews that are over since two days, as passes and runs leave it."""
    at = datetime.now(UTC) - timedelta(days=2)
    cache = stage.memory.pulls.read()
    pulls, rows = list(cache.pulls if cache else ()), stage.memory.read_rows()
    for number, (branch, head) in enumerate(heads.items(), len(pulls) + 1):
        slug = slug_branch(branch)
        if number % 2:
            pulls.append(merged(make_pull(number, branch, head, base_ref="staging")))
        else:
            ending = Ending(f"{slug}~delete~{head[:12]}~{'0' * 8}", at, attempt=1)
            removal = Removal(head, "idle since 2026-11-01 08:00 UTC (14 d)")
            stage.memory.environment(slug).write(Remembered({"delete": ending}, removal))
        rows[slug] = make_row(stage, branch, head, at)
    stage.memory.pulls.write(replace(cache or PullCache(""), pulls=tuple(pulls)))
    stage.memory.write_rows({}, rows)


def make_row(stage: Stage, branch: str, head: str, at: datetime) -> Row:
    """Return the row of a preview that had four runs."""
    slug, dag = slug_branch(branch), stage.scope.preview_dag
    outcomes = tuple(
        Outcome(f"{slug}~{verb}~{head[:12]}~{'0' * 8}~1", dag, verb, "success", at, 25.0, head, why="the head moved")
        for verb in ("create", "deploy", "deploy", "delete")
    )
    return Row(slug, RowKind.PREVIEW, branch, branch, dag, State.REMOVED, at, "idle", head=head, outcomes=outcomes)


def run_pass(stage: Stage, airflow: CountedAirflow) -> list[object]:
    """Make a pass, and return what it cost."""
    airflow.forget_counts()
    task = stage.make_plan_task()
    start, start_cpu = time.perf_counter(), time.process_time()
    spent = spend(stage, lambda: stage.run_plan(task))
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    sizes = (f"{size / 1000:,.1f} kB" for size in (airflow.read, airflow.written, airflow.largest))
    return [spent.github, spent.astro, airflow.calls, *sizes, f"{cpu:.2f} s", f"{seconds:.2f} s"]


if __name__ == "__main__":
    main()
