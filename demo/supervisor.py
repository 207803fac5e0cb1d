"""Keeps processes running: each in a group of its own, started again when it exits, all ended with whoever asked.

A program: `python -m demo.supervisor`, told once on its standard input what to keep. That stays open as long as who
asked lives, however it dies; at its end everything here ends, too.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

from demo.processes import adopt_orphans, end_groups, start_group

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping, Sequence

GRACE_S = 6.0
"""Seconds to end in: less than whoever ends this program waits for it."""
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 8.0
"""Seconds until what exited is started again: at first, and after it exited again and again."""
STEADY_S = 30.0
"""Seconds after which what runs has started well."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be kept running.

    :param name: its log is `<name>.log`.
    :param env: variables laid over this program's own.
    :param user: as whom it runs; empty: as this program.
    :param end_signal: what it is asked to end by.
    :param is_vital: it is not started again; at its end all ends, with its exit code.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    end_signal: int = signal.SIGTERM
    is_vital: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """All that one supervisor keeps.

    :param logs: the folder of the logs.
    :param litter: folders that are removed when all has ended.
    """

    jobs: Sequence[Job]
    logs: str
    litter: Sequence[str] = ()

    def dump(self) -> bytes:
        """Return the line by which a supervisor is told."""
        return json.dumps(asdict(self)).encode() + b"\n"


def parse_charge(line: bytes) -> Charge:
    """Return what the line says."""
    told = json.loads(line)
    return Charge([Job(**each) for each in told["jobs"]], told["logs"], told["litter"])


class JobEndedError(Exception):
    """A vital job ended; its exit code is the argument, less than zero for the signal that killed it."""


class Keeper:
    """Starts one job, and starts it again."""

    def __init__(self, job: Job, logs: Path) -> None:
        self.job = job
        self.process: subprocess.Popen[bytes] | None = None
        self._log = logs / f"{job.name}.log"
        self._pause_s = PAUSE_MIN_S
        self._started = self.due = time.monotonic()

    def tend(self, now: float) -> None:
        """Notice that the job exited, and start it when that is due."""
        if self.process is not None and self.process.poll() is not None:
            if self.job.is_vital:
                raise JobEndedError(self.process.returncode)
            self._give_pause(now, self.process)
            self.process = None
        if self.process is None and now >= self.due:
            self._started = now
            env = {**os.environ, **self.job.env}
            cwd = Path("/") if self.job.user else Path.cwd()  # another user may have no way to where we are
            self.process = start_group(self.job.argv, env=env, cwd=cwd, log=self._log, user=self.job.user)

    def _give_pause(self, now: float, process: subprocess.Popen[bytes]) -> None:
        """End what the job left of its group, and say when it is started again."""
        end_groups({process: signal.SIGKILL}, GRACE_S)
        self._pause_s = PAUSE_MIN_S if now - self._started > STEADY_S else min(2 * self._pause_s, PAUSE_MAX_S)
        self.due = now + self._pause_s
        sys.stderr.write(f"{self.job.name} exited with {process.returncode}; again in {self._pause_s} s\n")


def keep(charge: Charge, lifeline: IO[bytes]) -> None:
    """Keep all of it running until the lifeline ends or somebody says SIGTERM, then end all of it.

    :raises JobEndedError: a vital job ended.
    """
    keepers = [Keeper(job, Path(charge.logs)) for job in charge.jobs]
    signals = _hear()
    try:
        while not _is_over(lifeline, signals, keepers):
            for keeper in keepers:
                keeper.tend(time.monotonic())
            _bury_strangers({keeper.process.pid for keeper in keepers if keeper.process})
    finally:
        end(keepers, GRACE_S)
        for folder in charge.litter:
            shutil.rmtree(folder)


def end(keepers: Iterable[Keeper], grace_s: float) -> None:
    """End what they keep, each asked by its own signal, and what is left after the seconds of grace without asking."""
    end_groups({each.process: each.job.end_signal for each in keepers if each.process}, grace_s)


def _hear() -> socket.socket:
    """Return what gets a byte for each signal that matters here: the end of a child, and the wish to end."""
    hearing, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach())
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return hearing


def _is_over(lifeline: IO[bytes], signals: socket.socket, keepers: Iterable[Keeper]) -> bool:
    """Wait until something is to be done; whether it is to end all."""
    dues = [keeper.due for keeper in keepers if keeper.process is None]
    patience_s = max(0.0, min(dues) - time.monotonic()) if dues else None
    ready, _, _ = select.select([lifeline.fileno(), signals.fileno()], [], [], patience_s)
    return lifeline.fileno() in ready or (bool(ready) and signal.SIGTERM in signals.recv(4096))


def _bury_strangers(ours: set[int]) -> None:
    """Await the orphans of what was kept, which are this program's children and have ended."""
    for child in psutil.Process().children():
        if child.pid not in ours and child.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(child.pid, 0)


def main() -> int:
    """Return the exit code of the vital job that ended, if one did; as shells do, 128 and a signal's number."""
    adopt_orphans(is_on=True)
    try:
        keep(parse_charge(sys.stdin.buffer.readline()), sys.stdin.buffer)
    except JobEndedError as end:
        code = int(end.args[0])
        return code if code >= 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main())
