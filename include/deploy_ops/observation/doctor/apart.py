"""Keeps one look of the doctor from taking out another: what it raises is a check that is not known, and is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.examination import doubt
from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.run.endings import mask_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from include.deploy_ops.core.doctor.check import Area, Check

log = logging.getLogger(__name__)


def look_apart(area: Area, name: str, look: Callable[[], Iterable[Check]]) -> tuple[Check, ...]:
    """Return the checks of one look; where it fails, one that says so, without secrets.

    Our own words are told; of any other error its kind alone, since only the log hides what may stand in it.
    """
    try:
        return tuple(look())
    except DeployOpsError as error:
        said = mask_text(str(error))
        log.warning("%s: %s could not be looked at: %s", area, name, said)
    except Exception as error:
        said = f"{type(error).__name__}; see the log"
        log.exception("%s: %s could not be looked at", area, name)
    return (doubt(area, name, said),)
