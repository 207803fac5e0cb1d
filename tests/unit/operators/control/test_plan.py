"""The plan step: one pass after the other against the sandbox, with the runs it starts played or left in flight."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.api.datamodels._generated import AssetReferenceAssetEventDagRun
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.plan.remembered import BegunDelete
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook, PullListing
from include.deploy_ops.observation.circumstances import IDLE_AT_FIRST
from include.deploy_ops.operators.control.pace import REST_KEY
from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.run.memory import Claim
from include.deploy_ops.run.store import hash_name
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, CURSOR_KEY, WAKE_AT_KEY
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from include.deploy_ops.run.scope import Scope
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
DAG = {"dags/more.py": "# more\n"}
FAILING_CLI = {"cli": "create", "exit": 1, "stderr": "Error: the moon is in the way"}


def read_plan(stage: Stage) -> str:
    """Return the rendered plan of a pass that starts nothing."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(str(task.plan))


def play(runs: list[Run]) -> None:
    """Play the runs; none of them fails."""
    for run in runs:
        assert "failed" not in run.play().values(), run.xcoms


def let_time_pass(stage: Stage, slug: str, minutes: float) -> None:
    """Make the environment's endings that much older."""
    known = stage.memory.environment(slug).read()
    past = timedelta(minutes=minutes)
    endings = {verb: replace(ending, ended_at=ending.ended_at - past) for verb, ending in known.endings.items()}
    stage.memory.environment(slug).write(replace(known, endings=endings))


def copy_memory(stage: Stage) -> dict[str, Any]:
    """Return all that is remembered, as it is now, but for when a pass began and when the next one comes."""
    every = {key: value for store in stage.stores.values() for key, value in store.values.items()}
    return copy.deepcopy(
        {key: value for key, value in every.items() if key not in {WAKE_AT_KEY, BEGUN_AT_KEY, REST_KEY}}
    )


def make_event(scope: Scope, payload: Any) -> Any:
    """Return what a task sees of the repository trigger's event."""
    repository = scope.repository
    event = AssetEventDagRunReferenceResult(
        asset=AssetReferenceAssetEventDagRun(name=repository.name, uri=repository.uri, extra={}),
        extra={"from_trigger": True, "payload": payload},
        source_task_id=None,
        source_dag_id=None,
        source_run_id=None,
        source_map_index=None,
        source_aliases=[],
        timestamp=datetime.now(UTC),
        partition_key=None,
    )
    return TriggeringAssetEventsAccessor.build([event])


def test_a_pass_returns_what_dispatch_needs_and_has_claimed_it(stage: Stage) -> None:
    head = stage.push(BRANCH)
    task = stage.make_plan_task()
    (found,) = stage.run_plan(task)
    assert found.keys() == {"trigger_dag_id", "trigger_run_id", "conf"}
    assert found["trigger_dag_id"] == "shop.preview"
    assert found["trigger_run_id"].startswith(f"dev-x~create~{head[:12]}~")
    assert found["trigger_run_id"].endswith("~1")
    claim = stage.memory.claim(BRANCH, PLANNED).read()
    assert claim is not None
    assert claim.run_id == found["trigger_run_id"]
    assert (
        f"| start | dev-x | create at {head}, the head of branch dev-x | the branch has no Deployment |"
        in fold_page(task.plan)
    )


def test_a_branchs_name_is_data_all_the_way(stage: Stage) -> None:
    name = "dev-{{conn.astro_default.password}}|x"
    stage.push(name)
    task = stage.make_plan_task()
    (found,) = stage.run_plan(task)
    assert found["conf"]["job"]["branch"] == name
    assert "{" not in found["trigger_run_id"]
    assert f"| start | {name} | create at" in fold_page(task.plan)
    assert stage.start(found["conf"], found["trigger_run_id"]).step("claim")["branch"] == name


def test_a_life_from_create_to_delete(stage: Stage) -> None:
    first = stage.push(BRANCH)
    play(stage.plan())
    second = stage.push_more(BRANCH, DAG)
    (deploy,) = stage.plan()
    assert (deploy.conf["job"]["verb"], deploy.conf["job"]["reason"]) == ("deploy", f"in place of {first[:12]}")
    play([deploy])
    assert stage.list_files(stage.find_deployment(BRANCH)["id"]) == stage.author.hash_files(second)
    assert stage.plan() == []
    number = stage.merge(BRANCH)
    (delete,) = stage.plan()
    assert delete.conf["job"]["reason"] == f"pull request #{number} was merged into staging"
    play([delete])
    assert stage.list_deployments() == []
    assert stage.plan() == []


def test_a_force_push_back_to_what_was_deployed_before_is_deployed_again(stage: Stage) -> None:
    first = stage.push(BRANCH)
    play(stage.plan())
    stage.push_more(BRANCH, DAG)
    play(stage.plan())
    stage.author.git("reset", "--quiet", "--hard", first)
    stage.author.push(BRANCH, force=True)
    (run,) = stage.plan()
    assert run.conf["job"]["head"] == first
    play([run])
    assert stage.list_files(stage.find_deployment(BRANCH)["id"]) == stage.author.hash_files(first)


def test_branches_that_were_old_at_the_first_pass_wait_for_a_push(stage: Stage) -> None:
    stage.change_project(previews={"delete_after": timedelta(microseconds=1)})  # any head is older than that
    stage.push("dev-old")
    said = read_plan(stage)
    assert f"| hold | dev-old | create | {IDLE_AT_FIRST}, until the branch moves or someone forces it |" in said
    stage.push("dev-new")
    assert [run.conf["job"]["branch"] for run in stage.plan()] == ["dev-new"]
    head = stage.push("dev-old", DAG)
    assert [run.conf["job"]["head"] for run in stage.plan()] == [head]


def test_the_first_pass_after_an_older_release_brings_together_what_that_spread(stage: Stage) -> None:
    stage.change_project(previews={"delete_after": timedelta(microseconds=1)})
    stage.push("dev-old")
    held = f"| hold | dev-old | create | {IDLE_AT_FIRST}, until the branch moves or someone forces it |"
    assert held in read_plan(stage)
    store = stage.stores[stage.scope.fleet.name]
    for new, older in (("old_branches", "backlog"), ("commit_times", "commits"), ("commit_authors", "authors")):
        values = store.values.pop(f"control.{new}")["value"]
        assert values
        store.values |= {f"control.{older}.{hash_name(key)[0]}": {key: value} for key, value in values.items()}
    for key in [key for key in store.values if key.startswith(("control.past", "control.continuity"))]:
        del store.values[key]  # such a release noted neither
    assert held in read_plan(stage)
    assert not [key for key in store.values if key.startswith(("control.commits.", "control.authors."))]
    (left,) = [key for key in store.values if key.startswith("control.backlog.")]
    assert store.values["control.old_branches"]["value"] == store.values[left], "an older release would need it"


def test_branches_that_were_young_at_the_first_pass_get_theirs(stage: Stage) -> None:
    stage.push(BRANCH)
    assert len(stage.plan()) == 1


def test_a_steady_pass_reads_one_deployments_records(stage: Stage) -> None:
    stage.push(BRANCH)
    play(stage.plan())
    stage.plan()  # sees what the run changed
    stage.forget_requests()
    assert stage.plan() == []
    asked = stage.list_requests("astro")
    assert len(asked) == 2
    assert "/deployments?" in asked[0]
    assert "/deploys?" in asked[1]
    assert [line for line in stage.list_requests("github") if "commits" in line and "git/commits" not in line] == []


def test_a_strangers_deploy_is_read_and_holds_until_the_branch_moves(stage: Stage) -> None:
    stage.push(BRANCH)
    play(stage.plan())
    stage.plan()
    deployment_id = stage.find_deployment(BRANCH)["id"]
    newest = stage.list_deploys(deployment_id)[0]["id"]
    stage.ask_astro("POST", f"deployments/{deployment_id}/deploys/{newest}/rollback", {"description": "back"})
    assert ", by a rollback to" in read_plan(stage)
    head = stage.push_more(BRANCH, DAG)
    assert [run.conf["job"]["head"] for run in stage.plan()] == [head]


def test_work_in_flight_is_not_started_twice(stage: Stage) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    assert f"| hold | dev-x | create | in flight: {run.run_id} |" in read_plan(stage)
    stage.push_more(BRANCH, DAG)  # other work, the same environment
    assert f"in flight: {run.run_id}" in read_plan(stage)


def test_a_persons_run_keeps_control_away(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.airflow.states["manual__1"] = "running"
    stage.memory.claim(BRANCH, MANUAL).write(Claim("manual__1", datetime.now(UTC)))
    assert "in flight: manual__1" in read_plan(stage)
    stage.airflow.states["manual__1"] = "success"
    assert len(stage.plan()) == 1


def test_failing_work_comes_again_with_the_next_attempt(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.sandbox.plant(**FAILING_CLI)
    (first,) = stage.plan()
    assert first.play()["create"] == "failed"
    before = datetime.now(UTC)
    said = read_plan(stage)
    assert "| hold | dev-x | create | " in said
    assert "the moon is in the way" in said
    assert "attempt 2 at " in said
    wake_at = datetime.fromisoformat(stage.cursor_store.get(WAKE_AT_KEY)["value"])
    assert timedelta(seconds=30) < wake_at - before <= timedelta(seconds=60)
    let_time_pass(stage, BRANCH, 1)
    (second,) = stage.plan()
    assert second.run_id == f"{first.run_id.removesuffix('~1')}~2"
    play([second])


def test_failing_work_goes_on_with_its_attempts_after_airflow_forgot_their_runs(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.sandbox.plant(**FAILING_CLI)
    (first,) = stage.plan()
    assert first.play()["create"] == "failed"
    del stage.airflow.states[first.run_id]
    let_time_pass(stage, BRANCH, 1)
    (second,) = stage.plan()
    assert second.run_id == f"{first.run_id.removesuffix('~1')}~2"


def test_a_run_that_was_claimed_and_never_started_is_planned_under_its_id(stage: Stage) -> None:
    stage.push(BRANCH)
    (lost,) = stage.run_plan(stage.make_plan_task())
    (run,) = stage.plan()
    assert run.run_id == lost["trigger_run_id"]


def test_what_failed_for_good_waits_for_a_change(stage: Stage) -> None:
    stage.author.start_branch(BRANCH, "origin/main")
    (stage.author.folder / "dags" / "out").symlink_to("/etc/passwd")
    head = stage.push_more(BRANCH, DAG)
    (run,) = stage.plan()
    assert run.play()["deploy"] == "failed"
    stage.plan()[0].play()  # there is a Deployment now: other work, which fails alike
    let_time_pass(stage, BRANCH, 600)
    said = read_plan(stage)
    assert "| hold | dev-x | deploy | dags/out is a link to '/etc/passwd', which is not below dags/" in said
    assert "push a fix, clear the failed run, or force it" in said
    stage.author.git("reset", "--quiet", "--hard", "HEAD~1")
    assert stage.push_more(BRANCH, DAG) != head
    play(stage.plan())


def test_a_run_that_ended_without_its_report_counts_as_failed(stage: Stage) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    stage.airflow.states[run.run_id] = "failed"
    assert "its run ended without a report; attempt 2 at " in read_plan(stage)


def test_a_paused_dag_freezes_previews(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.airflow.paused.add("shop.preview")
    assert "| hold | dev-x | create | paused: DAG shop.preview is paused |" in read_plan(stage)
    assert stage.memory.claim(BRANCH, PLANNED).read() is None
    stage.airflow.paused.clear()
    assert len(stage.plan()) == 1


def test_the_brake_holds_deletes_and_nothing_else(stage: Stage) -> None:
    for name in ("dev-a", "dev-b", "dev-c"):
        stage.make_deployment(name)
    stage.push(BRANCH)
    runs = stage.plan()
    assert [(run.conf["job"]["verb"], run.conf["job"]["branch"]) for run in runs] == [
        ("delete", "dev-a"),
        ("delete", "dev-b"),
        ("create", BRANCH),
    ]
    play(runs)
    assert len(stage.memory.begun_deletes.read()) == 2
    said = read_plan(stage)
    assert "| hold | dev-c | delete | the brake: 2 deletes in the last hour" in said
    hour_ago = datetime.now(UTC) - timedelta(minutes=61)
    stage.memory.begun_deletes.write((BegunDelete(hour_ago, "a"), BegunDelete(hour_ago, "b")))
    play(stage.plan())
    assert [each["name"] for each in stage.list_deployments()] == ["shop-dev-x"]


def test_max_live_prefers_the_newest_head(stage: Stage) -> None:
    stage.change_project(previews={"max_live": 1})
    stage.plan()  # the first pass ever: what comes now is no backlog
    stage.author.start_branch("dev-aged", "origin/main~1")  # a commit of the seed
    stage.author.push("dev-aged")
    stage.push("dev-young")
    task = stage.make_plan_task()
    (found,) = stage.run_plan(task)
    assert found["conf"]["job"]["branch"] == "dev-young"
    assert "| hold | dev-aged | create | max_live 1 previews are live" in fold_page(task.plan)


def test_a_template_that_cannot_be_used_holds_creates_and_lets_deletes_go(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.make_deployment("dev-gone")
    stage.change_project(previews={"template": "deployments/none.yaml"})
    task = stage.make_plan_task()
    (found,) = stage.run_plan(task)
    assert (found["conf"]["job"]["verb"], found["conf"]["job"]["branch"]) == ("delete", "dev-gone")
    assert "| hold | dev-x | create | acme/data-platform/deployments/none.yaml on main: there is no such" in fold_page(
        task.plan
    )


def test_a_branch_whose_merge_the_passes_never_saw_gets_no_preview(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.plan()
    stage.push(BRANCH)
    number = stage.merge(BRANCH)
    monkeypatch.setattr(DeployOpsGithubHook, "list_pull_requests", lambda *_: PullListing((), has_more=True))
    said = f"create | pull request #{number} was merged into staging, at this head |"
    assert said in read_plan(stage)
    stage.forget_requests()
    assert f"No preview, until the branch moves or someone forces it (1):\n- {BRANCH}" in read_plan(stage), (
        "it is remembered"
    )
    assert not [each for each in stage.list_requests("github") if "/git/ref/heads/dev-x" in each]
    stage.change_project(previews={"max_live": 1})
    stage.push("dev-y", base="origin/main~1")
    assert [run.conf["job"]["branch"] for run in stage.plan()] == ["dev-y"]


def test_the_triggers_cursor_is_saved(stage: Stage) -> None:
    cursor = {"etags": {"a": "b"}}
    stage.plan(triggering_asset_events=make_event(stage.scope, {"reason": "changed", CURSOR_KEY: cursor}))
    assert stage.cursor_store.get(CURSOR_KEY) == wrap_value(cursor)
    stage.plan(triggering_asset_events=TriggeringAssetEventsAccessor.build([]))
    assert stage.cursor_store.get(CURSOR_KEY) == wrap_value(cursor)


HTML = {"status": 200, "body": "<html>maintenance</html>", "content_type": "text/html"}
BROKEN: list[dict[str, Any]] = [
    {"status": 500},
    HTML,
    {"truncate": 1},
    {"truncate": 40},
    {"drop": True},
    {"status": 200, "body": {}},
]


LISTINGS = [("github", "/git/matching-refs/"), ("github", r"/pulls\?"), ("astro", r"/deployments\?")]


@pytest.mark.parametrize(("face", "path"), LISTINGS)
def test_a_failed_observation_concludes_nothing(stage: Stage, face: str, path: str) -> None:
    stage.make_deployment("dev-gone")
    stage.push(BRANCH)
    stage.author.open_pull_request(BRANCH, "staging", "A page that is not empty")
    assert len(stage.plan()) == 2
    stage.airflow.states.clear()  # Airflow's runs are purged, so both would be planned again
    before = copy_memory(stage)
    for fault in BROKEN:
        stage.sandbox.plant(face=face, path=path, times=None, **fault)
        with pytest.raises(ObservationError):
            stage.run_plan(stage.make_plan_task())
        assert copy_memory(stage) == before, fault
        assert stage.sandbox.client.delete("/sandbox/faults").is_success
    assert len(stage.plan()) == 2


def test_an_observation_without_trunk_concludes_nothing(stage: Stage) -> None:
    stage.make_deployment("dev-gone")
    refs = [
        {
            "ref": "refs/heads/other",
            "node_id": "x",
            "url": "u",
            "object": {"sha": "1" * 40, "type": "commit", "url": "u"},
        }
    ]
    stage.sandbox.plant(face="github", path="/git/matching-refs/", status=200, body=refs, times=None)
    with pytest.raises(ObservationError, match="lacks trunk 'main'"):
        stage.run_plan(stage.make_plan_task())
    assert stage.memory.claim("dev-gone", PLANNED).read() is None


def test_an_asset_event_of_another_asset_is_not_ours(stage: Stage) -> None:
    events = {stage.scope.fleet: [SimpleNamespace(extra={"payload": {CURSOR_KEY: {"a": 1}}})]}
    stage.plan(triggering_asset_events=events)
    assert stage.cursor_store.get(CURSOR_KEY) is None
