"""Process groups that end whole: every child started here, and its children, are gone when the stack is.

And families that end at once, without being asked, for those who want to see what a crash leaves behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE_S = 10.0
"""Seconds a process has between being asked to end and being killed; Airflow's scheduler needs about 5."""


def adopt_orphans(*, is_on: bool) -> None:
    """Become, or cease to be, the parent of descendants whose own parent ends, so that none escapes (Linux only).

    It has to cease: orphans of what is started later would stay zombies, since nobody here waits for them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0)


def start_group(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, user: str = "", told: bytes = b""
) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a new process group, its output going to the end of the log file.

    :param user: as whom it runs; empty: as we do.
    :param told: what it reads at once; its input then stays open for as long as we live.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **identify(user),
        )
    if process.stdin is not None:
        process.stdin.write(told)
        process.stdin.flush()
    return process


def identify(user: str) -> dict[str, Any]:
    """Return how a process is started as this user, with this user's own group alone; empty: as we are."""
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process, its group and every descendant: politely, then after `GRACE_S` without asking."""
    end_groups({process: signal.SIGTERM}, GRACE_S)


def end_groups(processes: Mapping[subprocess.Popen[bytes], int], grace_s: float) -> None:
    """End all these with their groups and descendants: each asked by its signal, killed after the seconds of grace."""
    family = [each for process in processes for each in _list_family(process.pid)]
    for process, number in processes.items():
        _signal_group(process.pid, number)
    _, left = psutil.wait_procs(family, timeout=grace_s)
    for process in processes:
        _signal_group(process.pid, signal.SIGKILL)
        left += _list_family(process.pid)
    for each in left:
        _kill(each)
    psutil.wait_procs(left, timeout=grace_s)
    for process in processes:
        process.wait(timeout=grace_s)


def end_descendants() -> None:
    """Kill what is left below this process: orphans that changed their group and were adopted."""
    left = psutil.Process().children(recursive=True)
    for each in left:
        _kill(each)
    psutil.wait_procs(left, timeout=GRACE_S)


def find_descendants(*command: str) -> list[psutil.Process]:
    """Return the processes below this one whose command line ends so; of the first word, a path's last part counts."""
    return [each for each in psutil.Process().children(recursive=True) if _is_running(each, command)]


def _is_running(process: psutil.Process, command: Sequence[str]) -> bool:
    try:
        words = process.cmdline()[-len(command) :]
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return [Path(word).name for word in words[:1]] + words[1:] == list(command)


def kill_families(roots: Iterable[psutil.Process]) -> None:
    """Kill the processes and all their descendants, as the end of their container would: at once, parents first."""
    family = [each for root in roots for each in _list_family(root.pid)]
    for each in family:
        _kill(each)
    give_up = time.monotonic() + GRACE_S
    while left := [each for each in family if _is_alive(each)]:
        if time.monotonic() > give_up:
            raise TimeoutError(f"killed processes live on: {left}")
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it is more than a zombie, which waits for a parent that may never ask."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _list_family(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
