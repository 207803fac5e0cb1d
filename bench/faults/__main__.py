"""`make faults`: plays every fault, or those that ONLY names, each in a round of its own on one Airflow; one table."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import yaml

from bench.faults.bounds import SHORT, START_S, make_environment, read_defaults
from bench.faults.scene import Scene
from bench.faults.strikes import FAULTS, Fault, FaultError
from bench.faults.verdict import judge, tell_counts
from bench.table import print_table
from demo.distributed import Distributed
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack, StackError
from demo.witness import DAGS, WitnessError, make_witness

PATIENCE_S = 400.0
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
    wanted = os.environ.get("ONLY", " ".join(FAULTS)).split()
    if unknown := sorted(set(wanted) - FAULTS.keys()):
        print(f"ONLY names {', '.join(unknown)}; there are {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every task would compile the DAG files' modules anew
    rows, failed = play(wanted)
    print_table("Faults while runs are in flight", COLUMNS, rows)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def play(names: list[str]) -> tuple[list[list[str]], list[str]]:
    """Return a row per fault that was survived, and a line per fault that was not, which is the last one played."""
    rows: list[list[str]] = []
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
                    rows.append(play_round(scene, name, FAULTS[name]))
                except (FaultError, WitnessError, StackError) as error:
                    return rows, [f"{name}: {error}"]
    return rows, []


def make_policy() -> str:
    """Return the project's own policy, polled often, with room for what the rounds delete."""
    policy = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    policy["projects"][0]["poll_interval_s"] = 2
    policy["projects"][0]["limits"] = {"max_deletes": 50, "max_delete_fraction": 1.0}
    return yaml.safe_dump(policy)


def play_round(scene: Scene, name: str, fault: Fault) -> list[str]:
    """Let the fault strike, await that all goes on and is done, and return the row.

    :raises FaultError: it went on later than is said, or something was done twice, got lost or is left.
    """
    say(f"{name}: {fault.what}")
    scene.name = name
    fault.strike(scene)
    went_on_s = scene.await_calmly("the run that was hit to go on", lambda: tell_seconds(fault.look(scene)))[0]
    done_s = scene.await_done()
    bound_s = fault.bound.compute(SHORT) + START_S
    if went_on_s > bound_s:
        raise FaultError(f"it went on after {went_on_s:.1f} s instead of {bound_s:.0f} s at the most")
    wanted, found = scene.list_wanted(), scene.look()
    if wrong := judge(wanted, found):
        raise FaultError("; ".join(wrong))
    row = [
        fault.what,
        fault.in_flight,
        f"{went_on_s:.1f} s",
        f"{done_s:.1f} s",
        fault.bound.tell(SHORT),
        fault.bound.tell(read_defaults()),
        tell_counts(wanted, found),
    ]
    say(" | ".join(row))
    return row


def tell_seconds(found: float | None) -> tuple[float] | None:
    """Return the seconds so that none at all count as seen, too."""
    return None if found is None else (found,)


def say(line: str) -> None:
    """Tell what is under way, beside the table."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
