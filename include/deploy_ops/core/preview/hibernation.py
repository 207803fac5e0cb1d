"""Sleeping and waking: whether a Deployment hibernates, may, or was woken by somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from include.deploy_ops.core.model import Deployment, DeploymentStatus

if TYPE_CHECKING:
    from datetime import datetime


QUIET = frozenset({DeploymentStatus.HEALTHY, DeploymentStatus.UNHEALTHY, DeploymentStatus.UNKNOWN})
"""The statuses in which a Deployment can be let hibernate: it is neither being made, nor deployed to, nor asleep."""


class LastLook(Protocol):
    """What the last pass saw of an environment's Deployment, such as its row."""

    @property
    def deployment_id(self) -> str:
        """Its id, empty where there was none."""

    @property
    def override(self) -> str:
        """Its hibernation override, as `Deployment.override`."""

    @property
    def woken_at(self) -> datetime | None:
        """When somebody woke it by hand."""


def is_woken(before: str, now: str) -> bool:
    """Whether somebody woke a Deployment between two looks at its override: ours is lifted, or another's says so."""
    is_lifted = before.startswith("hibernate") and not now.startswith("hibernate")
    return is_lifted or (now.startswith("wake") and now != before)


def is_asleep(deployment: Deployment) -> bool:
    """Whether the Deployment hibernates, or was told to."""
    return deployment.status is DeploymentStatus.HIBERNATING or deployment.override.startswith("hibernate")


def can_hibernate(deployment: Deployment) -> bool:
    """Whether it may: who woke it for a while that is not over wants it awake."""
    return (
        deployment.is_development_mode
        and deployment.status in QUIET
        and not is_asleep(deployment)
        and not deployment.override.startswith("wake@")
    )


def find_wake(before: LastLook | None, deployment: Deployment, now: datetime) -> datetime | None:
    """Return when somebody woke the Deployment, as far as we saw: its override says so, or ours is lifted.

    Without a last look, who is awake by an override was woken now.
    """
    known = before if before is not None and before.deployment_id == deployment.id else None
    if deployment.problem:
        return known.woken_at if known else None
    if is_woken(known.override if known else "", deployment.override):
        return now
    return known.woken_at if known else None
