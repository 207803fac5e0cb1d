"""Wait, outside any worker slot, until an image registry has an image that somebody else builds, or its head moves.

Builds nothing, copies nothing, and judges neither whether the image can be used nor whether anybody still wants it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from include.deploy_ops.core.errors import ImageRefusedError, PermanentError, RetryableError
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.hooks.registry.logins import Logins
from include.deploy_ops.triggers.base import StoredTrigger
from include.deploy_ops.triggers.deferral import FIRST_EVENT_S, LONGEST_BACKOFF_S
from include.deploy_ops.triggers.heads import Heads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(kw_only=True, eq=False, repr=False)
class ImageAvailableTrigger(StoredTrigger):
    """Looks for the first of several images that is there, and sends one event.

    The event is `{"state": "found", "image": reference}`, `{"state": "refused", "detail": text}` when the registry will
    not let us look, `{"state": "timeout", "detail": text}`, or `{"state": "moved", "detail": text}` when a branch is
    not where it was. An unreachable registry is asked again, ever more slowly, until the deadline; a GitHub that does
    not answer ends nothing.

    :param registry_conn_id: the Airflow connection for pulling; None pulls anonymously.
    :param candidates: image references, the most wanted first.
    :param deadline: when to give up, ISO 8601 with an offset.
    :param poll_interval_s: seconds between two looks, which are some requests for each candidate.
    :param login_hosts: further hosts that may be told a registry's login, by the registry's host.
    :param heads: the commits of the branches for whose sake it waits, by name; none are looked at where it is empty.
    :param github_conn_id: the Airflow connection by which they are looked at, in `repository`.
    """

    registry_conn_id: str | None
    candidates: list[str]
    deadline: str
    poll_interval_s: float = 5
    login_hosts: dict[str, list[str]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    github_conn_id: str = ""
    repository: str = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores: where no host and no head is named, the same as before one could be."""
        path, arguments = super().serialize()
        later = ("login_hosts", "heads", "github_conn_id", "repository")
        return path, {name: value for name, value in arguments.items() if value or name not in later}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the one event."""
        start_stats()
        await asyncio.sleep(FIRST_EVENT_S)
        event = await self._watch()
        self.log.info("%s", event)
        yield TriggerEvent(event)

    async def _watch(self) -> dict[str, str]:
        deadline = datetime.fromisoformat(self.deadline)
        failures, detail = 0, ""
        heads = Heads(self.heads, self.github_conn_id, self.repository)
        logins = Logins()
        while True:
            try:
                found = await asyncio.to_thread(self._find, logins)
                if found is not None:
                    return {"state": "found", "image": found}
                failures, detail = 0, f"the registry has none of {', '.join(self.candidates)}"
                pause_s = self.poll_interval_s
            except (PermanentError, ImageRefusedError) as error:
                return {"state": "refused", "detail": str(error)}
            except RetryableError as error:
                failures, detail = failures + 1, f"the registry did not tell: {error}"
                pause_s = choose_backoff_s(error, failures, self.poll_interval_s, LONGEST_BACKOFF_S)
                self.log.warning("%s; asking again in %.0f s", detail, pause_s)
            if moved := await heads.find_moved():
                return {"state": "moved", "detail": moved}
            left_s = (deadline - datetime.now(UTC)).total_seconds()
            if left_s <= 0:
                return {"state": "timeout", "detail": detail}
            await asyncio.sleep(min(pause_s, left_s))

    def _find(self, logins: Logins) -> str | None:
        from include.deploy_ops.hooks.registry.registry import RegistryHook  # not where DAG files are parsed

        # A new hook for each look, so that a repaired Airflow connection counts; a login of hours is kept meanwhile.
        registry = RegistryHook(self.registry_conn_id, login_hosts=self.login_hosts, logins=logins)
        return next((each for each in self.candidates if registry.find_image(each) is not None), None)
