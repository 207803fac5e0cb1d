"""What the contract tests stand on: an Astro in this process, a stage for the CLI, and the judge."""

from __future__ import annotations

import pytest

from tests.contract.astro.description import make_judge
from tests.contract.openapi.judge import Judge
from tests.sandbox.astro.conftest import running, world
from tests.sandbox.cli.conftest import stage

__all__ = ["running", "stage", "world"]


@pytest.fixture
def judge() -> Judge:
    """Give a judge that used no exception yet."""
    return make_judge()
