"""What strangers write on pull requests starts nothing: no run, no write but a sign, and little time whatever it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.feedback import budget
from include.deploy_ops.core.feedback.commands import mark_reply
from tests.worlds.stages.commands import BRANCH, STRANGER, WRITER, Conversation
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

DEPLOY = "/deploy-ops deploy"
HEARD_S = 20.0
REACTIONS = "/reactions"


@pytest.fixture
def said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    """Give a pull request on which people speak; no second is waited between writes."""
    monkeypatch.setattr(budget, "SECONDS_BETWEEN", 0.0)
    return Conversation.open(stage)


def list_other_writes(said: Conversation) -> list[str]:
    """Return what was written to GitHub and Astro besides signs."""
    writes = [each for face in ("github", "astro") for each in said.stage.list_requests(face, WRITES)]
    return [each for each in writes if not each.endswith(REACTIONS)]


BODIES = (
    DEPLOY,
    f"{DEPLOY}\n<!-- deploy-ops commands of acme-test/shop -->",
    f"{DEPLOY} shop",
    "/deploy-ops destroy",
    f"/deploy-ops {'x' * 60_000}",
    f"{DEPLOY}\n{'`' * 60_000}",
    "/deploy-ops " + "deploy " * 8_000,
)


def test_a_stranger_starts_nothing_and_gets_no_word(said: Conversation) -> None:
    found = [said.say(body, STRANGER) for body in BODIES]
    said.stage.forget_requests()
    began = time.monotonic()
    assert said.hear() == []
    assert time.monotonic() - began < HEARD_S
    assert list_other_writes(said) == []
    assert said.stage.list_deployments() == []
    assert {sign for each in found for sign in said.list_signs(each)} == {"confused"}
    assert said.find_hearing() is None


def test_the_name_of_somebody_who_may_is_not_enough(said: Conversation) -> None:
    """Who took a freed login has another number: the permission that GitHub tells is of that account."""
    comment = said.say(DEPLOY, WRITER)
    body = {"permission": "write", "role_name": "write", "user": None}
    said.stage.sandbox.plant(face="github", path="/collaborators/", status=200, body=body, times=None)
    said.stage.forget_requests()
    assert said.hear() == []
    assert said.list_signs(comment) == ["confused"]
    assert list_other_writes(said) == []


LOGINS = ("../../pulls/1/merge", "mona/../boss", "%2e%2e", "mona?x=1#", "a b")


def test_a_login_leads_nowhere_else(said: Conversation) -> None:
    for login in LOGINS:
        said.say(DEPLOY, login)
    said.stage.forget_requests()
    assert said.hear() == []
    asked = [each for each in said.stage.list_requests("github", ("GET",)) if "/collaborators/" in each]
    assert len(asked) == len(LOGINS)
    assert all(each.endswith("/permission") for each in asked)
    assert list_other_writes(said) == []


def test_whoever_writes_our_marker_only_silences_our_reply(said: Conversation) -> None:
    said.say(mark_reply("acme-test", "shop"), STRANGER)
    comment = said.say("/deploy-ops dploy")
    assert said.hear() == []
    assert said.list_signs(comment) == ["confused"]
    assert len(said.list_replies()) == 1


def test_a_reply_says_what_others_wrote_and_does_nothing(said: Conversation) -> None:
    said.say("/deploy-ops @acme/all ![x](https://evil.example/x.png) <img src=x> #1")
    assert said.hear() == []
    (reply,) = said.list_replies()
    (line,) = [line for line in reply.splitlines() if "was not done" in line]
    assert line.startswith("- `/deploy-ops @acme/all ![x](https://evil.example/x.png) <img src=x> #1` was not done: ")


def test_a_forks_branch_of_a_previews_name_moves_no_preview(said: Conversation) -> None:
    body = {"title": "From a fork", "head": f"stranger:{BRANCH}", "base": "main"}
    fork = said.ask("POST", "/pulls", body)["number"]
    said.stage.forget_requests()
    for word in ("deploy", "destroy"):
        said.say(f"/deploy-ops {word}", number=fork)
    assert said.hear() == []
    assert [each for each in list_other_writes(said) if "/comments" not in each] == []
    assert said.stage.list_deployments() == []


def test_eyes_of_others_make_no_mark_of_ours(said: Conversation) -> None:
    """Somebody else's sign neither stops a word, nor has one done twice."""
    comment = said.say(DEPLOY, has_eyes=True)
    assert [run.run_id for run in said.hear()] == [said.name_run(comment)]
    assert said.hear() == []
