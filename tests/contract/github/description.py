"""GitHub's own description of its REST API, and the judge by it; where the sandbox's GitHub has that API."""

from __future__ import annotations

import json
from functools import cache

from tests.contract.github.deviations import DEVIATIONS
from tests.contract.github.fetch import DESCRIPTION
from tests.contract.openapi.description import Description
from tests.contract.openapi.deviation import Deviation
from tests.contract.openapi.judge import Judge

API_PATH = "/github/api/v3"  # what api.github.com has at its root


@cache
def load_description() -> Description:
    """Read the fetched description; 13 MB take a third of a second.

    :raises FileNotFoundError: it was not fetched.
    """
    try:
        return Description(json.loads(DESCRIPTION.path.read_bytes()))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{DESCRIPTION.path} is missing: `make contract` fetches GitHub's description"
        ) from None


def make_judge(deviations: tuple[Deviation, ...] = DEVIATIONS) -> Judge:
    """Make a judge by GitHub's description and the exceptions from it."""
    return Judge(load_description(), deviations)
