"""How hypothesis runs, which files begin first, that none is left out in CI, and certificates that are read once.

No deadlines anywhere; in CI the same examples each time, on a desk new ones each time.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.needs import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files marked as long begin first: no worker is left alone with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def certificates() -> Iterator[None]:
    """Read them for the first of all clients: each would spend 40 ms on that, and what tests talk to speaks no TLS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield
