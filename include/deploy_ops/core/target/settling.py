"""Has a deploy settled? Astro's records and the Deployment → settled, waiting, overtaken or failed, each with a reason.

Asks nothing and knows no clock: how long to wait is the trigger's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import ChangeType, Deploy, DeployKind, Deployment, DeploymentStatus, DeployStatus

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Settled:
    """The record says DEPLOYED, and the Deployment shows what it carried."""

    deploy: Deploy


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not settled yet; `deploy` is this call's record, None while Astro shows none."""

    deploy: Deploy | None
    reason: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer deploy, `by`, succeeded: whether this one ever settled can no longer be seen."""

    deploy: Deploy
    by: Deploy


@dataclass(frozen=True, slots=True)
class Failed:
    """Waiting longer changes nothing; `deploy` is None if there is no Deployment any more."""

    deploy: Deploy | None
    reason: str


Settling = Settled | Waiting | Overtaken | Failed


def judge_settling(
    deploys: Iterable[Deploy], deployment: Deployment | None, *, needle: str, kind: ChangeType, woke: bool
) -> Settling:
    """Judge what Astro shows of one deploy call; an exit code is no proof, this is.

    :param deploys: the Deployment's newest records, in any order.
    :param deployment: as it was read before the records; None if it is gone.
    :param needle: text that stands in the description of this call's record, and of no other's.
    :param kind: what the call was to send.
    :param woke: whether the Deployment is to be awake, so that hibernation is no end: asleep it runs nothing of it.
    """
    if deployment is None:
        return Failed(None, "the Deployment is gone")
    records = sorted(deploys, key=_order)
    own = next((record for record in reversed(records) if needle in record.description), None)
    if own is None:
        return Waiting(None, "Astro has no record of this deploy")
    if own.status is DeployStatus.FAILED:
        return Failed(own, f"Astro's record {own.id} says FAILED")
    # The CLI's exit code does not tell what it sent; the record does.
    if missing := find_missing_part(own, kind):
        return Failed(own, f"Astro's record {own.id} is a {own.kind.value} deploy, which has no {missing}")
    newer = next((record for record in records if _order(record) > _order(own) and _is_overtaking(record)), None)
    if newer is not None:
        return Overtaken(own, newer)
    reason = _find_delay(own, deployment, woke=woke)
    return Waiting(own, reason) if reason else Settled(own)


def _find_delay(own: Deploy, deployment: Deployment, *, woke: bool) -> str:
    """Return what keeps the deploy from being settled, empty if nothing does."""
    if own.status is not DeployStatus.DEPLOYED:
        return f"Astro's record {own.id} says {own.status.value}"
    if blank := find_blank(own, has_dag_deploys=deployment.is_dag_deploy_enabled):
        return f"Astro's record {own.id} names no {blank} yet"
    image_tag = own.image_tag if own.kind.has_image else ""
    return find_unrest(deployment, image_tag=image_tag, dag_version=own.dag_tarball_version, woke=woke)


def find_blank(own: Deploy, *, has_dag_deploys: bool) -> str:
    """Return what the record should name and does not; without DAG deploys an image carries the DAGs."""
    if own.kind.has_image and not own.image_tag:
        return "image"
    sends_dags = own.kind.has_dags and (has_dag_deploys or not own.kind.has_image)
    return "DAGs" if sends_dags and not own.dag_tarball_version else ""


def find_unrest(deployment: Deployment, *, image_tag: str, dag_version: str, woke: bool = False) -> str:
    """Return in what the Deployment does not show a settled deploy, empty if it does. The one definition of settled.

    :param image_tag: the image that it has to show; empty where the deploy carried none.
    :param dag_version: the DAG bundle that it has to have and run; empty where the deploy carried none.
    :param woke: whether it is to be awake, so that hibernation is no end.
    """
    difference = _find_difference(deployment, image_tag, dag_version, may_lack=_is_asleep(deployment) and not woke)
    return difference or _describe_status(deployment, woke=woke)


def describe_unsettled(deployment: Deployment, history: DeployHistory) -> str:
    """Return what the Deployment lacks of the newest settled state of its records, empty if nothing."""
    if history.lacks_dags and deployment.is_dag_deploy_enabled:
        return f"deployed, and not settled: Astro's record {history.newest_id} names no DAGs"
    unrest = find_unrest(deployment, image_tag=history.image_tag, dag_version=history.dag_version)
    return unrest and f"deployed, and not settled: {unrest}"


def describe_unfetched(deployment: Deployment, history: DeployHistory) -> str:
    """Return what a Deployment that sleeps never ran of what was deployed, empty if nothing; only waking it ends it."""
    if not _is_asleep(deployment):
        return ""
    unfetched = _find_difference(deployment, history.image_tag, history.dag_version, may_lack=False)
    return unfetched and f"deployed, and not settled: {unfetched}, which it fetches when it wakes; wake it"


def is_calm(status: DeploymentStatus, *, woke: bool = False) -> bool:
    """Whether a Deployment of this status has come to rest; one that was woken has not while it hibernates."""
    return status is DeploymentStatus.HEALTHY or (status is DeploymentStatus.HIBERNATING and not woke)


def _order(record: Deploy) -> tuple[object, str]:
    return record.created_at, record.id


def _is_overtaking(record: Deploy) -> bool:
    """Whether a record changed what the Deployment shows; a bundle, such as a dbt project, lies beside it."""
    return record.status is DeployStatus.DEPLOYED and record.kind is not DeployKind.BUNDLE


def find_missing_part(own: Deploy, kind: ChangeType) -> str:
    """Return what a deploy of this kind brings and the record's kind does not, empty if it has all."""
    if not own.kind.has_dags:
        return "DAGs"
    return "image" if kind is ChangeType.IMAGE and not own.kind.has_image else ""


def _is_asleep(deployment: Deployment) -> bool:
    return deployment.status is DeploymentStatus.HIBERNATING


def _find_difference(deployment: Deployment, image_tag: str, dag_version: str, *, may_lack: bool) -> str:
    """Return in what the Deployment differs. It `may_lack` DAGs while it sleeps: nothing runs that could fetch them."""
    if image_tag and deployment.image_tag != image_tag:
        return f"the Deployment's image is {deployment.image_tag or 'none'} and not yet {image_tag}"
    if not dag_version:
        return ""
    if (desired := deployment.desired_dag_tarball_version) != dag_version:
        return f"the Deployment is to have DAGs {desired or 'none'} and not yet {dag_version}"
    if not may_lack and deployment.dag_tarball_version != dag_version:
        return f"the Deployment has DAGs {deployment.dag_tarball_version or 'none'} and not yet {dag_version}"
    return ""


def _describe_status(deployment: Deployment, *, woke: bool) -> str:
    """Return why the Deployment's status is no end, empty if it is one."""
    if is_calm(deployment.status, woke=woke):
        return ""
    reason = f" ({deployment.status_reason})" if deployment.status_reason else ""
    return f"the Deployment is {deployment.status.value}{reason}"
