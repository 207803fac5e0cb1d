"""Which previews hold older values than the management Airflow: read once in a while, remembered between passes.

Values are compared by their seals (`run/seals.py`); none is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.environment.rotation import Reading, find_rotated
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.hooks.secrets import read_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.deploy_ops.core.environment.mapping import Mapped
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.seals import Seals


@dataclass(frozen=True, slots=True)
class RotationReader:
    """Reads for one project's previews."""

    memory: Memory
    seals: Seals
    mapped: tuple[Mapped, ...]

    @property
    def is_needed(self) -> bool:
        """Whether anything is mapped of which another value may come."""
        return any(each.is_secret for each in self.mapped)

    def read(self, previews: Mapping[str, Deployment], now: datetime) -> Reading:
        """Return which of the previews, by branch, want new values; those that hibernate get them when they wake."""
        if not self.is_needed:
            return Reading(now)
        known = self.memory.rotation.read()
        if known is None or known.is_due(now):
            found = self._read_anew(known, previews, now)
        else:
            found = self._drop_refreshed(known, previews)
        if found != known:
            self.memory.rotation.write(found)
        awake = {each.id for each in previews.values() if not is_asleep(each)}
        return replace(found, stale={key: each for key, each in found.stale.items() if key in awake})

    def _read_anew(self, known: Reading | None, previews: Mapping[str, Deployment], now: datetime) -> Reading:
        try:
            values = read_secrets(self.mapped).values
        except RetryableError as error:
            return Reading(now, known.stale if known else {}, str(error))
        stale = {}
        for branch, deployment in previews.items():
            seals = self.seals.seal_values(deployment.id, values)
            laid = self.memory.environment(slug_branch(branch)).read().laid
            if (rotated := find_rotated(laid, deployment.id, seals)) is not None:
                stale[deployment.id] = rotated
        return Reading(now, stale)

    def _drop_refreshed(self, known: Reading, previews: Mapping[str, Deployment]) -> Reading:
        """Return the reading without the previews that got their values since."""
        stale = dict(known.stale)
        for branch, deployment in previews.items():
            rotated = stale.get(deployment.id)
            if rotated is None:
                continue
            if rotated.is_laid(self.memory.environment(slug_branch(branch)).read().laid, known.at):
                del stale[deployment.id]
        return replace(known, stale=stale)
