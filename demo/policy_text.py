"""The policy's text with some of its lines changed: the tour's policy is the project's own, so that neither drifts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def change_lines(policy: str, changes: Mapping[str, str]) -> str:
    """Return the policy in which what begins a line stands as what is given for it; comments and all else stay.

    :raises ValueError: no line, or several, begin so.
    """
    for begin, changed in changes.items():
        policy, count = re.subn(rf"(?m)^( *){re.escape(begin)}(?!\S)", rf"\g<1>{changed}", policy)
        if count != 1:
            raise ValueError(f"the policy has {count} lines with `{begin}`, expected one")
    return policy
