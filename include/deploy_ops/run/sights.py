"""How GitHub and Astro were seen, as the repository asset's state store holds it: the trigger writes it.

The page reads it, and so does whoever tells people of an outage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.versioned import read_value, wrap_value
from include.deploy_ops.core.view.health import Sight

if TYPE_CHECKING:
    from collections.abc import Mapping

HEALTH_KEY = "health"
_SIGHTS = TypeAdapter(dict[str, Sight])


def read_sights(stored: Any) -> dict[str, Sight]:
    """Return how each service was seen, by its name; what cannot be read is left out."""
    return read_value(HEALTH_KEY, stored, _SIGHTS, within=()) or {}


def dump_sights(sights: Mapping[str, Sight]) -> dict[str, Any]:
    """Return what is stored."""
    return wrap_value(_SIGHTS.dump_python(dict(sights), mode="json", exclude_defaults=True))
