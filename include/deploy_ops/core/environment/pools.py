"""The pools that a policy gives previews, compared with those that a preview's Airflow has. Pure.

A pool is ours where its description ends in our mark: the Airflow that has it remembers, and nobody else has to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK = "[kept by Deploy Ops]"
DEFAULT_POOL = "default_pool"
NAME_LENGTH_MAX, DESCRIPTION_LENGTH_MAX = 100, 500

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of an Airflow."""

    name: str
    slots: int
    description: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether we made it, and a person has not taken it over since by another description."""
        return self.description.endswith(MARK)


@dataclass(frozen=True, slots=True)
class PoolChanges:
    """What makes an Airflow's pools those that are wanted; `kept` are persons' pools of a name that is wanted."""

    made: tuple[Pool, ...] = ()
    changed: tuple[Pool, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def check_pool_name(text: str) -> str:
    """Return the name of a pool, which stands in an address. :raises ValueError: it cannot."""
    if text == DEFAULT_POOL:
        raise ValueError(f"another name than '{DEFAULT_POOL}', which is Airflow's own")
    if not is_pool_name(text):
        raise ValueError(f"letters, digits, '_', '.' and '-', at most {NAME_LENGTH_MAX} long, such as warehouse")
    return text


def is_pool_name(text: str) -> bool:
    """Whether a pool of ours can have the name."""
    return bool(_NAME.fullmatch(text)) and len(text) <= NAME_LENGTH_MAX and text != DEFAULT_POOL


def mark_pool(pool: Pool) -> Pool:
    """Return a wanted pool as ours."""
    return replace(pool, description=f"{pool.description} {MARK}".strip())


def compare_pools(wanted: Iterable[Pool], found: Iterable[Pool]) -> PoolChanges:
    """Return what is to be done. Persons' pools stay as they are; ours that nobody wants any more go."""
    there = {pool.name: pool for pool in found}
    ours = {pool.name: mark_pool(pool) for pool in wanted}
    return PoolChanges(
        made=tuple(pool for name, pool in ours.items() if name not in there),
        changed=tuple(
            pool for name, pool in ours.items() if name in there and there[name].is_ours and there[name] != pool
        ),
        deleted=tuple(name for name, pool in there.items() if pool.is_ours and name not in ours and is_pool_name(name)),
        kept=tuple(name for name in ours if name in there and not there[name].is_ours),
    )
