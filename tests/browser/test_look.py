"""What the page looks like: pictures of it, for people to judge, in every theme, width and size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from include.deploy_ops.core.verification.verdict import Proof, Verification
from tests.browser.airflow_double import AirflowDouble
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, ago, make_few, make_many, make_target
from tests.browser.looks import PHONE, THEMES


def fill(airflow: AirflowDouble, count: int) -> None:
    rows = make_many(count) if count > 30 else make_few()[:count]
    airflow.show(PROJECT, rows)
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    airflow.ask(
        f"{PROJECT}.production.request",
        "target.production~request~0a1b2c3d4e5f~01234567~1",
        "Deploy #88 to Production?",
    )


def open_ui(airflow: AirflowDouble, page: Page, count: int) -> FrameLocator:
    fill(airflow, count)
    page.goto(f"{airflow.url}/plugin/deployments")
    frame = page.frame_locator("iframe")
    expect(frame.locator("tr.row")).to_have_count(count)
    return frame


def wear(page: Page, frame: FrameLocator, theme: str) -> None:
    """Let the UI switch to the theme, unless it has it, and the page follow."""
    page.evaluate("(theme) => { document.documentElement.className = theme }", theme)
    expect(frame.locator("html")).to_have_attribute("data-theme", theme)


@pytest.mark.parametrize("count", [3, 15, 500])
def test_on_a_desk(airflow: AirflowDouble, page: Page, count: int) -> None:
    frame = open_ui(airflow, page, count)
    for theme in THEMES:
        wear(page, frame, theme)
        keep_picture(page, f"{theme}-{count}")


def test_on_a_phone(airflow: AirflowDouble, page: Page) -> None:
    airflow.theme = "dark"
    page.set_viewport_size(PHONE)
    frame = open_ui(airflow, page, 15)
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    for theme in THEMES:
        wear(page, frame, theme)
        assert frame.locator("html").evaluate("root => root.scrollWidth <= root.clientWidth")
        frame.locator("html").evaluate("() => scrollTo(0, 0)")
        keep_picture(page, f"{theme}-phone")
        frame.locator("tr.row").nth(4).scroll_into_view_if_needed()
        keep_picture(page, f"{theme}-phone-rows")


def test_a_long_verdict_stays_in_its_column(airflow: AirflowDouble, page: Page) -> None:
    said = "not verified: nobody asked its Airflow since this deploy"
    row = make_target("staging")
    asked = Verification("d1", row.deployed, Proof.UNKNOWN, ago(hours=1), said)
    airflow.show(PROJECT, [replace(row, verification=asked)])
    page.goto(airflow.page_url)
    verdict = page.locator("tr.row .badge", has_text=said)
    expect(verdict).to_be_visible()
    room = "each => each.closest('td').getBoundingClientRect().right - each.getBoundingClientRect().right"
    assert verdict.evaluate(room) >= 0, "it lies over the next column"
