"""The dialogs: what they ask, the run that they start, and in words what Airflow refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, expect

from include.deploy_ops.core.plan.work import Remedy
from include.deploy_ops.core.policy.keys import Target
from include.deploy_ops.core.view.needs import Need
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.run.forms import (
    PreviewForm,
    PromotionForm,
    RequestForm,
    TargetForm,
    make_preview_params,
    make_promotion_params,
    make_request_params,
    make_target_params,
    read_form,
)
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, make_few, make_preview, make_target
from tests.browser.written import HEAD, MERGE, OLD, OPEN, record_ours, record_override, write_production

if TYPE_CHECKING:
    from include.deploy_ops.core.text.schema import StrictModel
    from tests.browser.airflow_double import AirflowDouble

WHY = "the shop opens abroad"
PROMOTION = f"{PROJECT}.promotion"
REQUEST = f"{PROJECT}.production.request"


def open_dialog(airflow: AirflowDouble, page: Page, row: Row, action: str) -> None:
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    choose(page, row, action)


def make_deploy_branch(name: str) -> Row:
    row = next(each for each in make_few() if each.kind is RowKind.DEPLOY_BRANCH)
    return replace(row, slug=f"deploy.{name}", environment=name)


def choose(page: Page, row: Row, action: str) -> None:
    page.get_by_role("button", name=f"Actions for {row.environment}", exact=True).click()
    page.get_by_role("menuitem", name=action).click()


CASES: list[tuple[Row, str, dict[str, str], str, dict[str, Any]]] = [
    (make_preview("dev-a"), "Redeploy", {}, PREVIEW_DAG, {"action": "deploy", "deploy_type": "dags"}),
    (make_preview("dev-b", State.HELD), "Redeploy", {}, PREVIEW_DAG, {"action": "deploy"}),
    (
        make_preview("dev-c", State.ASLEEP),
        "Redeploy",
        {},
        PREVIEW_DAG,
        {"action": "deploy", "deploy_type": "dags", "wake": True},
    ),
    (
        make_preview("dev-d"),
        "Force…",
        {"What to deploy": "main"},
        PREVIEW_DAG,
        {"action": "deploy", "ref": "main"},
    ),
    (make_preview("dev-e"), "Resume", {}, PREVIEW_DAG, {"action": "resume"}),
    (make_preview("dev-i"), "Refresh", {}, PREVIEW_DAG, {"action": "refresh"}),
    (make_preview("dev-f"), "Keep", {}, PREVIEW_DAG, {"action": "keep"}),
    (
        make_preview("dev-g"),
        "Delete…",
        {"Type the branch to confirm": "dev-g"},
        PREVIEW_DAG,
        {"action": "delete"},
    ),
    (replace(make_preview("dev-h", State.HELD), deployment_id=""), "Adopt…", {}, PREVIEW_DAG, {"action": "adopt"}),
    (make_target("staging"), "Redeploy", {}, f"{PROJECT}.staging", {"action": "deploy", "deploy_type": "dags"}),
    (make_target("qa"), "Force…", {"What to deploy": "v1"}, f"{PROJECT}.qa", {"action": "deploy", "ref": "v1"}),
    (make_target("uat"), "Resume", {}, f"{PROJECT}.uat", {"action": "resume"}),
    (make_target("production", is_gated=True), "Force…", {}, REQUEST, {}),
    (make_target("europe", is_gated=True), "Resume", {}, f"{PROJECT}.europe", {"action": "resume"}),
    (make_deploy_branch("one"), "Promote", {}, PROMOTION, {"action": "promote"}),
    (make_deploy_branch("two"), "Adopt…", {}, PROMOTION, {"action": "adopt"}),
]
"""Environments, each with what is asked of it, what is entered, and the run's DAG and conf."""


def test_each_action_starts_the_run_that_the_dags_own_form_would(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [row for row, *_ in CASES])
    page.goto(airflow.page_url)
    dialog = page.get_by_role("dialog")
    for number, (row, action, entered, dag, conf) in enumerate(CASES, 1):
        choose(page, row, action)
        expect(dialog).to_contain_text(f"Starts a run of {dag}")
        for label, text in {**entered, "Reason": WHY}.items():
            dialog.get_by_label(label).fill(text)
        dialog.get_by_role("button", name=action.rstrip("…")).click()
        link = dialog.get_by_role("link", name=f"manual__{number}", exact=True)
        expect(link).to_have_attribute("href", f"{airflow.prefix}/dags/{dag}/runs/manual__{number}")
        branch = {"branch": row.branch} if row.kind is RowKind.PREVIEW else {}
        expected = (dag, {"logical_date": None, "conf": {**branch, **conf, "reason": WHY}})
        assert (len(airflow.posted), airflow.posted[-1]) == (number, expected)
        check_form(dag, airflow.posted[-1][1]["conf"])
        page.keyboard.press("Escape")


def check_form(dag: str, conf: dict[str, Any]) -> None:
    """Hold a conf to the DAG's own form: its fields, its choices, and what its first task makes of it."""
    kind: type[StrictModel]
    if dag == PROMOTION:
        params, kind = make_promotion_params(), PromotionForm
    elif dag == REQUEST:
        params, kind = make_request_params(), RequestForm
    elif dag == PREVIEW_DAG:
        params, kind = make_preview_params(), PreviewForm
    else:
        params, kind = make_target_params(), TargetForm
    for name, value in conf.items():
        params[name].resolve(value)
    read_form(kind, conf)


def list_suggested(page: Page, row: Row) -> list[str]:
    choose(page, row, "Force…")
    field = page.get_by_label("What to deploy")
    expect(field).to_be_visible()
    found: list[str] = field.evaluate("input => [...input.list.options].map(option => option.value)")
    page.keyboard.press("Escape")
    return found


def test_what_to_deploy_is_offered_from_the_projects_branches_and_may_be_another(
    airflow: AirflowDouble, page: Page
) -> None:
    hidden = make_preview("dev-\u202eevil", number=1)
    gone = replace(make_preview("dev-gone", State.REMOVED), base="")
    rows = [make_preview("dev-b", number=1), make_preview("dev-a"), make_target("staging"), hidden, gone]
    airflow.show(PROJECT, rows)
    airflow.show("books", [make_preview("dev-books")])
    page.goto(airflow.page_url)
    assert list_suggested(page, rows[0]) == ["dev-b", "astro_deploy", "dev-a", "staging"]
    assert list_suggested(page, rows[2]) == ["astro_deploy", "dev-a", "dev-b", "staging"]
    choose(page, rows[0], "Force…")
    page.get_by_label("What to deploy").fill("v2")
    keep_picture(page, "light-dialog-force")
    page.get_by_label("Reason").fill(WHY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    assert airflow.posted[-1][1]["conf"] == {"branch": "dev-b", "action": "deploy", "ref": "v2", "reason": WHY}


ROLLED_BACK = [record_ours(5, MERGE, HEAD), record_override(2, OLD)]
BRANCH = Target(deployment="Production", branch="astro_deploy")
FAILED = Need("deploy", "failed: no image; push a fix", Remedy.RETRY, "run", f"{PROJECT}.production")
REJECTED = Need("request", "failed: rejected by ann", Remedy.RETRY, "run", REQUEST)
CALM = make_target("production", is_gated=True)
RESUMED: list[tuple[Row, str]] = [
    (
        write_production(ROLLED_BACK, source=OPEN),
        f"Ends the override: {HEAD[:7]} is deployed, once a person has approved it.",
    ),
    (write_production(ROLLED_BACK, source=OPEN, target=BRANCH), f"Ends the override: {HEAD[:7]} is deployed again."),
    (
        write_production(ROLLED_BACK),
        "Ends the override. Nothing is deployed: there is nothing newer that it follows, and it stays as it is",
    ),
    (
        write_production([record_ours(5, MERGE, HEAD)], source=OPEN),
        "Nothing is deployed: nobody overrode what it follows, and no deploy of it failed.",
    ),
    (replace(CALM, state=State.FAILED, needs=(REJECTED,)), "Nothing is deployed: nobody overrode what it follows"),
    (
        replace(CALM, state=State.FAILED, needs=(FAILED,)),
        "Forgets that its deploy failed: what it follows is tried again, once a person has approved it.",
    ),
    (make_preview("dev-a"), "The newest commit runs already: nothing is deployed."),
    (make_preview("dev-b", State.HELD), "Ends what holds it, also that it is kept. The newest commit is deployed."),
]
"""Environments, each with what *Resume* says of it before somebody presses it."""


def test_resume_says_what_it_will_deploy_or_why_it_will_deploy_nothing(airflow: AirflowDouble, page: Page) -> None:
    for row, words in RESUMED:
        open_dialog(airflow, page, row, "Resume")
        expect(page.get_by_role("dialog")).to_contain_text(words)


def test_where_a_reason_will_stand_is_so(airflow: AirflowDouble, page: Page) -> None:
    rows = [make_preview("dev-a"), make_target("staging")]
    airflow.show(PROJECT, rows)
    page.goto(airflow.page_url)
    for row, action, place in (
        *((rows[0], action, "the deploy's description") for action in ("Redeploy", "Force…", "Resume")),
        *((rows[0], action, "the environment's last runs") for action in ("Keep", "Delete…")),
        (rows[1], "Resume", "the environment's last runs"),
    ):
        choose(page, row, action)
        expect(page.get_by_role("dialog")).to_contain_text(f"{place}, with your name")
        page.keyboard.press("Escape")


def test_what_is_overridden_is_not_called_the_newest(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, write_production(ROLLED_BACK), "Redeploy")
    expect(page.get_by_role("dialog")).not_to_contain_text("runs already")
    expect(page.get_by_label("Deploy type")).to_have_value("infer")


def test_what_is_switched_is_sent(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, make_preview("dev-a"), "Force…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(WHY)
    dialog.get_by_label("Deploy type").select_option("dags")
    for switch in ("Wake", "Dry run", "Create if missing"):
        dialog.get_by_label(switch).click()
    page.get_by_role("button", name="Force").click()
    expect(dialog).to_contain_text("Airflow started the run")
    sent = {"deploy_type": "dags", "wake": True, "dry_run": True, "create_if_missing": False, "reason": WHY}
    assert airflow.posted[-1][1]["conf"] == {"branch": "dev-a", "action": "deploy", **sent}


def test_the_row_shows_the_run_that_was_just_started(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, make_preview("dev-a"), "Keep")
    page.get_by_label("Reason").fill(WHY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    page.keyboard.press("Escape")
    expect(page.locator("tr.row")).to_contain_text("Keeping")
    expect(page.locator("tr.row")).to_contain_text(f"queued by ada: {WHY}")


def test_nothing_is_sent_without_a_reason_or_the_confirmation(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, make_preview("dev-a"), "Delete…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete").click()
    confirm, reason = dialog.get_by_label("Type the branch to confirm"), dialog.get_by_label("Reason")
    expect(confirm).to_be_focused()
    confirm.fill("dev-b")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("Type exactly dev-a")
    expect(dialog).to_contain_text("Say why, for those who read the deploy")
    expect(reason).to_have_attribute("aria-invalid", "true")
    keep_picture(page, "light-dialog-delete")
    assert airflow.posted == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Actions for dev-a")).to_be_focused()


REFUSALS = [
    (403, "Forbidden", "You may look at shop.preview, but not start its runs"),
    (400, "Invalid input for param ref", "Airflow refused the form: Invalid input for param ref"),
    (401, "Not authenticated", "Your session has ended."),
    (404, "no", "Airflow has no DAG shop.preview any more"),
    (500, "oh", "Airflow failed: oh. Look at the DAG's runs before you repeat this."),
]


def test_a_refusal_is_told_in_words_and_what_was_entered_stays(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, make_preview("dev-a"), "Force…")
    page.get_by_label("Reason").fill(WHY)
    page.get_by_label("What to deploy").fill("main")
    for status, detail, words in REFUSALS:
        airflow.faults["shop.preview/dagRuns"] = (status, detail)
        page.get_by_role("dialog").get_by_role("button", name="Force").click()
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_label("What to deploy")).to_have_value("main")
        if status == 403:
            keep_picture(page, "light-dialog-forbidden")


def test_a_lost_answer_does_not_invite_to_repeat(airflow: AirflowDouble, page: Page) -> None:
    open_dialog(airflow, page, make_preview("dev-a"), "Keep")
    page.route("**/dagRuns", lambda route: route.abort())
    page.get_by_label("Reason").fill(WHY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("whether the run was started is unknown")


def test_the_details_tell_everything(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    page.goto(airflow.page_url)
    page.get_by_role("button", name="astro_deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("dags/orders.py: staging changed it since; staging's version stays")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="dev-returns", exact=True).click()
    expect(dialog).to_contain_text("DAG-only deploy failed in 14 s")
    expect(dialog.get_by_role("link", name="run", exact=True)).to_have_count(6)
    keep_picture(page, "light-details")
