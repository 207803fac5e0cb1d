"""Has every area of the doctor looked at, for one project: the one place where the areas are listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area
from include.deploy_ops.core.doctor.examination import sort_checks
from include.deploy_ops.observation.doctor.apart import look_apart
from include.deploy_ops.observation.doctor.github import examine_github, open_inspection
from include.deploy_ops.observation.doctor.here import examine_here
from include.deploy_ops.observation.doctor.registry import examine_registry

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.observation.doctor.means import Inside, Means

Examine = Callable[["Means", "Inside | None", "datetime"], "tuple[Check, ...]"]


def _look_at_github(means: Means, inside: Inside | None, now: datetime) -> tuple[Check, ...]:
    with closing(open_inspection(means.scope)) as github:
        return examine_github(means.scope, github, now, inside.memory if inside is not None else None)


def _look_at_registry(means: Means, inside: Inside | None, now: datetime) -> tuple[Check, ...]:
    del inside
    with closing(open_inspection(means.scope)) as github:
        return examine_registry(means.scope, github, means.registry, now)


AREAS: Mapping[Area, Examine] = {
    Area.GITHUB: _look_at_github,
    Area.REGISTRY: _look_at_registry,
    Area.HERE: examine_here,
}
"""Whom to ask about each area; each takes of the means what it needs."""


def examine(means: Means, inside: Inside | None, now: datetime) -> tuple[Check, ...]:
    """Return the checks of all areas, in the table's order; one that cannot be looked at is not known, by itself.

    :param inside: what a task sees of its own Airflow; None outside of one.
    """
    found = (look_apart(area, "everything", partial(look, means, inside, now)) for area, look in AREAS.items())
    return sort_checks(check for checks in found for check in checks)
