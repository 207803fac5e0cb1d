"""The settle step: waits, soon without a worker slot, until Astro's record and the Deployment show this deploy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import UnsettledError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.triggers.settled import DeploySettledTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.deploy_ops.run.job import Job


class SettleDeployOperator(DeployOpsOperator):
    """Proves the deploy: its record says DEPLOYED, the Deployment shows what it carried, and is healthy.

    Returns the settled record's `{"deploy_id", "image_tag", "dag_version", "seconds"}`; a newer deploy ends the wait as
    overtaken, without failing.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY)

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Look for some seconds; where that was not enough, park until Astro shows the deploy."""
        job, ask = self._begin(context)
        deadline = datetime.now(UTC) + timedelta(seconds=self.scope.project.settle_timeout_s)
        trigger = DeploySettledTrigger(
            astro_conn_id=self.scope.project.astro_conn_id,
            deployment_id=ask["deployment_id"],
            needle=ask["needle"],
            kind=ask["kind"],
            started_at=ask["started_at"],
            deadline=deadline.isoformat(),
            woke=ask["woke"],
        )
        if event := asyncio.run(trigger.look_briefly()):
            return self._conclude(job, ask, event)
        self.log.info("waiting for %s until %s", ask["deployment_id"], deadline.isoformat(timespec="seconds"))
        # Airflow may see this task's exit seconds late, and fails one that resumes before; the trigger waits for that.
        self.defer(trigger=trigger, method_name="resume")
        raise AssertionError("defer raises")

    @tell_failures
    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Say how it ended."""
        return self._conclude(*self._begin(context), event)

    def _begin(self, context: Context) -> tuple[Job, Mapping[str, Any]]:
        """Return the run's job, and what its deploy waits for; GitHub is not asked here, so its client not loaded."""
        return self.need_errand(context), self.need(context, "deploy")

    def _conclude(self, job: Job, ask: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
        match event["state"]:
            case "settled":
                self.log.info("%s of %s settled: %s", job.deployed_commit[:12], job.environment, event["detail"])
            case "overtaken":
                self.log.info("%s of %s was overtaken: %s", job.deployed_commit[:12], job.environment, event["detail"])
            case state:
                raise UnsettledError(
                    f"the deploy did not settle ({state}): {event['detail']}; the CLI said: {ask['said']}"
                )
        return {key: event.get(key) for key in ("state", "deploy_id", "image_tag", "dag_version", "seconds")}
