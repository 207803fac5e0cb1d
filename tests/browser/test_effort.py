"""What a task costs whoever comes to the page with it: clicks and fields, counted while the task is really done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from include.deploy_ops.core.plan.work import Remedy
from include.deploy_ops.core.view.row import State
from tests.browser.fleet import PROJECT, make_outcome, make_preview, make_target
from tests.browser.person import Person
from tests.browser.test_needs import OVERRIDDEN, find_needs, make_failed, make_held
from tests.browser.test_reading import find_row, look_again

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble

REQUEST = f"{PROJECT}.production.request"


def open_page(airflow: AirflowDouble, page: Page) -> Person:
    approved = replace(make_outcome("production", 0, dag=f"{PROJECT}.production"), person="ada", approver="Boris Lund")
    rows = [
        replace(make_target("production", is_gated=True), outcomes=(approved,)),
        make_target("staging"),
        make_preview("dev-a", State.FAILED),
    ]
    airflow.show(PROJECT, rows)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(len(rows))
    return Person(page)


def test_to_force_production_and_approve_takes_five_clicks_and_two_fields(airflow: AirflowDouble, page: Page) -> None:
    person = open_page(airflow, page)
    person.act("production", "Force…")
    person.fill("What to deploy", "v1.2.3")
    person.fill("Reason", "the shop opens abroad")
    person.send("Force")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Airflow started the run")
    airflow.ask(REQUEST, "manual__1", "Deploy v1.2.3 to Production?")
    look_again(page)
    person.click(dialog.get_by_role("link", name="Deploy v1.2.3 to Production?"))
    person.click(page.get_by_role("button", name="Approve"))
    expect(page.get_by_role("status")).to_have_text("answered")
    assert airflow.answers == [(REQUEST, "manual__1", ["Approve"])]
    assert [(dag, body["conf"]["ref"]) for dag, body in airflow.posted] == [(REQUEST, "v1.2.3")]
    assert person.clicks <= 5
    assert person.fields <= 2


def test_who_approved_what_runs_is_one_click_away(airflow: AirflowDouble, page: Page) -> None:
    person = open_page(airflow, page)
    person.click(page.get_by_role("button", name="production", exact=True))
    expect(page.get_by_role("dialog")).to_contain_text("by ada, approved by Boris Lund")
    assert person.clicks <= 2


def test_to_freeze_takes_two_clicks(airflow: AirflowDouble, page: Page) -> None:
    person = open_page(airflow, page)
    person.act("staging", "Freeze")
    expect(find_needs(page)).to_contain_text(["frozen: shop.staging is paused"])
    assert airflow.paused == [(f"{PROJECT}.staging", {"is_paused": True})]
    assert person.clicks <= 2
    assert person.fields == 0


def test_to_unfreeze_takes_two_clicks(airflow: AirflowDouble, page: Page) -> None:
    person = open_page(airflow, page)
    airflow.dags[f"{PROJECT}.staging"] = True
    look_again(page)
    person.click(page.get_by_role("button", name="Unfreeze shop.staging"))
    person.send("Unfreeze")
    expect(find_needs(page)).to_have_count(0)
    assert airflow.paused == [(f"{PROJECT}.staging", {"is_paused": False})]
    assert person.clicks <= 2
    assert person.fields == 0


def test_to_retry_takes_two_clicks(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_failed("dev-a")])
    page.goto(airflow.page_url)
    person = Person(page)
    person.click(page.get_by_role("button", name="Retry dev-a"))
    person.send("Retry")
    expect(find_row(page, "dev-a")).to_contain_text("Deploying")
    assert len(airflow.cleared) == 1
    assert person.clicks <= 2
    assert person.fields == 0


def test_to_resume_takes_two_clicks_and_a_reason(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_held(make_target("production", is_gated=True), OVERRIDDEN, Remedy.RESUME)])
    page.goto(airflow.page_url)
    person = Person(page)
    person.click(page.get_by_role("button", name="Resume production"))
    person.fill("Reason", "INC-42 is over")
    person.send("Resume")
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    assert [body["conf"]["action"] for _, body in airflow.posted] == ["resume"]
    assert person.clicks <= 2
    assert person.fields <= 1


def test_who_approved_what_in_a_quarter_is_one_click_away(airflow: AirflowDouble, page: Page) -> None:
    person = open_page(airflow, page)
    airflow.decide(REQUEST, "manual__7", "Deploy #88 to Production?")
    person.click(page.get_by_role("button", name="Approvals"))
    expect(page.get_by_role("table", name="Answers")).to_contain_text("boris")
    assert person.clicks <= 2
