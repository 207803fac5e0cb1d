"""What people press in Airflow's own UI and on the Deploys page within it, and what the page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import expect

from tests.browser.chromium import keep_picture
from tests.e2e.conftest import SLOW_MS
from tests.e2e.test_page import find_page

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page, Response

    from demo.person import Approval
    from tests.browser.person import Person


def is_start(answer: Response) -> bool:
    """Whether it is Airflow's answer to a form."""
    return answer.request.method == "POST" and answer.url.endswith("/dagRuns")


def is_answer(answer: Response) -> bool:
    """Whether it is Airflow's answer to one of a question's buttons."""
    return answer.request.method == "PATCH" and answer.url.endswith("/hitlDetails")


def name_page(asked: Approval) -> str:
    """Return the path of Airflow's page of a question."""
    return f"/dags/{asked.dag_id}/runs/{quote(asked.run_id, safe='~')}/tasks/{asked.task_id}/required_actions"


def press_answer(page: Page, person: Person, asked: Approval, option: str, comment: str = "") -> None:
    """Read the question on Airflow's page of it, say why where there is something to say, and press a button."""
    expect(page.get_by_text(asked.subject, exact=True).first).to_be_visible(timeout=SLOW_MS)
    if comment:
        page.locator("#element_comment").fill(comment)
    keep_picture(page, f"airflow-question-{option}")
    with page.expect_response(is_answer) as sent:
        person.click(page.get_by_role("button", name=option, exact=True))
    assert sent.value.ok, sent.value.text()


def answer_from_page(
    page: Page, person: Person, link: Locator, asked: Approval, option: str, comment: str = ""
) -> None:
    """Click a link of the Deploys page to a question, which Airflow opens, and answer it there."""
    person.click(link)
    expect(page).to_have_url(f"{page.url.split('/plugin/')[0].split('/dags/')[0]}{name_page(asked)}", timeout=SLOW_MS)
    press_answer(page, person, asked, option, comment)


def return_to_page(page: Page) -> FrameLocator:
    """Open the Deploys page anew, by its entry in the navigation."""
    page.get_by_role("link", name="Deploys", exact=True).click()
    return find_page(page)


def find_needs(frame: FrameLocator, *words: str) -> Locator:
    """Return what stands in the list of what needs people and says all these words."""
    found = frame.get_by_role("region", name="Needs you").get_by_role("listitem")
    for each in words:
        found = found.filter(has_text=each)
    return found
