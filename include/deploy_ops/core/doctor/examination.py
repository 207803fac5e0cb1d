"""What one look of the doctor at a project came to: when, and the checks; how it is summed up, shown and kept. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.text.markdown import CELL_REASON_LENGTH_MAX, TEXT_LENGTH_MAX, cut
from include.deploy_ops.core.text.plain import lay_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOCTOR_DAG = "deploy_ops.doctor"
"""The id of the installation's DAG."""

_HEADINGS = ("area", "check", "status", "found", "what to do")
_RANKS = (Status.FAIL, Status.WARN, Status.NOT_KNOWN, Status.OK)
"""From what matters most on."""

_TOLD_MAX = 3
_LOOK_AGAIN = f"mend what is named, and trigger {DOCTOR_DAG} again; its task's log says all of it"


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks of one project, in the order of their areas. `left_out` counts those that are not kept.

    `run_id`: of the run of the doctor's DAG that looked; empty where an older release did.
    """

    at: AwareDatetime
    checks: tuple[Check, ...]
    left_out: int = 0
    run_id: str = ""


def doubt(area: Area, name: str, said: str) -> Check:
    """Return the check of what could not be looked at."""
    return Check(area, name, Status.NOT_KNOWN, said, _LOOK_AGAIN)


def sort_checks(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks in the table's order: by area, each area's as they were made."""
    areas = list(Area)
    return tuple(sorted(checks, key=lambda check: areas.index(check.area)))


def has_failed(checks: Iterable[Check]) -> bool:
    """Whether anything fails."""
    return any(check.status is Status.FAIL for check in checks)


def count_checks(checks: Iterable[Check]) -> str:
    """Return how many checks stand how, such as "1 fail, 12 ok", what matters most first."""
    counts = Counter(check.status for check in checks)
    return ", ".join(f"{counts[status]} {status}" for status in _RANKS if counts[status]) or "nothing was checked"


def summarize_failures(checks: Iterable[Check]) -> str:
    """Return what fails, in one line with what to do; of many the first."""
    failed = [check for check in checks if check.status is Status.FAIL]
    told = [f"{each.area} {each.name}: {each.found} ({each.advice})" for each in failed[:_TOLD_MAX]]
    more = [f"{len(failed) - _TOLD_MAX} more"] if len(failed) > _TOLD_MAX else []
    return "; ".join([*told, *more])


def render_checks(checks: Sequence[Check]) -> str:
    """Return the table that people read, below how many stand how."""
    rows = [(each.area, each.name, each.status, each.found, each.advice) for each in checks]
    return f"{count_checks(checks)}\n\n{lay_table(_HEADINGS, rows)}"


def bound_examination(examination: Examination, bytes_max: int) -> Examination:
    """Return what is kept of it: texts are cut, and of too many checks those that matter most stay.

    :param bytes_max: of all checks, as JSON.
    """
    short = [_shorten(check) for check in examination.checks]
    kept: list[int] = []
    left = bytes_max
    for index in sorted(range(len(short)), key=lambda index: _RANKS.index(short[index].status)):
        left -= _measure(short[index])
        if left < 0:
            break
        kept.append(index)
    checks = tuple(short[index] for index in sorted(kept))
    return replace(examination, checks=checks, left_out=len(short) - len(checks))


def _shorten(check: Check) -> Check:
    found, advice = (cut(text, CELL_REASON_LENGTH_MAX) for text in (check.found, check.advice))
    return replace(check, name=cut(check.name, TEXT_LENGTH_MAX), found=found, advice=advice)


def _measure(check: Check) -> int:
    """Return how many bytes the check takes in a JSON list."""
    return len(json.dumps(asdict(check))) + len(", ")
