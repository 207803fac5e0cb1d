"""Wait, outside any worker slot, until a deploy has settled, failed, was overtaken, or its time is over.

Decides nothing about a deploy: `settling` judges. Deploys nothing and repairs nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.target.settling import (
    Failed,
    Overtaken,
    Settled,
    Settling,
    Waiting,
    is_calm,
    judge_settling,
)
from include.deploy_ops.hooks.astro.api import AsyncAstroApi
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.triggers.base import StoredTrigger
from include.deploy_ops.triggers.deferral import FIRST_EVENT_S, LONGEST_BACKOFF_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOK_TIMEOUT_S = 90.0
BRIEF_S = 5.0
"""Seconds for which the task itself looks before it parks: parked, it hears nothing for `FIRST_EVENT_S`, and it costs
another start to resume."""
BRIEF_PAUSE_S = 0.5
LONGEST_PAUSE_S, PAUSE_GROWS = 10.0, 1.3
"""Between two looks that only wait: what takes minutes is looked at less often, and a burst's many tasks, which share
what Astro gives one token, ask it seldom."""
RECORDS_READ = 50
"""Newest records that are searched for this call's: more deploys of one Deployment do not begin while one settles."""


@dataclass(kw_only=True, eq=False, repr=False)
class DeploySettledTrigger(StoredTrigger):
    """Watches one deploy, and sends one event.

    The event is `{"state", "detail", "deploy_id", "image_tag", "dag_version", "seconds"}`, where state is "settled",
    "failed", "overtaken" or "timeout", seconds counts from `started_at`, and the three in the middle are those of this
    call's record, None where Astro shows none. An unreachable Astro is asked again, ever more slowly, until the
    deadline.

    :param astro_conn_id: the Airflow connection's id.
    :param deployment_id: where the deploy went.
    :param needle: text by which this call's record is found in its description.
    :param kind: a `ChangeType` value: what the call was to send.
    :param started_at: when the call began, ISO 8601 with an offset.
    :param deadline: when to give up, likewise.
    :param woke: whether we woke the Deployment for it, so that hibernation is no end.
    :param poll_interval_s: seconds between the first two looks, which are two requests each; they grow.
    """

    astro_conn_id: str
    deployment_id: str
    needle: str
    kind: str
    started_at: str
    deadline: str
    woke: bool
    poll_interval_s: float = 1

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the one event."""
        start_stats()
        await asyncio.sleep(FIRST_EVENT_S)
        event = await self._watch()
        self.log.info("%s: %s", event["state"], event["detail"])
        yield TriggerEvent(event)

    async def look_briefly(self) -> dict[str, Any] | None:
        """Return the event if it comes within seconds, None if it is worth parking for, also where Astro fails.

        So soon after a deploy Astro may still call a Deployment healthy that has not begun to change: the Astro CLI
        waits 30 to 90 s before it asks (deploy.go, `sleepTime`). Only that it has the deploy's DAGs is a proof by then.
        """
        left_s = (datetime.fromisoformat(self.deadline) - datetime.now(UTC)).total_seconds()
        try:
            async with AsyncAstroApi(self.astro_conn_id) as astro, asyncio.timeout(min(BRIEF_S, left_s)):
                while True:
                    settling = await self._look(astro, is_brief=True)
                    if isinstance(settling, Settled) and not settling.deploy.dag_tarball_version:
                        return None
                    if not isinstance(settling, Waiting):
                        return self._describe(settling, "")
                    await asyncio.sleep(BRIEF_PAUSE_S)
        except (RetryableError, TimeoutError) as error:
            self.log.info("parking, since Astro shows no end of it yet%s", f": {error}" if str(error) else "")
        return None

    async def _watch(self) -> dict[str, Any]:
        deadline = datetime.fromisoformat(self.deadline)
        settling: Settling = Waiting(None, "Astro was not asked yet")
        failures, problem, usual_s = 0, "", self.poll_interval_s
        async with AsyncAstroApi(self.astro_conn_id) as astro:
            while True:
                try:
                    settling = await self._look(astro)
                    failures, problem, pause_s = 0, "", usual_s
                    usual_s = min(usual_s * PAUSE_GROWS, LONGEST_PAUSE_S)
                except (RetryableError, TimeoutError) as error:
                    failures, problem = failures + 1, str(error) or f"no answer in {LOOK_TIMEOUT_S:.0f} s"
                    pause_s = choose_backoff_s(error, failures, self.poll_interval_s, LONGEST_BACKOFF_S)
                    await astro.close()  # so that a repaired Airflow connection counts
                    self.log.warning("Astro did not tell, asking again in %.0f s: %s", pause_s, problem)
                left_s = (deadline - datetime.now(UTC)).total_seconds()
                if left_s <= 0 or not isinstance(settling, Waiting):
                    return self._describe(settling, problem)
                await asyncio.sleep(min(pause_s, left_s))

    async def _look(self, astro: AsyncAstroApi, *, is_brief: bool = False) -> Settling:
        """Return what Astro shows; a brief look leaves out the records of a Deployment that still changes."""
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            deployment = await astro.get_deployment(self.deployment_id)
            tells = deployment is not None and (not is_brief or is_calm(deployment.status, woke=self.woke))
            records = await astro.list_deploys(self.deployment_id, limit=RECORDS_READ) if tells else ()
        return judge_settling(records, deployment, needle=self.needle, kind=ChangeType(self.kind), woke=self.woke)

    def _describe(self, settling: Settling, problem: str) -> dict[str, Any]:
        state, detail = _conclude(settling, problem)
        record = settling.deploy
        return {
            "state": state,
            "detail": detail,
            "deploy_id": record.id if record else None,
            "image_tag": record.image_tag if record else None,
            "dag_version": record.dag_tarball_version if record else None,
            "seconds": round((datetime.now(UTC) - datetime.fromisoformat(self.started_at)).total_seconds(), 1),
        }


def _conclude(settling: Settling, problem: str) -> tuple[str, str]:
    """Return the event's state and detail; a settling that still waits means that the time is over."""
    match settling:
        case Settled(deploy):
            return "settled", f"Astro's record {deploy.id} is deployed, and the Deployment shows it"
        case Overtaken(by=newer):
            return "overtaken", f"deploy {newer.id} came after it" + (
                f" ({newer.description})" * bool(newer.description)
            )
        case Failed(reason=reason):
            return "failed", reason
        case Waiting(None, reason) if not problem:
            return "failed", f"the Astro CLI said that it succeeded, but {reason}"
        case Waiting(reason=reason):
            return "timeout", f"{reason}; Astro did not tell: {problem}" if problem else reason
