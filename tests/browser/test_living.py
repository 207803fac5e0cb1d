"""The page keeps itself up to date: what changed is shown; what did not stays, focus and dialogs included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from include.deploy_ops.core.view.row import State
from tests.browser.fleet import PREVIEW_DAG, PROJECT, make_few, make_many, make_preview
from tests.browser.test_reading import SOON_MS, find_row, look_again

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble


def read_shards(airflow: AirflowDouble) -> list[str]:
    return [asked for asked in airflow.asked if "view.rows" in asked]


def test_a_preview_appears_changes_and_goes_without_a_reload(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    page.evaluate("window.isSame = true")
    airflow.show(PROJECT, [*make_few(), make_preview("dev-new", State.WAITING)])
    expect(find_row(page, "dev-new")).to_contain_text("Waiting", timeout=SOON_MS)
    airflow.show(PROJECT, [*make_few(), make_preview("dev-new", State.FAILED)])
    look_again(page)
    expect(find_row(page, "dev-new")).to_contain_text("Failed", timeout=SOON_MS)
    expect(page.locator("#told")).to_have_text("dev-new: Failed")
    airflow.show(PROJECT, make_few())
    look_again(page)
    expect(find_row(page, "dev-new")).to_have_count(0, timeout=SOON_MS)
    assert page.evaluate("window.isSame")


def test_only_what_changed_is_read_and_only_what_changed_is_touched(airflow: AirflowDouble, page: Page) -> None:
    rows = make_few()
    airflow.show(PROJECT, rows)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    first = read_shards(airflow)
    assert len(first) == len({f"{key}" for key in airflow.stores[PROJECT].values if key.startswith("view.rows")})
    page.evaluate("""() => {
        window.touched = new Set();
        new MutationObserver((changes) => changes.forEach(({target}) => touched.add(target.closest("tr")?.dataset.id)))
            .observe(document.getElementById("environments"), {childList: true, subtree: true});
    }""")
    airflow.show(
        PROJECT, [replace(each, why="a new reason") if each.branch == "dev-customers" else each for each in rows]
    )
    look_again(page)
    expect(find_row(page, "dev-customers")).to_contain_text("a new reason", timeout=SOON_MS)
    assert len(read_shards(airflow)) == len(first) + 1
    touched = page.evaluate("""[...window.touched].filter(Boolean)""")
    assert [each for each in touched if each != f"{PROJECT}/dev-customers"] == []


def test_focus_scroll_and_an_open_dialog_outlive_a_change(airflow: AirflowDouble, page: Page) -> None:
    rows = make_many(60)
    airflow.show(PROJECT, rows)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(60)
    row = page.locator("tr.row").nth(40)
    name = row.locator("button.name").text_content() or ""
    row.get_by_role("link", name="Newest run of").focus()
    top = page.evaluate("scrollY")
    assert top > 0
    changed = [
        replace(each, run_id="x~y~z", run_dag=PREVIEW_DAG, why="moved on") if each.environment == name else each
        for each in rows
    ]
    airflow.show(PROJECT, [make_preview("dev-aaa"), *changed])
    look_again(page)
    expect(find_row(page, name)).to_contain_text("moved on", timeout=SOON_MS)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Newest run of {name}"
    find_row(page, name).get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Redeploy").click()
    page.get_by_label("Reason").fill("half a sen")
    airflow.show(PROJECT, changed)
    look_again(page)
    expect(find_row(page, "dev-aaa")).to_have_count(0, timeout=SOON_MS)
    expect(page.get_by_label("Reason")).to_have_value("half a sen")
    expect(page.get_by_label("Reason")).to_be_focused()


def test_nothing_is_asked_while_nobody_looks(airflow: AirflowDouble, own_page: Page) -> None:
    airflow.show(PROJECT, make_few())
    own_page.clock.install()
    own_page.goto(airflow.page_url)
    expect(own_page.locator("tr.row")).to_have_count(15)
    show = "(isHidden) => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});"
    own_page.evaluate(f"{show} document.dispatchEvent(new Event('visibilitychange')); }}", True)
    asked = len(airflow.asked)
    own_page.clock.run_for(60_000)
    assert len(airflow.asked) == asked
    airflow.show(PROJECT, [*make_few(), make_preview("dev-new")])
    own_page.evaluate(f"{show} document.dispatchEvent(new Event('visibilitychange')); }}", False)
    expect(find_row(own_page, "dev-new")).to_be_visible()


def test_ages_go_on_by_themselves(airflow: AirflowDouble, own_page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    own_page.clock.install()
    own_page.goto(airflow.page_url)
    row = find_row(own_page, "dev-a")
    expect(row).to_contain_text("for 7 min")
    own_page.route("**/api/v2/**", lambda route: route.abort())
    own_page.clock.run_for(120_000)
    expect(row).to_contain_text("for 9 min")


def test_a_page_that_airflow_does_not_answer_at_first_comes_up_later(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.faults["*"] = (503, "starting")
    page.goto(airflow.page_url)
    expect(page.get_by_role("status", name="Notices")).to_contain_text("Airflow failed: starting")
    airflow.faults.clear()
    look_again(page)
    expect(page.locator("tr.row")).to_have_count(15, timeout=2 * SOON_MS)
