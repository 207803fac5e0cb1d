"""Airflow's own form in Chromium: every DAG of ours, every action, filled in with what is required and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from demo.witness import (
    CLEANUP_DAG,
    CONTROL_DAG,
    DAGS,
    DOCTOR_DAG,
    FEEDBACK_DAG,
    ORPHANS_DAG,
    PREVIEW_DAG,
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROMOTION_DAG,
    STAGING_DAG,
    WHAT_IF_DAG,
    Witness,
)
from tests.browser.chromium import keep_picture
from tests.browser.person import Person
from tests.e2e.conftest import SLOW_MS
from tests.e2e.pressing import is_start, name_page, press_answer
from tests.e2e.test_on_screen import make_deployment
from tests.e2e.test_page import log_in
from tests.e2e.test_preview_life import push_new
from tests.e2e.test_release import DEPLOY_BRANCH, await_tip, find_head

if TYPE_CHECKING:
    from collections.abc import Mapping

# After the tests that go on at once, which watch every run of production.
pytestmark = [pytest.mark.e2e, pytest.mark.at_once("triggers", in_turn=True)]
IN_FORCE = "the policy in force"
OWN, TAKEN = "dev-form", "dev-form-taken"
REASON = {"reason": "by the form"}

ROUNDS: tuple[dict[tuple[str, str], dict[str, str]], ...] = (
    {
        (PREVIEW_DAG, "deploy"): {"branch": OWN, **REASON},
        (STAGING_DAG, "deploy"): REASON,
        (PRODUCTION_DAG, "deploy"): REASON,
        (PRODUCTION_REQUEST_DAG, ""): REASON,
        (PROMOTION_DAG, "promote"): REASON,
        (CLEANUP_DAG, ""): {},
        (ORPHANS_DAG, "delete"): {},
        (FEEDBACK_DAG, ""): {},
        (WHAT_IF_DAG, ""): {"policy": IN_FORCE},
        (DOCTOR_DAG, ""): {},
        (CONTROL_DAG, ""): {},
    },
    {
        (PREVIEW_DAG, "keep"): {"branch": OWN, **REASON},
        (PREVIEW_DAG, "adopt"): {"branch": TAKEN, **REASON},
        (STAGING_DAG, "resume"): REASON,
        (PRODUCTION_DAG, "resume"): REASON,
        (PROMOTION_DAG, "adopt"): REASON,
        (ORPHANS_DAG, "adopt"): {},
    },
    {
        (PREVIEW_DAG, "resume"): {"branch": OWN, **REASON},
        (STAGING_DAG, "verify"): REASON,
        (PRODUCTION_DAG, "verify"): REASON,
    },
    {(PREVIEW_DAG, "verify"): {"branch": OWN, **REASON}},
    {(PREVIEW_DAG, "mute"): {"branch": OWN, "file": "form.py", **REASON}},
    {(PREVIEW_DAG, "refresh"): {"branch": OWN, **REASON}},
    {(PREVIEW_DAG, "delete"): {"branch": OWN, **REASON}},
)
"""By DAG and action: what is required. What works on one environment stands in different rounds."""

ASKED = {(PRODUCTION_REQUEST_DAG, ""), (PREVIEW_DAG, "adopt")}
"""What a person has to approve."""
UNVERIFIED = "so nothing is verified; add it first"
REFUSED = {
    (PRODUCTION_DAG, "deploy"): ("claim", f"only after approval: trigger {PRODUCTION_REQUEST_DAG} instead"),
    (PREVIEW_DAG, "verify"): ("verify", f"the policy has no previews.verify, {UNVERIFIED}"),
    (PREVIEW_DAG, "mute"): ("decide", f"the policy has no previews.verify, {UNVERIFIED}"),
    (STAGING_DAG, "verify"): ("verify", f"the policy has no targets.staging.verify, {UNVERIFIED}"),
    (PRODUCTION_DAG, "verify"): ("verify", f"the policy has no targets.production.verify, {UNVERIFIED}"),
}
"""What the run itself refuses: its task that does, and its words."""


def read_form(witness: Witness, dag_id: str) -> dict[str, Any]:
    """Return the fields that the DAG's form has."""
    answer = witness.stack.api.get(f"/api/v2/dags/{dag_id}/details")
    answer.raise_for_status()
    return dict(answer.json()["params"])


def list_actions(form: Mapping[str, Any]) -> dict[str, str]:
    """Return the actions that a form offers, with their words; without a choice there is one without a name."""
    return dict(form["action"]["schema"]["values_display"]) if "action" in form else {"": ""}


def trigger(witness: Witness, page: Page, dag_id: str, action: str, entered: Mapping[str, str]) -> str:
    """Fill in the form, which cannot be sent before that, press Airflow's button, and return the run's id."""
    form = read_form(witness, dag_id)
    page.goto(f"{witness.stack.ports.airflow_url}/dags/{dag_id}")
    page.get_by_test_id("trigger-dag-button").click()
    for field in form.values():
        expect(page.get_by_text(field["description"], exact=True)).to_be_visible(timeout=SLOW_MS)
    button = page.get_by_test_id("trigger-dag-submit")
    expect(button).to_be_enabled(enabled=not entered, timeout=SLOW_MS)
    if action:
        page.locator("#element_action").click()
        page.get_by_role("option", name=list_actions(form)[action], exact=True).click()
    for field, text in entered.items():
        page.locator(f"#element_{field}").fill(
            witness.stack.policy_file.read_text("utf-8") if text is IN_FORCE else text
        )
    expect(button).to_be_enabled(timeout=SLOW_MS)
    keep_picture(page, f"airflow-form-{dag_id}-{action}".rstrip("-"))
    with page.expect_response(is_start) as sent:
        button.click()
    assert sent.value.ok, sent.value.text()
    return str(sent.value.json()["dag_run_id"])


def open_release(witness: Witness) -> None:
    """Let production have something to ask about: a pull request of a DAG that staging has."""
    tip = find_head(witness, DEPLOY_BRANCH)
    witness.author.open_pull_request(OWN, "staging", "By the form")
    commit = await_tip(witness, tip)
    witness.await_success(STAGING_DAG, f"target.staging~deploy~{commit[:12]}")
    witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release by the form")


def approve(witness: Witness, page: Page, dag_id: str, run_id: str) -> None:
    """Say yes where Airflow asks, by its own button."""
    asked = witness.await_approval(dag_id, run_id)
    page.goto(f"{witness.stack.ports.airflow_url}{name_page(asked)}")
    press_answer(page, Person(page), asked, "Approve")


def check(witness: Witness, dag_id: str, action: str, run_id: str) -> None:
    """Assert how the run ends."""
    run = witness.await_end(dag_id, run_id)
    task, words = REFUSED.get((dag_id, action), ("", ""))
    assert run["state"] == ("failed" if task else "success"), (dag_id, action)
    if task:
        assert words in witness.outside.read_log(dag_id, run_id, task)


def test_every_form_is_sent_with_what_is_required_alone(witness: Witness, page: Page) -> None:
    offered = {(dag_id, action) for dag_id in DAGS for action in list_actions(read_form(witness, dag_id))}
    assert offered == {each for played in ROUNDS for each in played}
    make_deployment(witness, f"data_platform-{TAKEN}", "a person's")
    head = push_new(witness, OWN, "form")
    witness.await_run(OWN, "create", head)
    witness.author.push(TAKEN)
    open_release(witness)
    log_in(witness, page, "admin")
    for played in ROUNDS:
        started = {each: trigger(witness, page, *each, entered) for each, entered in played.items()}
        for dag_id, action in ASKED & started.keys():
            approve(witness, page, dag_id, started[dag_id, action])
        for (dag_id, action), run_id in started.items():
            check(witness, dag_id, action, run_id)
    assert witness.outside.find_deployment(OWN) is None
    assert witness.outside.find_deployment(TAKEN) is not None
