"""One browser and one played Airflow for all tests; a fresh window and a fresh state for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.airflow_double import AirflowDouble, Running
from tests.browser.chromium import PATIENCE_MS, start_chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a running Chromium."""
    with start_chromium() as started:
        yield started


@pytest.fixture(scope="package")
def running() -> Iterator[AirflowDouble]:
    """Return the played Airflow, listening behind a URL prefix."""
    with pytest.MonkeyPatch.context() as patch, Running(AirflowDouble(prefix="/team/airflow"), patch) as started:
        yield started.double


@pytest.fixture
def airflow(running: AirflowDouble) -> AirflowDouble:
    """Return the played Airflow with nothing in it."""
    running.reset()
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a window of a desk's width; a script that fails in it, or is refused by its policy, fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    yield opened
    context.close()
    assert not wrong
