"""A gated production behind staging, and runs of its request DAG and merge step, with a person's answers played."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from include.deploy_ops.core.naming import DeployNote, format_note, slug_target
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.policy.keys import PullRequestSource, Target
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.run.approvals import seal_approval
from include.deploy_ops.run.job import PLANNED_RUN_TYPE, dump_job
from tests.worlds.stages.stage import Run

if TYPE_CHECKING:
    import pytest

    from include.deploy_ops.core.model import MergeResult
    from include.deploy_ops.run.job import Job
    from tests.worlds.stages.stage import Stage

PRODUCTION = Target(
    deployment="Production",
    pull_request=PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"}),
    approval="required",
    merge=True,
)
STAGING = Target(deployment="Staging", branch="astro_deploy")
SLUG = slug_target("production")


@dataclass
class Gate:
    """A stage with an open pull request from the deploy branch into main, and Deployments for both targets."""

    stage: Stage
    production: str
    staging: str
    head: str
    number: int
    asked: dict[str, Any]

    @property
    def remembered(self) -> Any:
        """What is remembered of production."""
        return self.stage.memory.recall(SLUG)

    def plan(self) -> list[dict[str, Any]]:
        """Make one pass of control and return what it would dispatch about production."""
        dispatched = self.stage.run_plan(self.stage.make_plan_task())
        return [each for each in dispatched if each["trigger_dag_id"].startswith("shop.production")]

    def start_planned(self) -> RequestRun:
        """Return the request run that control starts now."""
        (dispatched,) = self.plan()
        assert dispatched["trigger_dag_id"] == "shop.production.request"
        return self.start(dispatched["conf"], dispatched["trigger_run_id"], PLANNED_RUN_TYPE)

    def start_form(self, **params: Any) -> RequestRun:
        """Return a request run that a person starts."""
        filled = {"action": "deploy", "deploy_type": "infer", "reason": "to see it", **params}
        return self.start({}, f"manual__{len(self.stage.runs)}", "manual", **filled)

    def start(self, conf: dict[str, Any], run_id: str, run_type: str, **params: Any) -> RequestRun:
        """Return a new run of the request DAG."""
        dag_id = self.stage.scope.request_dag("production")
        run = RequestRun(self.stage, dag_id, run_id, run_type, conf, params, gate=self)
        self.stage.runs.append(run)
        self.stage.airflow.states[run_id], self.stage.airflow.dags[run_id] = "running", dag_id
        self.stage.airflow.tasks[run_id] = run.states
        return run

    def record(self, deployment_id: str, **changes: Any) -> str:
        """Let Astro have a deploy of ours, DAGs only, as described by `changes`; return its id."""
        plain = DeployNote("astro_deploy", self.head, self.head, run_id="r", attempt=1, is_forced=False)
        note = replace(plain, **changes)
        path = f"deployments/{deployment_id}/deploys"
        made = self.stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": format_note(note)})
        return self.stage.send_dags(path, made)

    def deploy_merge(self) -> MergeResult:
        """Let production run the present test merge, as after a whole run of its DAG."""
        merge = self.read_merge()
        self.approve(merge)
        self.record(self.production, commit=merge.commit)
        return merge

    def approve(self, merge: MergeResult, observed: str = "", **changes: Any) -> None:
        """Let a person have approved the merge."""
        plain = Approval(merge.pull.head_sha, merge.base, observed, "ada", datetime.now(UTC), merges=True, run_id="r")
        approval = replace(plain, **{"commit": merge.commit, "kind": "dags", **changes})
        sealed = seal_approval(self.stage.seals, self.stage.scope.request_dag("production"), approval)
        self.stage.memory.approval(SLUG).write(sealed)

    def read_merge(self) -> MergeResult:
        """Ask GitHub what merging would give."""
        hook = GithubPullsHook("github_default", self.stage.scope.project.repository)
        try:
            return hook.read_merge(self.number)
        finally:
            hook.close()

    def list_comments(self) -> list[str]:
        """Return the pull request's comments."""
        path = f"/github/api/v3/repos/acme/data-platform/issues/{self.number}/comments"
        answer = self.stage.sandbox.client.get(path, headers={"authorization": f"token {self.stage.author.token}"})
        return [each["body"] for each in answer.json()]

    def start_merge(self, job: Job) -> Run:
        """Return a run of production's DAG whose errand is the merge, claimed already."""
        dag_id = self.stage.scope.target_dag("production")
        run = self.stage.start_job(dag_id, f"{job.work}~1", job)
        run.hand("claim", dump_job(job))
        return run


@dataclass
class RequestRun(Run):
    """One run of production's request DAG."""

    gate: Gate = field(kw_only=True)

    def ask(self) -> dict[str, Any]:
        """Run up to the approval and return what the person is shown."""
        for task in ("prepare", "change_type"):
            self.step(task)
        if self.states.get("image") != "skipped":
            self.step("image")
        return self.park()

    def park(self) -> dict[str, Any]:
        """Let the approval step ask, and return what the person is shown."""
        try:
            self.execute("approve")
        except TaskAwaitingInput as parked:
            return {**self.gate.asked, "timeout": parked.timeout, "method": parked.method_name}
        raise AssertionError("nobody is asked")

    def answer(self, option: str, comment: str | None = None, *, timedout: bool = False) -> Any:
        """Answer as Airflow hands it on."""
        return answer_request(self, option, comment, timedout=timedout)

    def finish(self) -> list[dict[str, Any]]:
        """Run what comes after the answer, and return what is dispatched."""
        try:
            dispatched = self.step("recheck")
        except Exception:
            if self.states["recheck"] not in {"skipped", "failed"}:
                raise
            dispatched = []
        self.states["dispatch"] = "success" if dispatched else "skipped"
        self.step("report")
        self.stage.airflow.states[self.run_id] = "failed" if self.states["recheck"] == "failed" else "success"
        return [json.loads(json.dumps(each)) for each in dispatched]


def answer_request(
    run: Run,
    option: str,
    comment: str | None = None,
    *,
    timedout: bool = False,
    task_id: str = "approve",
) -> Any:
    """Answer as Airflow hands it on: a person's choice, or the default when nobody answered in time."""
    task: Any = run._make_task(task_id)
    event = {
        "chosen_options": [option],
        "params_input": {"comment": comment},
        "responded_at": datetime.now(UTC),
        "responded_by_user": None if timedout else {"id": "7", "name": "ada"},
        "timedout": timedout,
    }
    resume = partial(task.execute_complete, event=event, **run.parked.get(task_id, {}))
    return run._conclude(task_id, resume, run._make_context(task))


def open_gate(stage: Stage, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Gate:
    """Return the gate; `changes` are production's in the policy."""
    targets = {"staging": STAGING, "production": PRODUCTION.model_copy(update=changes)}
    stage.change_project(targets=targets)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: asked.update(detail))
    ids = {name: stage.make_deployment(name, name=name, description="") for name in ("Staging", "Production")}
    head = stage.push("astro_deploy", {"dags/release.py": "# a release\n"})
    number = stage.author.open_pull_request("astro_deploy", "main", "Weekly | release")
    return Gate(stage, ids["Production"], ids["Staging"], head, number, asked)
