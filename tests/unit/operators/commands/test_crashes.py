"""Words on pull requests while workers die, answers are lost, memory goes, and GitHub says no; and floods of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import RateLimitError, RetryableError
from include.deploy_ops.core.feedback import budget
from include.deploy_ops.core.feedback.budget import WRITES_PER_HOUR_MAX, Budget
from include.deploy_ops.hooks.github.commands import PAGES_MAX
from include.deploy_ops.operators.commands.hear import KNOWN_FOR, LOOKED_AT_MAX
from include.deploy_ops.run.memory import Heard, Permission
from tests.worlds.stages.commands import BRANCH, STRANGER, Conversation
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

DENIED = {"message": "Resource not accessible by personal access token", "documentation_url": "", "status": "403"}
DEPLOY = "/deploy-ops deploy"
AGAIN = "nobody knows whether it was begun; write it again"


@pytest.fixture
def said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    """Give a pull request on which people speak; no second is waited between writes."""
    monkeypatch.setattr(budget, "SECONDS_BETWEEN", 0.0)
    return Conversation.open(stage)


def mark(said: Conversation) -> tuple[int, Run]:
    """Let a word be marked, and the worker die then; return the comment and its run, which was not started."""
    comment = said.say(DEPLOY)
    hearing = said.find_hearing()
    assert hearing is not None
    (told,) = hearing.step("hear")
    said.end(hearing, "failed")
    run = said.stage.start_dispatched(told)
    del said.stage.airflow.states[run.run_id]
    assert said.list_signs(comment) == ["eyes"]
    return comment, run


def wait(said: Conversation) -> None:
    """Let the time pass after which the same words are tried again."""
    slot = said.stage.memory.commands_run
    last = slot.read()
    assert last is not None
    slot.write(replace(last, at=last.at - timedelta(hours=7)))


@pytest.mark.parametrize("lose", ["nothing", "memory", "airflow"])
def test_a_mark_without_an_end_becomes_confused_and_begins_nothing(said: Conversation, lose: str) -> None:
    comment, _ = mark(said)
    if lose == "memory":
        said.stage.stores.clear()
    elif lose == "airflow":
        said.lose_airflow()
        said.freeze()
    else:
        assert said.find_hearing() is None  # not at once: the same words were tried just now
        wait(said)
    assert said.hear() == []
    assert said.list_signs(comment) == ["eyes", "confused"]
    assert AGAIN in said.list_replies()[0]
    again = said.say(DEPLOY)
    assert [run.run_id for run in said.hear()] == [said.name_run(again)]


@pytest.mark.parametrize("is_memory_lost", [False, True])
def test_a_mark_whose_run_is_there_becomes_a_rocket(said: Conversation, is_memory_lost: bool) -> None:
    comment, run = mark(said)
    said.stage.airflow.states[run.run_id] = "success"  # it was started, and is over; the answer alone is lost
    if is_memory_lost:
        said.stage.stores.clear()
    else:
        wait(said)
    assert said.hear() == []
    assert said.list_signs(comment) == ["eyes", "rocket"]
    assert said.list_replies() == []


@pytest.mark.parametrize("is_airflow_lost", [False, True])
def test_what_was_answered_is_left_alone_whatever_is_lost(said: Conversation, is_airflow_lost: bool) -> None:
    done, refused = said.say(DEPLOY), said.say("/deploy-ops dploy", number=said.number)
    assert len(said.hear()) == 1
    before = said.list_signs(done), said.list_signs(refused), said.list_replies()
    if is_airflow_lost:
        said.lose_airflow()
        said.freeze()
    else:
        said.stage.stores.clear()
    assert said.hear() == []
    assert (said.list_signs(done), said.list_signs(refused), said.list_replies()) == before


@pytest.mark.parametrize(("drop", "signs"), [("after", ["eyes", "confused"]), (True, ["eyes", "rocket"])])
def test_a_mark_with_an_unknown_ending_is_looked_for_first(said: Conversation, drop: Any, signs: list[str]) -> None:
    comment = said.say(DEPLOY)
    said.stage.sandbox.plant(face="github", method="POST", path="/reactions$", drop=drop)
    hearing = said.find_hearing()
    assert hearing is not None
    with pytest.raises(RetryableError):
        hearing.step("hear")
    begun = said.play(hearing)  # its second try
    assert [run.run_id for run in begun] == [said.name_run(comment)] * (signs[1] == "rocket")
    assert said.list_signs(comment) == signs


def test_a_run_that_could_not_be_started_is_told_by_the_sign(said: Conversation) -> None:
    comment = said.say(DEPLOY)
    hearing = said.find_hearing()
    assert hearing is not None
    assert hearing.step("hear")
    assert hearing.step("answer") == 0  # the dispatch failed
    assert said.list_signs(comment) == ["eyes", "confused"]


def test_one_that_fails_keeps_no_other_up(said: Conversation) -> None:
    first, second = said.say("/deploy-ops dploy"), said.say(DEPLOY)
    said.stage.sandbox.plant(face="github", method="POST", path=f"/comments/{first}/reactions$", status=502)
    assert [run.run_id for run in said.hear()] == [said.name_run(second)]
    assert said.list_signs(first) == []
    assert said.hear() == []
    assert said.list_signs(first) == ["confused"]


def test_a_deleted_comment_is_forgotten(said: Conversation) -> None:
    comment = said.say(DEPLOY)
    hearing = said.find_hearing()
    assert hearing is not None
    body = {"message": "Not Found", "documentation_url": "", "status": "404"}
    said.stage.sandbox.plant(face="github", method="POST", path="/reactions$", status=404, body=body)
    assert said.play(hearing) == []
    assert said.stage.memory.heard.read().settled == (comment,)


def test_a_missing_permission_is_named_and_tried_again_later(said: Conversation) -> None:
    said.say(DEPLOY)
    said.stage.sandbox.plant(face="github", method="POST", path="/reactions$", status=403, body=DENIED, times=None)
    hearing = said.find_hearing()
    assert hearing is not None
    with pytest.raises(RetryableError, match="Pull requests: write"):
        hearing.step("hear")
    said.end(hearing, "failed")
    assert said.find_hearing() is None
    wait(said)
    assert said.find_hearing() is not None


@pytest.mark.parametrize("fault", [{"status": 403, "body": DENIED}, {"status": 200, "body": [{}]}])
def test_comments_that_cannot_be_read_stop_no_pass(said: Conversation, fault: dict[str, Any]) -> None:
    said.say(DEPLOY)
    said.stage.airflow.paused.clear()
    said.stage.sandbox.plant(face="github", path="/issues/comments", times=None, **fault)
    (create,) = said.stage.plan()
    assert "~create~" in create.run_id
    assert said.stage.sandbox.client.delete("/sandbox/faults").is_success
    assert said.find_hearing() is not None


def test_a_flood_costs_little_and_begins_one_run(said: Conversation) -> None:
    for number in range(30):
        said.say(DEPLOY if number % 2 else "/deploy-ops dploy")
    said.stage.forget_requests()
    begun = said.hear()
    assert len(begun) == 1
    writes = said.stage.list_requests("github", WRITES)
    assert len(writes) <= LOOKED_AT_MAX + 3
    assert sum("/collaborators/" in request for request in said.stage.list_requests("github")) == 1
    for _ in range(3):
        said.hear()
    assert len(said.begun) == 1
    assert len(said.list_replies()) == 1
    assert said.find_hearing() is None


def test_a_word_is_heard_however_much_is_said_after_it(said: Conversation) -> None:
    assert said.stage.sandbox.client.post("/sandbox/settings", json={"page_limit": 2}).is_success
    word = said.say(DEPLOY)
    for _ in range(2 * PAGES_MAX - 3):
        said.say("thanks", STRANGER)
    assert [run.run_id for run in said.hear()] == [said.name_run(word)]
    late = said.say("/deploy-ops keep")
    for _ in range(2 * PAGES_MAX):
        said.say("thanks", STRANGER)
    assert said.find_hearing() is None
    assert said.list_signs(late) == [], "it is washed away by more than is read"


def test_a_strangers_flood_begins_nothing(said: Conversation) -> None:
    found = [said.say(DEPLOY, STRANGER) for _ in range(12)]
    last = said.say(DEPLOY)
    assert said.hear() == []
    assert [run.run_id for run in said.hear()] == [said.name_run(last)]
    assert {tuple(said.list_signs(each)) for each in found} == {("confused",)}
    assert said.list_replies() == []


def test_one_reply_an_hour_and_pull_request_whatever_is_lost(said: Conversation) -> None:
    for _ in range(3):
        said.say("/deploy-ops dploy")
        said.hear()
    assert len(said.list_replies()) == 1
    said.stage.memory.heard.write(Heard())
    said.say("/deploy-ops dploy")
    said.hear()
    assert len(said.list_replies()) == 1
    said.stage.push("dev-y", {"dags/y.py": "# y\n"})
    other = said.stage.author.open_pull_request("dev-y", "staging", "Another")
    said.say("/deploy-ops dploy", number=other)
    said.hear()
    assert len(said.list_replies(other)) == 1


def test_what_somebody_may_do_is_asked_once_and_again_after_minutes(said: Conversation) -> None:
    said.say("/deploy-ops dploy")
    said.hear()
    said.grant("mona", "read")
    comment = said.say(DEPLOY)
    said.stage.forget_requests()
    assert len(said.hear()) == 1
    assert not any("/collaborators/" in request for request in said.stage.list_requests("github"))
    said.end(said.begun[0])
    known = said.stage.memory.heard.read()
    old = {key: Permission(each.level, each.at - KNOWN_FOR) for key, each in known.people.items()}
    said.stage.memory.heard.write(replace(known, people=old))
    again = said.say(DEPLOY)
    assert said.hear() == []
    assert (said.list_signs(comment), said.list_signs(again)) == (["eyes", "rocket"], ["confused"])


def test_nothing_is_begun_without_room_for_its_mark(said: Conversation) -> None:
    comment, now = said.say(DEPLOY), datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0).isoformat()
    said.stage.memory.budget.write(Budget(minutes={minute: WRITES_PER_HOUR_MAX}))
    hearing = said.find_hearing()
    assert hearing is not None
    with pytest.raises(RateLimitError, match="as its limits leave us"):
        hearing.step("hear")
    assert said.list_signs(comment) == []


def test_before_control_has_listened_nobody_is_heard(said: Conversation) -> None:
    said.say(DEPLOY)
    hearing = said.find_hearing()
    assert hearing is not None
    said.stage.stores.clear()
    with pytest.raises(AirflowSkipException, match="control has made no pass"):
        hearing.step("hear")


def test_each_project_of_a_repository_hears_its_own(said: Conversation) -> None:
    said.stage.scope = replace(said.stage.scope, listeners=("till",))
    others = said.say("/deploy-ops deploy till")
    unnamed = said.say(DEPLOY)
    named = said.say("/deploy-ops deploy shop")
    (run,) = said.hear()
    assert run.run_id == said.name_run(named)
    assert [said.list_signs(each) for each in (others, unnamed)] == [[], ["confused"]]
    (reply,) = said.list_replies()
    assert "several projects (shop, till)" in reply.replace("\\", "")
    assert "| `/deploy-ops deploy shop` |" in reply
    assert run.conf["job"]["branch"] == BRANCH
