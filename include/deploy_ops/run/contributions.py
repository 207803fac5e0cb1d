"""What the last promotion found of open pull requests: sealed by the task that read it, and checked before it is used.

Between the two it lies in the state store, which others may write, and the deploy branch is made of it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from include.deploy_ops.core.errors import SealError
from include.deploy_ops.core.promotion.contribution import KeptContribution
from include.deploy_ops.run.seals import WORK, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from include.deploy_ops.run.seals import Seals

log = logging.getLogger(__name__)
_KEPT = TypeAdapter(KeptContribution)


def seal_contributions(seals: Seals, dag_id: str, found: Mapping[int, KeptContribution]) -> dict[str, KeptContribution]:
    """Return the contributions as they are remembered, by their pull requests' numbers as text."""
    return {
        str(number): replace(each, seal=seals.make(WORK, _place(dag_id, str(number)), _dump(each)))
        for number, each in found.items()
    }


def select_sealed(seals: Seals, dag_id: str, kept: Mapping[str, KeptContribution]) -> dict[str, KeptContribution]:
    """Return what a promotion of this project remembered; anything else is logged, and read again from GitHub."""
    found = {}
    for number, each in kept.items():
        try:
            seals.check(WORK, _place(dag_id, number), _dump(each), each.seal)
        except SealError as error:
            log.warning("what is remembered of #%s is read again: %s", number, error)
        else:
            found[number] = each
    return found


def _place(dag_id: str, number: str) -> Place:
    return Place(dag_id, "", f"contribution of #{number}")


def _dump(kept: KeptContribution) -> Any:
    # Without what equals its default: a field that a later release adds must not break what is sealed already.
    return _KEPT.dump_python(replace(kept, seal=""), mode="json", exclude_defaults=True)
