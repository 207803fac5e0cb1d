"""What the safety of a deploy costs: the step `deploy` of DAGs with and without confinement, and a seal.

GitHub and Astro are one sandbox, and the Astro CLI is its stand-in, which the worker starts like the real one. With and
without take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.table import print_table
from demo.author import Author
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.process.command import Command
from include.deploy_ops.process.confinement import Sight, find_protection
from include.deploy_ops.run.seals import WORK, Place, Seals
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN
from tests.sandbox.conftest import start_sandbox
from tests.worlds.doubles.worker import forbid_confinement
from tests.worlds.stages.fixtures import set_stage
from tests.worlds.stages.stage import Stage

ROUNDS = 15
SEALED = 1000
BRANCH = "dev-x"
COLUMNS = ("what", "times", "without, p50", "with, p50", "with, the longest")


def measure(action: Callable[[], object]) -> float:
    """Return the seconds that it takes; what it prints is left out."""
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        action()
        return time.perf_counter() - started


def compare(name: str, prepare: Callable[[], Callable[[], object]]) -> tuple[str, ...]:
    """Return the row of an action, prepared anew for each time, without and with confinement."""
    without, confined = [], []
    for _ in range(ROUNDS):
        with pytest.MonkeyPatch.context() as monkeypatch:
            forbid_confinement(monkeypatch)
            without.append(measure(prepare()))
        confined.append(measure(prepare()))
    return make_row(name, confined, show(statistics.median(without)))


def make_row(name: str, spans: list[float], without: str = "") -> tuple[str, ...]:
    """Return a row of the table."""
    return name, f"{len(spans):,}", without, show(statistics.median(spans)), show(max(spans))


def show(seconds: float) -> str:
    """Return seconds as the table says them."""
    return f"{seconds * 1000:,.2f} ms"


def prepare_deploy(stage: Stage) -> Callable[[], object]:
    """Push a branch and plan its deploy to an empty Deployment; return the step that deploys it."""
    with contextlib.redirect_stdout(io.StringIO()):
        stage.renew()
        head = stage.push(BRANCH)
        run = stage.start_planned(Verb.DEPLOY, BRANCH, head, stage.make_deployment(BRANCH))
        run.decide(ChangeType.DAGS, head)
    return lambda: run.step("deploy")


def measure_seals() -> tuple[str, ...]:
    """Return the row of a seal that is made, and checked where the value is read."""
    seals, place = Seals("acme", (ASTRO_TOKEN,)), Place("shop.preview", "run", "change_type return_value")
    value = {"change_type": "dags", "commit": "1" * 40, "reason": "only dags/ differs", "observed": "d" * 25}

    def seal() -> None:
        seals.check(WORK, place, value, seals.make(WORK, place, value))

    return make_row("a value's seal, made and checked", [measure(seal) for _ in range(SEALED)])


def list_rows(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows, with everything that they need below a folder."""
    if reason := find_protection().reason:
        raise RuntimeError(f"this machine confines nothing, so there is nothing to compare: {reason}")
    with start_sandbox(folder / "world") as world, pytest.MonkeyPatch.context() as monkeypatch:
        author = Author(folder / "author", world.url, GITHUB_TOKEN)
        author.folder.mkdir()
        author.clone()
        stage = set_stage(world, author, monkeypatch)
        yield compare("the step `deploy`, of DAGs", lambda: prepare_deploy(stage))
    sight = Sight(writes=(folder,))
    yield compare("a command", lambda: Command(["git", "version"], cwd=folder, env={}, timeout_s=60, sight=sight).run)
    trials = [measure(find_protection.__wrapped__) for _ in range(ROUNDS)]
    yield make_row("finding out what the worker allows, once a task", trials)
    yield measure_seals()


def main() -> None:
    """Print the table."""
    logging.disable(logging.INFO)
    with TemporaryDirectory() as name:
        print_table("What the safety of a deploy costs", COLUMNS, list_rows(Path(name)))


if __name__ == "__main__":
    main()
