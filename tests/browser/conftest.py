"""One browser, one window and one played Airflow for all tests, each of them cleared for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.airflow_double import AirflowDouble, Running
from tests.browser.chromium import PATIENCE_MS, start_chromium
from tests.browser.looks import DESK


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


def open_window(browser: Browser) -> Page:
    """Return a window of a desk's width that nothing is kept of."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


def watch(window: Page, wrong: list[str]) -> None:
    """Write down the scripts that fail in a window, and what its policy refuses."""
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """Return one window for many tests, and what went wrong in it; it keeps the page's files, as browsers do."""
    opened, wrong = open_window(browser), list[str]()
    watch(opened, wrong)
    yield opened, wrong
    opened.context.close()


@pytest.fixture
def page(window: tuple[Page, list[str]], airflow: AirflowDouble) -> Iterator[Page]:
    """Return the shared window, as a new one is; a script that fails in it, or is refused by its policy, fails."""
    opened, wrong = window
    wrong.clear()
    opened.set_viewport_size(DESK)
    opened.emulate_media(reduced_motion="reduce", color_scheme="light")
    yield opened
    for each in (opened, opened.context):
        each.unroute_all()
    if opened.url.startswith(airflow.url):
        opened.evaluate("localStorage.clear()")
    opened.goto("about:blank")  # so that it asks nothing of the next test's Airflow
    for other in opened.context.pages:
        if other is not opened:
            other.close()
    assert not wrong


@pytest.fixture
def own_page(browser: Browser) -> Iterator[Page]:
    """Return a window for a test that changes it for good: its clock, or its scripts."""
    opened, wrong = open_window(browser), list[str]()
    watch(opened, wrong)
    yield opened
    opened.context.close()
    assert not wrong
