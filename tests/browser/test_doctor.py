"""The doctor's strip: how each project stands in a line, what to do where it is opened, and what nobody may see."""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.examination import DOCTOR_DAG, Examination
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PROJECT, ago, make_few, make_preview
from tests.browser.test_access import find_barriers_in_each_look
from tests.browser.test_reading import look_again

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble

RUN = "scheduled__2026-05-04T04:30:00+00:00"
CHECKS = (
    Check(Area.GITHUB, "trunk", Status.OK, "main is at 0a1b2c3d4e5f"),
    Check(Area.GITHUB, "permission Contents: write", Status.NOT_KNOWN, "no write was done yet", "See its settings"),
    Check(Area.ASTRO, "token's end", Status.WARN, "it ends in 9 days", "Make a new token in Astro"),
    Check(Area.ASTRO, "target production", Status.FAIL, "no Deployment 'Production'", "Make it in Astro"),
    Check(Area.HERE, "Git", Status.OK, "2.47.1"),
)
MARKUP = "<img src=x onerror=alert(1)>\u202e"


def examine(airflow: AirflowDouble, *checks: Check, project: str = PROJECT, **more: Any) -> None:
    given = {"at": ago(hours=3), "run_id": RUN, **more}
    airflow.examine(project, Examination(checks=checks or CHECKS, **given))


def find_strip(page: Page) -> Locator:
    return page.get_by_role("region", name="Doctor")


def find_line(page: Page, name: str) -> Locator:
    return find_strip(page).get_by_role("listitem").filter(has=page.locator("strong", has_text=re.compile(f"^{name}$")))


def open_table(page: Page, name: str) -> Locator:
    """Open a line by a click, and return its table's rows."""
    find_line(page, name).locator("summary").click()
    table = page.get_by_role("table", name=f"Checks of {name}")
    expect(table).to_be_visible()
    return table.locator("tbody").get_by_role("row")


def test_a_line_counts_how_a_projects_checks_stand_and_when_it_was_looked(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow)
    page.goto(airflow.page_url)
    expect(find_line(page, PROJECT)).to_have_text("shop 1 fail 1 warn 1 not known 2 ok looked 3 h ago")
    expect(find_line(page, "Airflow")).to_have_text("Airflow 5 ok as you see it")
    expect(page.get_by_role("table", name="Checks of")).to_have_count(0)


def test_a_click_opens_the_table_with_what_fails_first(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow, left_out=2)
    page.goto(airflow.page_url)
    rows = open_table(page, PROJECT)
    expect(rows.first).to_have_text("Astro target productionfailno Deployment 'Production'Make it in Astro")
    statuses = rows.locator("td:nth-child(2)").all_inner_texts()
    assert statuses == ["fail", "warn", "not known", "ok", "ok"]
    run = page.get_by_role("link", name=f"Run of the doctor for {PROJECT}")
    path = f"/dags/{DOCTOR_DAG}/runs/{RUN.replace(':', '%3A').replace('+', '%2B')}/tasks/{PROJECT}"
    expect(run).to_have_attribute("href", f"{airflow.prefix}{path}")
    expect(find_strip(page)).to_contain_text("2 further checks only there")
    keep_picture(page, "light-doctor")
    assert find_barriers_in_each_look(page, "doctor") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_line_is_opened_by_keys_and_stays_open_with_the_focus_while_it_changes(
    airflow: AirflowDouble, own_page: Page
) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow)
    own_page.clock.install()
    own_page.goto(airflow.page_url)
    expect(find_line(own_page, PROJECT)).to_be_visible()
    summary = find_line(own_page, PROJECT).locator("summary")
    summary.focus()
    own_page.keyboard.press("Enter")
    rows = own_page.get_by_role("table", name=f"Checks of {PROJECT}").locator("tbody").get_by_role("row")
    expect(rows).to_have_count(len(CHECKS))
    examine(airflow, *CHECKS[:2])
    own_page.clock.run_for(61_000)
    look_again(own_page)
    expect(rows).to_have_count(2)
    expect(summary).to_be_focused()


def test_where_the_doctor_never_looked_a_line_says_how_it_looks(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.dags[DOCTOR_DAG] = True
    page.goto(airflow.page_url)
    line = find_line(page, PROJECT)
    expect(line).to_have_text(f"{PROJECT}: the doctor has not looked yet: unpause {DOCTOR_DAG}")
    expect(line.get_by_role("link")).to_have_attribute("href", f"{airflow.prefix}/dags/{DOCTOR_DAG}")
    expect(find_line(page, "Airflow")).to_contain_text("1 warn")
    airflow.dags[DOCTOR_DAG] = False
    look_again(page)
    expect(line).to_have_text(f"{PROJECT}: the doctor has not looked yet: trigger {DOCTOR_DAG}")
    del airflow.dags[DOCTOR_DAG]
    look_again(page)
    expect(line).to_have_text(f"{PROJECT}: the doctor has not looked, or you may not see what it found")
    assert find_barriers_in_each_look(page) == []


def test_of_many_projects_those_that_fail_are_shown_and_the_rest_when_somebody_asks(
    airflow: AirflowDouble, page: Page
) -> None:
    names = [f"team{number}" for number in range(7)]
    for name in names:
        airflow.show(name, [])
        examine(airflow, *(CHECKS if name == "team6" else CHECKS[:1]), project=name)
    page.goto(airflow.page_url)
    lines = find_strip(page).get_by_role("listitem")
    expect(lines).to_have_count(4)
    expect(lines.first).to_contain_text("team6 1 fail")
    find_strip(page).get_by_role("button", name="and 4 more").click()
    expect(lines).to_have_count(8)
    expect(find_strip(page).get_by_role("button", name="Show fewer")).to_be_focused()
    rows = open_table(page, "team6")
    expect(rows).to_have_count(len(CHECKS))
    keep_picture(page, "light-doctor-many")


OWN_ERROR = {
    "import_error_id": 2,
    "filename": "dags/target.py",
    "stack_trace": "in include/deploy_ops\nKeyError: 'x'\n",
}
BROKEN: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("schedulers", {"jobs": ["TriggererJob"]}, "fail", "none is alive", "nothing starts"),
    ("triggerers", {"jobs": ["SchedulerJob"]}, "fail", "none is alive", "no deploy settles"),
    ("triggerers", {"jobs": ["SchedulerJob", "TriggererJob", "TriggererJob"]}, "ok", "2 are alive", ""),
    ("triggerers", {"faults": {"jobs": (403, "Forbidden")}}, "not known", "not show it to you (HTTP 403)", "ask"),
    ("schedulers", {"faults": {"jobs": (500, "the moon")}}, "not known", "did not tell: the moon", "ask"),
    ("database", {"database": "sqlite"}, "warn", "SQLite", "use PostgreSQL"),
    ("database", {"may_configure": False}, "not known", "not show it to you (HTTP 403)", "configuration"),
    ("import errors", {"faults": {"importErrors": (403, "Forbidden")}}, "not known", "not show them to you", "ask"),
    ("import errors", {"errors": [OWN_ERROR]}, "fail", "1 error, in dags/target.py", "mend what Airflow says there"),
    ("the doctor's DAG", {"dags": {DOCTOR_DAG: True}}, "warn", "it is paused", "unpause it"),
]


@pytest.mark.parametrize(("name", "changes", "status", "found", "advice"), BROKEN)
def test_what_no_task_sees_is_asked_with_the_users_rights(
    airflow: AirflowDouble, page: Page, name: str, changes: dict[str, Any], status: str, found: str, advice: str
) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    examine(airflow)
    sound = {attribute: copy(getattr(airflow, attribute)) for attribute in changes}
    for attribute, value in changes.items():
        setattr(airflow, attribute, sound[attribute] | value if isinstance(value, dict) else value)
    page.goto(airflow.page_url)
    row = open_table(page, "Airflow").filter(has_text=f"Airflow {name}")
    expect(row.locator("td:nth-child(2)")).to_have_text(status)
    expect(row).to_contain_text(found)
    expect(row).to_contain_text(advice)
    others = find_strip(page).locator("tbody td:nth-child(2)").all_inner_texts()
    assert others.count("ok") >= 3
    for attribute, value in sound.items():
        setattr(airflow, attribute, value)
    page.goto(airflow.page_url)
    rows = open_table(page, "Airflow")
    expect(rows.filter(has_text=f"Airflow {name}").locator("td:nth-child(2)")).to_have_text("ok")
    assert rows.count() == len({check for check, *_ in BROKEN}), "each check is broken by one of these"


def test_import_errors_of_ours_alone_are_counted_with_a_link(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    examine(airflow)
    others = {"import_error_id": 1, "filename": "dags/another_teams.py", "stack_trace": "ValueError: not ours"}
    airflow.errors += [others, OWN_ERROR]
    page.goto(airflow.page_url)
    row = open_table(page, "Airflow").first
    expect(row).to_contain_text("import errorsfail1 error, in dags/target.py")
    expect(row.get_by_role("link")).to_have_attribute("href", f"{airflow.prefix}/dags")
    expect(page.locator("body")).not_to_contain_text("another_teams")


def test_what_the_doctor_found_is_hidden_by_a_refusal_alone(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow)
    airflow.faults["doctor.examination"] = (403, "Forbidden")
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    expect(find_line(page, PROJECT)).to_have_text("shop: not known: what the doctor found is not shown to you")


def test_what_others_wrote_over_it_is_text_or_nothing(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow, Check(Area.HERE, MARKUP, Status.FAIL, MARKUP, MARKUP), run_id=f"../{MARKUP}")
    page.goto(airflow.page_url)
    rows = open_table(page, PROJECT)
    expect(rows).to_contain_text("<img src=x onerror=alert(1)><U+202E>")
    link = page.get_by_role("link", name="Run of the doctor")
    path = rf"{airflow.prefix}/dags/{DOCTOR_DAG}/runs/[\w%.()-]+/tasks/{PROJECT}"
    assert re.fullmatch(path, link.get_attribute("href") or "")
    odd = {"area": "Here", "name": "x", "status": "odd", "found": "", "advice": ""}
    good = {**odd, "status": "ok"}
    store = airflow.stores[PROJECT]
    time = "2026-01-01T00:00:00Z"
    for bad in (5, [None], {"at": "never", "checks": []}, {"at": time, "checks": "x"}):
        store.set("doctor.examination", {"version": 1, "value": bad})
        page.goto(airflow.page_url)
        expect(find_line(page, PROJECT)).to_contain_text("has not looked yet")
    checks = [None, 5, odd, {**good, "found": 7}, good]
    store.set("doctor.examination", {"version": 1, "value": {"at": time, "checks": checks, "left_out": "x"}})
    page.goto(airflow.page_url)
    expect(find_line(page, PROJECT)).to_contain_text("shop 1 ok")
    expect(page.locator("img")).to_have_count(0)


def test_it_asks_little_and_a_minute_later_again(airflow: AirflowDouble, own_page: Page) -> None:
    airflow.show(PROJECT, make_few())
    examine(airflow)
    asked: list[str] = []
    own_page.on("request", lambda request: asked.append(request.url))
    own_page.clock.install()
    own_page.goto(airflow.page_url)
    expect(find_line(own_page, PROJECT)).to_be_visible()
    ours = ("doctor.examination", "/jobs?", "/deploy-ops/database")
    assert [sum(each in url for url in asked) for each in ours] == [1, 1, 1]
    for passed_ms, expected in ((50_000, [1, 1, 1]), (11_000, [2, 2, 1])):
        own_page.clock.run_for(passed_ms)
        with own_page.expect_response(lambda answer: "/importErrors?" in answer.url):
            look_again(own_page)
        expect(own_page.locator("#fresh")).to_have_text("Up to date")
        assert [sum(each in url for url in asked) for each in ours] == expected
