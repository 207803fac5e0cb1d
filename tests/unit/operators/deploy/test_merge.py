"""The merge of exactly the head that runs: when it is due, what GitHub may say, and what an earlier try has done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import ObservationError, WriteRefusedError, WriteUnknownError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.run.job import load_job
from include.deploy_ops.run.memory import KnownRepository
from tests.worlds.stages.request import Gate, open_gate

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a production that runs what merging its open pull request would give."""
    gate = open_gate(stage, monkeypatch)
    gate.deploy_merge()
    return gate


def start(gate: Gate) -> Run:
    """Return the merge that control plans."""
    (dispatched,) = gate.plan()
    job = load_job(dispatched["conf"]["job"])
    assert (dispatched["trigger_dag_id"], job.verb) == ("shop.production", Verb.MERGE)
    return gate.start_merge(job)


def read_main(gate: Gate) -> str:
    gate.stage.author.git("fetch", "--quiet")
    return gate.stage.author.git("rev-parse", "origin/main")


def test_the_head_that_runs_is_merged_by_commit_and_only_once(gate: Gate) -> None:
    before, run, scope = read_main(gate), start(gate), gate.stage.scope
    gate.stage.scope = replace(scope, is_dry=True)
    with pytest.raises(AirflowSkipException, match=f"mode: plan; would merge pull request #{gate.number}"):
        run.step("merge")
    assert read_main(gate) == before
    gate.stage.scope = scope
    done = run.step("merge")
    assert done == {"commit": read_main(gate), "is_as_deployed": True}
    assert run.links["merge"].keys() == {"Pull request", "Commit"}
    assert run.links["merge"]["Pull request"].endswith(f"/pull/{gate.number}")
    parents = gate.stage.author.git("rev-parse", "origin/main^@").split()
    assert parents == [before, gate.head]
    assert gate.plan() == []
    assert run.step("merge") == done  # another try finds it done


def test_refusals_come_again_and_a_merge_of_which_nobody_heard_is_looked_for(gate: Gate) -> None:
    run, sandbox = start(gate), gate.stage.sandbox
    said = "At least 1 approving review is required by reviewers with write access."
    sandbox.plant(face="github", method="PUT", path="/merge$", status=405, body={"message": said})
    with pytest.raises(WriteRefusedError):
        run.step("merge")
    failure = run.read_failure("merge")
    assert said in failure["cause"]
    assert failure["is_permanent"] is False
    sandbox.plant(face="github", method="PUT", path="/merge$", status=502)
    with pytest.raises(WriteUnknownError, match="HTTP 502; whether GitHub did it is not known"):
        run.step("merge")
    main = read_main(gate)
    sandbox.plant(face="github", method="PUT", path="/merge$", drop="after")
    assert run.step("merge") == {"commit": read_main(gate), "is_as_deployed": True}
    assert read_main(gate) != main


def test_a_moved_head_base_or_deploy_is_not_merged(gate: Gate) -> None:
    run = start(gate)
    gate.record(gate.production, commit=gate.head, head="0" * 40)
    with pytest.raises(AirflowSkipException, match="is not due any more: request production"):
        run.step("merge")
    gate.deploy_merge()
    main = gate.stage.push("hotfix", {"dags/hotfix.py": "# now\n"})
    gate.stage.author.push("main")
    with pytest.raises(AirflowSkipException, match="is not due any more: request production"):
        run.step("merge")
    gate.stage.author.start_branch("astro_deploy", "origin/astro_deploy")
    gate.stage.push_more("astro_deploy", {"dags/release.py": "# more\n"})
    with pytest.raises(AirflowSkipException, match="moved from"):
        run.step("merge")
    assert read_main(gate) == main


def test_a_merge_by_hand_is_done_and_what_differs_is_told(gate: Gate, log: Log) -> None:
    run = start(gate)
    gate.stage.author.merge(gate.number, "squash")
    assert run.step("merge") == {"commit": read_main(gate), "is_as_deployed": False}
    assert "is not the merge of" in log.read()


def test_a_head_that_moves_in_the_last_moment_is_superseded_not_failed(
    gate: Gate, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, main, merge = start(gate), read_main(gate), GithubPullsHook.merge

    def move_and_merge(hook: GithubPullsHook, number: int, head: str) -> str:
        gate.stage.push_more("astro_deploy", {"dags/release.py": "# more\n"})
        return merge(hook, number, head)

    monkeypatch.setattr(GithubPullsHook, "merge", move_and_merge)
    with pytest.raises(AirflowSkipException, match="moved from"):
        run.step("merge")
    assert "409: Head branch was modified" in log.read()
    assert read_main(gate) == main


def test_a_closed_pull_request_is_superseded(gate: Gate) -> None:
    run = start(gate)
    gate.stage.author.git("push", "--quiet", "origin", ":astro_deploy")
    with pytest.raises(AirflowSkipException, match="was closed without a merge"):
        run.step("merge")


def test_another_repository_that_has_the_name_gets_no_merge(gate: Gate) -> None:
    run, before = start(gate), read_main(gate)
    gate.stage.memory.repository.write(KnownRepository(1, gate.stage.scope.project.repository))
    with pytest.raises(ObservationError, match="another repository than before"):
        run.step("merge")
    assert read_main(gate) == before
