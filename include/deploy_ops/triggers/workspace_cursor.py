"""What was last seen of a workspace's Deployments, as a text that differs where control would see a difference.

The time of the last change does not count: Astro may move it without one, and a pass each minute would come of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deployment


def fingerprint_deployments(deployments: Iterable[Deployment]) -> str:
    """Return 64 hexadecimal digits over all that is seen of the Deployments, in whatever order Astro lists them."""
    # The configuration by itself: `astuple` would copy each of its values.
    facts = sorted(f"{astuple(replace(each, updated_at='', settings={}))!r}{each.settings!r}" for each in deployments)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
