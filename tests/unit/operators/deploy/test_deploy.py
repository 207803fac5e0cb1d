"""The deploy step: exactly the job's commit, once, to nobody else's Deployment, and no exit code believed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.preview import make_preview_dag
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import ChangeType, DeploymentStatus, Variable
from include.deploy_ops.core.naming import parse_note
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Checkout
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.operators.deploy.deploy import find_ignore_syntax
from include.deploy_ops.run.job import Job
from include.deploy_ops.triggers import settled
from tests.worlds.stages.stage import WRITES
from tests.worlds.values.examples import make_deployment

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
DAG = {"dags/more.py": "# more\n"}


def start(stage: Stage, head: str, deployment_id: str, kind: str = "dags") -> Run:
    """Return a planned deploy whose change type is decided, on top of what is deployed now."""
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment_id)
    observed = next((each["id"] for each in stage.list_deploys(deployment_id)), "")
    run.decide(ChangeType(kind), head, observed)
    return run


def start_dags(stage: Stage) -> Run:
    """Return a planned deploy of DAGs to an empty Deployment."""
    head = stage.push(BRANCH)
    return start(stage, head, stage.make_deployment(BRANCH))


def list_writes(stage: Stage) -> list[str]:
    return stage.list_requests("astro", WRITES)


def test_an_image_is_copied_by_our_engine_and_holds_the_commits_files(stage: Stage, log: Log) -> None:
    head = stage.push(BRANCH, {"requirements.txt": "# more\n", "dags/new.py": "# new\n"})
    deployment_id = stage.create_preview(BRANCH, head)
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    (record,) = stage.list_deploys(deployment_id)
    assert (record["type"], record["status"]) == ("IMAGE_AND_DAG", "DEPLOYED")
    assert f"copied {stage.sandbox.host}/acme/data-platform:{head}" in log.read()


def test_a_dag_deploy_sends_the_dags_alone(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    head = stage.push_more(BRANCH, DAG)
    stage.forget_requests()
    (run,) = stage.plan()
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    assert [each["type"] for each in stage.list_deploys(deployment_id)] == ["DAG_ONLY", "IMAGE_AND_DAG"]
    assert stage.list_requests("registry") == []


def test_the_record_says_what_was_deployed_why_and_by_which_run(stage: Stage) -> None:
    run = start_dags(stage)
    ask = run.step("deploy")
    (record,) = stage.list_deploys(ask["deployment_id"])
    note = parse_note(record["description"])
    assert note is not None
    job = run.conf["job"]
    assert (note.ref, note.commit, note.head, note.run_id, note.attempt, note.is_forced) == (
        BRANCH,
        job["head"],
        job["head"],
        run.run_id,
        1,
        False,
    )
    assert ask["needle"] in record["description"]
    assert ask["kind"] == "dags"
    assert ask["said"].startswith("Successfully uploaded DAGs")


def test_a_head_that_moved_is_left_to_the_next_pass(stage: Stage) -> None:
    run = start_dags(stage)
    old, new = run.conf["job"]["head"], stage.push_more(BRANCH, DAG)
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match=f"superseded: dev-x moved from {old[:12]} to {new[:12]}"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_a_forced_deploy_stays_with_its_commit(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    head = stage.push(BRANCH)
    run = stage.start_form(branch=BRANCH, deploy_type="dags", reason="hotfix [now]")
    run.step("claim")
    run.step("change_type")
    stage.push_more(BRANCH, DAG)
    run.step("deploy")
    (record,) = stage.list_deploys(deployment_id)
    note = parse_note(record["description"])
    assert note is not None
    assert (note.commit, note.is_forced, note.person) == (head, True, "mira")
    assert "override by mira: hotfix (now)" in record["description"]  # the image that it needs too was left out


def test_a_merged_branch_is_not_deployed(stage: Stage) -> None:
    run = start_dags(stage)
    number = stage.merge(BRANCH)
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match=f"pull request #{number} was merged into staging"):
        run.step("deploy")
    assert list_writes(stage) == []


@pytest.mark.parametrize("changes", [{}, {"control_plane": "other"}, {"project": "other"}, {"branch": "dev-other"}])
def test_without_our_mark_nothing_is_deployed(stage: Stage, changes: dict[str, str]) -> None:
    run = start_dags(stage)
    description = stage.write_mark(BRANCH, **changes) if changes else "taken over by hand"
    stage.edit_deployment(run.conf["job"]["deployment_id"], description=description)
    stage.forget_requests()
    with pytest.raises(RetryableError, match="lacks our mark for dev-x; it is never touched"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_a_target_is_never_a_preview(stage: Stage) -> None:
    run = start_dags(stage)
    stage.edit_deployment(run.conf["job"]["deployment_id"], name="Production")
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match="'Production' is a target of the policy"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_a_deployment_that_is_gone_is_superseded(stage: Stage) -> None:
    run = start_dags(stage)
    stage.ask_astro("DELETE", f"deployments/{run.conf['job']['deployment_id']}")
    with pytest.raises(AirflowSkipException, match=r"superseded: Deployment .* of dev-x is gone"):
        run.step("deploy")


def test_exit_0_without_a_deploy_is_an_error_and_the_retry_deploys(stage: Stage) -> None:
    run = start_dags(stage)
    deployment_id = run.conf["job"]["deployment_id"]
    stage.sandbox.plant(cli="deploy", exit_0_without_deploying=True)
    with pytest.raises(RetryableError, match=r"astro deploy.* ended without saying that it succeeded"):
        run.step("deploy")
    assert stage.list_deploys(deployment_id) == []
    assert not run.read_failure("deploy")["is_permanent"]
    assert " try=2 " in run.step("deploy")["needle"]
    assert len(stage.list_deploys(deployment_id)) == 1


def test_what_the_cli_said_is_told(stage: Stage) -> None:
    run = start_dags(stage)
    stage.sandbox.plant(cli="deploy", exit=1, stderr="Error: the moon is in the way")
    with pytest.raises(RetryableError, match=r"(?s)failed with exit code 1.*the moon is in the way"):
        run.step("deploy")
    assert "the moon is in the way" in run.read_failure("deploy")["cause"]


def test_a_retry_after_a_done_try_deploys_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "BRIEF_S", 60.0)  # however busy the machine is
    run = start_dags(stage)
    first = run.step("deploy")
    stage.forget_requests()
    second = run.step("deploy")
    assert list_writes(stage) == []
    assert (second["needle"], second["said"]) == (first["needle"], "deployed by an earlier try of this run")
    assert run.execute("settle")["state"] == "settled", "it is live at the first look, and parks nowhere"


@pytest.mark.parametrize("lacks", [{"dagTarballVersion": ""}, {"type": "IMAGE_ONLY"}])
def test_a_try_that_brought_no_dags_is_not_done_and_the_next_one_deploys(stage: Stage, lacks: dict[str, str]) -> None:
    run = start_dags(stage)
    first = run.step("deploy")
    (record,) = stage.list_deploys(first["deployment_id"])
    body = {"deploys": [record | lacks], "totalCount": 1, "limit": 1000, "offset": 0}
    path = rf".*/deployments/{first['deployment_id']}/deploys.*"
    stage.sandbox.plant(face="astro", method="GET", path=path, status=200, body=body, times=None)
    second = run.step("deploy")
    assert second["needle"] != first["needle"]
    assert stage.sandbox.client.delete("/sandbox/faults").is_success
    assert len(stage.list_deploys(first["deployment_id"])) == 2
    assert run.step("settle")["state"] == "settled"


def test_another_runs_deploy_of_the_commit_is_not_this_runs(stage: Stage) -> None:
    run = start_dags(stage)
    run.play()
    job = run.conf["job"]
    start(stage, job["head"], job["deployment_id"]).step("deploy")
    assert len(stage.list_deploys(job["deployment_id"])) == 2


def test_a_decision_on_top_of_another_deploy_is_made_anew(stage: Stage) -> None:
    run = start_dags(stage)
    job = run.conf["job"]
    stage.airflow.states[run.run_id] = "failed"
    start(stage, job["head"], job["deployment_id"]).step("deploy")  # by another run; then this one is cleared
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match=r"superseded: decided for .* on top of deploy none, now it is"):
        run.step("deploy")
    assert list_writes(stage) == []


@pytest.mark.parametrize("task", ["change_type", "image"])
def test_what_was_decided_for_another_commit_deploys_nothing(stage: Stage, task: str) -> None:
    run = start(stage, stage.push(BRANCH), stage.make_deployment(BRANCH), "image-and-dags")
    run.step("image")
    run.rehand(task, commit="1" * 40)
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="the next pass decides anew, or clear 'change_type'"):
        run.step("deploy")
    assert list_writes(stage) == []


@pytest.mark.parametrize("text", ["deploy:\n  git_metadata: false\n", "nonsense: [", "container: {binary: ./evil}\n"])
def test_a_branch_turns_no_setting_of_the_cli(stage: Stage, text: str) -> None:
    head = stage.push(BRANCH, {".astro/config.yaml": text})
    deployment_id = stage.make_deployment(BRANCH)
    run = start(stage, head, deployment_id)
    run.step("deploy")
    assert stage.list_deploys(deployment_id)[0]["git"]["commitSha"] == head


TYPO = {"dags/more.py": "load = (\n"}


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 9\n"


@pytest.mark.parametrize("kind", ["dags", "image-and-dags"])
def test_a_commit_that_does_not_hold_its_files_deploys_nothing(stage: Stage, kind: str) -> None:
    head = stage.push(BRANCH, {"dags/model.bin": POINTER})
    run = start(stage, head, stage.make_deployment(BRANCH), kind)
    if kind != "dags":
        run.step("image")
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"dags/model\.bin is a pointer of Git LFS.*`checkout\.lfs: true`"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_what_the_policy_takes_as_committed_is_deployed(stage: Stage) -> None:
    stage.change_project(checkout=Checkout(filters=("nbstripout",)))
    head = stage.push(BRANCH, {"dags/n.ipynb": "{}\n", ".gitattributes": "*.ipynb filter=nbstripout\n"})
    deployment_id = stage.make_deployment(BRANCH)
    start(stage, head, deployment_id).step("deploy")
    assert stage.list_files(deployment_id)["dags/n.ipynb"] == stage.author.hash_files(head)["dags/n.ipynb"]


@pytest.mark.parametrize("kind", ["dags", "image-and-dags"])
def test_dags_of_yaml_alone_are_deployed_without_an_image_and_refused_beside_one(stage: Stage, kind: str) -> None:
    stage.author.start_branch(BRANCH, "origin/main")
    stage.author.git("rm", "--quiet", "-r", "dags")
    head = stage.push_more(BRANCH, {"dags/factory.yaml": "a: 1\n"})
    run = start(stage, head, stage.make_deployment(BRANCH), kind)
    stage.forget_requests()
    if kind == "dags":
        assert list(stage.list_files(run.step("deploy")["deployment_id"])) == ["dags/factory.yaml"]
        return
    run.step("image")
    with pytest.raises(AirflowFailException, match="without one the Astro CLI sends no DAGs beside an image"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_a_typo_fails_the_run_with_its_place_and_the_last_good_dags_go_on(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH, {"dags/more.py": "x = 1\n"}))
    good = stage.list_files(deployment_id)
    stage.push_more(BRANCH, TYPO)
    stage.forget_requests()
    (run,) = stage.plan()
    assert run.play()["deploy"] == "failed"
    trees = [asked for asked in stage.list_requests("github") if "/git/trees/" in asked]
    assert len(trees) == len(set(trees)), "what the change type read is not read again"
    failure = run.read_failure("deploy")
    assert failure["is_permanent"]
    assert failure["cause"].startswith("dags/more.py:2:8: '(' was never closed;\ncorrect it on the branch")
    assert list_writes(stage) == []
    assert stage.list_files(deployment_id) == good
    assert stage.plan() == []  # held, until something moves
    head = stage.push_more(BRANCH, {"dags/more.py": ")\n"})
    (run,) = stage.plan()
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)


def test_a_typo_in_a_branchs_first_push_is_never_live(stage: Stage) -> None:
    stage.push(BRANCH, TYPO)
    (run,) = stage.plan()
    assert run.play()["deploy"] == "failed"
    assert run.read_failure("deploy")["cause"].startswith("dags/more.py:1:8: '(' was never closed")
    assert stage.list_deploys(stage.find_deployment(BRANCH)["id"]) == []


def test_an_old_typo_does_not_hold_up_another_file(stage: Stage, log: Log) -> None:
    stage.push("main", TYPO)
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    assert "was never closed" not in log.read()  # it is trunk's, and everybody's
    head = stage.push_more(BRANCH, {"dags/other.py": "x = 1\n"})
    (run,) = stage.plan()
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)


def test_a_typo_beside_a_new_image_is_refused_as_well(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    stage.push_more(BRANCH, {**TYPO, "requirements.txt": "# more\n"})
    stage.forget_requests()
    (run,) = stage.plan()
    run.play()
    assert run.read_failure("deploy")["is_permanent"]
    assert [each["type"] for each in stage.list_deploys(deployment_id)] == ["IMAGE_AND_DAG"]


def test_a_base_that_is_gone_means_that_every_file_is_checked(stage: Stage) -> None:
    run = start(stage, stage.push(BRANCH, TYPO), stage.make_deployment(BRANCH))
    run.rehand("change_type", dags_base="1" * 40)
    with pytest.raises(AirflowFailException, match=r"dags/more.py:1:8: '\(' was never closed"):
        run.step("deploy")


def test_a_forced_dag_deploy_without_a_base_is_checked(stage: Stage) -> None:
    run = start(stage, stage.push(BRANCH, TYPO), stage.make_deployment(BRANCH))
    with pytest.raises(AirflowFailException, match=r"dags/more.py:1:8: '\(' was never closed"):
        run.step("deploy")


@pytest.mark.parametrize(
    ("runtime", "setting", "expected"),
    [
        ("3.3-2", None, "glob"),
        ("13.1.0", None, "regexp"),
        ("3.3-2", "regexp", "regexp"),
        ("13.1.0", "glob", "glob"),
        ("3.3-2", "nonsense", "glob"),
    ],
)
def test_how_the_deployment_reads_airflowignore(runtime: str, setting: str | None, expected: str) -> None:
    variables = (Variable("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", is_secret=False, value=setting),) if setting else ()
    deployment = make_deployment(BRANCH, runtime_version=runtime, variables=variables)
    assert find_ignore_syntax(deployment) == expected


def test_an_image_that_moved_while_it_was_copied_is_tried_again(stage: Stage) -> None:
    head = stage.push(BRANCH)
    run = start(stage, head, stage.make_deployment(BRANCH), "image-and-dags")
    run.step("image")
    run.rehand("image", digest=f"sha256:{'0' * 64}")
    with pytest.raises(RetryableError, match=f"{head} moved since it was found; the next attempt takes what is there"):
        run.step("deploy")
    assert all(each["status"] != "DEPLOYED" for each in stage.list_deploys(run.conf["job"]["deployment_id"]))


def test_a_refused_push_is_told_in_the_engines_words(stage: Stage) -> None:
    run = start(stage, stage.push(BRANCH), stage.make_deployment(BRANCH), "image-and-dags")
    run.step("image")
    stage.sandbox.plant(face="registry", method="POST", path="/v2/astro/.*/blobs/uploads", status=403, times=None)
    with pytest.raises(RetryableError, match="The registry refused to let us push"):
        run.step("deploy")
    assert all(each["status"] != "DEPLOYED" for each in stage.list_deploys(run.conf["job"]["deployment_id"]))


@pytest.mark.parametrize(
    ("looks", "is_woken"),
    [
        ({"status": DeploymentStatus.HIBERNATING}, True),
        ({"override": "hibernate"}, True),  # it falls asleep: Astro still calls it healthy
        ({"override": "wake@2026-12-01T00:00:00Z"}, False),
        ({}, False),
    ],
)
def test_what_hibernates_or_is_about_to_is_woken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, looks: dict[str, Any], *, is_woken: bool
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(AstroCli, "wake_up", lambda _self, deployment_id, _for: woken.append(deployment_id))
    task: Any = make_preview_dag(stage.scope).task_dict["deploy"]
    deployment = make_deployment(BRANCH, **looks)
    job = Job(Verb.DEPLOY, BRANCH, "1" * 40, deployment.name, deployment.id, "a push", wake=True)
    task._rouse(job, deployment)
    assert woken == [deployment.id] * is_woken
    task._rouse(replace(job, wake=False), deployment)
    assert woken == [deployment.id] * is_woken


@pytest.mark.parametrize(
    ("wake", "is_asleep", "woke"), [(False, False, True), (True, True, True), (False, True, False)]
)
def test_a_deploy_is_settled_asleep_only_where_a_person_left_it_so(
    stage: Stage, *, wake: bool, is_asleep: bool, woke: bool
) -> None:
    run = start_dags(stage)
    deployment_id = run.conf["job"]["deployment_id"]
    run.hand("claim", {**run.conf["job"], "wake": wake})
    if is_asleep:
        override = {"isHibernating": True, "isActive": True}
        stage.ask_astro("POST", f"deployments/{deployment_id}/hibernation-override", override)
    assert run.step("deploy")["woke"] is woke
