"""The tell step on the sandbox: what people see on GitHub, run after run, also when GitHub has troubles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags.feedback import make_feedback_dag
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.feedback import budget as feedback_budget
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.feedback.comparison import digest_view
from include.deploy_ops.core.feedback.values import fingerprint_feedback
from include.deploy_ops.core.policy.keys import Feedback
from include.deploy_ops.core.view.row import Row, State, Summary
from include.deploy_ops.run.feedback_runs import find_untold
from include.deploy_ops.run.job import PLANNED_RUN_TYPE
from sandbox.identity import GITHUB_TOKEN
from tests.worlds.doubles.airflow import FakeStores, FakeTaskInstance
from tests.worlds.stages.stage import WRITES, Stage
from tests.worlds.values.feedback_examples import NOW, make_failed, make_flight, make_live, make_target

if TYPE_CHECKING:
    from include.deploy_ops.operators.feedback.tell import TellOperator

DENIED = {"message": "Resource not accessible by integration", "documentation_url": "", "status": "403"}
API = "/github/api/v3/repos/acme/data-platform"


class Told:
    """A branch with a pull request, its row, and what GitHub says of both."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.head = stage.push("dev-x")
        self.number = stage.author.open_pull_request("dev-x", "staging", "Load orders")
        self.task: TellOperator = self.make_task()

    def make_task(self) -> TellOperator:
        """Return the DAG's one task."""
        task: Any = make_feedback_dag(self.stage.scope).task_dict["tell"]
        return task  # type: ignore[no-any-return]

    def show(self, *rows: Row) -> None:
        """Let these be the rows, as control writes them."""
        memory = self.stage.memory
        digests = memory.write_rows(memory.read_rows(), {row.slug: row for row in rows})
        memory.summary.write(Summary("shop", "acme/data-platform", "", NOW, "apply", 1, 20, 0, 0, 300, digests))

    def make(self, make: Any = make_live, **changes: Any) -> Row:
        """Return the branch's row."""
        row: Row = make(self.head, pull=self.number, pulls=(self.number,), **changes)
        return row

    def tell(self, run_type: str = PLANNED_RUN_TYPE) -> dict[str, int]:
        """Run the task once, as a new process would; no time goes by between runs."""
        self.stage.memory.budget.write(Budget())
        self.task = self.make_task()
        context: Any = {
            "ti": FakeTaskInstance(self.stage.airflow, {}, "tell", 1),
            "dag_run": SimpleNamespace(run_id="tell~1", run_type=run_type),
            "asset_state_store": FakeStores(self.stage.stores, self.task),
        }
        try:
            result: dict[str, int] = self.task.execute(context)
        finally:
            self.task.feedback.close()
        return result

    def ask(self, path: str) -> Any:
        """Read GitHub's API."""
        answer = self.stage.sandbox.client.get(f"{API}{path}", headers={"Authorization": f"token {GITHUB_TOKEN}"})
        assert answer.is_success, answer.text
        return answer.json()

    def plant(self, **fault: Any) -> None:
        """Let a request to GitHub go wrong."""
        assert self.stage.sandbox.client.post("/sandbox/faults", json={"face": "github", **fault}).is_success

    @property
    def comments(self) -> list[str]:
        """The texts of the comments on the pull request."""
        return [each["body"] for each in self.ask(f"/issues/{self.number}/comments")]

    @property
    def page(self) -> str:
        """The pull request's page as people see it."""
        return self.stage.sandbox.client.get(f"/github/acme/data-platform/pull/{self.number}").text

    def list_states(self, environment: str = "preview/dev-x") -> list[tuple[str, str]]:
        """Return commit and newest state of the environment's GitHub Deployments, oldest first."""
        found = self.ask(f"/deployments?environment={environment}")
        return [(each["sha"], self.ask(f"/deployments/{each['id']}/statuses")[0]["state"]) for each in reversed(found)]

    def read_status(self) -> tuple[str, str]:
        """Return state and description of the head's status."""
        (status,) = self.ask(f"/commits/{self.head}/status")["statuses"]
        return status["state"], status["description"]


@pytest.fixture
def told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Give a pull request, and a teller that does not wait a second between writes."""
    monkeypatch.setattr(feedback_budget, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/ops/")
    stage.change_project(feedback=Feedback())
    return Told(stage)


def test_a_previews_life_is_told_in_one_comment(told: Told) -> None:
    told.show(told.make(make_flight))
    assert told.tell() == {"told": 3, "refused": 0, "waiting": 0}
    assert told.read_status() == ("pending", "being deployed")
    assert told.list_states() == [(told.head, "in_progress")]
    told.show(told.make(make_live))
    told.tell()
    (comment,) = told.comments
    assert "| **live** |" in comment
    assert "(<https://airflow.example/ops/dags/shop.preview/runs/dev-x~deploy~" in comment
    assert told.read_status() == ("success", "it was deployed")
    assert told.list_states() == [(told.head, "success")]
    assert "View deployment" in told.page
    assert [each["name"] for each in told.ask("/environments")["environments"]] == ["preview/dev-x"]
    told.show(told.make(make_live, state=State.REMOVED, why="merged"))
    told.tell()
    told.show()
    told.tell()
    (comment,) = told.comments
    assert "**removed**" in comment
    assert told.list_states() == [(told.head, "inactive")]
    assert told.ask("/environments")["environments"] == []
    assert told.tell() == {"told": 0, "refused": 0, "waiting": 0}
    assert not any(key.startswith("feedback.told") and each["value"] for key, each in _list_told(told))


def _list_told(told: Told) -> list[tuple[str, Any]]:
    return list(told.stage.stores[told.stage.scope.fleet.name].values.items())


def test_what_was_told_is_shown_and_remembered_as_a_view(told: Told) -> None:
    told.show(told.make(make_failed))
    told.tell()
    assert "Told 3\n- " in told.task.report
    assert "\n- comment on #1: preview dev-x\n" in told.task.report
    memory = told.stage.memory
    summary = memory.summary.read()
    assert summary is not None
    assert memory.feedback_view.read() == digest_view(
        summary.digests, fingerprint_feedback(told.stage.scope.project, is_alone=True)
    )


def test_a_run_is_due_while_something_is_untold(told: Told) -> None:
    scope, memory, now = told.stage.scope, told.stage.memory, datetime.now(UTC)
    told.show(told.make())
    summary = memory.summary.read()
    assert summary is not None
    digest = digest_view(summary.digests, fingerprint_feedback(scope.project, is_alone=True))
    assert find_untold(scope, memory, summary.digests, now) == digest
    off = scope.project.model_copy(update={"feedback": Feedback(comments=False, statuses=False, deployments=False)})
    for idle in (replace(scope, is_dry=True), replace(scope, project=off)):
        assert find_untold(idle, memory, summary.digests, now) == ""
    told.plant(method="POST", path="/statuses/", drop=True)
    with pytest.raises(RetryableError):
        told.tell()
    assert find_untold(scope, memory, summary.digests, now) == ""
    assert find_untold(scope, memory, summary.digests, now + timedelta(minutes=2)) == digest
    told.tell()
    assert find_untold(scope, memory, summary.digests, now + timedelta(minutes=2)) == ""
    changed = replace(scope, project=scope.project.model_copy(update={"feedback": Feedback(comments=False)}))
    assert find_untold(changed, memory, summary.digests, now + timedelta(minutes=2)) != ""


def test_plan_mode_writes_nothing_and_says_what_it_would(told: Told) -> None:
    told.stage.scope = replace(told.stage.scope, is_dry=True)
    told.show(told.make())
    told.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="would tell GitHub 3 things"):
        told.tell()
    assert told.stage.list_requests("github", WRITES) == []
    assert "Would tell 3\n- " in told.task.report
    assert told.stage.memory.feedback.read() == {}


def test_a_comment_with_an_unknown_ending_is_looked_for_first(told: Told) -> None:
    told.show(told.make())
    told.plant(method="POST", path="/issues/", drop="after")
    with pytest.raises(RetryableError, match="1 of 3 were not told"):
        told.tell()
    assert "Failed, the next run tries again" in told.task.report
    assert told.stage.memory.feedback_view.read() == ""
    told.tell()
    assert len(told.comments) == 1


def test_a_deployment_with_an_unknown_ending_is_looked_for_first(told: Told) -> None:
    told.show(told.make())
    told.plant(method="POST", path="/deployments$", drop="after")
    with pytest.raises(RetryableError):
        told.tell()
    told.tell()
    assert told.list_states() == [(told.head, "success")]


def test_lost_memory_finds_everything_again(told: Told) -> None:
    told.show(told.make())
    told.tell()
    told.stage.stores.clear()
    told.show(told.make())
    told.tell()
    assert len(told.comments) == 1
    assert told.list_states() == [(told.head, "success")]


def test_rows_that_were_lost_are_no_fleet_that_is_gone(told: Told) -> None:
    told.show(told.make())
    told.tell()
    values = told.stage.stores[told.stage.scope.fleet.name].values
    for key in [key for key in values if key.startswith("view.")]:
        del values[key]
    with pytest.raises(AirflowSkipException, match="control has made no pass yet"):
        told.tell()
    assert told.list_states() == [(told.head, "success")]


def test_a_deleted_comment_comes_back_with_the_next_news(told: Told) -> None:
    told.show(told.make())
    told.tell()
    (comment,) = told.ask(f"/issues/{told.number}/comments")
    headers = {"Authorization": f"token {GITHUB_TOKEN}"}
    assert told.stage.sandbox.client.delete(f"{API}/issues/comments/{comment['id']}", headers=headers).is_success
    told.show(told.make(make_failed))
    told.tell()
    assert len(told.comments) == 1
    assert "no such package" in told.comments[0]


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/statuses/", "statuses"),
        ("GET", "/deployments", "deployments"),
        ("POST", "/deployments$", "deployments"),
        ("GET", "/issues/", "comments"),
        ("POST", "/issues/", "comments"),
    ],
)
def test_a_missing_permission_is_named_and_the_rest_goes_on(told: Told, method: str, path: str, kind: str) -> None:
    told.plant(method=method, path=path, status=403, body=DENIED, times=None)
    told.show(told.make())
    assert told.tell() == {"told": 2, "refused": 0, "waiting": 0}
    assert f"feedback.{kind} is left out, the token needs the permission" in told.task.report
    assert told.tell()["told"] == 0
    assert "left out" not in told.task.report
    assert told.stage.sandbox.client.delete("/sandbox/faults").is_success
    assert told.tell("manual")["told"] == 1


def test_a_limit_is_obeyed_and_the_rest_waits(told: Told) -> None:
    told.plant(
        method="POST", path="/deployments$", status=429, body={"message": "slow down"}, headers={"retry-after": "60"}
    )
    told.show(told.make())
    assert told.tell() == {"told": 1, "refused": 0, "waiting": 2}
    assert "2 wait for the next run: GitHub asks to wait 60 s." in told.task.report
    assert told.stage.memory.feedback_view.read() == ""
    assert told.stage.memory.budget.read().paused_until is not None


def test_a_commit_that_github_does_not_know_is_dropped(told: Told) -> None:
    told.show(told.make(), make_target("staging", head="0" * 39 + "1", deployed="0" * 39 + "1", pull=0, pulls=()))
    assert told.tell() == {"told": 3, "refused": 2, "waiting": 0}
    assert "GitHub refuses\n- " in told.task.report
    assert told.tell() == {"told": 0, "refused": 0, "waiting": 0}


def test_anothers_comment_is_never_touched(told: Told) -> None:
    told.show(told.make())
    told.tell()
    (own,) = told.comments
    body = {"body": f"> {own}"}
    headers = {"Authorization": f"token {GITHUB_TOKEN}"}
    path = f"{API}/issues/{told.number}/comments"
    assert told.stage.sandbox.client.post(path, json=body, headers=headers).is_success
    told.stage.stores.clear()
    told.show(told.make(make_failed))
    told.tell()
    assert len(told.comments) == 2
    assert told.comments[1] == body["body"]


def test_what_control_writes_of_a_previews_life_is_told(told: Told) -> None:
    """From the first pass to the deletion after the merge: real rows of real runs."""
    create, telling = told.stage.plan()
    assert telling.dag_id == told.stage.scope.feedback_dag
    told.tell()
    assert told.read_status() == ("pending", "being created: the branch has no Deployment")
    assert told.list_states() == [(told.head, "in_progress")]
    create.play()
    told.stage.plan()
    told.tell()
    assert told.read_status() == ("success", "it was deployed")
    (comment,) = told.comments
    assert "| **live** |" in comment
    assert "Last run: image deploy" in comment
    row = told.stage.memory.read_row("dev-x")
    assert row is not None
    assert row.airflow_url
    assert f'href="{escape(row.airflow_url)}">View deployment' in told.page
    told.stage.author.merge(told.number)
    delete, *_ = told.stage.plan()
    delete.play()
    told.stage.plan()
    told.tell()
    assert told.list_states() == [(told.head, "inactive")]
    (comment,) = told.comments
    assert "**removed**" in comment
    assert told.read_status() == ("success", "it was deployed")  # what was merged had run
    told.stage.plan()
    assert told.tell() == {"told": 0, "refused": 0, "waiting": 0}


def test_a_pass_starts_a_run_that_tells_unless_one_waits_or_tells_the_very_same(told: Told) -> None:
    stage = told.stage
    create, first = stage.plan()
    assert (first.run_id.startswith("tell~"), first.run_id[-2:], first.conf) == (True, "~1", {})
    stage.airflow.states[first.run_id] = "queued"
    create.play()
    assert stage.plan() == []  # the one that is queued will read the newest rows
    stage.airflow.states[first.run_id] = "running"
    (second,) = stage.plan()  # another view
    assert second.run_id.rpartition("~")[0] != first.run_id.rpartition("~")[0]
    assert stage.plan() == []
    stage.airflow.states |= {first.run_id: "success", second.run_id: "failed"}
    (again,) = stage.plan()
    assert again.run_id == second.run_id[:-1] + "2"
    stage.airflow.states[again.run_id] = "success"
    told.tell()
    assert stage.plan() == []  # all is told
    stage.author.merge(told.number)
    stage.airflow.paused.add(stage.scope.feedback_dag)
    (delete,) = stage.plan()
    assert delete.dag_id == stage.scope.preview_dag


def test_a_required_status_comes_also_where_no_preview_can_exist(told: Told) -> None:
    stage = told.stage
    head = stage.push("feature", {"dags/other.py": "# other\n"})
    stage.author.open_pull_request("feature", "staging", "By hand")
    group = stage.push(f"gh-readonly-queue/staging/pr-1-{head}", {"dags/group.py": "# group\n"})
    stage.plan()
    assert told.tell()["told"] > 0
    for commit, says in ((head, "no preview for this branch"), (group, "no preview for a merge group")):
        (status,) = told.ask(f"/commits/{commit}/status")["statuses"]
        assert (status["context"], status["state"], status["description"]) == ("deploy-ops/preview", "success", says)
    assert told.read_status()[0] == "pending", "its preview is being created"
    summary = stage.memory.summary.read()
    assert summary is not None
    assert not find_untold(stage.scope, stage.memory, summary.digests, NOW)
    stage.author.open_pull_request("feature", "main", "Elsewhere")
    stage.plan()
    newer = stage.memory.summary.read()
    assert newer is not None
    before, after = (
        {key: each for key, each in found.digests.items() if key.startswith("awaited.")} for found in (summary, newer)
    )
    assert before != after, "a pull request more is news for GitHub's sake"
