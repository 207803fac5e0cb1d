"""The pools of one Deployment's Airflow: read, and made what is wanted. Which changes that takes, `pools` says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from include.deploy_ops.core.environment.pools import Pool, compare_pools
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.hooks.airflow.answers import Json, Text, parse_list, read_model
from include.deploy_ops.hooks.airflow.http import ask, change
from include.deploy_ops.hooks.conversation import Ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.deploy_ops.hooks.conversation import Conversation

POOLS_MAX = 1000
PAGE_SIZE = 100


class _Pool(Json):
    name: Text
    slots: int
    description: Text | None = None


def lay_pools(wanted: Sequence[Pool], version: int) -> Conversation[tuple[str, ...]]:
    """Have the Airflow's pools made what is wanted; return the names under which a person has one.

    :param version: of the API, 1 or 2.
    :raises WriteRefusedError: Airflow refuses a change; what was done before stays.
    """
    changes = compare_pools(wanted, (yield from ask_pools()))
    for pool in changes.made:
        yield from change(Ask("/pools", {}, "POST", _write(pool)))
    for pool in changes.changed:
        # Version 2 calls the name `pool` here and needs none; version 1 wants the whole.
        content = {key: value for key, value in _write(pool).items() if version == 1 or key != "name"}
        yield from change(Ask(_path(pool.name), {}, "PATCH", content))
    for name in changes.deleted:
        yield from change(Ask(_path(name), {}, "DELETE"))
    return changes.kept


def ask_pools() -> Conversation[tuple[Pool, ...]]:
    """Ask for all pools. :raises PermanentError: there are more than we read."""
    pools: list[Pool] = []
    while True:
        request = Ask("/pools", {"limit": PAGE_SIZE, "offset": len(pools)})
        items, total = parse_list(request, (yield from ask(request)).value, "pools")
        if total > POOLS_MAX:
            raise PermanentError(f"this Airflow has {total} pools, more than {POOLS_MAX}")
        found = [read_model(request, _Pool, item) for item in items[:PAGE_SIZE]]
        pools += [Pool(each.name, each.slots, each.description or "") for each in found]
        if not found or len(pools) >= total:
            return tuple(pools)


def _write(pool: Pool) -> dict[str, str | int]:
    return {"name": pool.name, "slots": pool.slots, "description": pool.description}


def _path(name: str) -> str:
    return f"/pools/{quote(name, safe='')}"
