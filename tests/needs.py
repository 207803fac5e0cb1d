"""A pytest plugin: where all is said to be there (`NEEDS=required`, as in CI), a test fails that leaves itself out."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

MAY_LACK = os.environ.get("NEEDS") != "required"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test that leaves itself out into one that failed, with its reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not MAY_LACK:
        report.outcome = "failed"
        report.longrepr = f"left out, though NEEDS=required says that all is there: {report.longreprtext}"
    return report
