"""The Deploys page in Airflow's own UI: who may see it, what it shows while things happen, and acting from it."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from demo.witness import PREVIEW_DAG, STAGING_DAG, Witness
from tests.browser.chromium import keep_picture
from tests.e2e.conftest import SLOW_MS
from tests.e2e.test_preview_life import DAG, LIVES

pytestmark = [pytest.mark.e2e, pytest.mark.at_once(LIVES, in_turn=True)]
WISH = "because I can"


def log_in(witness: Witness, page: Page, name: str) -> Locator:
    """Log in as a person does, and return the page's entry in the navigation."""
    page.goto(f"{witness.stack.ports.airflow_url}/")
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(name)
    page.keyboard.press("Enter")
    entry = page.get_by_role("link", name="Deploys", exact=True)
    expect(entry).to_be_visible(timeout=SLOW_MS)
    return entry


def open_page(witness: Witness, page: Page, name: str) -> FrameLocator:
    """Log in, and open the page by its entry in the navigation."""
    log_in(witness, page, name).click()
    return find_page(page)


def find_page(page: Page) -> FrameLocator:
    """Return the page within Airflow's UI, once it shows what it read."""
    frame = page.frame_locator("iframe[title=Deploys]")
    expect(frame.get_by_role("button", name="staging", exact=True)).to_be_visible(timeout=SLOW_MS)
    return frame


def find_row(frame: FrameLocator, name: str) -> Locator:
    return frame.locator("tr.row").filter(has=frame.get_by_role("button", name=name, exact=True))


def test_nobody_sees_anything_without_logging_in(witness: Witness) -> None:
    url = f"{witness.stack.ports.airflow_url}/deploy-ops"
    for path in ("page", "me", "database", "0123456789abcdef/main.js", "nothing/such"):
        assert httpx.get(f"{url}/{path}").status_code == 401


def test_a_preview_appears_is_followed_found_and_redeployed_on_the_page(witness: Witness, page: Page) -> None:
    branch = "dev-on-the-page"
    frame = open_page(witness, page, "admin")
    expect(page).to_have_url(re.compile("/plugin/deployments/deploy-ops/page"))
    frame.locator("html").evaluate("() => { window.isTheSame = true }")
    witness.author.start_branch(branch)
    head = witness.author.commit({"dags/on_the_page.py": DAG.format(name="on_the_page")}, "Add on_the_page")
    witness.author.push(branch)
    row = find_row(frame, branch)
    expect(row).to_contain_text("Creating", timeout=SLOW_MS)
    assert frame.locator("html").evaluate("() => window.isTheSame")
    keep_picture(page, "airflow-light-creating")
    row.get_by_role("link", name="Watch the run").click()
    expect(page).to_have_url(re.compile(rf"/dags/{PREVIEW_DAG}/runs/{branch}~create~{head[:12]}"))
    expect(page.get_by_role("link", name="render_template").first).to_be_visible(timeout=SLOW_MS)
    page.go_back()
    expect(row).to_contain_text("Live", timeout=SLOW_MS)
    expect(row.get_by_role("link", name=f"commit {head[:7]}")).to_be_visible()
    assert witness.check_files(branch, head)
    frame.get_by_role("searchbox").fill("the-page")
    expect(frame.locator("tr.row:visible")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=the-page$"))
    redeploy(witness, frame, branch, head)
    keep_picture(page, "airflow-light-live")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(find_row(frame, branch)).to_contain_text("Live", timeout=SLOW_MS)
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    keep_picture(page, "airflow-dark-live")


def redeploy(witness: Witness, frame: FrameLocator, branch: str, head: str) -> None:
    """Fill in the row's dialog, and see the run that it starts deploy the same commit again."""
    deployment = witness.outside.find_deployment(branch)
    assert deployment is not None
    before = witness.outside.list_deploys(deployment["id"])[0]["id"]
    frame.get_by_role("button", name=f"Actions for {branch}").click()
    frame.get_by_role("menuitem", name="Redeploy").click()
    frame.get_by_label("Reason").fill("to see it run")
    frame.get_by_role("dialog").get_by_role("button", name="Redeploy").click()
    expect(frame.get_by_role("dialog")).to_contain_text("Airflow started the run", timeout=SLOW_MS)
    frame.get_by_role("dialog").get_by_role("button", name="Close").click()
    witness.await_deploy(branch, head, before)
    marks = find_row(frame, branch).get_by_role("list").get_by_role("link", name=re.compile("by admin[,:]"))
    expect(marks).to_have_count(1, timeout=SLOW_MS)


def test_a_viewer_sees_it_all_and_may_start_nothing(witness: Witness, page: Page) -> None:
    frame = open_page(witness, page, "viewer")
    frame.get_by_role("button", name="Actions for staging").click()
    frame.get_by_role("menuitem", name="Redeploy").click()
    frame.get_by_label("Reason").fill(WISH)
    frame.get_by_role("dialog").get_by_role("button", name="Redeploy").click()
    expect(frame.get_by_role("alert")).to_contain_text(f"You may look at {STAGING_DAG}, but not start its runs")
    keep_picture(page, "airflow-light-forbidden")
    told = [(run["triggering_user_name"], str(run["conf"])) for run in witness.outside.list_runs(STAGING_DAG)]
    assert [conf for person, conf in told if person == "viewer" or WISH in conf] == []
