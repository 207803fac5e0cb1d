"""Has every area of the doctor looked at, for one project: the one place where the areas are listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area
from include.deploy_ops.core.doctor.examination import sort_checks
from include.deploy_ops.observation.doctor.apart import look_apart
from include.deploy_ops.observation.doctor.here import examine_here

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.observation.doctor.means import Inside, Means

Examine = Callable[["Means", "Inside | None", "datetime"], "tuple[Check, ...]"]

AREAS: Mapping[Area, Examine] = {
    Area.HERE: examine_here,
}
"""Whom to ask about each area; each takes of the means what it needs."""


def examine(means: Means, inside: Inside | None, now: datetime) -> tuple[Check, ...]:
    """Return the checks of all areas, in the table's order; one that cannot be looked at is not known, by itself.

    :param inside: what a task sees of its own Airflow; None outside of one.
    """
    found = (look_apart(area, "everything", partial(look, means, inside, now)) for area, look in AREAS.items())
    return sort_checks(check for checks in found for check in checks)
