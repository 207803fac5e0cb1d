"""Plays a run as workers without a common disk do: each task in a process and in folders of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asgiref.sync import SyncToAsync

from tests.worlds.stages.stage import Run

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_FORK = multiprocessing.get_context("fork")
_PLACES = ("HOME", "TMPDIR", "AIRFLOW_HOME")


@dataclass
class ApartRun(Run):
    """A run of which nothing but what Airflow's database keeps comes from one task to the next.

    :param left: what each task left in its folders, by task id; it is gone when the next one begins.
    """

    left: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def take(cls, run: Run) -> ApartRun:
        """Return the run, to be played in this way from here on."""
        return cls(**vars(run))

    def _play_task(self, task: Any) -> None:
        ours, theirs = _FORK.Pipe()
        with tempfile.TemporaryDirectory() as folder:
            worker = _FORK.Process(target=self._work, args=(task, Path(folder), theirs))
            worker.start()
            theirs.close()
            kept = ours.recv()
            worker.join()
            self.left[task.task_id] = [path.name for path in Path(folder).glob("*/*")]
        for known, told in zip(self._list_kept(), kept, strict=True):
            known.clear()
            known.update(told)
        self.stage.events.events[:] = ours.recv()
        ours.close()

    def _list_kept(self) -> list[dict[str, Any]]:
        """Return what Airflow's database keeps, but for events."""
        return [self.xcoms, self.states, self.tries, self.task_stores, self.stage.stores]

    def _work(self, task: Any, folder: Path, told: Connection) -> None:
        """Be the process of one task; what is raised in it ends it before it tells anything."""
        for place in _PLACES:
            os.environ[place] = str(folder / place)
            (folder / place).mkdir()
        os.chdir(folder)
        tempfile.tempdir = None
        # Its thread stayed in the process that was forked.
        SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)
        super()._play_task(task)
        told.send(self._list_kept())
        told.send(self.stage.events.events)
