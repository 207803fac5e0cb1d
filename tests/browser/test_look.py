"""What the page looks like: pictures of it, for people to judge, in every theme, width and size."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.airflow_double import AirflowDouble
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, make_few, make_many

PHONE: ViewportSize = {"width": 390, "height": 844}


def fill(airflow: AirflowDouble, count: int) -> None:
    rows = make_many(count) if count > 30 else make_few()[:count]
    airflow.show(PROJECT, rows)
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    airflow.ask(
        f"{PROJECT}.production.request",
        "target.production~request~0a1b2c3d4e5f~01234567~1",
        "Deploy #88 to Production?",
    )


@pytest.mark.parametrize("count", [3, 15, 500])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_desk(airflow: AirflowDouble, page: Page, count: int, theme: str) -> None:
    airflow.theme = theme
    fill(airflow, count)
    page.goto(f"{airflow.url}/plugin/deployments")
    frame = page.frame_locator("iframe")
    expect(frame.locator("tr.row")).to_have_count(count)
    assert frame.locator("html").get_attribute("data-theme") == theme
    keep_picture(page, f"{theme}-{count}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(airflow: AirflowDouble, page: Page, theme: str) -> None:
    airflow.theme = theme
    fill(airflow, 15)
    page.set_viewport_size(PHONE)
    page.goto(f"{airflow.url}/plugin/deployments")
    frame = page.frame_locator("iframe")
    expect(frame.locator("tr.row")).to_have_count(15)
    assert frame.locator("html").evaluate("root => root.scrollWidth <= root.clientWidth")
    keep_picture(page, f"{theme}-phone")
    frame.locator("tr.row").nth(4).scroll_into_view_if_needed()
    keep_picture(page, f"{theme}-phone-rows")
