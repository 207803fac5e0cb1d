"""How hypothesis runs, and which files begin first.

No deadlines anywhere; in CI the same examples each time, on a desk new ones each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files marked as long begin first: no worker is left alone with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
