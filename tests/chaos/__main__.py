"""Plays lives of a seed until so many steps are spent, and makes one that fails short: `python -m tests.chaos`."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from demo.author import Author
from sandbox.identity import GITHUB_TOKEN
from tests.chaos.lives import LIFE, Step, Theatre, draw, open_theatre
from tests.chaos.shrinking import shrink
from tests.sandbox.conftest import start_sandbox
from tests.worlds.stages.fixtures import open_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.lives import Failure

_TERMINATED = 143


def main() -> int:
    """Return 0 if every life ended well, 1 if one failed."""
    asked = _read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that the sandbox ends with us
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, start_sandbox(Path(folder) / "data") as sandbox:
        author = Author(Path(folder) / "clone", sandbox.url, GITHUB_TOKEN)
        author.folder.mkdir()
        author.clone()
        with open_stage(sandbox, author) as stage, open_theatre(stage, Path(folder)) as theatre:
            show = Show(theatre, asked)
            if asked.replay:
                return show.replay(asked.replay)
            return show.play(asked.seed, asked.steps, asked.first_life)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=LIFE, help="how many are played in all")
    parser.add_argument("--first-life", type=int, default=0, help="where an earlier play of the seed ended")
    parser.add_argument("--shrink-s", type=float, default=900, help="seconds for making a failing life short")
    parser.add_argument("--replay", type=_read_steps, help="a file of steps, a line each")
    parser.add_argument("--all", action="store_true", help="play on after a life that failed")
    parser.add_argument("--log", type=Path, help="where the log of a failing life is written")
    return parser.parse_args()


def _read_steps(path: str) -> list[Step]:
    """Read the file before anything begins. :raises ArgumentTypeError: which the parser tells."""
    try:
        steps = [Step.read(line) for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from error
    if not steps:
        raise argparse.ArgumentTypeError(f"{path} holds no step")
    return steps


class Show:
    """Plays lives and says how they end; what they log is kept of the one that failed."""

    def __init__(self, theatre: Theatre, asked: argparse.Namespace) -> None:
        self._theatre = theatre
        self._log: Path | None = asked.log
        self._shrink_s: float = asked.shrink_s
        self._plays_on: bool = asked.all

    def play(self, seed: int, wanted: int, first: int) -> int:
        """Play lives of the seed until so many steps are spent."""
        life, done, failed, began = first, 0, 0, time.monotonic()
        while done < wanted:
            steps = draw(seed, life, min(LIFE, wanted - done))
            failed += self._fails(steps, f"seed {seed}, life {life}")
            if failed and not self._plays_on:
                return 1
            life, done = life + 1, done + len(steps)
            _say(f"seed {seed}: {life - first} lives, {done} steps, {failed} failed, {time.monotonic() - began:.0f} s")
        return min(failed, 1)

    def replay(self, steps: Sequence[Step]) -> int:
        """Play these steps."""
        if self._fails(steps, "the replayed life"):
            return 1
        _say(f"all was well after {len(steps)} steps")
        return 0

    def _fails(self, steps: Sequence[Step], name: str) -> bool:
        failure, said = self._try(steps)
        if failure is None:
            return False
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{name}\n{said}\n")
        _say(f"{name} failed after {failure.steps} of {len(steps)} steps:\n{failure.said}")
        ends_at = time.monotonic() + self._shrink_s

        def is_alike(candidate: list[Step]) -> bool:
            found, _ = self._try(candidate)
            return found is not None and found.place == failure.place

        short = shrink(steps[: failure.steps + 1], is_alike, lambda: time.monotonic() < ends_at)
        _say("\n".join([f"{len(short)} steps fail alike; --replay plays a file of them:", *map(str, short)]))
        return True

    def _try(self, steps: Sequence[Step]) -> tuple[Failure | None, str]:
        said = io.StringIO()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(said)
        with contextlib.redirect_stdout(said):
            return self._theatre.play(steps), said.getvalue()


def _say(text: str) -> None:
    sys.__stdout__.write(f"{text}\n")  # type: ignore[union-attr]  # a command has one
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    sys.exit(main())
