"""Astro Runtime versions: which is newer, and which may be deployed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEW = re.compile(r"(\d+)\.(\d+)-(\d+)")  # 3.3-2: of Airflow 3.3
_OLD = re.compile(r"(\d+)\.(\d+)\.(\d+)")  # 12.1.0: of Airflow 2
_OLDEST_FOR_AIRFLOW_3 = (0, 12, 0, 0)


def can_deploy(version: str, current: str, supported: Sequence[str]) -> bool:
    """Return whether an image of `version` may be deployed over `current`; if not, say why on stdout.

    What does not parse counts as older than everything. An empty `current` allows all.
    """
    if not current:
        return True
    wanted, running = _read(version), _read(current)
    if wanted < running:
        hint = f"Modify your Astro Runtime version to {current} or higher in your Dockerfile"
        say(f"Cannot deploy a downgraded Astro Runtime version. {hint}")
        return False
    if wanted not in {_read(other) for other in supported}:
        hint = "Modify your Astro Runtime version to a supported version in your Dockerfile"
        say(f"Cannot deploy an unsupported Astro Runtime version. {hint}")
        say(f"Supported versions: {', '.join(supported)}")
        return False
    if wanted[:1] > running[:1] and running < _OLDEST_FOR_AIRFLOW_3:
        say("Can only upgrade deployment from Airflow 2 to Airflow 3 with deployment at Astro Runtime 12.0.0 or higher")
        return False
    return True


def _read(version: str) -> tuple[int, ...]:
    """Return a key that sorts: nothing readable first, then the old form, then the new one."""
    for rank, form in ((1, _NEW), (0, _OLD)):
        found = form.fullmatch(version)
        if found:
            return (rank, *(int(number) for number in found.groups()))
    return (-1,)
