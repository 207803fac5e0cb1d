"""Everybody can use the page: axe-core finds nothing, wherever one comes, and a phone shows many rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from include.deploy_ops.core.plan.work import Remedy
from include.deploy_ops.core.view.health import ASTRO, GITHUB, see_failing, see_well
from include.deploy_ops.core.view.needs import Need
from include.deploy_ops.core.view.row import State
from tests.browser.axe import find_barriers
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, ago, make_few, make_many, make_preview, make_target
from tests.browser.looks import DESK, PHONE, wear_each_look
from tests.browser.test_acting import choose, make_deploy_branch
from tests.browser.test_health import TRACE, find_health
from tests.browser.test_needs import OVERRIDDEN, REQUEST, TEMPLATE, find_needs, make_failed, make_held
from tests.browser.test_reading import SOON_MS, look_again

if TYPE_CHECKING:
    from include.deploy_ops.core.view.row import Row
    from tests.browser.airflow_double import AirflowDouble

ROW_HEIGHT_MAX = 160.0
"""Pixels of a phone's row that nobody opened: five of them are seen at once."""


def find_barriers_in_each_look(page: Page, picture: str = "") -> list[str]:
    """Return what keeps somebody out of what is shown now, in any look; keep a picture of each, if it is named."""
    found = []
    for look in wear_each_look(page):
        found += [f"{look}: {barrier}" for barrier in find_barriers(page)]
        if picture:
            keep_picture(page, f"access-{picture}-{look}")
    return found


def fill(airflow: AirflowDouble) -> None:
    """Let everything be there that a row can show: a run, a question, and a DAG that is paused."""
    airflow.show(PROJECT, make_few())
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    run = "target.production~request~0a1b2c3d4e5f~01234567~1"
    airflow.ask(f"{PROJECT}.production.request", run, "Deploy #88 to Production?")


def test_the_table_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    fill(airflow)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    assert find_barriers_in_each_look(page, "table") == []
    page.get_by_role("button", name="Failed").click()
    page.get_by_role("searchbox").fill("nothing is called so")
    expect(page.locator("#empty")).to_contain_text("Nothing matches")
    assert find_barriers_in_each_look(page) == []


def test_an_opened_row_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    fill(airflow)
    page.goto(airflow.page_url)
    for name in ("production", "dev-returns", "dev-gone"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert find_barriers_in_each_look(page, "row") == []
        page.keyboard.press("Escape")


DIALOGS: list[tuple[Row, list[str]]] = [
    (make_preview("dev-a"), ["Redeploy", "Force…", "Refresh", "Keep", "Delete…"]),
    (make_preview("dev-s", State.ASLEEP), ["Redeploy"]),
    (make_target("production", is_gated=True), ["Force…"]),
    (make_deploy_branch("release"), ["Promote"]),
]
"""Environments, each with the actions whose forms differ."""


def test_every_dialog_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [row for row, _ in DIALOGS])
    page.goto(airflow.page_url)
    dialog = page.get_by_role("dialog")
    for row, action in ((row, action) for row, actions in DIALOGS for action in actions):
        choose(page, row, action)
        dialog.get_by_role("button", name=action.rstrip("…")).click()
        expect(dialog.locator("[aria-invalid=true]").first).to_be_visible()
        assert find_barriers_in_each_look(page, f"dialog-{row.branch}-{action.rstrip('…')}") == []
        page.keyboard.press("Escape")


def test_the_menu_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [row for row, _ in DIALOGS])
    page.goto(airflow.page_url)
    for look in wear_each_look(page):  # it opens beside its button, wherever that stands in this width
        for row, _ in DIALOGS[:: len(DIALOGS) - 1]:
            page.get_by_role("button", name=f"Actions for {row.environment}", exact=True).click()
            expect(page.get_by_role("menu")).to_be_in_viewport(ratio=1)
            assert find_barriers(page) == [], look
            keep_picture(page, f"access-menu-{look}")
            page.keyboard.press("Escape")


def test_what_follows_a_dialog_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    page.goto(airflow.page_url)
    choose(page, make_preview("dev-a"), "Keep")
    page.get_by_label("Reason").fill("a demo")
    airflow.faults["dagRuns"] = (403, "Forbidden")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("You may look at shop.preview")
    assert find_barriers_in_each_look(page, "refused") == []
    airflow.faults.clear()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    assert find_barriers_in_each_look(page) == []


def empty(airflow: AirflowDouble) -> str:
    assert not airflow.stores
    return "Name a project in include/deploy_ops.yaml"


def empty_but_for_the_doctor(airflow: AirflowDouble) -> str:
    airflow.dags["deploy_ops.doctor"] = False
    return empty(airflow)


def empty_project(airflow: AirflowDouble) -> str:
    airflow.show(PROJECT, [])
    return "Push a branch"


@pytest.mark.parametrize("prepare", [empty, empty_but_for_the_doctor, empty_project])
def test_an_empty_installation_keeps_nobody_out(
    airflow: AirflowDouble, page: Page, prepare: Callable[[AirflowDouble], str]
) -> None:
    words = prepare(airflow)
    page.goto(airflow.page_url)
    expect(page.locator("#empty")).to_contain_text(words)
    assert find_barriers_in_each_look(page, "empty") == []


def test_an_installation_with_failures_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
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
    assert find_barriers_in_each_look(page) == []
    airflow.faults["*"] = (500, "the moon is in the way")
    look_again(page)
    expect(notices).to_contain_text("Airflow failed: the moon", timeout=SOON_MS)
    assert find_barriers_in_each_look(page, "failures") == []


def test_what_needs_a_person_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    override = make_held(make_target("production", is_gated=True), OVERRIDDEN, Remedy.RESUME)
    airflow.show(PROJECT, [override, make_failed(), make_held(make_preview("dev-1"), TEMPLATE)])
    airflow.dags[PREVIEW_DAG] = True
    airflow.ask(REQUEST, "manual__1", "Deploy #88 to Production?")
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(4)
    assert find_barriers_in_each_look(page, "needs") == []
    page.get_by_role("button", name="Retry dev-returns").click()
    assert find_barriers_in_each_look(page) == []


def test_the_health_line_keeps_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    well = see_well(ago(seconds=12))
    airflow.see(PROJECT, **{GITHUB: well, ASTRO: well})
    page.goto(airflow.page_url)
    expect(find_health(page)).to_contain_text("Healthy")
    assert find_barriers_in_each_look(page) == []
    failing = see_failing(GITHUB, see_well(ago(minutes=4)), "GET /repos: HTTP 503", ago(minutes=3))
    airflow.see(PROJECT, **{GITHUB: failing, ASTRO: well})
    airflow.fail_control(PROJECT, see_failing("shop.control", None, "the token sees no workspace", ago(minutes=2)))
    airflow.health["triggerer"]["status"] = "unhealthy"
    airflow.errors += [{"import_error_id": 1, "filename": "dags/policy_errors.py", "stack_trace": TRACE}]
    airflow.dags[PREVIEW_DAG] = True
    page.reload()
    expect(find_health(page)).to_contain_text("Paused: shop.preview")
    assert find_barriers_in_each_look(page, "health") == []


def test_the_approvals_keep_nobody_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_target("production", is_gated=True)])
    airflow.decide(REQUEST, "manual__7", "Deploy #88 to Production?")
    page.goto(f"{airflow.page_url}?view=approvals")
    expect(page.get_by_role("table", name="Answers")).to_contain_text("boris")
    assert find_barriers_in_each_look(page, "approvals") == []
    expect(page.get_by_role("link", name="Skip to the table")).to_be_hidden()


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


CUT = """parts => parts.filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.textContent)"""


def test_a_phone_cuts_neither_a_state_nor_since_when_it_is_so(airflow: AirflowDouble, page: Page) -> None:
    fill(airflow)
    airflow.dags[PREVIEW_DAG] = True
    page.set_viewport_size(PHONE)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    assert page.locator(".col-state .lines > :first-child, .col-commit p").evaluate_all(CUT) == []


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


STOPS_MAX = 80
FOCUSED = "document.activeElement.ariaLabel || document.activeElement.textContent"


def tab_to(page: Page, name: str) -> None:
    """Press the Tab key until what is called so has the focus; it has to be seen then, and that it has it."""
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == name:
            break
    focused = page.locator(":focus")
    expect(focused).to_be_in_viewport()
    assert page.evaluate(FOCUSED) == name
    assert focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"


def fill_with_needs(airflow: AirflowDouble) -> None:
    """Let each thing be there that only a person ends."""
    rejected = Need("request", "failed: rejected by ann", Remedy.RETRY, "r", f"{PROJECT}.europe.request")
    rows = [
        make_target("production", is_gated=True),
        replace(make_target("europe", is_gated=True), state=State.FAILED, needs=(rejected,)),
        make_held(make_target("staging"), OVERRIDDEN, Remedy.RESUME),
        make_failed(),
    ]
    airflow.show(PROJECT, rows)
    airflow.ask(REQUEST, "manual__1", "Deploy #88 to Production?")
    airflow.dags[PREVIEW_DAG] = True


ASKED = {
    "Resume staging": "Resume: staging",
    "Retry dev-returns": "Retry: dev-returns",
    "Ask again europe": "Ask again: europe",
    f"Unfreeze {PREVIEW_DAG}": "Unfreeze: dev-returns",
}
"""What a person presses, and what is asked then."""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_each_remedy_is_reached_by_keys_and_gives_the_focus_back(
    airflow: AirflowDouble, page: Page, size: ViewportSize
) -> None:
    fill_with_needs(airflow)
    page.set_viewport_size(size)
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(5)
    dialog = page.get_by_role("dialog")
    tab_to(page, "Open the question of production")
    for label, title in ASKED.items():
        page.locator("#skip").focus()
        tab_to(page, label)
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("heading", name=title)).to_be_visible()
        expect(dialog.locator(":focus")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert page.evaluate(FOCUSED) == label
    tab_to(page, "Actions for staging")
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="Freeze")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Unfreeze {PROJECT}.staging")).to_be_visible()
    assert page.evaluate(FOCUSED) == "Actions for staging"
    assert airflow.paused == [(f"{PROJECT}.staging", {"is_paused": True})]


def test_whoever_has_ended_the_last_need_by_keys_is_not_lost(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_target("staging")])
    airflow.dags[f"{PROJECT}.staging"] = True
    page.set_viewport_size(PHONE)
    page.goto(airflow.page_url)
    tab_to(page, f"Unfreeze {PROJECT}.staging")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(find_needs(page)).to_have_count(0)
    expect(page.get_by_role("heading", name="Needs you")).to_be_focused()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_first_stop_of_the_tab_key_skips_to_the_table(
    airflow: AirflowDouble, page: Page, size: ViewportSize
) -> None:
    fill(airflow)
    page.set_viewport_size(size)
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
    first = frame.get_by_role("columnheader", name="Environment").get_by_role("button")
    expect(first if size is DESK else frame.get_by_role("button", name="production", exact=True)).to_be_focused()
    assert len(page.context.pages) == 1
    frame.get_by_role("searchbox").fill("nothing is called so")
    expect(skip).to_be_hidden()
