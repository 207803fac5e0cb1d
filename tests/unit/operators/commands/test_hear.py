"""Words on pull requests, from the comment to the preview's run, on the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.feedback import budget
from include.deploy_ops.core.naming import parse_note
from include.deploy_ops.core.policy.keys import Verify
from include.deploy_ops.core.view.row import State
from tests.worlds.stages.commands import BRANCH, STRANGER, Conversation

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

DENIED = {"message": "Resource not accessible by personal access token", "documentation_url": "", "status": "403"}
DEPLOY = "/deploy-ops deploy"


@pytest.fixture
def said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    """Give a pull request on which people speak; no second is waited between writes."""
    monkeypatch.setattr(budget, "SECONDS_BETWEEN", 0.0)
    return Conversation.open(stage)


@pytest.fixture
def live(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    """Give the same where the branch has its preview, and control works."""
    monkeypatch.setattr(budget, "SECONDS_BETWEEN", 0.0)
    return Conversation.open(stage, is_frozen=False)


def test_a_writers_word_starts_the_previews_run_once_with_eyes_then_rocket(live: Conversation) -> None:
    live.freeze()
    head = live.stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    comment = live.say("/deploy-ops deploy\nplease")
    hearing = live.find_hearing()
    assert hearing is not None
    (told,) = hearing.step("hear")
    assert live.list_signs(comment) == ["eyes"]
    run = live.stage.start_dispatched(told)
    hearing.step("answer")
    live.end(hearing)
    assert live.list_signs(comment) == ["eyes", "rocket"]
    assert (run.dag_id, run.run_id) == ("shop.preview", live.name_run(comment))
    run.step("claim")
    live.stage.plan()
    row = live.stage.memory.read_row(BRANCH)
    assert row is not None
    assert (row.state, row.verb, row.run_id) == (State.DEPLOYING, "deploy", run.run_id)
    run.play()
    assert "failed" not in run.states.values(), run.xcoms
    deployment = live.stage.find_deployment(BRANCH)
    deploy, _ = live.stage.list_deploys(deployment["id"])
    note = parse_note(deploy["description"])
    assert note is not None
    assert (note.person, note.commit, note.is_forced) == ("mona on GitHub", head, True)
    assert run.conf["job"]["person"] == "mona on GitHub"
    assert run.conf["job"]["reason"] == f"/deploy-ops deploy on #{live.number}"
    assert live.hear() == []
    assert live.list_signs(comment) == ["eyes", "rocket"]
    row = live.stage.memory.read_row(BRANCH)
    assert row is not None
    assert row.outcomes[-1].person == "mona on GitHub"
    past = live.stage.memory.deploys(BRANCH).read()[-1]
    assert (past.person, past.reason) == ("mona on GitHub", f"/deploy-ops deploy on #{live.number}")
    assert live.list_replies() == []


def test_each_word_does_what_the_form_does(live: Conversation) -> None:
    live.freeze()
    live.stage.change_project(previews={"verify": Verify()})
    found = {}
    for word in ("deploy", "keep", "resume", "refresh", "verify", "destroy"):
        comment = live.say(f"/deploy-ops {word}")
        (run,) = live.hear()
        found[word] = run.conf["job"]["verb"]
        run.step("claim")
        live.end(run)
        assert live.list_signs(comment) == ["eyes", "rocket"]
    same = {word: word for word in ("deploy", "keep", "verify")}
    assert found == same | {"resume": "deploy", "refresh": "update", "destroy": "delete"}
    assert live.begun[2].conf["job"]["ends_keep"]
    live.stage.change_project(previews={"verify": None})
    unverified = live.say("/deploy-ops verify")
    assert live.hear() == []
    assert live.list_signs(unverified) == ["confused"]
    (reply,) = live.list_replies()
    assert "`/deploy-ops verify` was not done: action: the policy has no previews" in reply


REFUSED = {
    "/deploy-ops dploy": "there is no such word",
    "/deploy-ops deploy it now": "nothing else may stand in its line",
    "/deploy-ops keep": "has no Deployment; there is nothing to keep",
    "/deploy-ops verify": "the policy has no previews",
}


@pytest.mark.parametrize(("line", "why"), REFUSED.items())
def test_what_cannot_be_done_is_refused_with_its_reason_and_help(said: Conversation, line: str, why: str) -> None:
    comment = said.say(f"{line}\nthanks")
    assert said.hear() == []
    assert said.list_signs(comment) == ["confused"]
    (reply,) = said.list_replies()
    assert f"`{line}` was not done" in reply
    assert why in reply.replace("\\", "")
    assert "| `/deploy-ops destroy` |" in reply
    assert said.hear() == []


def test_help_is_shown_and_nothing_is_done(said: Conversation) -> None:
    comment = said.say("/deploy-ops help")
    assert said.hear() == []
    assert said.list_signs(comment) == ["rocket"]
    (reply,) = said.list_replies()
    assert "was not done" not in reply
    assert "| `/deploy-ops keep` | keeps the preview" in reply


def test_nobody_without_write_is_obeyed_and_only_a_sign_says_so(said: Conversation) -> None:
    found = [said.say(DEPLOY, STRANGER)]
    for permission in ("read", "none"):
        said.grant(f"a-{permission}", permission)
        found.append(said.say(DEPLOY, f"a-{permission}"))
    said.move_since(hours=2)
    found += [said.say(DEPLOY, STRANGER, age_s=3600), said.say("/deploy-ops dploy", STRANGER)]
    assert said.hear() == []
    assert [said.list_signs(each) for each in found] == [["confused"]] * 5
    assert said.list_replies() == []


def test_an_admin_is_obeyed(said: Conversation) -> None:
    said.grant("boss", "admin")
    said.say(DEPLOY, "boss")
    (run,) = said.hear()
    assert run.conf["job"]["person"] == "boss on GitHub"


def test_no_machine_is_heard(said: Conversation) -> None:
    said.grant("robot", "admin")
    found = [
        said.say(DEPLOY, "robot", is_by_bot=True),
        said.say(DEPLOY, app_id=7),  # in a person's name
        said.say(f"{DEPLOY}\n<!-- deploy-ops request 1 -->", "deploy-ops"),  # with our token, and our mark
    ]
    assert said.find_hearing() is None
    assert [said.list_signs(each) for each in found] == [[], [], []]


def test_a_person_whose_token_is_ours_is_heard(said: Conversation) -> None:
    comment = said.ask("POST", f"/issues/{said.number}/comments", {"body": DEPLOY})["id"]
    (run,) = said.hear()
    assert run.conf["job"]["person"] == "deploy-ops on GitHub"
    assert said.list_signs(comment) == ["eyes", "rocket"]


def test_an_edited_comment_and_an_old_one_are_to_be_written_again(said: Conversation) -> None:
    edited = said.say("please deploy", age_s=5)
    said.ask("PATCH", f"/issues/comments/{edited}", {"body": DEPLOY})
    said.move_since(hours=2)
    old = said.say(DEPLOY, age_s=31 * 60)
    young = said.say("/deploy-ops keep", age_s=29 * 60)
    assert said.hear() == []
    assert [said.list_signs(each) for each in (edited, old, young)] == [["confused"]] * 3
    (reply,) = said.list_replies()
    assert "it was edited; write it again" in reply
    assert "it was read more than 30 minutes after it was written; write it again" in reply
    assert reply.count("write it again") == 2


def test_what_was_said_before_anybody_listened_is_left_alone(said: Conversation) -> None:
    comment = said.say(DEPLOY, age_s=120)
    assert said.find_hearing() is None
    assert said.list_signs(comment) == []


def test_words_that_were_said_while_the_switch_was_off_do_not_count_later(said: Conversation) -> None:
    on = said.stage.scope.project.feedback
    said.stage.change_project(feedback=on.model_copy(update={"commands": False}))
    said.stage.plan()
    comment = said.say(DEPLOY, age_s=2)
    said.stage.change_project(feedback=on)
    assert said.find_hearing() is None
    assert said.list_signs(comment) == []


def test_nothing_is_done_for_a_closed_pull_request_or_a_forks(said: Conversation) -> None:
    body = {"title": "From a fork", "head": f"stranger:{BRANCH}", "base": "main"}
    fork = said.ask("POST", "/pulls", body)["number"]
    first = said.say(DEPLOY, number=fork)
    said.ask("PATCH", f"/pulls/{said.number}", {"state": "closed"})
    second = said.say(DEPLOY)
    assert said.hear() == []
    assert [said.list_signs(each) for each in (first, second)] == [["confused"]] * 2
    assert "from a fork" in said.list_replies(fork)[0]
    assert "is not open" in said.list_replies()[0]


def test_a_preview_at_work_is_left_to_its_run(said: Conversation) -> None:
    first, second = said.say(DEPLOY), said.say("/deploy-ops destroy")
    (run,) = said.hear()
    assert run.run_id == said.name_run(first)
    assert said.list_signs(second) == ["confused"]
    run.step("claim")
    third = said.say(DEPLOY)
    assert said.hear() == []
    assert said.list_signs(third) == ["confused"]


def test_a_frozen_previews_run_waits_as_a_forms_does(said: Conversation) -> None:
    said.say(DEPLOY)
    assert said.stage.scope.preview_dag in said.stage.airflow.paused
    assert len(said.hear()) == 1


def test_in_plan_mode_nobody_is_heard(said: Conversation) -> None:
    comment = said.say(DEPLOY)
    hearing = said.find_hearing()
    assert hearing is not None
    said.stage.scope = replace(said.stage.scope, is_dry=True)
    with pytest.raises(AirflowSkipException, match="mode: plan; would do what people say"):
        hearing.step("hear")
    assert said.find_hearing() is None
    assert said.list_signs(comment) == []
    said.stage.scope = replace(said.stage.scope, is_dry=False)
    assert said.find_hearing() is None  # what was said meanwhile does not count


def test_a_paused_commands_dag_listens_to_nobody(said: Conversation) -> None:
    said.stage.airflow.paused.add(said.stage.scope.commands_dag)
    said.say(DEPLOY)
    assert said.find_hearing() is None
