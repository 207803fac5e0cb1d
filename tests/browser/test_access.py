"""Everybody can use the page: axe-core finds nothing, wherever one comes, and a phone shows many rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from include.deploy_ops.core.plan.work import Remedy
from include.deploy_ops.core.view.row import State
from tests.browser.axe import find_barriers
from tests.browser.chromium import keep_picture
from tests.browser.conftest import DESK
from tests.browser.fleet import PREVIEW_DAG, PROJECT, make_few, make_many, make_preview, make_target
from tests.browser.test_acting import choose, make_deploy_branch
from tests.browser.test_needs import OVERRIDDEN, REQUEST, TEMPLATE, find_needs, make_failed, make_held
from tests.browser.test_reading import SOON_MS, look_again

if TYPE_CHECKING:
    from include.deploy_ops.core.view.row import Row
    from tests.browser.airflow_double import AirflowDouble

PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS: dict[str, tuple[str, ViewportSize]] = {
    "light": ("light", DESK),
    "dark": ("dark", DESK),
    "phone": ("light", PHONE),
}
ROW_HEIGHT_MAX = 160.0
"""Pixels of a phone's row that nobody opened: five of them are seen at once."""


@pytest.fixture(params=list(LOOKS))
def look(request: pytest.FixtureRequest, page: Page) -> str:
    """Wear a theme and a width."""
    theme, size = LOOKS[request.param]
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    return str(request.param)


def fill(airflow: AirflowDouble) -> None:
    """Let everything be there that a row can show: a run, a question, and a DAG that is paused."""
    airflow.show(PROJECT, make_few())
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    run = "target.production~request~0a1b2c3d4e5f~01234567~1"
    airflow.ask(f"{PROJECT}.production.request", run, "Deploy #88 to Production?")


def test_the_table_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    fill(airflow)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    assert find_barriers(page) == []
    keep_picture(page, f"access-table-{look}")
    page.get_by_role("button", name="Failed").click()
    page.get_by_role("searchbox").fill("nothing is called so")
    expect(page.locator("#empty")).to_contain_text("Nothing matches")
    assert find_barriers(page) == []


def test_an_opened_row_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    fill(airflow)
    page.goto(airflow.page_url)
    for name in ("production", "dev-returns", "dev/Émile's stock", "astro_deploy", "dev-gone"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert find_barriers(page) == []
        keep_picture(page, f"access-row-{look}")
        page.keyboard.press("Escape")


DIALOGS: list[tuple[Row, list[str]]] = [
    (make_preview("dev-a"), ["Redeploy", "Force…", "Resume", "Refresh", "Keep", "Delete…"]),
    (replace(make_preview("dev-h", State.HELD), deployment_id=""), ["Adopt…"]),
    (make_preview("dev-s", State.ASLEEP), ["Redeploy"]),
    (make_target("production", is_gated=True), ["Redeploy", "Force…", "Resume"]),
    (make_deploy_branch("release"), ["Promote", "Adopt…"]),
]


def test_every_dialog_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    airflow.show(PROJECT, [row for row, _ in DIALOGS])
    page.goto(airflow.page_url)
    dialog = page.get_by_role("dialog")
    for row, actions in DIALOGS:
        page.get_by_role("button", name=f"Actions for {row.environment}", exact=True).click()
        assert find_barriers(page) == []
        page.keyboard.press("Escape")
        for action in actions:
            choose(page, row, action)
            dialog.get_by_role("button", name=action.rstrip("…")).click()
            expect(dialog.locator("[aria-invalid=true]").first).to_be_visible()
            assert find_barriers(page) == []
            keep_picture(page, f"access-dialog-{look}")
            page.keyboard.press("Escape")


def test_what_follows_a_dialog_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    page.goto(airflow.page_url)
    choose(page, make_preview("dev-a"), "Keep")
    page.get_by_label("Reason").fill("a demo")
    airflow.faults["dagRuns"] = (403, "Forbidden")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("You may look at shop.preview")
    assert find_barriers(page) == []
    keep_picture(page, f"access-refused-{look}")
    airflow.faults.clear()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    assert find_barriers(page) == []


def empty(airflow: AirflowDouble) -> str:
    assert not airflow.stores
    return "Name a project in include/deploy_ops.yaml"


def empty_project(airflow: AirflowDouble) -> str:
    airflow.show(PROJECT, [])
    return "Push a branch"


@pytest.mark.parametrize("prepare", [empty, empty_project])
def test_an_empty_installation_keeps_nobody_out(
    airflow: AirflowDouble, page: Page, look: str, prepare: Callable[[AirflowDouble], str]
) -> None:
    words = prepare(airflow)
    page.goto(airflow.page_url)
    expect(page.locator("#empty")).to_contain_text(words)
    assert find_barriers(page) == []
    keep_picture(page, f"access-empty-{look}")


def test_an_installation_with_failures_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    bad = (State.FAILED, State.FAILING, State.UNHEALTHY)
    airflow.show(PROJECT, [make_preview(f"dev-{number}", state, number) for number, state in enumerate(bad)])
    airflow.show("books", [make_preview("dev-books", State.FAILED)])
    airflow.faults["assets/1/state-store/view.summary"] = (403, "no")
    airflow.dags[f"{PROJECT}.control"] = True
    airflow.dags["tools.control"] = False
    airflow.pools.clear()
    page.goto(airflow.page_url)
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("Airflow has no pool")
    assert find_barriers(page) == []
    airflow.faults["*"] = (500, "the moon is in the way")
    look_again(page)
    expect(notices).to_contain_text("Airflow failed: the moon", timeout=SOON_MS)
    assert find_barriers(page) == []
    keep_picture(page, f"access-failures-{look}")


def test_what_needs_a_person_keeps_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    override = make_held(make_target("production", is_gated=True), OVERRIDDEN, Remedy.RESUME)
    airflow.show(PROJECT, [override, make_failed(), make_held(make_preview("dev-1"), TEMPLATE)])
    airflow.dags[PREVIEW_DAG] = True
    airflow.ask(REQUEST, "manual__1", "Deploy #88 to Production?")
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(4)
    assert find_barriers(page) == []
    keep_picture(page, f"access-needs-{look}")
    page.get_by_role("button", name="Retry dev-returns").click()
    assert find_barriers(page) == []


def test_the_approvals_keep_nobody_out(airflow: AirflowDouble, page: Page, look: str) -> None:
    airflow.show(PROJECT, [make_target("production", is_gated=True)])
    airflow.decide(REQUEST, "manual__7", "Deploy #88 to Production?")
    page.goto(f"{airflow.page_url}?view=approvals")
    expect(page.get_by_role("table", name="Answers")).to_contain_text("boris")
    assert find_barriers(page) == []
    expect(page.get_by_role("link", name="Skip to the table")).to_be_hidden()
    keep_picture(page, f"access-approvals-{look}")


LONG = "dev/quarterly-revenue-recognition-and-invoice-reconciliation-for-the-northern-regions-2026"


def lengthen(row: Row) -> Row:
    """Return the row with names and reasons as long as people make them."""
    name = f"{LONG}-{row.environment}"
    why = row.why and f"{row.why}; {'and so on in many more words ' * 6}"
    title = row.pull_title and f"{row.pull_title}: {LONG}"
    author = "Maria Magdalena von Hohenstein-Oberndorf the Younger"
    return replace(row, environment=name, branch=name, pull_title=title, author=author, why=why)


HEIGHTS = """rows => {
    for (const row of rows) row.style.contentVisibility = "visible"; // out of sight it has a guessed height
    return rows.map((row) => row.getBoundingClientRect().height);
}"""


def test_a_phone_shows_a_closed_row_without_much_room(airflow: AirflowDouble, page: Page) -> None:
    rows = [*make_few(), *map(lengthen, make_few()), *make_many(60)[3:]]
    airflow.show(PROJECT, [replace(row, slug=f"{number}") for number, row in enumerate(rows)])
    airflow.start_run(PREVIEW_DAG, "3~create~0a1b2c3d4e5f~01234567~1")
    run = "target.production~request~0a1b2c3d4e5f~01234567~1"
    airflow.ask(f"{PROJECT}.production.request", run, f"Deploy #88 to Production? {LONG}")
    airflow.dags[PREVIEW_DAG] = True
    page.set_viewport_size(PHONE)
    page.goto(airflow.page_url)
    shown = page.locator("tr.row:visible")
    expect(shown).to_have_count(len(rows))
    heights = shown.evaluate_all(HEIGHTS)
    assert max(heights) <= ROW_HEIGHT_MAX, sorted(heights)[-5:]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    keep_picture(page, "access-long-phone")
    shown.nth(4).scroll_into_view_if_needed()
    keep_picture(page, "access-long-phone-rows")


def test_what_a_phones_row_leaves_out_stands_where_it_is_opened(airflow: AirflowDouble, page: Page) -> None:
    (row,) = [each for each in make_few() if each.branch == "dev-old"]
    airflow.show(PROJECT, [row])
    page.set_viewport_size(PHONE)
    page.goto(airflow.page_url)
    page.get_by_role("button", name="dev-old", exact=True).click()
    dialog = page.get_by_role("dialog")
    for name, url in (("Airflow of dev-old", row.airflow_url), ("dev-old in Astro", row.astro_url)):
        expect(dialog.get_by_role("link", name=name)).to_have_attribute("href", url)
    expect(dialog).to_contain_text("delete in 20 h")
    expect(dialog.get_by_role("link", name="Newest run of dev-old")).to_be_visible()


def test_the_first_stop_of_the_tab_key_skips_to_the_table(airflow: AirflowDouble, page: Page) -> None:
    fill(airflow)
    page.goto(f"{airflow.url}/plugin/deployments")
    frame = page.frame_locator("iframe")
    expect(frame.locator("tr.row")).to_have_count(15)
    frame.locator("body").press("Tab")
    skip = frame.get_by_role("link", name="Skip to the table")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(frame.get_by_role("table", name="Environments")).to_be_focused()
    page.keyboard.press("Tab")
    expect(frame.get_by_role("columnheader", name="Environment").get_by_role("button")).to_be_focused()
    assert len(page.context.pages) == 1
    frame.get_by_role("searchbox").fill("nothing is called so")
    expect(skip).to_be_hidden()
