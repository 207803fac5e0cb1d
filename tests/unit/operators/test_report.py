"""The report step: releases the environment, remembers how the run ended, and turns no failed run green."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.log import mask_secret

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.plan.remembered import Judgement, Remembered, Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Verify
from include.deploy_ops.core.verification.mute import Mute
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.operators import report
from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.run.endings import VERDICT_KEY
from include.deploy_ops.run.memory import Claim

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH, HEAD = "dev-x", "1" * 40


def start(stage: Stage, **states: str) -> Run:
    """Return a planned deploy whose tasks ended so."""
    run = stage.start_planned(Verb.DEPLOY, BRANCH, HEAD, "clsome")
    run.states |= states
    return run


def test_it_releases_the_runs_claim_alone(stage: Stage) -> None:
    run = start(stage)
    claim = stage.memory.claim(BRANCH, MANUAL).read()
    assert claim is not None
    assert claim.run_id == run.run_id
    other = Claim("another", datetime.now(UTC))
    stage.memory.claim(BRANCH, PLANNED).write(other)
    run.step("report")
    assert stage.memory.claim(BRANCH, MANUAL).read() is None
    assert stage.memory.claim(BRANCH, PLANNED).read() == other


def test_a_good_ending_is_remembered(stage: Stage) -> None:
    run = start(stage, deploy="success", create="skipped")
    assert run.step("report") == "deploy dev-x: done"
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert (ending.work, ending.is_failure, ending.cause) == (run.conf["job"]["work"], False, "")
    assert timedelta(0) <= datetime.now(UTC) - ending.ended_at < timedelta(seconds=30)


@pytest.mark.parametrize("is_permanent", [True, False])
def test_a_failures_cause_and_class_are_remembered(stage: Stage, is_permanent: bool, log: Log) -> None:
    run = start(stage, deploy="failed", settle="upstream_failed")
    run.xcoms["deploy"] = {"failure": {"is_permanent": is_permanent, "cause": "the image does not build"}}
    assert run.step("report") == "deploy dev-x: failed in deploy: the image does not build"
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert (ending.is_failure, ending.is_permanent, ending.cause) == (True, is_permanent, "the image does not build")
    assert "failed in deploy: the image does not build" in log.read()


def test_an_outcome_tells_no_secret_of_airflows_and_no_credentials_of_urls(stage: Stage) -> None:
    mask_secret("pr1vate-index-word")
    run = start(stage, deploy="failed")
    cause = "pip: pr1vate-index-word was refused by https://robot:hunter22@pypi.example/simple"
    run.xcoms["deploy"] = {"failure": {"is_permanent": True, "cause": cause}}
    run.rehand("claim", reason="see https://ann:hunter22@wiki.example")
    run.step("report")
    (event,) = [each for each in stage.events.events if each.extra]
    said = event.extra["ended"]["outcome"]
    assert said["cause"] == "pip: *** was refused by https://***@pypi.example/simple"
    assert said["why"] == "see https://***@wiki.example"


def test_the_cause_is_found_behind_what_failed_with_it(stage: Stage) -> None:
    run = start(stage, change_type="upstream_failed", settle="failed")
    run.xcoms["settle"] = {"failure": {"is_permanent": False, "cause": "it never settled"}}
    assert run.step("report") == "deploy dev-x: failed in settle: it never settled"


def test_the_cause_of_a_mapped_task_is_found_by_its_index(stage: Stage) -> None:
    run = start(stage, dispatch_0="success", dispatch_11="failed", step_2="failed")
    run.xcoms["dispatch[0]"] = {"failure": {"is_permanent": False, "cause": "an earlier try's"}}
    run.xcoms["dispatch[11]"] = {"failure": {"is_permanent": True, "cause": "it bears no seal"}}
    assert run.step("report") == "deploy dev-x: failed in dispatch_11: it bears no seal"
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert (ending.is_permanent, ending.cause) == (True, "it bears no seal")


def test_a_task_that_was_killed_left_no_cause(stage: Stage) -> None:
    assert start(stage, deploy="failed").step("report").endswith("deploy ended without saying why; see its log")


def test_the_report_runs_after_a_failure_and_the_run_stays_failed(stage: Stage) -> None:
    run = stage.start_planned(Verb.DEPLOY, BRANCH, stage.push(BRANCH), "clgone")
    assert run.play()["change_type"] == "failed"
    assert run.states["report"] == "success"
    assert stage.airflow.states[run.run_id] == "failed"
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert not ending.is_permanent
    assert "clgone" in ending.cause


@pytest.mark.parametrize("deleted", ["success", "failed"])
def test_a_preview_that_is_deleted_is_kept_no_more(stage: Stage, deleted: str) -> None:
    stage.memory.environment(BRANCH).write(Remembered(kept="by mira"))
    run = stage.start_planned(Verb.DELETE, BRANCH, HEAD, "clsome", is_expiry=True)
    run.states["delete"] = deleted
    run.step("report")
    assert (stage.memory.environment(BRANCH).read().kept == "") is (deleted == "success")


def test_a_task_that_fails_tells_no_secret_that_it_used(stage: Stage) -> None:
    mask_secret("clmasked")
    run = stage.start_planned(Verb.DEPLOY, BRANCH, HEAD, "clmasked")
    with pytest.raises(DeployOpsError, match="clmasked"):
        run.step("change_type")
    cause = run.xcoms["change_type"]["failure"]["cause"]
    assert "***" in cause
    assert "clmasked" not in cause


@pytest.mark.parametrize(("head", "is_kept"), [(HEAD, True), ("2" * 40, False)])
def test_a_removal_holds_until_the_head_moves(stage: Stage, head: str, is_kept: bool) -> None:
    removal, judgement = Removal(head, "idle"), Judgement(HEAD, "d1", "p", "only README")
    stage.memory.environment(BRANCH).write(Remembered({}, removal, judgement))
    start(stage).step("report")
    known = stage.memory.environment(BRANCH).read()
    assert (known.removal == removal) is is_kept
    assert known.judgement == judgement


def test_an_ending_of_one_verb_hides_no_other(stage: Stage) -> None:
    start(stage, deploy="failed").step("report")
    stage.start_planned(Verb.UPDATE, BRANCH, HEAD, "clsome").step("report")
    endings = stage.memory.environment(BRANCH).read().endings
    assert {verb: ending.is_failure for verb, ending in endings.items()} == {"deploy": True, "update": False}


def test_a_persons_run_says_nothing_of_planned_work(stage: Stage) -> None:
    start(stage, deploy="failed").step("report")
    before = stage.memory.environment(BRANCH).read()
    stage.push(BRANCH)
    run = stage.start_form(branch=BRANCH)
    run.step("claim")
    run.states["render_template"] = "failed"
    run.step("report")
    assert stage.memory.environment(BRANCH).read() == before


def test_a_preview_that_is_gone_with_its_branch_is_forgotten(stage: Stage) -> None:
    stage.memory.environment(BRANCH).write(Remembered(judgement=Judgement(HEAD, "d1", "p", "only README")))
    play = stage.start_planned(Verb.DELETE, BRANCH, HEAD, stage.make_deployment(BRANCH)).play()
    assert play["delete"] == "success"
    assert stage.memory.environment(BRANCH).read() == Remembered()


def prove(run: Run, stage: Stage, proof: Proof, said: str, state: str = "success") -> None:
    """Let the run's verification have ended so."""
    run.states |= {"deploy": "success", "settle": "success", "verify": state}
    run.hand("verify", {"deploy_id": "d1"}, VERDICT_KEY)
    stage.memory.verification(BRANCH).write(Verification("d1", HEAD, proof, datetime.now(UTC), said))


def read_outcome(stage: Stage) -> dict[str, Any]:
    (event,) = [each for each in stage.events.events if each.extra]
    found: dict[str, Any] = event.extra["ended"]["outcome"]
    return found


def test_what_is_deployed_and_does_not_work_is_no_failed_deploy(stage: Stage) -> None:
    run = start(stage)
    prove(run, stage, Proof.FAILED, "2 import errors", "failed")
    assert run.step("report") == "deploy dev-x: done, 2 import errors"
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert (ending.is_failure, ending.cause) == (False, "")
    assert (read_outcome(stage)["state"], read_outcome(stage)["proof"]) == ("success", "failed")


def test_how_long_the_verification_took_is_no_part_of_the_deploy(stage: Stage) -> None:
    run = start(stage)
    run.started_at = datetime.now(UTC) - timedelta(seconds=100)
    verdict = Verification("d1", HEAD, Proof.VERIFIED, datetime.now(UTC), "verified", 60.0)
    prove(run, stage, Proof.VERIFIED, "verified")
    stage.memory.verification(BRANCH).write(verdict)
    run.step("report")
    assert 40 <= read_outcome(stage)["seconds"] < 70


def test_a_deploy_that_failed_has_no_verdict_of_its_own(stage: Stage) -> None:
    stage.memory.verification(BRANCH).write(Verification("d0", HEAD, Proof.VERIFIED, datetime.now(UTC), "verified"))
    run = start(stage, deploy="failed", settle="upstream_failed", verify="upstream_failed")
    run.xcoms["deploy"] = {"failure": {"is_permanent": True, "cause": "it broke"}}
    assert run.step("report") == "deploy dev-x: failed in deploy: it broke"
    assert (read_outcome(stage)["state"], read_outcome(stage).get("proof", "")) == ("failed", "")


def test_a_verification_that_ended_without_a_verdict_is_not_known_and_fails_no_deploy(stage: Stage) -> None:
    stage.memory.verification(BRANCH).write(
        Verification("d1", HEAD, Proof.PENDING, datetime.now(UTC), "being verified")
    )
    run = start(stage, deploy="success", settle="success", verify="failed")
    assert run.step("report").startswith("deploy dev-x: done, not verified: ")
    assert not stage.memory.environment(BRANCH).read().endings["deploy"].is_failure
    assert read_outcome(stage)["proof"] == "unknown"


@pytest.mark.parametrize("seconds", [None, 5000.0])
def test_of_a_verification_that_died_before_it_began_no_older_record_tells(stage: Stage, seconds: float | None) -> None:
    if seconds is not None:
        older = Verification("d0", HEAD, Proof.VERIFIED, datetime.now(UTC), "verified", seconds)
        stage.memory.verification(BRANCH).write(older)
    run = start(stage, deploy="success", settle="success", verify="failed")
    assert (
        run.step("report") == "deploy dev-x: done, not verified: the run that asked its Airflow ended without an answer"
    )
    assert read_outcome(stage)["proof"] == "unknown"
    assert read_outcome(stage).get("seconds", 0.0) >= 0


def test_what_was_overtaken_counts_as_not_verified_and_is_no_news(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    news: list[object] = []
    monkeypatch.setattr(report, "notify", lambda *_: news.append(_))
    run = start(stage, deploy="success", settle="success", verify="skipped")
    run.step("report")
    assert read_outcome(stage).get("proof", "") == ""  # nobody wants it verified
    stage.events.events.clear()
    stage.change_project(previews={"verify": Verify()})
    run = start(stage, deploy="success", settle="success", verify="skipped")
    assert run.step("report") == "deploy dev-x: done, not verified: a newer deploy came after it"
    assert (read_outcome(stage)["proof"], news) == ("unknown", [])


def test_a_verdict_that_somebody_else_wrote_does_not_count(stage: Stage, log: Log) -> None:
    run = start(stage)
    prove(run, stage, Proof.VERIFIED, "verified", "failed")
    run.xcoms["verify"]["verdict"] = {"deploy_id": "d1", "proof": "verified"}
    assert run.step("report").startswith("deploy dev-x: done, not verified: ")
    assert "the verdict does not count" in log.read()


def test_a_forms_verification_that_could_not_begin_failed(stage: Stage) -> None:
    run = stage.start_planned(Verb.VERIFY, BRANCH, HEAD, "clsome", work="")
    run.states["verify"] = "failed"
    run.xcoms["verify"] = {"failure": {"is_permanent": True, "cause": "nothing was deployed yet"}}
    assert run.step("report") == "verify dev-x: failed in verify: nothing was deployed yet"


def test_with_a_deployment_whose_branch_lives_goes_what_was_verified_and_not_what_was_muted(stage: Stage) -> None:
    stage.memory.mutes(BRANCH).write((Mute("a.py", "known", "mira", datetime.now(UTC)),))
    left = Verification("d0", HEAD, Proof.PENDING, datetime.now(UTC), "being verified", unpaused=("smoke_a",))
    stage.memory.verification(BRANCH).write(left)
    run = stage.start_planned(Verb.DELETE, BRANCH, HEAD, "clsome", is_expiry=True)
    run.states["delete"] = "success"
    run.step("report")
    assert len(stage.memory.mutes(BRANCH).read()) == 1
    assert stage.memory.verification(BRANCH).read() is None


def test_with_the_branch_goes_what_was_muted_and_verified(stage: Stage) -> None:
    stage.memory.mutes(BRANCH).write((Mute("a.py", "known", "mira", datetime.now(UTC)),))
    stage.memory.verification(BRANCH).write(Verification("d0", HEAD, Proof.FAILED, datetime.now(UTC), "no"))
    run = stage.start_planned(Verb.DELETE, BRANCH, HEAD, "clsome")
    run.states["delete"] = "success"
    run.step("report")
    assert stage.memory.mutes(BRANCH).read() == ()
    assert stage.memory.verification(BRANCH).read() is None
