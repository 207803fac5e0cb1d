"""Say in Airflow's own stats how runs ended and what a pass of control saw; docs/operating.md lists the names.

Without a backend in Airflow's `[metrics]` settings that does nothing. Tags have few values: no branch is among them.
Requests are counted where they are sent (`hooks/metrics.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

from include.deploy_ops.core.model import ChangeType, DeploymentStatus
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.scope import Scope

DEPLOYS = "deploy_ops.deploys"
DEPLOY_DURATION = "deploy_ops.deploy.duration"
PUSH_TO_DEPLOY = "deploy_ops.push_to_deploy"
DELETES = "deploy_ops.deletes"
VERIFICATIONS = "deploy_ops.verifications"
VERIFY_DURATION = "deploy_ops.verify.duration"
PREVIEWS_LIVE = "deploy_ops.previews.live"
PREVIEWS_HIBERNATING = "deploy_ops.previews.hibernating"
ENVIRONMENTS_HELD = "deploy_ops.environments.held"
ENVIRONMENTS_FAILED = "deploy_ops.environments.failed"
PASS_DURATION = "deploy_ops.pass.duration"  # noqa: S105 - a pass of control

UNKNOWN = "unknown"
"""The type of a deploy that ended before it was decided."""

_HELD = frozenset({State.HELD, State.FROZEN})
_FAILED = frozenset({State.FAILED, State.FAILING})


def count_run(scope: Scope, job: Job, outcome: Outcome) -> None:
    """Count the deploy or delete of a run that ended; `mode: plan` and dry runs did neither."""
    if scope.is_dry or job.is_dry:
        return
    if job.verb is Verb.DELETE and outcome.state == "success":
        stats.incr(DELETES, tags={"project": scope.project.name})
    if job.verb in {Verb.CREATE, Verb.DEPLOY} and outcome.kind != ChangeType.NONE.value:
        _count_deploy(scope.project.name, RowKind.TARGET if job.target else RowKind.PREVIEW, outcome)


def _count_deploy(project: str, kind: RowKind, outcome: Outcome) -> None:
    tags = {"project": project, "kind": kind.value, "type": outcome.kind or UNKNOWN}
    stats.incr(DEPLOYS, tags={**tags, "state": outcome.state})
    if outcome.state == "success":
        stats.timing(DEPLOY_DURATION, timedelta(seconds=outcome.seconds), tags=tags)
    if outcome.push_s > 0:
        stats.timing(PUSH_TO_DEPLOY, timedelta(seconds=outcome.push_s), tags=tags)


def count_verification(scope: Scope, job: Job, verification: Verification) -> None:
    """Count the verdict on a deploy, and how long it took from the deploy's having settled."""
    kind = RowKind.TARGET if job.target else RowKind.PREVIEW
    tags = {"project": scope.project.name, "kind": kind.value, "proof": verification.proof.value}
    stats.incr(VERIFICATIONS, tags=tags)
    stats.timing(VERIFY_DURATION, timedelta(seconds=verification.seconds), tags=tags)


def gauge_pass(project: str, rows: Iterable[Row], began_at: datetime) -> None:
    """Say what a pass of control saw, and how long it took until now."""
    rows, tags = tuple(rows), {"project": project}
    live = [row for row in rows if row.kind is RowKind.PREVIEW and row.deployment_id]
    hibernating = sum(row.status == DeploymentStatus.HIBERNATING.value for row in live)
    stats.gauge(PREVIEWS_LIVE, len(live), tags=tags)
    stats.gauge(PREVIEWS_HIBERNATING, hibernating, tags=tags)
    stats.gauge(ENVIRONMENTS_HELD, sum(row.state in _HELD for row in rows), tags=tags)
    stats.gauge(ENVIRONMENTS_FAILED, sum(row.state in _FAILED for row in rows), tags=tags)
    stats.timing(PASS_DURATION, datetime.now(UTC) - began_at, tags=tags)
