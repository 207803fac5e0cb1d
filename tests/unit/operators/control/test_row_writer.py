"""What a pass leaves to look at: a preview's row through its life, as page and feedback find it."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.feedback.comparison import digest_view
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.store import shard_row
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.feedback_examples import make_live

if TYPE_CHECKING:
    from include.deploy_ops.core.plan.outcome import Outcome
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"


def read_row(stage: Stage) -> Row:
    """Return the branch's row."""
    return stage.memory.read_rows()[BRANCH]


def settle(stage: Stage) -> None:
    """Make passes, and play the runs that they start, until nothing starts any more."""
    while runs := stage.plan():
        for run in runs:
            run.play()


def test_a_preview_is_shown_from_its_creation_to_its_end(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (run,) = stage.plan()
    row = read_row(stage)
    assert (row.state, row.verb, row.run_id, row.head) == (State.DEPLOYING, "create", run.run_id, head)
    run.play()
    settle(stage)
    row = read_row(stage)
    assert (row.state, row.deployed, row.deployment_name) == (State.LIVE, head, "shop-dev-x")
    (outcome,) = row.outcomes
    assert (outcome.run_id, outcome.state, outcome.kind, outcome.commit) == (
        run.run_id,
        "success",
        ChangeType.IMAGE.value,
        head,
    )
    assert outcome.push_s > 0
    assert row.author == stage.author.git("log", "-1", "--format=%an", head)
    stage.author.delete(BRANCH)
    settle(stage)
    row = read_row(stage)
    assert (row.state, row.why, row.deployment_id) == (State.REMOVED, "the branch is gone", "")
    assert [each.verb for each in row.outcomes] == ["create", "delete"]


def test_a_failure_is_shown_with_its_cause(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.push_more(BRANCH, {"dags/typo.py": "load = (\n"})
    settle(stage)
    row = read_row(stage)
    assert row.state is State.FAILED
    assert "dags/typo.py" in row.why
    assert row.outcomes[-1].is_permanent
    assert "dags/typo.py" in row.outcomes[-1].cause


def test_an_author_whom_github_does_not_tell_costs_no_pass(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    stage.sandbox.plant(face="github", path=f"/git/commits/{head}", status=500, times=None)
    assert [run.conf["job"]["verb"] for run in stage.plan()] == ["deploy"]
    assert (read_row(stage).head, read_row(stage).author) == (head, "")


def test_the_summary_tells_which_shard_changed(stage: Stage) -> None:
    stage.plan()
    first, before = stage.memory.summary.read(), stage.memory.read_rows()
    stage.push(BRANCH)
    stage.plan()
    second = stage.memory.summary.read()
    assert first is not None
    assert second is not None
    shard = f"{shard_row(BRANCH):02x}"
    changed = {each for each, digest in second.digests.items() if first.digests.get(each) != digest}
    assert (changed, set(second.digests)) == ({shard}, {shard} | {f"{shard_row(slug):02x}" for slug in before})
    assert (second.live, second.max_live, second.repository) == (0, 20, "acme/data-platform")
    assert second.repository_url.endswith("/acme/data-platform")


def test_a_shard_that_became_empty_is_written_over_and_changes_what_is_to_be_told() -> None:
    store = DictStore()
    memory, row = Memory(store), make_live()
    key = f"{shard_row(row.slug):02x}"
    full = memory.write_rows({}, {row.slug: row})
    empty = memory.write_rows({row.slug: row}, {})
    assert (set(full), empty, store.get(f"view.rows.{key}")) == ({key}, {}, wrap_value({}))
    assert digest_view(full, "p") != digest_view(empty, "p")


def test_a_pass_that_sees_nothing_new_writes_no_row(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.plan()
    store = stage.stores[stage.scope.fleet.name]
    before = {key: value for key, value in store.values.items() if key.startswith("view.rows.")}
    stage.plan()
    assert {key: value for key, value in store.values.items() if key.startswith("view.rows.")} == before


def test_endings_are_read_again_after_a_crash_and_counted_once(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    kept = read_row(stage)
    summary = stage.memory.summary.read()
    assert summary is not None
    store = stage.stores[stage.scope.fleet.name]
    for key in [each for each in store.values if each.startswith("view.")]:
        store.delete(key)
    stage.plan()
    assert read_row(stage).outcomes == kept.outcomes
    stage.plan()
    assert read_row(stage).outcomes == kept.outcomes


def test_a_run_that_waits_until_its_deploy_shows_is_at_work(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    (run,) = stage.plan()
    for task in ("claim", "change_type", "image", "deploy"):
        with contextlib.suppress(AirflowSkipException):
            run.step(task)
    assert stage.plan() == []  # Astro's record says that the head is deployed: nothing is due
    row = read_row(stage)
    assert (row.deployed, row.state, row.run_id) == (head, State.DEPLOYING, run.run_id)
    run.play()
    stage.plan()
    assert read_row(stage).state is State.LIVE


def test_a_full_fleet_shows_no_branch_that_was_old_at_the_first_pass(stage: Stage) -> None:
    stage.change_project(previews={"delete_after": timedelta(microseconds=1), "max_live": 1})
    stage.push("dev-old")
    assert stage.plan() == []
    stage.push(BRANCH)
    settle(stage)
    stage.push("dev-waits")
    assert stage.plan() == []
    rows = stage.memory.read_rows()
    assert "dev-old" not in rows
    assert (rows[BRANCH].state, rows["dev-waits"].state) == (State.LIVE, State.WAITING)


def test_what_cannot_be_shown_stops_no_deploy(stage: Stage, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    def fail(*_: object) -> None:
        raise ValueError("an odd row")

    monkeypatch.setattr("include.deploy_ops.operators.control.row_writer.make_rows", fail)
    stage.push(BRANCH)
    task = stage.make_plan_task()
    with pytest.raises(AssertionError, match="nothing is shown of the pass"):
        stage.run_plan(task)
    assert "an odd row" in log.read()
    assert "create dev-x" in log.read()


def test_an_ending_that_is_written_late_is_read_all_the_same(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    late = replace(stage.events.events[-1], extra=copy.deepcopy(stage.events.events[-1].extra))
    late.extra["ended"]["outcome"]["run_id"] = "manual__late"
    late.timestamp -= timedelta(seconds=20)
    stage.events.events.append(late)
    stage.plan()
    assert [each.run_id for each in read_row(stage).outcomes].count("manual__late") == 1


def test_a_request_about_nothing_any_more_is_no_question(stage: Stage) -> None:
    """Its run goes on until somebody answers, or its time is over."""
    stage.plan()
    before = stage.memory.read_rows()
    asked = replace(
        before["target.production"],
        state=State.APPROVAL,
        verb="request",
        run_id="target.production~request~1",
        run_dag="shop.production.request",
    )
    stage.airflow.states[asked.run_id] = "running"
    stage.memory.write_rows(before, {**before, asked.slug: asked})
    stage.plan()
    row = stage.memory.read_rows()[asked.slug]
    assert (row.run_id, row.state is State.APPROVAL) == ("", False)


def read_deploys(stage: Stage) -> tuple[Outcome, ...]:
    """Return the branch's deploys."""
    return stage.memory.deploys(BRANCH).read()


def test_each_deploy_is_kept_with_its_commit_and_forgotten_with_the_environment(stage: Stage) -> None:
    first = stage.push(BRANCH)
    settle(stage)
    second = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    settle(stage)
    stage.push_more(BRANCH, {"README.md": "more\n"})
    settle(stage)  # nothing to deploy is no deploy
    subject, author = (stage.author.git("log", "-1", f"--format={form}", second) for form in ("%s", "%an"))
    kept = read_deploys(stage)
    assert [(each.verb, each.commit) for each in kept] == [("create", first), ("deploy", second)]
    assert (kept[1].subject, kept[1].commit_author) == (subject, author)
    assert {each.subject for each in read_row(stage).outcomes} == {""}  # all rows are read at each change
    stage.memory.forget_environment(BRANCH)
    assert read_deploys(stage) == ()


def test_a_forced_deploy_is_kept_with_who_and_why_and_a_rollback_in_astro_as_somebody_elses(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.start_form(branch=BRANCH, deploy_type="dags", reason="INC-42").play()
    stage.plan()
    forced = read_deploys(stage)[-1]
    assert (forced.is_forced, forced.reason, forced.state) == (True, "INC-42", "success")
    deployment_id = read_row(stage).deployment_id
    newest = stage.list_deploys(deployment_id)[0]["id"]
    stage.ask_astro("POST", f"deployments/{deployment_id}/deploys/{newest}/rollback", {"description": "back"})
    stage.plan()
    kept = read_deploys(stage)
    assert [each.run_id for each in kept[:-1]] == [each.run_id for each in kept if each.run_id]
    assert (kept[-1].run_id, kept[-1].person, kept[-1].commit) == ("", "sandbox", forced.commit)
    assert "rollback" in kept[-1].why
    stage.plan()
    assert read_deploys(stage) == kept


def test_what_an_older_release_left_in_the_row_begins_the_deploys(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.memory.deploys(BRANCH).forget()
    stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    settle(stage)
    assert [each.verb for each in read_deploys(stage)] == ["create", "deploy"]
