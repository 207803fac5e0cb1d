"""Start the children in which Airflow runs, one at a time, bounded and shut in, and end them. It reads no report.

A child sees the system's programs, this Python, and its own folder; it has no network but a loopback of its own, and
nothing of this process's environment. That is bubblewrap's work (bwrap(1)). Where that does not work, a child keeps
its limits and its environment, and sees what this process's user may see: run no strangers' DAGs there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.settings import Settings

_PROGRAM = Path(__file__).with_name("child.py")
_MEMORY_BYTES = 3 << 30  # of addresses; Airflow and a DAG need a tenth in memory
_SYSTEM = (
    *(f"/usr/{name}" for name in ("bin", "lib", "lib64", "share", "local/bin", "local/lib")),
    *(f"/{name}" for name in ("bin", "lib", "lib64")),
    *(f"/etc/{name}" for name in ("alternatives", "hosts", "ld.so.cache", "localtime", "nsswitch.conf", "passwd")),
    *("/etc/ssl/certs", "/etc/ssl/openssl.cnf"),
)
_TRIAL_S = 30
_SAID_CHARACTERS = 500


class ChildError(Exception):
    """A child did not come to its end; the text says how it ended, and what it said last."""


class Children:
    """All children of a sandbox.

    :param program: what each of them is.
    """

    def __init__(self, settings: Settings, program: Path = _PROGRAM) -> None:
        self._settings = settings
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self.turn = asyncio.Lock()
        """Held by whoever has a child run, and prepares or reads its folder."""

    async def run(self, folder: Path, order: dict[str, Any]) -> None:
        """Have a child obey an order, in a folder that is all that it may change; the caller holds `turn`.

        :raises ChildError: it failed, or reached a limit.
        """
        limit_s = self._settings.airflow_limit_s
        sent = json.dumps({**order, "memory_bytes": _MEMORY_BYTES, "cpu_s": max(1, round(limit_s))})
        output = folder / "output.txt"
        with output.open("wb") as file:
            self._process = await asyncio.create_subprocess_exec(
                *_confine(folder, self._program),
                sys.executable,
                "-P",  # else this folder's modules would be importable there
                str(self._program),
                stdin=asyncio.subprocess.PIPE,
                stdout=file,
                stderr=file,
                cwd="/",
                env={},
                start_new_session=True,
            )
            try:
                await asyncio.wait_for(self._process.communicate(sent.encode()), limit_s)
            except TimeoutError:
                raise ChildError(f"it was ended after {limit_s} s") from None
            finally:
                self.end()
                await self._process.wait()
        if self._process.returncode:
            raise ChildError(f"exit code {self._process.returncode}: {_read_end(output)}")

    def end(self) -> None:
        """End the child that runs, if any, and whatever it started; return when it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.killpg(self._process.pid, signal.SIGKILL)
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)  # asyncio itself takes the exit code


def _confine(folder: Path, program: Path) -> list[str]:
    return list(_list_words(folder, program)) if is_confinement_possible() else []


def _list_words(folder: Path, program: Path) -> Iterator[str]:
    yield from ("bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL")
    yield from ("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp")  # noqa: S108 - its own
    for path in (*_SYSTEM, sys.executable, sys.prefix, sys.base_prefix, str(program)):
        yield from ("--ro-bind-try", path, path)
    yield from ("--bind", str(folder), str(folder), "--remount-ro", "/", "--")


@functools.cache
def is_confinement_possible() -> bool:
    """Whether bubblewrap is installed and works here, found out by trying."""
    if shutil.which("bwrap") is None:
        return False
    trial = [*_list_words(_PROGRAM.parent, _PROGRAM), sys.executable, "-I", "-S", "-c", ""]
    done = subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_S, check=False)
    return done.returncode == 0


def _read_end(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _SAID_CHARACTERS))
        return file.read().decode(errors="replace").strip()
