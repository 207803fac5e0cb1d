"""Whether what somebody waits for is still wanted: branches where they were, the deploy the newest. Ends nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.history import read_history
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.triggers.deferral import LONGEST_BACKOFF_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from include.deploy_ops.hooks.astro.api import AsyncAstroApi
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

T = TypeVar("T")

log = logging.getLogger(__name__)

HEADS_INTERVAL_S = 15.0
"""Seconds between two looks at the heads: each is a conditional request for each branch, and dozens may wait."""

RECORDS_READ = 50
"""Newest records that are looked through for one after a deploy."""


def give_up(moved: str) -> str:
    """Return why nobody waits any longer, since a branch moved or is gone."""
    return f"{moved}, so nobody waits for it"


async def find_newer(astro: AsyncAstroApi, deployment_id: str, deploy_id: str, owner: str) -> str:
    """Return which deploy came after that one, empty where none did, or Astro does not tell.

    :param owner: whose deploys are ours, as `naming.name_owner` says.
    """
    try:
        records = await astro.list_deploys(deployment_id, limit=RECORDS_READ)
    except (RetryableError, PermanentError) as error:
        log.warning("whether another deploy came after %s is not known: %s", deploy_id, error)
        return ""
    newest = read_history(records, owner).newest_id
    return f"deploy {newest} came after it" if newest not in {"", deploy_id} else ""


@dataclass
class Heads:
    """Looks whether branches are still where they were, now and then, and is none the wiser where GitHub fails."""

    heads: dict[str, str]
    github_conn_id: str
    repository: str
    _hook: DeployOpsGithubHook | None = None
    _next_s: float = 0.0
    _failures: int = 0

    async def find_moved(self) -> str:
        """Return which branch moved or is gone, empty while none did, or it is too early to look again."""
        if not self.heads or time.monotonic() < self._next_s:
            return ""
        try:
            moved = await asyncio.to_thread(self._look)
            self._failures, pause_s = 0, HEADS_INTERVAL_S
        except Exception as error:  # noqa: BLE001 - what is waited for is something else
            self._failures += 1
            self._hook, moved = None, ""  # the next look reads the Airflow connection again
            pause_s = choose_backoff_s(error, self._failures, HEADS_INTERVAL_S, LONGEST_BACKOFF_S)
            log.warning("whether a head moved is not known: %s; looking again in %.0f s", error, pause_s)
        self._next_s = time.monotonic() + pause_s
        return moved

    async def end_early(self, work: Coroutine[Any, Any, T], leave: Callable[[str], T]) -> T:
        """Return what the work comes to; as soon as a branch moved, end it, and return what `leave` makes of that.

        Whom the work waits for may not answer: who moved the branch waits for nobody.
        """
        doing, looking = asyncio.ensure_future(work), asyncio.ensure_future(self._await_moved())
        try:
            await asyncio.wait((doing, looking), return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else leave(give_up(looking.result()))
        finally:
            for each in (doing, looking):
                each.cancel()
            await asyncio.gather(doing, looking, return_exceptions=True)

    async def _await_moved(self) -> str:
        while True:
            if moved := await self.find_moved():
                return moved
            await asyncio.sleep(HEADS_INTERVAL_S)

    def _look(self) -> str:
        if self._hook is None:
            from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook  # as above

            self._hook = DeployOpsGithubHook(self.github_conn_id, self.repository, tries=1)
        for name, head in self.heads.items():
            found = self._hook.find_branch(name)
            if found is None or found.head != head:
                return f"{name} moved from {head[:12]}" if found else f"{name} is not there any more"
        return ""
