"""Parsing the DAG files, in seconds beyond what Airflow has imported before it reads the first one; also for one task.

That baseline is `airflow.sdk`, the processor's own modules, and what a file with one DAG of one operator brings in.
From there every measurement is a fork of its own, as the processor itself makes one for every file. What of a task's
start each package takes is told by Python itself (`-X importtime`), in a process that imports all of it anew.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

ROOT = Path(__file__).parent.parent
DAGS = ROOT / "dags"
PROJECTS = (1, 10, 50)
REPEATS = 5
QUIET = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0"}
"""Read when Airflow is imported. However long a busy machine takes for a file, it is measured to its end."""
IMPORTS = "imports"
"""The argument by which this module only imports what a task needs, and says when it begins."""
BEGINS = "from here on a task imports"
HEAVIEST = 8
IMPORT_COLUMNS = ("package", "modules", "of themselves")
_IMPORTED = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", re.MULTILINE)
SMALL_DAG = """from airflow.sdk import DAG, BaseOperator

with DAG("small"):
    BaseOperator(task_id="task")
"""


def main() -> None:
    """Import the baseline, measure from there, and print the tables."""
    os.environ |= QUIET
    with tempfile.TemporaryDirectory() as folder:
        baseline_s = import_baseline(Path(folder))
        sys.dont_write_bytecode = False
        sys.pycache_prefix = f"{folder}/bytecode"  # compiled once, whatever this environment says
        rows = []
        for projects in PROJECTS:
            os.environ["DEPLOY_OPS_POLICY"] = write_policy(Path(folder), projects)
            rows.append([f"all files, {projects} projects", *measure(DAGS)])
        os.environ["DEPLOY_OPS_POLICY"] = write_policy(Path(folder), 1)
        rows += [[f"{file.name}, 1 project", *measure(file)] for file in sorted(DAGS.glob("*.py"))]
        starts = [row for projects in (1, 50) for row in measure_starts(Path(folder), projects)]
        imports = [*measure_imports(Path(folder))]
    columns = ("", "DAGs", "modules imported", "seconds", "of the CPU")
    print_table(f"Parsing the DAG files, beyond the {baseline_s:.2f} s of the baseline", columns, rows)
    print_table("The start of a task of preview.py, beyond the same baseline", columns, starts)
    print_table("What a task imports that asks GitHub, unless it was imported before the fork", IMPORT_COLUMNS, imports)


def measure_starts(folder: Path, projects: int) -> Iterator[list[object]]:
    """Yield the rows of a task's start: what it took, and what each step takes off."""
    os.environ["DEPLOY_OPS_POLICY"] = write_policy(folder, projects)
    file, of = DAGS / "preview.py", f"{projects} projects" if projects > 1 else "1 project"
    yield [f"all DAGs of the file, {of}", *measure(file)]
    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = "project_0.preview"  # as Airflow's task runner does
    yield [f"its own DAG, {of}", *measure(file)]
    yield [f"its own DAG, and it asks GitHub, {of}", *measure(file, ask_github)]
    yield [f"the same, imported before the fork, {of}", *measure(file, ask_github, preload)]
    del os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"]


def measure_imports(folder: Path) -> Iterator[list[object]]:
    """Yield the packages whose modules take longest, what the others take, and all of them."""
    environment = {**os.environ, "DEPLOY_OPS_POLICY": write_policy(folder, 1)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = [sys.executable, "-X", "importtime", "-m", "bench.parsing", IMPORTS]
    for _ in range(2):  # the first compiles what was not compiled before
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment, cwd=ROOT)
    yield from rank_packages(read_imports(done.stderr))


def read_imports(told: str) -> dict[str, list[int]]:
    """Return the microseconds of each module that Python told of after the baseline, by its package."""
    found: dict[str, list[int]] = defaultdict(list)
    for self_us, module in _IMPORTED.findall(told.partition(f"{BEGINS}\n")[2]):
        parts = module.split(".")
        found[".".join(parts[: 3 if parts[0] == "include" else 1])].append(int(self_us))
    return found


def rank_packages(found: dict[str, list[int]]) -> Iterator[list[object]]:
    """Yield a row for each of the heaviest packages, one for the others, and one for all."""
    ranked = sorted(found, key=lambda package: -sum(found[package]))
    rest = [self_us for package in ranked[HEAVIEST:] for self_us in found[package]]
    every = [self_us for of_package in found.values() for self_us in of_package]
    rows = [(package, found[package]) for package in ranked[:HEAVIEST]]
    for name, times_us in [*rows, (f"{len(ranked[HEAVIEST:])} others", rest), ("all", every)]:
        yield [name, len(times_us), f"{sum(times_us) / 1000:.0f} ms"]


def import_for_task() -> None:
    """Import the baseline, say so, and import what a task of preview.py needs that asks GitHub."""
    with tempfile.TemporaryDirectory() as folder:
        import_baseline(Path(folder))
    from airflow.dag_processing.dagbag import DagBag

    print(BEGINS, file=sys.stderr, flush=True)
    DagBag(DAGS / "preview.py")
    ask_github()


def ask_github() -> None:
    """Import what a task needs that asks GitHub."""
    importlib.import_module("include.deploy_ops.hooks.github.pulls")


def preload() -> None:
    """Import what the plugin imports before Airflow forks; here, since the plugin itself imports Airflow."""
    importlib.import_module("plugins.preloading").preload()


def do_nothing() -> None:
    """Import nothing more."""


def import_baseline(folder: Path) -> float:
    """Import what the DAG processor has imported anyway; return the seconds."""
    start = time.perf_counter()
    import airflow.dag_processing.processor
    import airflow.sdk  # noqa: F401 - for its effect
    from airflow.dag_processing.dagbag import DagBag

    small = folder / "small.py"
    small.write_text(SMALL_DAG, encoding="utf-8")
    if not DagBag(small).dags:
        raise RuntimeError("the small DAG was not parsed")
    return time.perf_counter() - start


def write_policy(folder: Path, projects: int) -> str:
    """Write a policy of so many projects, and return its path."""
    previews = {"branches": ["dev*"], "template": "deployments/preview.yaml", "merged_into": ["staging", "main"]}
    each = {"image": ["reuse"], "previews": previews}
    document = {
        "control_plane": "acme-bench",
        "projects": [
            {"name": f"project_{number}", "repository": f"acme/project-{number}", **each} for number in range(projects)
        ],
    }
    path = folder / f"{projects}.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def measure(
    dags: Path, after: Callable[[], None] = do_nothing, before: Callable[[], None] = do_nothing
) -> tuple[int, int, str, str]:
    """Return the number of DAGs and of imported modules, and the medians of the seconds and of the CPU's.

    :param after: what else is done in that time.
    :param before: what is done before it counts.
    """
    count, modules, *_ = parse_in_fork(dags, after, before)  # compiles what was not compiled before
    found = [parse_in_fork(dags, after, before) for _ in range(REPEATS)]
    seconds, cpu_s = (statistics.median(each[column] for each in found) for column in (2, 3))
    return count, modules, f"{seconds:.2f} s", f"{cpu_s:.2f} s"


def parse_in_fork(dags: Path, after: Callable[[], None], before: Callable[[], None]) -> tuple[int, int, float, float]:
    """Parse in a process of its own, which knows nothing of the files yet."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=parse, args=(dags, sender, after, before))
    process.start()
    sender.close()
    found: tuple[int, int, float, float] | str = receiver.recv()
    process.join()
    if not isinstance(found, str):
        return found
    raise RuntimeError(found)


def parse(dags: Path, sender: Connection, after: Callable[[], None], before: Callable[[], None]) -> None:
    """Parse as Airflow does; send how many DAGs there are, how many modules that took, and the seconds, or what failed.

    A child that dies without a word would leave its parent with the end of a pipe.
    """
    from airflow.dag_processing.dagbag import DagBag

    before()
    known, start, start_cpu = len(sys.modules), time.perf_counter(), time.process_time()
    bag = DagBag(dags)
    after()
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    if bag.import_errors:
        sender.send(f"not parsed: {bag.import_errors}")
    else:
        sender.send((len(bag.dags), len(sys.modules) - known, seconds, cpu_s))


if __name__ == "__main__":
    import_for_task() if sys.argv[1:] == [IMPORTS] else main()
