"""What changed in production since the last snapshot, laid on trunk's template: a three-way merge. Pure.

What trunk changed by itself stays. Where both changed a field, and differently, trunk's stays, and it is told.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.deploy_ops.core.template.fields import SCHEDULES, VARIABLES, Fields, Gap, Path


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that production changed, or that differs while nobody knows who changed it.

    `before`: as the last snapshot has it, UNKNOWN where there is none. What is not there is ABSENT.
    """

    path: Path
    before: Any
    production: Any
    trunk: Any

    @property
    def is_laid(self) -> bool:
        """Whether trunk has it as it was, so that production's goes over it."""
        return bool(self.trunk == self.before)


@dataclass(frozen=True, slots=True)
class Merge:
    """What becomes of trunk's template: `laid` changes it, `kept` does not."""

    laid: tuple[Difference, ...]
    kept: tuple[Difference, ...]


def merge_fields(before: Fields | None, production: Fields, trunk: Fields) -> Merge:
    """Return what to lay on trunk's template; without a snapshot nothing, since nobody knows who changed what."""
    found = tuple(_compare((), Gap.UNKNOWN if before is None else before, production, trunk))
    return Merge(tuple(each for each in found if each.is_laid), tuple(each for each in found if not each.is_laid))


def lay_fields(trunk: Fields, laid: Iterable[Difference]) -> Fields:
    """Return trunk's fields with what is laid over them."""
    fields = copy.deepcopy(trunk)
    for each in laid:
        *above, last = each.path
        place = fields
        for key in above:
            place = place.setdefault(key, {})
        if each.production is Gap.ABSENT:
            del place[last]
        else:
            place[last] = copy.deepcopy(each.production)
    return fields


def _compare(path: Path, before: Any, production: Any, trunk: Any) -> Iterator[Difference]:
    if production in (before, trunk):
        return
    if _is_parted(path, before, production, trunk):
        for key in dict.fromkeys((*production, *trunk)):
            yield from _compare((*path, key), *(_look(each, key) for each in (before, production, trunk)))
        return
    yield Difference(path, before, production, trunk)


def _is_parted(path: Path, before: Any, production: Any, trunk: Any) -> bool:
    """Whether it is compared by its parts: all have it, and it is no field by itself."""
    if path == (SCHEDULES,) or (path[:1] == (VARIABLES,) and len(path) > 1):
        return False
    return all(isinstance(each, Mapping) for each in (production, trunk)) and (
        before is Gap.UNKNOWN or isinstance(before, Mapping)
    )


def _look(place: Any, key: str) -> Any:
    return Gap.UNKNOWN if place is Gap.UNKNOWN else place.get(key, Gap.ABSENT)
