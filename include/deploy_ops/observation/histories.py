"""What our Deployments run, by Astro's deploy records: kept between passes, and believed as long as it fits.

A history is kept for a Deployment as it was seen, and only believed where it explains that. Astro may answer with a
list that is minutes old; one that fits by chance is found when its turn comes to be read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import MalformedAnswerError
from include.deploy_ops.core.history import FINAL, DeployHistory, explains, read_history
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.schedule import count_delay_minutes
from include.deploy_ops.run.memory import CachedHistory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deploy, Deployment
    from include.deploy_ops.core.plan.outcome import Ended
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.run.memory import Memory

UNFINISHED = timedelta(hours=1)
"""How long an unfinished deploy record may still turn into a finished one; a history with one is read again."""

_OWNER_LENGTH = 8

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HistoryReader:
    """Reads the deploy records of one pass. `now` is when it began, `owner` whose notes are ours (`read_history`).

    `problems` gathers, by Deployment id, why records cannot be used.
    """

    astro: AstroApiHook
    memory: Memory
    now: datetime
    owner: str
    problems: dict[str, str] = field(default_factory=dict)

    def read(self, deployments: Iterable[Deployment]) -> dict[str, DeployHistory]:
        """Return the Deployments' histories by id; a quiet pass costs one request.

        Read anew are those of Deployments that moved, those that explain nothing, after 1, 2, 4 … 60 minutes, and of
        all others the one that was read longest ago.
        """
        seen = {each.id: each for each in deployments}
        before = self.memory.histories.read()
        known = {key: each for key, each in seen.items() if not each.problem}
        kept = {key: cached for key, cached in before.items() if key in known and self._is_believed(known[key], cached)}
        fitting = [key for key, cached in kept.items() if not cached.tries]
        if fitting:
            del kept[min(fitting, key=lambda key: (kept[key].read_at or LONG_AGO, key))]
        read = {key: kept.get(key) or self._try_anew(each, before.get(key)) for key, each in known.items()}
        # Of what cannot be read now, what was read before stays, for when it can be.
        after = {key: cached for key in seen if (cached := read.get(key) or before.get(key)) is not None}
        self.memory.histories.write(before, after)
        return {key: cached.history for key, cached in read.items() if cached is not None}

    def _is_believed(self, deployment: Deployment, cached: CachedHistory) -> bool:
        # What moves with a deploy, `updated_at` among it, is in the fingerprint: where nothing moved no record is new.
        if cached.fingerprint != self._fingerprint(deployment):
            return False
        if explains(cached.history, deployment):
            return True
        delay = timedelta(minutes=count_delay_minutes(max(cached.tries, 1)))
        return cached.read_at is not None and self.now < cached.read_at + delay

    def _fingerprint(self, deployment: Deployment) -> str:
        """Return what tells that a history was read of this Deployment, and whose notes were taken for ours."""
        return f"{hash_text(self.owner, _OWNER_LENGTH)}{fingerprint_deployment(deployment)}"

    def _knows_more(self, cached: CachedHistory, deployment: Deployment, deploys: Iterable[Deploy]) -> bool:
        """Whether records that are gone explain what the Deployment still shows, and those that are there do not.

        Astro may drop records; a newer one than those that were read tells of what came after them.
        """
        is_ours = cached.fingerprint.startswith(hash_text(self.owner, _OWNER_LENGTH))
        if not is_ours or not explains(cached.history, deployment):
            return False
        history = read_history(deploys, self.owner)
        is_newest = history.newest_id == cached.history.newest_id
        is_gone = all(deploy.id != cached.history.newest_id for deploy in deploys)
        return (is_newest or is_gone) and not explains(history, deployment)

    def _try_anew(self, deployment: Deployment, cached: CachedHistory | None) -> CachedHistory | None:
        """Return the history as it is now; None where a record is malformed, which costs this Deployment alone.

        Where its turn came only, what was read before is believed until the next one.
        """
        try:
            return self._read_anew(deployment, cached)
        except MalformedAnswerError as error:
            if cached is not None and self._is_believed(deployment, cached):
                return replace(cached, read_at=self.now)
            self.problems[deployment.id] = str(error)
            return None

    def _read_anew(self, deployment: Deployment, cached: CachedHistory | None) -> CachedHistory:
        fingerprint = self._fingerprint(deployment)
        deploys = self.astro.list_deploys(deployment.id)
        history = read_history(deploys, self.owner)
        if cached is not None and self._knows_more(cached, deployment, deploys):
            return replace(cached, fingerprint=fingerprint, read_at=self.now)
        is_final = all(deploy.status in FINAL or deploy.created_at < self.now - UNFINISHED for deploy in deploys)
        tries = cached.tries if cached is not None and cached.fingerprint == fingerprint else 0
        return CachedHistory(
            # A record may end without the fields moving once more: until it has, no fingerprint vouches for it.
            fingerprint if is_final else "",
            history,
            self.now,
            0 if explains(history, deployment) else tries + 1,
        )


def drop_contradicted(memory: Memory, ended: Iterable[Ended]) -> None:
    """Forget the histories that lack, or still have, what a superseded run saw after they had been read."""
    seen = [each for each in ended if each.seen is not None and each.deployment_id]
    if not seen:
        return
    before = memory.histories.read()
    after = dict(before)
    for each in seen:
        cached = after.get(each.deployment_id)
        is_older = cached is not None and (cached.read_at or LONG_AGO) < each.outcome.at
        if cached is not None and is_older and cached.history.newest_id != each.seen:
            del after[each.deployment_id]
    memory.histories.write(before, after)


def fingerprint_deployment(deployment: Deployment) -> str:
    """Return what tells that a Deployment changed since its records were read."""
    return hash_text(repr(deployment), 16)
