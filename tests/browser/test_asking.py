"""Filters, search, sorting and the URL that keeps them; all of it by keyboard, too, and quick with 500 environments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from include.deploy_ops.core.view.row import State
from tests.browser.fleet import PROJECT, make_few, make_many, make_preview
from tests.browser.test_reading import SOON_MS, find_row, look_again

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble

MANY = 500


def list_shown(page: Page) -> list[str]:
    return page.locator("tr.row:visible button.name").all_text_contents()


def open_few(airflow: AirflowDouble, page: Page, query: str = "") -> None:
    airflow.show(PROJECT, make_few())
    airflow.show("books", [make_preview("dev-books")])
    page.goto(airflow.page_url + query)
    expect(page.locator("tr.row")).to_have_count(16)


LINKS: list[tuple[str, list[str]]] = [
    ("?state=failed", ["dev-fraud", "dev-pricing", "dev-returns"]),
    ("?state=leaving", ["dev-old"]),
    ("?kind=target", ["production", "staging"]),
    ("?project=books", ["dev-books"]),
    ("?q=ÉMILE'S", ["dev/Émile's stock"]),
    ("?q=émile fisher", []),
    ("?q=%23102", ["dev-returns"]),
    ("?q=%2310", []),
    ("?kind=preview&state=live&sort=-name", ["dev-shipping-eta", "dev-kept", "dev-invoices", "dev-books"]),
    ("?state=nonsense&kind=target&sort=nonsense", ["production", "staging"]),
]


def test_a_deep_link_shows_what_it_asks_for(airflow: AirflowDouble, page: Page) -> None:
    for query, names in LINKS:
        open_few(airflow, page, query)
        assert list_shown(page) == names
        expect(page.locator("#shown")).to_have_text(f"{len(names)} of 16 environments")


def test_what_is_asked_stands_in_the_url_and_can_be_cleared(airflow: AirflowDouble, page: Page) -> None:
    open_few(airflow, page)
    page.get_by_role("searchbox", name="Search").fill("ada fisher")
    page.get_by_label("Kind").select_option("preview")
    page.get_by_role("button", name=re.compile("Waiting")).click()
    expect(page).to_have_url(f"{airflow.page_url}?q=ada+fisher&kind=preview&state=waiting")
    assert list_shown(page) == ["dev-customers"]
    page.reload()
    expect(page.locator("tr.row:visible")).to_have_count(1)
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("ada fisher")
    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(airflow.page_url)
    expect(page.locator("tr.row:visible")).to_have_count(16)


def test_sorting_is_told_to_those_who_hear_it(airflow: AirflowDouble, page: Page) -> None:
    open_few(airflow, page)
    heading = page.get_by_role("columnheader", name="State")
    for told, first in (("ascending", "dev-returns"), ("descending", "dev-gone"), ("none", "production")):
        heading.get_by_role("button").press("Enter")
        expect(heading).to_have_attribute("aria-sort", told)
        assert list_shown(page)[0] == first


def test_mine_are_those_of_the_author_that_one_is(airflow: AirflowDouble, page: Page) -> None:
    open_few(airflow, page)
    page.get_by_label("Mine").check()
    expect(page.locator("#empty")).to_contain_text("None of them is yours")
    page.get_by_label("Which author are you?").select_option("Chen Wei")
    assert list_shown(page) == ["dev-gone", "dev-invoices", "dev-returns"]
    page.reload()
    expect(page.locator("tr.row:visible")).to_have_count(3)


def test_everything_can_be_done_by_keyboard(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a"), make_preview("dev-b", State.FAILED, 1)])
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(2)
    page.get_by_role("columnheader", name="Next").get_by_role("button").focus()
    stops = []
    for _ in range(11):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("(document.activeElement.ariaLabel || document.activeElement.textContent)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    first, second = make_preview("dev-a"), make_preview("dev-b", State.FAILED, 1)
    assert stops == [
        *(
            "dev-a",
            f"commit {first.deployed[:7]} on GitHub",
            "DAG-only deploy succeeded in 14 s, 1 h ago: dags/ differs",
        ),
        *("Airflow of dev-a", "dev-a in Astro", "Newest run of dev-a", "Actions for dev-a"),
        *("dev-b", "#101", "Open the failed run", f"commit {second.deployed[:7]} on GitHub"),
    ]
    find_row(page, "dev-a").get_by_role("list").get_by_role("link").last.focus()
    page.keyboard.press("ArrowLeft")
    assert "6 h ago" in page.evaluate("document.activeElement.ariaLabel")
    page.get_by_role("button", name="Actions for dev-a").press("Enter")
    expect(page.get_by_role("menuitem", name="Redeploy")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Details")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_be_hidden()
    expect(page.get_by_role("button", name="Actions for dev-a")).to_be_focused()
    page.get_by_role("button", name="dev-a", exact=True).press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Last runs")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="dev-a", exact=True)).to_be_focused()


TYPE = """(text) => {
    const search = document.getElementById("search");
    const start = performance.now();
    search.value = text;
    search.dispatchEvent(new Event("input"));
    document.body.getBoundingClientRect();
    return performance.now() - start;
}"""
"""Types, and has the page laid out at once: what it takes, whatever else the machine does between two frames."""
SHOWN = "() => performance.getEntriesByName('shown').at(-1)?.duration"
TEXTS = ("d", "de", "dev", "dev-o", "dev-or", "dev-orders-1", "none", "")
TRIES = 6
"""A machine that is busy with something else slows some tries, and a page that is slow all."""


def find_best(enough_ms: float, measure: Callable[[], float]) -> float:
    """Return the best of several tries; one that is good enough is the last."""
    best = measure()
    for _ in range(TRIES - 1):
        if best < enough_ms:
            break
        best = min(best, measure())
    return best


def test_500_environments_stay_quick(airflow: AirflowDouble, page: Page) -> None:
    rows = make_many(MANY)
    airflow.show(PROJECT, rows)

    def load() -> float:
        page.goto(airflow.page_url)
        return float(page.wait_for_function(SHOWN).json_value())

    def refresh() -> float:
        before = page.evaluate(SHOWN)
        kept = airflow.rows[PROJECT][rows[9].slug]
        other = State.LIVE if kept.state is State.FAILED else State.FAILED
        airflow.show(PROJECT, [*rows[:9], make_preview(rows[9].branch, other, 3), *rows[10:]])
        look_again(page)
        changed = page.locator(
            f"tr[data-id='{PROJECT}/{rows[9].slug}'] .badge.{'bad' if other is State.FAILED else 'good'}"
        )
        changed.wait_for()
        return float(
            page.wait_for_function(
                f"(before) => {{ const now = ({SHOWN})(); return now !== before && now }}", arg=before
            ).json_value()
        )

    assert find_best(1000, load) < 1000
    expect(page.locator("tr.row")).to_have_count(MANY)
    expect(page.locator("tr.row[hidden]")).to_have_count(0, timeout=SOON_MS)
    assert find_best(100, lambda: max(page.evaluate(TYPE, text) for text in TEXTS)) < 100
    assert find_best(100, refresh) < 100
