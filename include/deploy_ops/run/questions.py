"""Which lists were put before a person, by run: so that no two runs ask about the same, and no answer is about more.

Airflow keeps the first page of a task that asks: a run whose list has changed since would show the old one. So a run
asks about one list only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.run.store import FilledSlot, Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.run.airflow_runs import Runs

QUESTIONS_MAX = 50
"""Questions that are remembered, newest last: more runs do not wait at once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run's question: the names of what it is about."""

    names: tuple[str, ...]
    at: datetime


_ASKED = TypeAdapter(dict[str, Asked])


class Questions:
    """The questions under one key of an asset's state store.

    :param runs: answers whether the asking run is alive.
    """

    def __init__(self, store: Store, key: str, runs: Runs) -> None:
        self._slot = FilledSlot(store, key, _ASKED, blank=dict)
        self._runs = runs

    def read(self) -> dict[str, Asked]:
        """Return what was asked by run; what cannot be read any more counts as never asked."""
        return self._slot.read()

    def find_asking(self, but: str) -> dict[str, str]:
        """Return what other runs than `but` wait to be told, by name, each with its run."""
        waiting = {run_id: asked for run_id, asked in self.read().items() if run_id != but}
        return {
            name: run_id for run_id, asked in waiting.items() if self._runs.is_alive(run_id) for name in asked.names
        }

    def list_names(self, run_id: str) -> frozenset[str]:
        """Return what the run asked about before it was cleared, by name."""
        asked = self.read().get(run_id)
        return frozenset(asked.names if asked else ())

    def note(self, run_id: str, names: Iterable[str], at: datetime) -> None:
        """Write what the run asks. Raises PermanentError where it has asked about another list before."""
        known, asked = self.read(), Asked(tuple(sorted(names)), at)
        before = known.pop(run_id, None)
        if before is not None and before.names != asked.names:
            raise PermanentError(
                "this run has asked about another list before, and Airflow would show that one again; trigger a new run"
            )
        newest = sorted({**known, run_id: asked}.items(), key=lambda item: item[1].at)[-QUESTIONS_MAX:]
        self._slot.write(dict(newest))
