"""How many starts of tasks Airflow alone manages in a second, on the fleet's stack: the DAG's steps do nothing.

What the fleet's bursts are held to: no control plane that is made of tasks starts more of them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.meters import Database, Meter, Taken
from bench.table import print_table
from demo.interrupts import hear_first, recall
from demo.ports import Ports, find_free_ports
from demo.stack import Stack

RUNS, STEPS = 100, 5
LIMIT_S, LOOK_S = 900.0, 1.0
DAG_ID = "steps"
DAG_FILE = f"""\
from airflow.sdk import DAG, chain, task

with DAG("{DAG_ID}", schedule=None, max_active_runs={RUNS}):

    @task
    def do_nothing() -> None:
        pass

    chain(*(do_nothing.override(task_id=f"step_{{number}}")() for number in range({STEPS})))
"""
_RUNS = "SELECT count(*) FILTER (WHERE state = 'success'), count(*) FILTER (WHERE state = 'failed') FROM dag_run"


def main() -> int:
    """Begin all runs at once, await their ends, and print what that took."""
    hear_first()
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / "steps.py").write_text(DAG_FILE, encoding="utf-8")
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        }
        ports = Ports(*find_free_ports(5))
        with Stack(ports, Path(folder) / "airflow", say, settings=settings, executor="celery") as stack:
            taken = measure(stack)
    cells = {
        "task starts": f"{taken.starts}",
        "seconds": f"{taken.seconds:.0f} s",
        "task starts a second": f"{taken.starts / taken.seconds:.2f}",
        **{f"CPU: {name}": f"{100 * cores:.0f} %" for name, cores in taken.cpu.items()},
    }
    print_table("Steps that do nothing, on PostgreSQL and Celery", ("", f"{RUNS} runs"), [*map(list, cells.items())])
    return 0


def measure(stack: Stack) -> Taken:
    """Return what the runs took from the first one's beginning to the last one's end."""
    stack.await_up("the DAG", lambda: stack.api.get(f"/api/v2/dags/{DAG_ID}").is_success)
    database = Database(stack)
    try:
        meter = Meter(stack, database)
        for _ in range(RUNS):
            said = {"logical_date": datetime.now(UTC).isoformat()}
            stack.api.post(f"/api/v2/dags/{DAG_ID}/dagRuns", json=said).raise_for_status()
        end = time.monotonic() + LIMIT_S
        while True:
            succeeded, failed = database.ask(_RUNS)[0]
            if failed:
                raise RuntimeError(f"{failed} runs failed; see {stack.home}")
            if succeeded == RUNS:
                return meter.read()
            if time.monotonic() > end:
                raise TimeoutError(f"{RUNS - succeeded} runs did not end within {LIMIT_S:.0f} s; see {stack.home}")
            meter.look()
            time.sleep(LOOK_S)
    finally:
        database.close()


def say(line: str) -> None:
    """Tell what is under way, beside the table."""
    recall()
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
