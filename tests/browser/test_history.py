"""What was: an environment's deploys, which one goes back to, and who answered what; also as a file."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import yaml
from airflow.api_fastapi import core_api
from playwright.sync_api import Page, expect

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.view.past_deploys import add_deploys, find_stranger
from include.deploy_ops.core.view.row import Row, State
from tests.browser.chromium import keep_picture
from tests.browser.fleet import GITHUB, PREVIEW_DAG, PROJECT, ago, make_few, make_outcome, make_preview, make_target
from tests.browser.written import (
    HEAD,
    MERGE,
    NEXT,
    OLD,
    REASON,
    end_forced,
    end_run,
    record,
    record_ours,
    record_override,
    write_production,
)
from tests.worlds.values.examples import OWNER

if TYPE_CHECKING:
    from include.deploy_ops.core.plan.outcome import Outcome
    from tests.browser.airflow_double import AirflowDouble

PHONE_WIDTH = 390
LINE_HEIGHT = 18
PRODUCTION = make_target("production", is_gated=True)
REQUEST = PRODUCTION.request_dag
ROLLBACK = "0a1b2c3, by a rollback to d1 (deploy d3) of Jo Doe"


def make_deploys(row: Row, many: int = 30) -> list[Outcome]:
    """Return an environment's deploys, the newest last: planned ones, a forced one, a failed one, one in Astro."""
    made = [replace(make_outcome(row.branch, back, dag=row.dag), subject=f"Change {back}") for back in range(many)]
    made[0] = replace(made[0], commit=row.deployed, subject="Price in euros", commit_author="Ada Fisher")
    made[1] = replace(made[1], state="failed", cause="the image could not be built")
    made[2] = replace(made[2], is_forced=True, person="ada", approver="boris", reason="INC-42")
    made[3] = replace(made[3], run_id="", dag="", deploy_id="d3", person="Jo Doe", subject="", why=ROLLBACK)
    return made[::-1]


def open_environment(airflow: AirflowDouble, page: Page, row: Row, deploys: list[Outcome]) -> None:
    airflow.show(PROJECT, [row])
    airflow.keep_deploys(PROJECT, row.slug, deploys)
    page.goto(airflow.page_url)
    assert not any("deploys" in each for each in airflow.asked)  # only when somebody opens it
    page.get_by_role("button", name=row.environment, exact=True).click()


def test_the_last_thirty_deploys_tell_what_who_and_why(airflow: AirflowDouble, page: Page) -> None:
    deploys = make_deploys(PRODUCTION)
    open_environment(airflow, page, PRODUCTION, deploys)
    entries = page.get_by_role("dialog").locator(".deploys > li")
    expect(entries).to_have_count(30)
    expect(entries.nth(0)).to_contain_text("Runs now")
    expect(entries.nth(0)).to_contain_text("Price in euros by Ada Fisher")
    expect(entries.nth(0)).to_contain_text("Planned: dags/ differs")
    expect(entries.nth(0).get_by_role("button")).to_have_count(0)
    expect(entries.nth(1)).to_contain_text("failed in")
    expect(entries.nth(1)).to_contain_text("the image could not be built")
    expect(entries.nth(1).get_by_role("button")).to_have_count(0)
    expect(entries.nth(2)).to_contain_text("Forced by ada, approved by boris: INC-42")
    run = f"{airflow.prefix}/dags/{PRODUCTION.dag}/runs/"
    assert str(entries.nth(2).get_by_role("link", name="Run that").get_attribute("href")).startswith(run)
    expect(entries.nth(3)).to_contain_text("Made in Astro, by a rollback to d1 (deploy d3) of Jo Doe")
    expect(entries.nth(3).get_by_role("link", name="Run that")).to_have_count(0)
    compare = entries.nth(4).get_by_role("link", name="Compare")
    expect(compare).to_have_attribute("href", f"{GITHUB}/compare/{deploys[-5].commit}..{PRODUCTION.deployed}")
    keep_picture(page, "light-history")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    keep_picture(page, "dark-history")


def test_the_reason_that_was_typed_stands_once_in_row_runs_and_history(airflow: AirflowDouble, page: Page) -> None:
    records = [record_ours(5, MERGE, HEAD), record_override(2, OLD)]
    forced = end_forced(2, OLD, approver="boris", subject="Price in euros")
    resumed = end_forced(1.5, "", verb="resume", kind="", why=REASON)
    row = write_production(records, [end_run(5, MERGE, HEAD), forced, resumed])
    airflow.show(PROJECT, [row])
    stranger = find_stranger(read_history([record(1, NEXT, description="hot fix")], OWNER))
    assert stranger is not None
    airflow.keep_deploys(PROJECT, row.slug, add_deploys((), row.outcomes, [forced, stranger]))
    page.goto(airflow.page_url)
    expect(page.locator("tr.row").get_by_role("cell").nth(3)).to_contain_text("because INC-42")
    page.get_by_role("button", name="production", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".runs > li")).to_contain_text(
        [
            "resume succeeded (because INC-42) in 1 min, 1 h ago by ann run",
            "DAG-only deploy succeeded (because INC-42) in 1 min, 1 h ago by ann, approved by boris: dags/ differs run",
            "DAG-only deploy succeeded in 1 min, 4 h ago: dags/ differs run",
        ]
    )
    deploys = dialog.locator(".deploys > li")
    expect(deploys).to_have_count(3)
    expect(deploys.nth(0)).to_contain_text("Made in Astro, by somebody else's deploy d1 of Jo Doe, because hot fix")
    expect(deploys.nth(1)).to_contain_text("DAG-only deploy succeeded in 1 min, 1 h ago")
    expect(deploys.nth(1)).to_contain_text("Forced by ann, approved by boris: INC-42")
    expect(deploys.nth(2)).to_contain_text("Planned: dags/ differs")
    assert dialog.inner_text().count(REASON) == 1 + 2 + 1  # why it is held, two runs, one deploy


def test_going_back_opens_the_form_with_that_commit_and_leaves_the_reason_to_the_person(
    airflow: AirflowDouble, page: Page
) -> None:
    deploys = make_deploys(PRODUCTION)
    open_environment(airflow, page, PRODUCTION, deploys)
    page.get_by_role("button", name=f"Roll back to this: {deploys[-3].commit[:7]}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Starts a run of {REQUEST}")
    expect(dialog.locator("[name=ref]")).to_have_value(deploys[-3].commit)
    expect(dialog.locator("[name=reason]")).to_be_focused()
    expect(dialog.locator("[name=reason]")).to_have_value("")
    keep_picture(page, "light-roll-back")
    dialog.get_by_role("button", name="Force").click()
    assert airflow.posted == []
    dialog.locator("[name=reason]").fill("INC-43")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Airflow started the run")
    ((dag, body),) = airflow.posted
    assert (dag, body["conf"]["ref"], body["conf"]["reason"]) == (REQUEST, deploys[-3].commit, "INC-43")


def test_before_control_kept_any_the_rows_own_runs_are_shown(airflow: AirflowDouble, page: Page) -> None:
    row = make_preview("dev-a")
    gone = replace(row.outcomes[0], verb="delete", kind="")
    row = replace(row, outcomes=(gone, replace(row.outcomes[1], kind="none"), *row.outcomes[2:]))
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    page.get_by_role("button", name="dev-a", exact=True).click()
    expect(page.get_by_role("dialog").locator(".deploys > li")).to_have_count(4)


def test_of_a_removed_preview_nothing_runs_and_it_can_be_deployed_again(airflow: AirflowDouble, page: Page) -> None:
    row = replace(make_preview("dev-gone", State.REMOVED), deployed="", deployment_id="")
    open_environment(airflow, page, row, make_deploys(row, 5))
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".deploys > li")).to_have_count(5)
    expect(dialog.get_by_text("Runs now")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Deploy this again")).to_have_count(3)


def test_who_may_not_read_them_is_told_and_a_deploy_branch_has_none(airflow: AirflowDouble, page: Page) -> None:
    row = make_preview("dev-a")
    airflow.show(PROJECT, [row, *make_few()[2:3]])
    airflow.faults["dev-a.deploys"] = (403, "no")
    page.goto(airflow.page_url)
    page.get_by_role("button", name="dev-a", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("You may not read what was deployed before.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="astro_deploy", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("Deploys", exact=True)).to_have_count(0)


def fill_answers(airflow: AirflowDouble) -> None:
    """Let a quarter have its answers: planned and forced, yes and no, in time and not, and one before it."""
    airflow.show(PROJECT, [PRODUCTION, make_preview("dev-a")])
    airflow.dags["other"] = False
    conf = {"job": {"head": "a" * 40, "reason": "#88 moved"}}
    airflow.start_run(REQUEST, "r1", "success", conf=conf)
    forced = {"ref": "v1", "reason": "INC-42"}
    airflow.start_run(REQUEST, "r2", "success", run_type="manual", conf=forced, triggering_user_name="ada")
    airflow.start_run(PREVIEW_DAG, "r3", "success", run_type="manual", triggering_user_name="chen")
    airflow.decide(REQUEST, "r1", "Deploy #88 to production?", params_input={"comment": "=HYPERLINK(1)"})
    airflow.decide(REQUEST, "r2", "Deploy v1 to production?", "Reject", responded_at=ago(seconds=2).isoformat())
    airflow.decide(PREVIEW_DAG, "r3", "Adopt?", responded_by_user=None, responded_at=ago(seconds=4).isoformat())
    airflow.decide(REQUEST, "gone", "+1;-2", responded_at=ago(seconds=6).isoformat())
    airflow.decide("elsewhere.dag", "r1", "Not ours?")
    old = (datetime.now(UTC) - timedelta(days=100)).isoformat()
    airflow.decide(REQUEST, "old", "Deploy #12 to production?", responded_at=old, created_at=old)
    airflow.ask(REQUEST, "r9", "Deploy #99 to production?")


def test_who_approved_what_stands_one_click_away(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    page.goto(airflow.page_url)
    page.get_by_role("button", name="Approvals").click()
    rows = page.locator(".answers tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("Approved")
    expect(rows.nth(0)).to_contain_text("boris")
    expect(rows.nth(0)).to_contain_text("at aaaaaaa")
    expect(rows.nth(0)).to_contain_text("control")
    expect(rows.nth(1)).to_contain_text("Rejected")
    expect(rows.nth(1)).to_contain_text("ada")
    expect(rows.nth(1)).to_contain_text("INC-42")
    expect(rows.nth(1)).to_contain_text("at v1")
    expect(rows.nth(2)).to_contain_text("Nobody answered in time")
    expect(rows.nth(2)).to_contain_text("chen")
    expect(page.locator("#fleet")).to_be_hidden()
    keep_picture(page, "light-approvals")
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_WIDTH
    boxes = rows.locator("td:visible").evaluate_all("cells => cells.map((each) => each.getBoundingClientRect().height)")
    assert min(boxes) >= LINE_HEIGHT, "what is empty lets two titles lie upon each other"
    keep_picture(page, "light-approvals-phone")
    page.get_by_role("button", name="Environments").click()
    expect(page.locator("tr.row")).to_have_count(2)


def name_quarter(at: datetime) -> str:
    return f"{at.year}-Q{(at.month - 1) // 3 + 1}"


def test_an_older_quarter_has_an_address_of_its_own(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    before = name_quarter(datetime.now(UTC) - timedelta(days=100))
    page.goto(f"{airflow.page_url}?view=approvals")
    page.get_by_label("Quarter").select_option(before)
    expect(page.locator(".answers tbody tr")).to_have_count(1)
    expect(page.locator(".answers")).to_contain_text("Deploy #12 to production?")
    expect(page).to_have_url(f"{airflow.page_url}?view=approvals&quarter={before}")
    page.reload()
    expect(page.locator(".answers")).to_contain_text("Deploy #12 to production?")
    page.goto(f"{airflow.page_url}?view=approvals&quarter=nonsense")
    expect(page.get_by_label("Quarter")).to_have_value(name_quarter(datetime.now(UTC)))


def save(page: Page) -> list[list[str]]:
    """Return the cells of the file that the page saves."""
    with page.expect_download() as waited:
        page.get_by_role("button", name="Save as CSV").click()
    assert waited.value.suggested_filename == f"approvals-{name_quarter(datetime.now(UTC))}.csv"
    text = Path(waited.value.path()).read_text("utf-8-sig")
    return list(csv.reader(text.splitlines()))


def test_the_file_holds_all_of_it_and_no_formula(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    page.goto(f"{airflow.url}/plugin/deployments?view=approvals")  # where Airflow shows it, in its sandbox
    frame = page.frame_locator("iframe")
    expect(frame.locator(".answers tbody tr")).to_have_count(4)
    with page.expect_download() as waited:
        frame.get_by_role("button", name="Save as CSV").click()
    text = Path(waited.value.path()).read_text("utf-8-sig")
    titles, *rows = csv.reader(text.splitlines())
    found: list[dict[str, Any]] = [dict(zip(titles, row, strict=True)) for row in rows]
    assert [each["Answer"] for each in found] == ["Approved", "Rejected", "Nobody answered in time", "Approved"]
    assert (found[0]["By"], found[0]["Commit or ref"], found[0]["Asked by"]) == ("boris", "a" * 40, "control")
    assert (found[1]["Asked by"], found[1]["Reason"], found[1]["Environment"]) == ("ada", "INC-42", "production")
    assert found[0]["Comment"] == "'=HYPERLINK(1)"
    assert found[3]["Question"] == "'+1;'-2"


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", " \t=1", "\r\n=1", "\uff1d1", '"=1', "x;=1", 'x"; "@a']
PLAIN = ["a=1", "INC-42", "ann@example", 'say "no", please', "é, ü", "2026-11-29T10:00:00Z"]


def test_no_cell_begins_like_a_formula_however_it_is_written(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    airflow.approvals.clear()
    for number, text in enumerate([*FORMULAS, *PLAIN]):
        airflow.decide(REQUEST, f"r{number}", text, responded_at=ago(seconds=10 + number).isoformat())
    page.goto(f"{airflow.page_url}?view=approvals")
    titles, *rows = save(page)
    told = [row[titles.index("Question")] for row in rows]
    assert told[len(FORMULAS) :] == PLAIN
    for cell in told[: len(FORMULAS)]:
        for part in cell.split(";"):
            assert part.strip(" \"'")[:1] not in "=+-@\uff1d" or part.lstrip(' "').startswith("'")


def test_who_may_not_read_the_answers_is_told(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    airflow.faults["dagRuns/~/hitlDetails"] = (403, "no")
    page.goto(f"{airflow.page_url}?view=approvals")
    expect(page.locator("#approvals")).to_contain_text("You may not read who answered what")
    expect(page.get_by_role("button", name="Save as CSV")).to_be_disabled()


def test_airflow_knows_each_word_of_the_question(airflow: AirflowDouble, page: Page) -> None:
    fill_answers(airflow)
    described = (Path(core_api.__file__).parent / "openapi/v2-rest-api-generated.yaml").read_text()
    paths = yaml.load(described, yaml.CSafeLoader)["paths"]
    operation = paths["/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/hitlDetails"]["get"]
    known = {each["name"] for each in operation["parameters"]}
    with page.expect_request(lambda asked: "response_received=true" in asked.url) as waited:
        page.goto(f"{airflow.page_url}?view=approvals")
    asked = parse_qs(urlsplit(waited.value.url).query)
    assert asked.keys() <= known
    assert asked["dag_id_prefix_pattern"] == ["other|shop"]
    assert "responded_at" in str(next(each for each in operation["parameters"] if each["name"] == "order_by"))


def test_hundreds_of_answers_are_read_page_by_page(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [PRODUCTION])
    for number in range(250):
        airflow.start_run(REQUEST, f"r{number}", "success")
        airflow.decide(REQUEST, f"r{number}", "Deploy?", responded_at=ago(seconds=number).isoformat())
    page.goto(f"{airflow.page_url}?view=approvals")
    expect(page.locator(".answers tbody tr")).to_have_count(250)
    assert len([each for each in airflow.asked if each.endswith("/r7")]) == 0  # by the hundred, not one by one
