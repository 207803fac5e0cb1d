"""Process groups that end whole: every child started here, and its children, are gone when the stack is."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE_S = 10.0
"""Seconds a process has between being asked to end and being killed; Airflow's scheduler needs about 5."""


def adopt_orphans(*, is_on: bool) -> None:
    """Become, or cease to be, the parent of descendants whose own parent ends, so that none escapes (Linux only).

    It has to cease: orphans of what is started later would stay zombies, since nobody here waits for them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0)


def start_group(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a new process group, its output going to the log file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process, its group and every descendant: politely, then after `GRACE_S` without asking."""
    family = _list_family(process.pid)
    _signal_group(process.pid, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    for each in [*left, *_list_family(process.pid)]:
        _kill(each)
    psutil.wait_procs(left, timeout=GRACE_S)
    process.wait(timeout=GRACE_S)


def end_descendants() -> None:
    """Kill what is left below this process: orphans that changed their group and were adopted."""
    left = psutil.Process().children(recursive=True)
    for each in left:
        _kill(each)
    psutil.wait_procs(left, timeout=GRACE_S)


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
