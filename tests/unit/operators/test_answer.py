"""An answer counts for the page that it was given to: what the run is about by now may be something else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.operators.answer import Answer, fingerprint_asked
from tests.worlds.stages.cleanup import AT_ONCE, SOON, CleanupStage, OrphansStage, watch_questions
from tests.worlds.stages.request import answer_request
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

ANOTHER = "ada answered another question than what this run is about now"
POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/data-platform
    image: [reuse]
    previews: {branches: ["dev*"], template: deployments/preview.yaml, merged_into: [main]}
"""


def test_an_answer_counts_for_what_was_asked_alone() -> None:
    asked = {"names": ["a", "b"]}
    answer = Answer(is_approved=True, person="ada", comment="", at=datetime.now(UTC), asked=fingerprint_asked(asked))
    answer.require(asked)
    others: tuple[dict[str, Any], ...] = ({"names": ["a"]}, {"names": ["a", "b", "c"]}, {"deployments": ["a", "b"]}, {})
    for other in others:
        with pytest.raises(PermanentError, match=ANOTHER):
            answer.require(other)


@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_the_answer_to_a_longer_list_of_cleanup_releases_and_refuses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    stage.change_project(previews={"delete_after": SOON, "delete_notice": AT_ONCE})
    doomed = CleanupStage(stage, watch_questions(monkeypatch))
    doomed.plant("dev-a", "dev-b", "dev-c")
    run = doomed.start()
    run.ask()
    run.answer(option)
    before = doomed.list_standings()
    run.rehand("find", verdicts=run.xcoms["find"]["return_value"]["verdicts"][:1])
    with pytest.raises(AirflowFailException, match=ANOTHER):
        run.step("remember")
    assert doomed.list_standings() == before
    assert (stage.memory.released.read(), stage.memory.refused.read()) == ({}, {})


@pytest.mark.parametrize("action", ["delete", "adopt"])
def test_the_answer_to_a_shorter_list_of_orphans_does_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    orphans = OrphansStage.open(stage, POLICY, tmp_path / "policy.yaml", monkeypatch)
    if action == "adopt":
        stage.push("dev-x")
        stage.make_deployment("dev-x", description=stage.write_mark("dev-x", repository="acme/old"))
    else:
        orphans.leave("gone-a")
    run = orphans.start(action=action, dry_run=False)
    run.ask()
    run.answer("Approve")
    (found,) = run.xcoms["find"]["return_value"]
    run.hand("find", [found, {**found, "deployment_id": "cl9"}])
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=ANOTHER):
        run.step(action)
    assert stage.list_requests("astro", WRITES) == []


def test_a_yes_to_one_deployment_adopts_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watch_questions(monkeypatch)
    stage.push("dev-x")
    stage.make_deployment("dev-x", description="made by hand")
    other = stage.make_deployment("dev-y", description="made by hand, too")
    run = stage.start_form(branch="dev-x", action="adopt", reason="it was there first")
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    answer_request(run, "Approve", task_id="approve_adoption")
    run.rehand("claim", deployment_id=other)
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=ANOTHER):
        run.step("adopt")
    assert stage.list_requests("astro", WRITES) == []
