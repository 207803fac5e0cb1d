"""The verify step: what the Deployment's Airflow tells is remembered; what does not work is no failed deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import SmokeRule, Verify
from include.deploy_ops.core.verification.mute import Mute
from include.deploy_ops.core.verification.standing import tell_standing
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.row import State
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.observation import changed_dags
from include.deploy_ops.triggers.smoke import SmokeRunsTrigger
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from tests.worlds.stages.mapping import MAPPING, SECRET_KEYS, map_environment, set_source

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
BROKEN = {"file": "fresh.py", "line": 3, "error": "KeyError: 'x'", "identity": "i1"}
SETTLED = {"state": "settled", "detail": "", "image_tag": None, "dag_version": "v1", "seconds": 3.0}


def ask_for(stage: Stage, **changes: Any) -> None:
    """Let the policy want previews to be verified."""
    stage.change_project(previews={"verify": Verify(airflow_conn_id="preview_airflow", **changes)})


def start(stage: Stage, verb: Verb = Verb.DEPLOY, **changes: Any) -> Run:
    """Return a run whose deploy has settled."""
    head = stage.push(BRANCH, {"dags/fresh.py": "from airflow.sdk import DAG\n", "include/x.py": "# not a DAG\n"})
    deployment = stage.make_deployment(BRANCH)
    run = stage.start_planned(verb, BRANCH, head, deployment, **changes)
    run.hand("deploy", {"deployment_id": deployment})
    run.hand("settle", SETTLED | {"deploy_id": "cldeploy"})
    return run


def tell(*broken: dict[str, Any], problem: str = "", state: str = "seen") -> dict[str, Any]:
    """Return the trigger's event."""
    findings = {"broken": list(broken), "difference": {"changes": [], "behind": []}, "problem": problem}
    return {"state": state, "detail": problem, "findings": findings, "notes": [], "seconds": 41.5}


def park(run: Run) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        run.execute("verify")
    return caught.value


def answer(run: Run, event: dict[str, Any]) -> Any:
    """Let the step park, and wake it with the trigger's event."""
    deferred = park(run)
    return run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=event)


def test_it_asks_the_previews_own_airflow_about_this_deploy(stage: Stage) -> None:
    ask_for(stage, timeout=timedelta(minutes=7))
    run = start(stage)
    trigger = park(run).trigger
    assert isinstance(trigger, DeployVerifiedTrigger)
    assert (trigger.deploy_id, trigger.airflow_conn_id, trigger.compared_id) == ("cldeploy", "preview_airflow", "")
    assert "fresh.py" in trigger.files
    assert "fresh.py" in trigger.touched
    assert not [each for each in trigger.files if each.startswith(("dags/", "include/"))]
    assert trigger.is_public is False
    assert trigger.heads[BRANCH] == stage.author.git("rev-parse", "HEAD").strip()
    left = datetime.fromisoformat(trigger.deadline) - datetime.now(UTC)
    assert timedelta(minutes=6) < left <= timedelta(minutes=7)
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert (known.deploy_id, known.proof, known.said) == ("cldeploy", Proof.PENDING, "being verified")


@pytest.mark.parametrize("is_public", [False, True])
@pytest.mark.parametrize("show_logs", [False, True])
def test_where_strangers_read_an_error_is_quoted_only_if_the_policy_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, is_public: bool, show_logs: bool
) -> None:
    read = DeployOpsGithubHook.read_name
    monkeypatch.setattr(DeployOpsGithubHook, "read_name", lambda hook: replace(read(hook), is_public=is_public))
    ask_for(stage, show_logs=show_logs, dags=(SmokeRule(dag="smoke_*"),))
    deferred = park(run := start(stage))
    assert isinstance(deferred.trigger, DeployVerifiedTrigger)
    assert deferred.trigger.is_public is (is_public and not show_logs)
    event = tell() | {"candidates": [{"dag_id": "smoke_a", "is_paused": False, "is_scheduled": False}]}
    with pytest.raises(TaskDeferred) as runs:
        run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=event)
    assert isinstance(runs.value.trigger, SmokeRunsTrigger)
    assert runs.value.trigger.has_logs is not deferred.trigger.is_public


@pytest.mark.parametrize(
    ("changes", "watched"), [({}, [BRANCH]), ({"is_override": True, "person": "mira"}, [])], ids=["planned", "override"]
)
def test_neither_a_merge_elsewhere_nor_a_push_beside_an_override_ends_the_wait(
    stage: Stage, changes: dict[str, Any], watched: list[str]
) -> None:
    ask_for(stage)
    trigger = park(start(stage, **changes)).trigger
    assert isinstance(trigger, DeployVerifiedTrigger)
    assert list(trigger.heads) == watched


def test_a_target_to_compare_with_that_is_not_there_is_told(stage: Stage) -> None:
    ask_for(stage, compare_with=next(iter(stage.scope.project.targets)))
    trigger = park(start(stage)).trigger
    assert isinstance(trigger, DeployVerifiedTrigger)
    assert (trigger.compared_id, trigger.compared_lack[:27]) == ("", "Astro shows no Deployment '")


def test_a_verified_deploy_is_remembered(stage: Stage, log: Log) -> None:
    ask_for(stage)
    found = answer(start(stage), tell())
    assert found == {"proof": "verified", "said": "verified", "deploy_id": "cldeploy"}
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert (known.proof, known.seconds) == (Proof.VERIFIED, 41.5)
    assert "deploy cldeploy of dev-x: verified" in log.read()


def test_an_import_error_fails_the_run_with_file_line_and_what_to_do(stage: Stage, log: Log) -> None:
    ask_for(stage)
    run = start(stage)
    with pytest.raises(AirflowFailException) as caught:
        answer(run, tell(BROKEN))
    assert str(caught.value).startswith("1 import error\ndags/fresh.py, line 3: KeyError: 'x'\npush a commit")
    assert "What:       verify of" in log.read()
    assert "Why:        1 import error" in log.read()
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert (known.proof, [each.file for each in known.broken]) == (Proof.FAILED, ["fresh.py"])


def test_a_failed_verification_is_no_failed_deploy(stage: Stage) -> None:
    ask_for(stage)
    run = start(stage)
    with pytest.raises(AirflowFailException):
        answer(run, tell(BROKEN))
    run.step("report")
    ending = stage.memory.environment(BRANCH).read().endings["deploy"]
    assert (ending.is_failure, ending.cause) == (False, "")
    assert run.xcoms["report"]["return_value"] == "deploy dev-x: done, 1 import error"
    assert run.states["verify"] == "failed"  # so that the run is red


def test_clearing_the_step_asks_again(stage: Stage) -> None:
    ask_for(stage)
    run = start(stage)
    with pytest.raises(AirflowFailException):
        answer(run, tell(BROKEN))
    assert answer(run, tell())["proof"] == "verified"


def test_a_run_that_dies_while_it_asks_again_takes_no_verdict_away(stage: Stage) -> None:
    ask_for(stage)
    run = start(stage)
    with pytest.raises(AirflowFailException):
        answer(run, tell(BROKEN))
    park(run)
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert (known.proof, known.said, known.again) == (Proof.FAILED, "1 import error", "being verified")
    assert [each.file for each in known.broken] == ["fresh.py"]
    found = answer(run, tell(problem="no connection", state="unknown"))
    assert found["proof"] == "failed"
    assert found["said"] == "1 import error; asked again: not verified: no connection"


def test_what_cannot_be_told_fails_nothing(stage: Stage) -> None:
    ask_for(stage)
    found = answer(start(stage), tell(problem="no connection", state="unknown"))
    assert found == {"proof": "unknown", "said": "not verified: no connection", "deploy_id": "cldeploy"}


def test_a_deploy_that_was_overtaken_is_not_judged(stage: Stage) -> None:
    ask_for(stage)
    run = start(stage)
    with pytest.raises(AirflowSkipException, match="deploy d6 came after it"):
        answer(run, tell(state="overtaken", problem="deploy d6 came after it"))
    run.hand("settle", SETTLED | {"state": "overtaken", "deploy_id": "cldeploy"})
    with pytest.raises(AirflowSkipException, match="overtaken"):
        run.execute("verify")


def test_without_the_key_nothing_is_asked(stage: Stage) -> None:
    run = start(stage)
    assert run.states["verify"] == "skipped"  # by the claim: no task begins to find nothing to do
    with pytest.raises(AirflowSkipException, match="the policy wants nothing verified here"):
        run.execute("verify")
    assert stage.memory.verification(BRANCH).read() is None


def test_what_sleeps_is_not_asked(stage: Stage) -> None:
    ask_for(stage)
    run = start(stage)
    deployment = run.xcoms["deploy"]["return_value"]["deployment_id"]
    stage.ask_astro("POST", f"deployments/{deployment}/hibernation-override", {"isHibernating": True})
    with pytest.raises(AirflowSkipException, match="not verified: it hibernates"):
        run.execute("verify")
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert known.proof is Proof.UNKNOWN


@pytest.mark.parametrize(
    ("deploy_id", "proof"), [("cldeploy", Proof.FAILED), ("cldeploy", Proof.VERIFIED), ("clolder", Proof.UNKNOWN)]
)
def test_who_asks_what_sleeps_undoes_no_verdict_on_this_deploy(stage: Stage, deploy_id: str, proof: Proof) -> None:
    ask_for(stage)
    run = start(stage)
    deployment = run.xcoms["deploy"]["return_value"]["deployment_id"]
    stage.ask_astro("POST", f"deployments/{deployment}/hibernation-override", {"isHibernating": True})
    before = proof if proof is not Proof.UNKNOWN else Proof.FAILED
    stage.memory.verification(BRANCH).write(Verification(deploy_id, "c" * 40, before, datetime.now(UTC), "so it is"))
    with pytest.raises(AirflowSkipException, match="not verified: it hibernates"):
        run.execute("verify")
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    assert (known.deploy_id, known.proof) == ("cldeploy", proof)
    assert known.said == "so it is" or proof is Proof.UNKNOWN
    assert run.step("report") == f"deploy dev-x: done, {tell_standing(known)}"


def test_by_the_form_nothing_is_asked_while_older_code_runs_there(stage: Stage) -> None:
    deployment = stage.create_preview(BRANCH, stage.push(BRANCH))
    ask_for(stage)
    run = stage.start_form(branch=BRANCH, action="verify")
    run.step("claim")
    (newest, *older) = stage.list_deploys(deployment)
    with (
        stage.show_records(deployment, [newest | {"dagTarballVersion": "v9"}, *older]),
        pytest.raises(AirflowSkipException, match="not settled: the Deployment is to have DAGs"),
    ):
        run.execute("verify")


def test_a_commit_that_cannot_be_read_for_good_is_not_known_and_not_red(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(stage)
    monkeypatch.setattr(changed_dags, "FILES_MAX", 1)
    run = start(stage)
    with pytest.raises(AirflowSkipException, match="not verified: there are more than 1 files below dags/"):
        run.execute("verify")
    run.step("report")
    assert run.xcoms["report"]["return_value"].startswith("deploy dev-x: done, not verified: there are more than 1")


def test_a_trigger_takes_along_how_to_learn_what_is_told_nowhere_and_no_value(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_source(monkeypatch)
    map_environment(stage, MAPPING)
    ask_for(stage)
    trigger = park(start(stage)).trigger
    assert isinstance(trigger, DeployVerifiedTrigger)
    assert trigger.given is not None
    assert [each["key"] for each in trigger.given["mapped"]] == list(SECRET_KEYS)
    assert "c4nary" not in str(trigger.serialize())


def test_what_is_to_be_noted_stands_behind_the_verdict(stage: Stage) -> None:
    ask_for(stage)
    found = answer(start(stage), tell() | {"notes": ["its pools may be missing: HTTP 403"]})
    assert found["said"] == "verified; its pools may be missing: HTTP 403"


def test_by_the_form_what_runs_already_is_asked_about(stage: Stage) -> None:
    head = stage.push(BRANCH)
    deployment = stage.create_preview(BRANCH, head)
    ask_for(stage)
    run = stage.start_form(branch=BRANCH, action="verify")
    run.step("claim")
    assert run.states["settle"] == "skipped"
    deferred = park(run)
    (record, *_) = stage.list_deploys(deployment)
    assert deferred.kwargs == {"deploy_id": record["id"], "commit": head}
    found = run.resume("verify", deferred.method_name, **deferred.kwargs, event=tell())
    assert found["proof"] == "verified"


def test_a_muted_error_fails_nothing_until_it_is_another_one(stage: Stage) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    ask_for(stage)
    run = stage.start_form(branch=BRANCH, action="mute", file="dags/fresh.py", reason="it is known")
    run.step("claim")
    run.step("decide")
    assert answer(run, tell(BROKEN))["said"] == "verified, 1 import error muted"
    (mute,) = stage.memory.mutes(BRANCH).read()
    assert (mute.file, mute.reason, mute.person, mute.error) == ("fresh.py", "it is known", "mira", "i1")
    run.step("report")
    again = stage.start_form(branch=BRANCH, action="verify")
    again.step("claim")
    with pytest.raises(AirflowFailException, match="1 import error"):
        answer(again, tell({**BROKEN, "identity": "i2"}))
    assert stage.memory.mutes(BRANCH).read() == ()


def test_a_look_that_did_not_see_all_ends_no_mute(stage: Stage) -> None:
    ask_for(stage)
    mute = Mute("fresh.py", "known", "mira", datetime.now(UTC), "i1")
    stage.memory.mutes(BRANCH).write((mute,))
    answer(start(stage), tell(problem="no answer", state="unknown"))
    assert stage.memory.mutes(BRANCH).read() == (mute,)


@pytest.mark.parametrize(("action", "file"), [("mute", ""), ("verify", "a.py"), ("deploy", "a.py")])
def test_only_a_mute_names_a_file(stage: Stage, action: str, file: str) -> None:
    ask_for(stage)
    stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    run = stage.start_form(branch=BRANCH, action=action, file=file)
    run.play()
    assert "file: the action 'mute' needs the file" in str(run.xcoms)


def test_where_nothing_is_verified_a_form_cannot_ask_for_it(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    run = stage.start_form(branch=BRANCH, action="verify")
    run.play()
    assert "the policy has no previews.verify" in str(run.xcoms)
    assert "failed" in run.states.values()


def test_the_next_pass_shows_the_verdict_and_deploys_nothing_anew(stage: Stage) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    ask_for(stage)
    run = stage.start_form(branch=BRANCH, action="verify")
    run.step("claim")
    with pytest.raises(AirflowFailException):
        answer(run, tell(BROKEN))
    run.play()
    assert stage.plan() == []
    row = stage.memory.read_rows()[BRANCH]
    assert row.verification == stage.memory.verification(BRANCH).read()
    assert (row.state, row.awaits_proof) == (State.LIVE, True)
    assert [need.what for need in row.needs] == ["verify"]
    later = stage.push_more(BRANCH, {"dags/fresh.py": "# mended\n"})
    assert [each.conf["job"]["head"] for each in stage.plan()] == [later]
