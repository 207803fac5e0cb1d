"""Gates and words on the page: what a target awaits, what forcing it skips, and who asked for something on GitHub."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from include.deploy_ops.core.naming import name_comment_run, slug_target
from include.deploy_ops.core.policy.keys import Requires
from include.deploy_ops.core.policy.windows import Windows, parse_hours
from include.deploy_ops.core.target.gates import (
    Checks,
    Elsewhere,
    Gate,
    judge_checks,
    judge_soak,
    judge_verified,
    judge_windows,
)
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.past_deploys import add_deploys
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, make_preview
from tests.browser.looks import wear_each_look
from tests.browser.test_acting import choose, open_dialog
from tests.browser.test_needs import find_needs
from tests.browser.test_reading import find_row
from tests.browser.written import GATED, HEAD, OPEN, end_forced, record_ours, write_preview, write_production

if TYPE_CHECKING:
    from include.deploy_ops.core.view.row import Row
    from tests.browser.airflow_double import AirflowDouble

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 12, 5, tzinfo=BERLIN)  # a Sunday
BLIND = "the token may not read check runs, which a GitHub App may (docs/install.md)"
SHOWN = Elsewhere("staging", verification=Verification("d1", HEAD, Proof.VERIFIED, NOW.astimezone(UTC)))
WINDOWS = Windows((parse_hours("Mon-Thu 09:00-16:00"),), (), BERLIN)
TRUNK = "main has 'dags/orders.py', merge it into staging"

SOAKING = judge_soak(SHOWN, timedelta(hours=2), NOW)
CLOSED = judge_windows(WINDOWS, NOW)
COMES: dict[str, Gate] = {
    "soaks on staging until Sun 14:05 CET": SOAKING,
    "window opens Mon 09:00 CET": CLOSED,
    "check 'ci/test' is not there yet": judge_checks(("ci/test",), Checks()),
    "check 'ci/test' runs": judge_checks(("ci/test",), Checks({"ci/test": "in_progress"})),
    "staging is not verified yet": judge_verified(replace(SHOWN, verification=None), NOW),
}
"""What comes by itself, and needs nobody."""
STUCK: dict[str, Gate] = {
    f"check 'ci/test' is not known: {BLIND}": judge_checks(("ci/test",), Checks(blind=BLIND)),
    "check 'ci/test' did not succeed: failure": judge_checks(("ci/test",), Checks({"ci/test": "failure"})),
    TRUNK: judge_verified(replace(SHOWN, differs=TRUNK, is_stuck=True), NOW),
}
"""What a person has to mend."""
WORD = "/deploy-ops keep on #12"
MONA = "mona on GitHub"


def write_gated(*gates: Gate, forced: str = "ask", name: str = "production") -> Row:
    """Return the row of a target with gates that stand so, of which a release is due."""
    target = GATED.model_copy(update={"requires": Requires(checks=("ci/test",)), "forced": forced})
    row = write_production([record_ours(5, HEAD[::-1])], source=OPEN, target=target, gates=gates)
    return replace(row, slug=slug_target(name), environment=name)


@pytest.mark.parametrize("words", COMES)
def test_what_comes_by_itself_is_shown_in_row_and_details_and_needs_nobody(
    airflow: AirflowDouble, page: Page, words: str
) -> None:
    airflow.show(PROJECT, [write_gated(COMES[words])])
    page.goto(airflow.page_url)
    row = find_row(page, "production")
    expect(row).to_contain_text("Waiting")
    expect(row.locator(".why")).to_have_text(f"request: {words}")
    expect(find_needs(page)).to_have_count(0)
    page.get_by_role("button", name="production", exact=True).click()
    expect(page.get_by_role("dialog").locator("dd").filter(has_text=words)).to_have_text(f"request: {words}")


@pytest.mark.parametrize("words", STUCK)
def test_what_a_person_has_to_mend_is_needed_in_its_own_words(airflow: AirflowDouble, page: Page, words: str) -> None:
    airflow.show(PROJECT, [write_gated(STUCK[words], SOAKING)])
    page.goto(airflow.page_url)
    awaited = f"{words}; soaks on staging until Sun 14:05 CET"
    row = find_row(page, "production")
    expect(row).to_contain_text("Held")
    expect(row.locator(".why")).to_have_text(f"request: {awaited}")
    expect(find_needs(page)).to_have_count(1)
    expect(find_needs(page).locator(".words")).to_have_text(awaited)
    find_needs(page).get_by_role("button", name="Details production").click()
    expect(page.get_by_role("dialog").locator("dd").filter(has_text=words)).to_have_text(f"request: {awaited}")


def test_what_is_awaited_is_whole_in_every_look(airflow: AirflowDouble, page: Page) -> None:
    awaited = COMES | STUCK
    rows = [write_gated(gate, name=f"production{number}") for number, gate in enumerate(awaited.values())]
    airflow.show(PROJECT, [*rows, make_preview("dev-a")])
    page.goto(airflow.page_url)
    for look in wear_each_look(page):
        for number, words in enumerate(awaited):
            why = find_row(page, f"production{number}").locator(".why")
            expect(why).to_be_visible()
            expect(why).to_have_text(f"request: {words}")
        for need in find_needs(page).locator(".words").all():
            assert need.evaluate("each => each.scrollWidth <= each.clientWidth"), "a word is cut off"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
        keep_picture(page, f"{look}-gates")
        page.get_by_role("button", name="production0", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("soaks on staging until Sun 14:05 CET")
        keep_picture(page, f"{look}-gates-details")
        page.keyboard.press("Escape")


@pytest.mark.parametrize("action", ["Force…", "Redeploy"])
def test_a_form_says_what_it_skips_or_that_nobody_may(airflow: AirflowDouble, page: Page, action: str) -> None:
    now = "soaks on staging until Sun 14:05 CET; window opens Mon 09:00 CET"
    open_dialog(airflow, page, write_gated(SOAKING, CLOSED), action)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"It skips gates that are closed, and names them: {now}.")
    keep_picture(page, f"light-gates-{action.rstrip('…').lower()}")
    open_dialog(airflow, page, write_gated(SOAKING, CLOSED, forced="gates"), action)
    expect(dialog).to_contain_text(f"The policy lets nobody skip a gate: while one is closed, the run fails: {now}.")
    keep_picture(page, f"light-gates-{action.rstrip('…').lower()}-never")


def test_a_form_is_silent_about_gates_where_there_are_none(airflow: AirflowDouble, page: Page) -> None:
    plain = write_production([record_ours(5, HEAD)], source=OPEN)
    for row in (plain, make_preview("dev-a")):
        open_dialog(airflow, page, row, "Force…")
        expect(page.get_by_role("dialog")).to_contain_text("whatever the plan says.")
        expect(page.get_by_role("dialog")).not_to_contain_text("gate")
        page.keyboard.press("Escape")
    airflow.show(PROJECT, [write_gated()])
    page.reload()
    choose(page, write_gated(), "Resume")
    expect(page.get_by_role("dialog")).not_to_contain_text("gate")


def test_who_asked_on_a_pull_request_stands_in_row_runs_and_history(airflow: AirflowDouble, page: Page) -> None:
    named = {"dag": PREVIEW_DAG, "person": MONA}
    keep, deploy = name_comment_run("dev-a", "keep", 31), name_comment_run("dev-a", "deploy", 30)
    deployed = end_forced(2, HEAD, run_id=deploy, reason="/deploy-ops deploy on #12", subject="Price in euros", **named)
    kept = end_forced(1, "", run_id=keep, verb="keep", kind="", why=WORD, reason=WORD, **named)
    row = write_preview("dev-a", [deployed, kept], kept=f"by {MONA}: {WORD}")
    airflow.show(PROJECT, [row])
    airflow.keep_deploys(PROJECT, row.slug, add_deploys((), row.outcomes, [deployed]))
    page.goto(airflow.page_url)
    expect(find_row(page, "dev-a")).to_contain_text(MONA)
    page.get_by_role("button", name="dev-a", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".runs > li").first).to_contain_text(f"keep succeeded (because {WORD})")
    expect(dialog.locator(".runs > li").first).to_contain_text(f"by {MONA}")
    expect(dialog.locator(".deploys > li").first).to_contain_text(f"Forced by {MONA}: /deploy-ops deploy on #12")
    expect(dialog.locator("dt", has_text="Kept").locator("+ dd")).to_have_text(f"by {MONA}: {WORD}")
    run = f"{airflow.prefix}/dags/{PREVIEW_DAG}/runs/"
    assert deploy in str(
        dialog.locator(".deploys > li").first.get_by_role("link", name="Run that").get_attribute("href")
    ).replace("%7E", "~")
    assert str(dialog.get_by_role("link", name="run", exact=True).first.get_attribute("href")).startswith(run)
    for look in wear_each_look(page):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
        keep_picture(page, f"{look}-word")
