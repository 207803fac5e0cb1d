"""What cleanup reports and leaves alone: endless creates, twins, lost deploy records, deletes that the brake holds.

Pure; what expires is `expiry.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.expiry import REPORT, IdleFinding
from include.deploy_ops.core.model import Deployment, DeploymentStatus, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from include.deploy_ops.core.history import DeployHistory
    from include.deploy_ops.core.plan.work import Work

CREATING_MAX = timedelta(hours=2)
"""How long a Deployment may be CREATING before it is reported; Astro needs minutes."""

UNFINISHED_MAX = timedelta(hours=1)
"""How long a deploy record may be unfinished before it is reported: no deploy of ours waits longer."""


def report_oddities(
    previews: Mapping[str, Sequence[tuple[Deployment, Mark]]],
    histories: Mapping[str, DeployHistory],
    braked: Sequence[Work],
    now: datetime,
    authors: Mapping[str, str] | None = None,
) -> tuple[IdleFinding, ...]:
    """Return what cleanup tells and leaves alone, in a fixed order.

    `previews` are ours by branch (`ownership.find_previews`), `authors` those of the branches' heads.
    """
    found: list[IdleFinding] = []
    for branch, own in sorted(previews.items()):
        author = (authors or {}).get(branch, "")
        for deployment, _ in own:
            others = [other.id for other, _ in own if other.id != deployment.id]
            history = histories.get(deployment.id)
            works = [work for work in braked if work.deployment_id == deployment.id]
            for reason in _list_oddities(deployment, others, history, works, now):
                age = None if deployment.created_at is None else now - deployment.created_at
                found.append(IdleFinding(branch, deployment.id, deployment.name, author, age, None, REPORT, reason))
    return tuple(found)


def _list_oddities(
    deployment: Deployment, others: Sequence[str], history: DeployHistory | None, works: Sequence[Work], now: datetime
) -> Iterator[str]:
    age = None if deployment.created_at is None else now - deployment.created_at
    if deployment.status is DeploymentStatus.CREATING and age is not None and age >= CREATING_MAX:
        yield f"it is CREATING for {age.total_seconds() / 3600:.0f} hours; look at it in Astro"
    if others:
        yield f"it carries the same mark as {', '.join(sorted(others))}; delete the one that is not wanted, in Astro"
    for record, at in history.unfinished if history else ():
        if now - at >= UNFINISHED_MAX:
            yield f"deploy {record} of {at:%Y-%m-%d %H:%M} UTC never finished"
    for work in works:
        yield f"the brake holds its delete ({work.reason})"
