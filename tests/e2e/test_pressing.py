"""What the Deploys page leads to, pressed in Airflow's own UI: clicks and fields counted, and the effect read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from demo.feedback import await_comment
from demo.witness import (
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROJECT,
    PROMOTION_DAG,
    STAGING_DAG,
    Witness,
)
from tests.browser.chromium import keep_picture
from tests.browser.person import Person
from tests.e2e.conftest import SLOW_MS
from tests.e2e.pressing import answer_from_page, find_needs, is_start, return_to_page
from tests.e2e.test_page import find_row, open_page
from tests.e2e.test_preview_life import DAG
from tests.e2e.test_release import DEPLOY_BRANCH, await_tip, find_comment, find_head

if TYPE_CHECKING:
    from collections.abc import Callable

# After the tests that go on at once, which watch every run of production.
pytestmark = [pytest.mark.e2e, pytest.mark.at_once("triggers", in_turn=True)]
CONTEXT = "deploy-ops/production"
QUESTION = "Open the question of production"
TAG = "v-late"


@dataclass(frozen=True, slots=True)
class Release:
    """An open pull request into production's branch: its number, its head, and what its merge would give."""

    number: int
    head: str
    merge: str


def open_release(witness: Witness) -> Release:
    """Bring staging one more DAG, and let there be a pull request of it into production's branch."""
    author, tip = witness.author, find_head(witness, DEPLOY_BRANCH)
    author.start_branch("staging", "origin/staging")
    author.commit({"dags/pressed.py": DAG.format(name="pressed")}, "Add pressed")
    author.push("staging")
    head = await_tip(witness, tip)
    known = author.find_pull_request(DEPLOY_BRANCH, "main")
    number = known or author.open_pull_request(DEPLOY_BRANCH, "main", "Release by hand")
    return Release(number, head, str(witness.await_mergeable(number)["merge_commit_sha"]))


def test_a_release_is_rejected_asked_again_and_approved(witness: Witness, page: Page) -> None:
    frame = open_page(witness, page, "admin")
    release = open_release(witness)
    asked = witness.await_approval(PRODUCTION_REQUEST_DAG, f"target.production~request~{release.head[:12]}")
    link = find_needs(frame, "production", release.head[:7]).get_by_role("link", name=QUESTION)
    answer_from_page(page, Person(frame), link, asked, "Reject", "not on a Friday")

    frame = return_to_page(page)
    expect(find_needs(frame, "production", "rejected by admin", "not on a Friday")).to_be_visible(timeout=SLOW_MS)
    witness.await_true("the pull request to say why", lambda: find_comment(witness, release.number, "not on a Friday"))
    person = Person(frame)
    person.click(frame.get_by_role("button", name="Ask again production"))
    person.send("Ask again")
    assert (person.clicks, person.fields) == (2, 0)

    asked = witness.await_approval(PRODUCTION_REQUEST_DAG, asked.run_id)
    person = Person(frame)
    answer_from_page(page, person, find_needs(frame).get_by_role("link", name=QUESTION), asked, "Approve", "go")
    assert person.clicks == 2
    check_released(witness, return_to_page(page), release)


def check_released(witness: Witness, frame: FrameLocator, release: Release) -> None:
    """Assert that Astro, GitHub, the store and the page say the same of a release that is through."""
    record, _ = witness.await_target_deploy("Production", release.merge)
    witness.await_success(PRODUCTION_DAG, f"target.production~merge~{release.head[:12]}")
    assert witness.author.show_pull_request(release.number)["merged"]
    assert witness.check_target_files("Production", release.merge)
    await_comment(witness, release.number, "deployed to Production", "approved by admin", "merged")
    witness.await_true("GitHub to show the head as live", lambda: is_live(witness, release.head))
    row = find_row(frame, "production")
    expect(row).to_contain_text("Live", timeout=SLOW_MS)
    expect(row.get_by_role("link", name=f"commit {release.head[:7]}")).to_be_visible(timeout=SLOW_MS)
    expect(find_needs(frame, "production")).to_have_count(0, timeout=SLOW_MS)
    stored = witness.outside.read_rows(PROJECT)["production"]
    assert (stored["state"], stored["head"], stored["deployed"]) == ("live", release.head, release.head)
    assert stored["deployed_kind"] == "image-and-dags"
    assert record["type"] == "IMAGE_AND_DAG"
    keep_picture(frame.owner.page, "airflow-released")


def is_live(witness: Witness, head: str) -> bool:
    status, deployments = witness.author.show_status(head, CONTEXT), witness.author.list_deployments("production")
    shown = [each["newest"]["state"] for each in deployments if each["sha"] == head]
    return status is not None and (status["state"], shown) == ("success", ["success"])


def start(page: Page, send: Callable[[], None]) -> str:
    """Send a dialog, and return the id of the run that Airflow starts."""
    with page.expect_response(is_start) as sent:
        send()
    assert sent.value.ok, sent.value.text()
    return str(sent.value.json()["dag_run_id"])


def close(frame: FrameLocator) -> None:
    frame.get_by_role("dialog").get_by_role("button", name="Close").click()


def force(page: Page, person: Person, environment: str, ref: str, reason: str) -> str:
    """Fill in the dialog of a forced deploy, and return the run's id."""
    person.act(environment, "Force…")
    person.fill("What to deploy", ref)
    person.fill("Reason", reason)
    return start(page, lambda: person.send("Force"))


def test_all_that_the_page_offers_at_three_in_the_morning(witness: Witness, page: Page) -> None:
    author = witness.author
    author.start_branch("hotfix")
    commit = author.commit({"dags/hotfix.py": DAG.format(name="hotfix")}, "Mend it")
    author.push("hotfix")
    frame = open_page(witness, page, "admin")
    failed = force(page, Person(frame), "staging", TAG, "before its tag was pushed")
    close(frame)

    person = Person(frame)
    run_id = force(page, person, "production", "hotfix", "INC-42")
    asked = witness.await_approval(PRODUCTION_REQUEST_DAG, run_id)
    link = frame.get_by_role("dialog").get_by_role("link", name=asked.subject)
    answer_from_page(page, person, link, asked, "Approve")
    assert person.clicks <= 5
    assert person.fields <= 2

    frame = return_to_page(page)
    freeze_and_unfreeze(witness, frame)
    retry(witness, frame, failed)
    tell_who_approved(frame, asked.subject)
    check_forced(witness, frame, commit)
    resume(witness, page, frame)


def freeze_and_unfreeze(witness: Witness, frame: FrameLocator) -> None:
    person = Person(frame)
    person.act(DEPLOY_BRANCH, "Freeze")
    thaw = frame.get_by_role("button", name=f"Unfreeze {PROMOTION_DAG}")
    expect(thaw).to_be_visible(timeout=SLOW_MS)
    assert read_dag(witness, PROMOTION_DAG)["is_paused"]
    assert (person.clicks, person.fields) == (2, 0)
    person = Person(frame)
    person.click(thaw)
    person.send("Unfreeze")
    expect(thaw).to_have_count(0, timeout=SLOW_MS)
    assert not read_dag(witness, PROMOTION_DAG)["is_paused"]
    assert (person.clicks, person.fields) == (2, 0)


def read_dag(witness: Witness, dag_id: str) -> dict[str, Any]:
    answer = witness.stack.api.get(f"/api/v2/dags/{dag_id}")
    answer.raise_for_status()
    return dict(answer.json())


def retry(witness: Witness, frame: FrameLocator, run_id: str) -> None:
    """Push the tag that the forced run lacked, and have the same run go on."""
    assert witness.await_end(STAGING_DAG, run_id)["state"] == "failed"
    expect(find_row(frame, "staging")).to_contain_text(TAG, timeout=SLOW_MS)
    witness.author.tag(TAG, f"origin/{DEPLOY_BRANCH}")
    person = Person(frame)
    person.click(frame.get_by_role("button", name="Retry staging"))
    person.send("Retry")
    assert (person.clicks, person.fields) == (2, 0)
    witness.await_true("the run to go well", lambda: read_state(witness, STAGING_DAG, run_id) == "success")
    expect(find_needs(frame, "staging")).to_have_count(0, timeout=SLOW_MS)


def read_state(witness: Witness, dag_id: str, run_id: str) -> str:
    return next(str(run["state"]) for run in witness.outside.list_runs(dag_id) if run["dag_run_id"] == run_id)


def tell_who_approved(frame: FrameLocator, subject: str) -> None:
    person = Person(frame)
    person.click(frame.get_by_role("button", name="Approvals"))
    answer = frame.get_by_role("table", name="Answers").get_by_role("row").filter(has_text=subject)
    expect(answer).to_contain_text(["Approved"], timeout=SLOW_MS)
    expect(answer).to_contain_text(["admin"])
    assert person.clicks <= 2
    frame.get_by_role("button", name="Environments").click()


def check_forced(witness: Witness, frame: FrameLocator, commit: str) -> None:
    """Assert that Astro, the store and the page say the same of what was forced."""
    record, _ = witness.await_target_deploy("Production", commit)
    assert "override by admin, approved by admin: INC-42" in record["description"]
    assert witness.check_target_files("Production", commit)
    need = find_needs(frame, "production", f"overridden by {commit[:7]}", "admin", "INC-42", "until resumed")
    expect(need).to_be_visible(timeout=SLOW_MS)
    stored = witness.outside.read_rows(PROJECT)["production"]
    assert (stored["state"], stored["deployed"]) == ("held", commit)
    assert is_overridden(witness)


def resume(witness: Witness, page: Page, frame: FrameLocator) -> None:
    person = Person(frame)
    person.click(frame.get_by_role("button", name="Resume production"))
    person.fill("Reason", "INC-42 is over")
    run_id = start(page, lambda: person.send("Resume"))
    assert (person.clicks, person.fields) == (2, 1)
    witness.await_success(PRODUCTION_DAG, run_id)
    close(frame)
    witness.await_true("the override to end", lambda: not is_overridden(witness))
    expect(find_row(frame, "production")).to_contain_text("Live", timeout=SLOW_MS)
    expect(find_needs(frame, "overridden")).to_have_count(0)


def is_overridden(witness: Witness) -> bool:
    return bool(witness.outside.read_rows(PROJECT)["production"].get("overridden"))
