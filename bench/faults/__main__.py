"""`make faults`: plays every fault, or those that ONLY names, each in a round of its own on one Airflow; one table."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import httpx
import yaml

from bench import asked
from bench.faults.bounds import SHORT, START_S, make_environment, read_defaults
from bench.faults.scene import Scene
from bench.faults.strikes import FAULTS, Fault, FaultError
from bench.faults.verdict import judge, tell_counts
from bench.table import print_table
from demo.airflow_log import tell_errors
from demo.distributed import Distributed
from demo.interrupts import hear_first, recall
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack, StackError
from demo.witness import DAGS, WitnessError, make_witness

PATIENCE_S = 900.0
"""After which what has not come true is stuck: more than any bound with the short settings."""
ROOM_BYTES = 64 << 20
"""Each worker's disk for its scratch folder."""
COLUMNS = (
    "fault",
    "what it hits",
    "goes on after",
    "all is done after",
    "bound here",
    "by Airflow's defaults",
    "counts",
)


def main() -> int:
    """Return 0 when each fault was survived, 1 when one was not, 2 when ONLY names what is none."""
    if lack := asked.tell_faults():
        print(lack, file=sys.stderr)
        return 2
    hear_first()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every task would compile the DAG files' modules anew
    rows: list[list[str]] = []
    try:
        failed = play(asked.read_names("ONLY", asked.FAULTS), rows)
    finally:  # what was measured stands, whatever failed after it
        print_table("Faults while runs are in flight", COLUMNS, rows)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def play(names: list[str], rows: list[list[str]]) -> list[str]:
    """Add a row per fault after which all was done, and return a line for each thing that was wrong.

    What is stuck ends it: the next round would begin with what this one left.
    """
    wrong: list[str] = []
    ports = Ports(*find_free_ports(5))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "airflow"
        stack = Stack(ports, home, say, make_policy(), make_environment(SHORT), PATIENCE_S, executor="celery")
        stack.engine = Distributed(home, ports, ROOM_BYTES)
        with stack:
            for dag_id in DAGS:
                stack.unpause(dag_id)
            witness = make_witness(stack)
            witness.await_watch()
            scene = Scene(witness)
            say(f"the first previews and a release are there after {scene.open():.0f} s")
            for name in names:
                try:
                    row, found = play_round(scene, name, FAULTS[name])
                except (FaultError, WitnessError, StackError, httpx.HTTPError) as error:
                    return [*wrong, f"{name}: {error}", *tell_logs(home)]
                rows.append(row)
                wrong += [f"{name}: {each}" for each in found]
    return wrong


def tell_logs(home: Path) -> list[str]:
    """Return the last errors of each log, which is gone soon."""
    logs = ((log.name, tell_errors(log.read_text(encoding="utf-8", errors="replace"))) for log in home.glob("*.log"))
    return [f"errors in {name}:\n{told}" for name, told in sorted(logs) if told]


def make_policy() -> str:
    """Return the project's own policy, polled often, with room for what the rounds delete."""
    policy = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    policy["projects"][0]["poll_interval_s"] = 2
    policy["projects"][0]["limits"] = {"max_deletes": 50, "max_delete_fraction": 1.0}
    return yaml.safe_dump(policy)


def play_round(scene: Scene, name: str, fault: Fault) -> tuple[list[str], list[str]]:
    """Let the fault strike, await that all goes on and is done; return the row, and what is wrong."""
    say(f"{name}: {fault.what}")
    scene.name = name
    fault.strike(scene)
    went_on_s = scene.await_calmly("the run that was hit to go on", lambda: tell_seconds(fault.look(scene)))[0]
    done_s = scene.await_done()
    wanted, found = scene.list_wanted(), scene.look()
    wrong = judge(wanted, found)
    bound_s = fault.bound.compute(SHORT) + START_S
    if went_on_s > bound_s:
        wrong.append(f"it went on after {went_on_s:.1f} s instead of {bound_s:.0f} s at the most")
    row = [
        fault.what,
        fault.in_flight,
        f"{went_on_s:.1f} s",
        f"{done_s:.1f} s",
        fault.bound.tell(SHORT),
        fault.bound.tell(read_defaults()),
        tell_counts(wanted, found),
    ]
    say(" | ".join([*row, *wrong]))
    return row, wrong


def tell_seconds(found: float | None) -> tuple[float] | None:
    """Return the seconds so that none at all count as seen, too."""
    return None if found is None else (found,)


def say(line: str) -> None:
    """Tell what is under way, beside the table."""
    recall()
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
