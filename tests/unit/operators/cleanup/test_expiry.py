"""Idle previews on the sandbox: they hibernate, wake on a push, are told and go, unless somebody moves before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.cleanup.verdict import Standing
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.naming import name_run
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity
from include.deploy_ops.core.plan.remembered import Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.row import State
from include.deploy_ops.observation.pulls import merge_pulls
from include.deploy_ops.run.store import shard_row
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.doubles.fuse import AFTER_CLI, Fuse, KilledError
from tests.worlds.stages.fleet import make_previews, push_branches, record_deploy
from tests.worlds.stages.idle import DELETE, HIBERNATE, NOTICE, clean_up, compare, let_notice_pass
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES
from tests.worlds.values.examples import make_pull, sha

if TYPE_CHECKING:
    from include.deploy_ops.core.cleanup.expiry import AgeLimits
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
DAG = {"dags/more.py": "# more\n"}
OVERRIDE = "hibernation-override"


@pytest.fixture
def idle(stage: Stage) -> Stage:
    """Give a stage with one preview that runs its head, and of which control knows."""
    assert stage.sandbox.client.post("/sandbox/settings", json={"waking_s": 0}).is_success
    make_previews(stage, {BRANCH: stage.push(BRANCH)})
    assert stage.plan() == []
    return stage


def read_plan(stage: Stage) -> str:
    """Return the rendered plan of a pass that starts nothing."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(str(task.plan))


def play_only(stage: Stage, verb: str) -> Run:
    """Make a pass that starts just this for the branch, and play its run, which does not fail."""
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == verb
    assert "failed" not in run.play().values(), run.xcoms
    return run


def wake(stage: Stage, branch: str, *, is_hibernating: bool = False) -> None:
    """Wake the preview by hand, or send it to sleep."""
    path = f"deployments/{stage.find_deployment(branch)['id']}/{OVERRIDE}"
    stage.ask_astro("POST", path, {"isHibernating": is_hibernating})


def test_it_hibernates_and_a_push_wakes_it_for_a_while_if_there_is_something_to_deploy(stage: Stage) -> None:
    assert stage.sandbox.client.post("/sandbox/settings", json={"waking_s": 0}).is_success
    stage.create_preview(BRANCH, stage.push(BRANCH))
    clean_up(stage, HIBERNATE)
    run = play_only(stage, "hibernate")
    assert stage.find_deployment(BRANCH)["status"] == "HIBERNATING"
    assert {task for task, state in run.states.items() if state == "success"} == {"claim", "hibernate", "report"}
    assert run.links["hibernate"].keys() == {"Deployment in Astro", "Its Airflow UI"}
    assert stage.plan() == []
    stage.push_more(BRANCH, {"docs/more.md": "# more\n"})
    assert play_only(stage, "deploy").states["deploy"] == "skipped"
    assert stage.find_deployment(BRANCH)["status"] == "HIBERNATING"
    head = stage.push_more(BRANCH, DAG)
    play_only(stage, "deploy")
    found = stage.find_deployment(BRANCH)
    assert found["status"] == "HEALTHY"
    assert found["scalingSpec"]["hibernationSpec"]["override"]["overrideUntil"]
    assert stage.list_files(found["id"])["dags/more.py"] == stage.author.hash_files(head)["dags/more.py"]
    assert stage.list_deploys(found["id"])[0]["type"] == "DAG_ONLY"
    assert stage.plan() == []  # the verdict of before is void


def test_it_is_told_then_deleted_and_stays_away_until_its_branch_moves(idle: Stage) -> None:
    verdict = clean_up(idle, DELETE)[BRANCH]
    told = f"{verdict.reason}; deleted at {verdict.due_at:%Y-%m-%d %H:%M} UTC; push, wake it, or keep it"
    assert f"| hold | {BRANCH} | delete | {told} |" in read_plan(idle)
    let_notice_pass(idle)
    play_only(idle, "delete")
    assert idle.list_deployments() == []
    assert idle.memory.environment(BRANCH).read().removal == Removal(verdict.head, verdict.reason)
    assert f"{verdict.reason}, until the branch moves or someone forces it" in read_plan(idle)
    # From then on nothing is read of it, and it is shown for a day with what ended it.
    assert f"No preview, until the branch moves or someone forces it (1):\n- {BRANCH}" in read_plan(idle)
    row = idle.memory.read_rows()[BRANCH]
    assert (row.state, row.why) == (State.REMOVED, verdict.reason)
    idle.push_more(BRANCH, DAG)
    (create,) = idle.plan()
    assert create.conf["job"]["verb"] == "create"


def test_it_hibernates_while_it_is_told_and_is_deleted_in_the_end(idle: Stage) -> None:
    idle.change_project(previews={"hibernate_after": timedelta(microseconds=1)})
    verdict = clean_up(idle, DELETE)[BRANCH]
    play_only(idle, "hibernate")
    assert idle.find_deployment(BRANCH)["status"] == "HIBERNATING"
    assert f"| hold | {BRANCH} | delete |" in read_plan(idle)
    assert clean_up(idle, DELETE) == {BRANCH: verdict}
    let_notice_pass(idle)
    play_only(idle, "delete")
    assert idle.list_deployments() == []


def test_the_label_of_its_pull_request_and_a_person_end_the_notice(idle: Stage) -> None:
    clean_up(idle, DELETE)
    let_notice_pass(idle)
    number = label(idle, BRANCH)
    assert BRANCH not in read_plan(idle)
    assert clean_up(idle, DELETE) == {}
    idle.author._api("DELETE", f"issues/{number}/labels/keep-preview")
    clean_up(idle, DELETE)
    assert BRANCH in read_plan(idle)
    let_notice_pass(idle)
    keep = idle.start_form(branch=BRANCH, action="keep", reason="the demo")
    assert keep.play()["decide"] == "success"
    assert BRANCH not in read_plan(idle)
    assert clean_up(idle, DELETE) == {}


def test_the_policy_says_which_label_keeps_a_preview(idle: Stage) -> None:
    idle.change_project(previews={"keep_label": "Stays"})
    limits = replace(DELETE, keep_label="Stays")
    clean_up(idle, limits)
    let_notice_pass(idle)
    number = label(idle, BRANCH)
    idle.author._api("POST", f"issues/{number}/labels", {"labels": ["stays"]})
    assert BRANCH not in read_plan(idle)
    assert clean_up(idle, limits) == {}
    idle.author._api("DELETE", f"issues/{number}/labels/stays")  # the usual one, which is left, says nothing here
    clean_up(idle, limits)
    assert BRANCH in read_plan(idle)


def test_who_wakes_it_ends_the_notice(idle: Stage) -> None:
    wake(idle, BRANCH, is_hibernating=True)
    assert idle.plan() == []
    verdict = clean_up(idle, DELETE)[BRANCH]
    let_notice_pass(idle)
    wake(idle, BRANCH)
    assert BRANCH not in read_plan(idle)  # also in the pass that sees it first
    assert BRANCH not in read_plan(idle)
    assert clean_up(idle, DELETE)[BRANCH].decided_at > verdict.decided_at  # idle anew, and told anew


def test_who_wakes_it_after_it_was_sent_to_sleep_keeps_it_awake(idle: Stage) -> None:
    clean_up(idle, HIBERNATE)
    play_only(idle, "hibernate")
    idle.ask_astro("DELETE", f"deployments/{idle.find_deployment(BRANCH)['id']}/{OVERRIDE}")  # before control looked
    assert BRANCH not in read_plan(idle)


def label(stage: Stage, branch: str) -> int:
    number = stage.author.open_pull_request(branch, "staging", "Keep it")
    stage.author._api("POST", f"issues/{number}/labels", {"labels": ["keep-preview"]})
    return number


def push(stage: Stage, branch: str) -> None:
    stage.push(branch, DAG)  # another content: within a second the same one is the same commit


def keep(stage: Stage, branch: str) -> None:
    known = stage.memory.environment(branch).read()
    stage.memory.environment(branch).write(replace(known, kept="by mira"))


def deploy(stage: Stage, branch: str) -> None:
    found = stage.find_deployment(branch)["id"]
    record_deploy(stage, found, branch, stage.memory.verdicts.read()[found].head)


def refuse(stage: Stage, branch: str) -> None:
    known = stage.memory.verdicts.read()
    key = stage.find_deployment(branch)["id"]
    stage.memory.verdicts.write({**known, key: replace(known[key], standing=Standing.REFUSED)})


ACTS: dict[str, tuple[Callable[[Stage, str], Any], str]] = {
    "dev-push": (push, "dev-push stays: the branch moved"),
    "dev-keep": (keep, "dev-keep stays: kept by mira"),
    "dev-label": (label, "dev-label stays: its pull request has the label 'keep-preview'"),
    "dev-wake": (wake, "dev-wake stays: it was woken by hand"),
    "dev-deploy": (deploy, "dev-deploy stays: the branch moved, something was deployed"),
    "dev-refuse": (refuse, "cleanup wants dev-refuse to delete no more"),
    "dev-gone": (lambda stage, branch: stage.author.delete(branch), "branch dev-gone is gone"),
}


def test_what_happens_right_before_the_delete_prevents_it(stage: Stage) -> None:
    stage.change_project(limits={"max_deletes": 99, "max_delete_fraction": 1.0})
    make_previews(stage, push_branches(stage, ACTS))
    assert stage.plan() == []
    clean_up(stage, DELETE)
    let_notice_pass(stage)
    runs = {run.conf["job"]["branch"]: run for run in stage.plan()}
    assert runs.keys() == ACTS.keys()
    for branch, (act, said) in ACTS.items():
        runs[branch].step("claim")
        act(stage, branch)
        with pytest.raises(AirflowSkipException, match=f"superseded: {said}"):
            runs[branch].step("delete")
        assert stage.memory.environment(branch).read().removal is None
    assert len(stage.list_deployments()) == len(ACTS)


def test_what_happens_right_before_it_hibernates_prevents_it(idle: Stage) -> None:
    clean_up(idle, HIBERNATE)
    (run,) = idle.plan()
    run.step("claim")
    push(idle, BRANCH)
    with pytest.raises(AirflowSkipException, match="superseded: dev-x stays"):
        run.step("hibernate")
    assert idle.find_deployment(BRANCH)["status"] == "HEALTHY"


def test_a_verdict_that_is_not_due_deletes_nothing(idle: Stage) -> None:
    clean_up(idle, DELETE)
    let_notice_pass(idle)
    (run,) = idle.plan()
    run.step("claim")
    idle.memory.verdicts.write({})
    clean_up(idle, DELETE)
    with pytest.raises(AirflowSkipException, match="was told that it has until"):
        run.step("delete")


def test_a_verdict_of_a_restored_database_deletes_nothing(idle: Stage) -> None:
    clean_up(idle, DELETE)
    let_notice_pass(idle)
    (run,) = idle.plan()
    run.step("claim")
    known = idle.memory.verdicts.read()
    idle.memory.verdicts.write({key: replace(each, due_at=each.due_at - 2 * NOTICE) for key, each in known.items()})
    with pytest.raises(AirflowSkipException, match="too long ago"):
        run.step("delete")
    idle.memory.write_rows(idle.memory.read_rows(), {})
    let_notice_pass(idle)
    wake(idle, BRANCH)
    with pytest.raises(AirflowSkipException, match="it was woken by hand"):
        run.step("delete")


def test_a_delete_that_fails_has_remembered_the_removal_and_comes_again(idle: Stage) -> None:
    verdict = clean_up(idle, DELETE)[BRANCH]
    let_notice_pass(idle)
    idle.sandbox.plant(cli="delete", exit=1, stderr="Error: the moon is in the way")
    (run,) = idle.plan()
    run.step("claim")
    with pytest.raises(RetryableError, match="the moon"):
        run.step("delete")
    assert idle.memory.environment(BRANCH).read().removal == Removal(verdict.head, verdict.reason)
    run.play()
    assert "; attempt " in read_plan(idle)
    head = idle.push_more(BRANCH, DAG)
    (deploy,) = idle.plan()
    assert (deploy.conf["job"]["verb"], deploy.conf["job"]["head"]) == ("deploy", head)


def test_a_worker_killed_right_after_the_delete_brings_nothing_back(
    idle: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = clean_up(idle, DELETE)[BRANCH]
    let_notice_pass(idle)
    (run,) = idle.plan()
    run.step("claim")
    with Fuse(monkeypatch).burn(AFTER_CLI), pytest.raises(KilledError):
        run.step("delete")
    idle.airflow.states[run.run_id] = "failed"
    assert idle.list_deployments() == []
    assert f"{verdict.reason}, until" in read_plan(idle)


@pytest.mark.parametrize(("limits", "verb"), [(HIBERNATE, Verb.HIBERNATE), (DELETE, Verb.DELETE)])
def test_a_dry_mode_writes_nothing(idle: Stage, limits: AgeLimits, verb: Verb) -> None:
    verdict = clean_up(idle, limits)[BRANCH]
    let_notice_pass(idle)
    idle.scope = replace(idle.scope, is_dry=True)
    assert f"| hold | {BRANCH} | {verb.value} | mode: plan, nothing is written |" in read_plan(idle)
    run = idle.start_planned(verb, BRANCH, verdict.head, verdict.deployment_id, is_expiry=True)
    idle.forget_requests()
    assert run.play()[verb.value] == "skipped"
    assert idle.list_requests("astro", WRITES) == []
    assert idle.memory.environment(BRANCH).read().removal is None


def test_astros_word_counts_not_the_clis(idle: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_up(idle, HIBERNATE)
    (run,) = idle.plan()
    run.step("claim")
    idle.sandbox.plant(face="astro", method="POST", path=OVERRIDE, status=200, body={})
    with pytest.raises(RetryableError, match="Astro shows no override"):
        run.step("hibernate")
    with Fuse(monkeypatch).burn(AFTER_CLI), pytest.raises(KilledError):
        run.step("hibernate")
    assert idle.find_deployment(BRANCH)["status"] == "HIBERNATING"
    idle.forget_requests()
    run.step("hibernate")
    assert idle.list_requests("astro", WRITES) == []


def test_a_pass_reads_no_memory_of_its_own_for_each_told_preview(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["dev-b", "dev-g", "dev-i"]
    assert len({shard_row(name) for name in names}) == 1
    make_previews(stage, push_branches(stage, names))
    assert stage.plan() == []
    clean_up(stage, DELETE)
    get, reads = DictStore.get, Counter[str]()

    def count(self: DictStore, key: str, default: Any = None) -> Any:
        reads[key] += 1
        return get(self, key, default)

    monkeypatch.setattr(DictStore, "get", count)
    assert read_plan(stage).count("push, wake it, or keep it") == len(names)
    assert {key: number for key, number in reads.items() if key.startswith("view.rows") and number > 2} == {}
    assert {key for key in reads if key.startswith("environment.dev-")} == set()
    keep(stage, names[0])
    before = stage.memory.read_rows()
    stage.memory.write_rows(before, {**before, names[0]: replace(before[names[0]], kept="by mira")})
    plan = read_plan(stage)
    assert [f"| {name} | delete" in plan for name in names] == [False] + [True] * (len(names) - 1)


def test_a_person_releases_exactly_the_named_deletes(stage: Stage) -> None:
    names = [f"dev-{number}" for number in range(6)]
    make_previews(stage, push_branches(stage, names))
    verdicts = clean_up(stage, DELETE)
    let_notice_pass(stage)
    works = {work.branch: work for work in compare(stage).works}
    stage.memory.released.write({works["dev-4"].name: "mira"})
    known = stage.memory.verdicts.read()
    asked = {verdicts[name].deployment_id: Standing.RELEASED for name in ("dev-3", "dev-5")}
    stage.memory.verdicts.write(
        {key: replace(each, standing=asked.get(key, each.standing)) for key, each in known.items()}
    )
    task = stage.make_plan_task()
    started = {each["conf"]["job"]["branch"]: each for each in stage.run_plan(task)}
    assert started.keys() == {"dev-3", "dev-4", "dev-5"}
    assert started["dev-4"]["trigger_run_id"] == name_run(works["dev-4"].name, 1)
    assert fold_page(task.plan).count("the brake: ") == 3


def show(**changes: Any) -> Any:
    return make_pull(1, BRANCH, sha("a"), title="A title", author="ada", url="u", labels=("keep-preview",), **changes)


def test_of_open_pull_requests_what_people_are_shown_is_remembered() -> None:
    (shown,) = merge_pulls([], [show()])
    assert (shown.title, shown.author, shown.url, shown.labels) == ("A title", "ada", "", ("keep-preview",))
    (gone,) = merge_pulls([show()], [show(is_open=False, is_merged=True)])
    assert (gone.title, gone.author, gone.url, gone.labels) == ("", "", "", ())


# A memory that was restored from a backup, or lost


def restore(stage: Stage, values: dict[str, Any], ago: timedelta = timedelta(days=1)) -> None:
    """Let the memory be what it was at a backup, when a pass had been made just then."""
    stage.stores[stage.scope.fleet.name].values = dict(values)
    if "control.continuity" in values:
        stage.memory.continuity.write(Continuity(ALWAYS, datetime.now(UTC) - ago))


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_keep_that_a_backup_does_not_know_costs_no_preview(idle: Stage, is_lost: bool) -> None:
    clean_up(idle, DELETE)
    let_notice_pass(idle)
    backup = {} if is_lost else dict(idle.stores[idle.scope.fleet.name].values)
    known = idle.memory.environment(BRANCH).read()
    idle.memory.environment(BRANCH).write(replace(known, kept="by mira"))
    assert idle.plan() == []
    restore(idle, backup)
    assert idle.plan() == []
    assert idle.memory.read_continuity(datetime.now(UTC)).since > datetime.now(UTC) - NOTICE
    assert idle.plan() == []  # and so it stays, until cleanup has asked a person


def test_a_delete_that_a_backup_brings_back_is_not_done(idle: Stage) -> None:
    clean_up(idle, DELETE)
    let_notice_pass(idle)
    (run,) = idle.plan()
    restore(idle, idle.stores[idle.scope.fleet.name].values)
    assert run.play()["delete"] == "skipped"
    assert idle.find_deployment(BRANCH)


def test_what_was_let_pass_the_brake_is_void_after_a_hole(idle: Stage) -> None:
    idle.memory.released.write({"some delete": "mira"})
    restore(idle, idle.stores[idle.scope.fleet.name].values)
    idle.plan()
    assert idle.memory.released.read() == {}
    idle.memory.released.write({"some delete": "mira"})
    idle.plan()
    assert idle.memory.released.read() == {"some delete": "mira"}
