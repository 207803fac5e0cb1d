"""A project on the sandbox, and runs of its real DAGs' tasks one by one, with Airflow itself played by doubles."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import itertools
import json
import tarfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskAwaitingInput, TaskDeferred

from dags.commands import make_commands_dag
from dags.control import make_control_dag
from dags.feedback import make_feedback_dag
from dags.preview import make_preview_dag
from dags.promotion import make_promotion_dag
from dags.request import make_request_dag
from dags.target import make_target_dag
from dags.template import make_template_dag
from include.deploy_ops.core.model import ChangeType, DeployDecision, Mark
from include.deploy_ops.core.naming import format_mark, name_deployment, slug_branch
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import OutsideLink
from include.deploy_ops.operators.sealed import RESULT_KEY, SEAL_PREFIX
from include.deploy_ops.run.decision import dump_decision
from include.deploy_ops.run.job import PLANNED_RUN_TYPE, Job, make_dispatch
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.seals import WORK, Place, Seals
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeEvents, FakeOutlets, FakeStores, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow.sdk import BaseOperator

    from demo.author import Author
    from include.deploy_ops.run.scope import Scope
    from tests.sandbox.conftest import Sandbox

AT_ONCE = {"creating_s": 0, "deploying_s": 0, "dag_processing_s": 0, "ci_delay_s": 0, "mergeability_s": 0}
NO_FINGERPRINT = "0" * 12
AWAIT_S = 90.0
FAILED = frozenset({"failed", "upstream_failed"})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Stage:
    """The world around a run: the sandbox, someone who pushes, the policy's project, and Airflow's tables."""

    sandbox: Sandbox
    author: Author
    scope: Scope
    airflow: FakeAirflow = field(default_factory=FakeAirflow)
    stores: dict[str, DictStore] = field(default_factory=dict)
    events: FakeEvents = field(default_factory=FakeEvents)
    runs: list[Run] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._first_scope, self._first_author = self.scope, self.author
        self.remember_always()

    def renew(self, *, is_astro_empty: bool = True) -> None:
        """Begin anew: a freshly seeded sandbox where nothing takes time, the first policy, an Airflow without runs.

        :param is_astro_empty: without the two long-lived Deployments that Astro is seeded with.
        """
        assert self.sandbox.client.post(f"/sandbox/reset{'?astro=empty' * is_astro_empty}").is_success
        assert self.sandbox.client.post("/sandbox/settings", json=AT_ONCE).is_success
        self._become(self._first_author)
        self.author.git("fetch", "--quiet", "--prune")
        self.scope = self._first_scope
        self.airflow = FakeAirflow()
        self.stores.clear()
        self.remember_always()
        self.events.events.clear()

    def remember_always(self) -> None:
        """Let the memory have no hole, whatever clock a test shows; only who loses it has one."""
        self.memory.continuity.write(Continuity(ALWAYS, datetime.max.replace(tzinfo=UTC)))
        self.memory.gather()

    @property
    def seals(self) -> Seals:
        """The seals by which the project's tasks know one another's values."""
        return Seals(self.scope.control_plane, (ASTRO_TOKEN,))

    @property
    def memory(self) -> Memory:
        """What is remembered of the project's environments."""
        return Memory(self.stores.setdefault(self.scope.fleet.name, DictStore()))

    @property
    def cursor_store(self) -> DictStore:
        """Where the repository trigger's cursor lies."""
        return self.stores.setdefault(self.scope.repository.name, DictStore())

    def change_project(self, **changes: Any) -> None:
        """Edit the policy: keywords replace the project's fields, `previews` and `limits` those below them."""
        project = self.scope.project
        for part in ("previews", "limits"):
            if part in changes:
                changes[part] = getattr(project, part).model_copy(update=changes[part])
        self.scope = replace(self.scope, project=project.model_copy(update=changes))

    # The repository

    def rename_repository(self, name: str) -> None:
        """Let GitHub call the repository otherwise, below the same owner; who pushes follows, the policy does not."""
        known = self.author.repository
        assert self.sandbox.client.post(f"/sandbox/repositories/{known}", json={"name": name}).is_success
        self._become(replace(self.author, repository=f"{known.partition('/')[0]}/{name}"))

    def _become(self, author: Author) -> None:
        """Let this author push from now on."""
        self.author = author
        author.git("remote", "set-url", "origin", author.clone_url)

    def set_draft(self, number: int, *, is_draft: bool) -> None:
        """Turn an open pull request into a draft, or back."""
        path = f"/sandbox/repositories/{self.author.repository}/pulls/{number}"
        assert self.sandbox.client.post(path, json={"draft": is_draft}).is_success

    def set_check(self, commit: str, name: str, state: str) -> None:
        """Let a check run on the commit have a state: a status while it runs, then its conclusion."""
        path = f"/sandbox/repositories/{self.author.repository}/checks"
        body = {"commit": commit, "name": name, "state": state}
        assert self.sandbox.client.post(path, json=body).is_success

    def require_checks(self, branch: str, *checks: str) -> None:
        """Let merges into the branch require these checks."""
        path = f"/sandbox/repositories/{self.author.repository}/required-checks"
        assert self.sandbox.client.post(path, json={"branch": branch, "checks": checks}).is_success

    def push(self, branch: str, files: Mapping[str, str] | None = None, base: str = "origin/main") -> str:
        """Start the branch anew at its base, commit `files` (text appended by path), push; return the head.

        Returns when CI has built the head's image, or failed to.
        """
        self.author.start_branch(branch, base)
        return self.push_more(branch, files or {"dags/fresh.py": "# fresh\n"})

    def push_more(self, branch: str, files: Mapping[str, str]) -> str:
        """Commit more to the branch that was pushed last, push, and return the head."""
        head = self.author.commit(dict(files), f"Change {', '.join(files)}")
        self.author.push(branch, force=True)
        self.await_ci()
        return head

    def await_ci(self) -> None:
        """Return when no build is under way."""
        deadline = time.monotonic() + AWAIT_S
        while any(build["state"] == "queued" for build in self.sandbox.client.get("/sandbox/ci").json()["builds"]):
            assert time.monotonic() < deadline, "CI never ended"
            time.sleep(0.01)

    def merge(self, branch: str, base: str = "staging") -> int:
        """Open a pull request, merge it, and return its number; the branch stays."""
        number = self.author.open_pull_request(branch, base, f"Merge {branch}")
        self.author.merge(number)
        return number

    # Astro, as an outsider sees and changes it

    def ask_astro(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Astro's API as a person would; `path` continues the organization's."""
        answer = self.sandbox.client.request(
            method,
            f"/astro/v1/organizations/{ORGANIZATION_ID}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {ASTRO_TOKEN}"},
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def list_deployments(self) -> list[dict[str, Any]]:
        """Return every Deployment of the workspace."""
        found: list[dict[str, Any]] = self.ask_astro("GET", "deployments?limit=1000")["deployments"]
        return found

    def find_deployment(self, branch: str) -> dict[str, Any]:
        """Return the one Deployment with the name of the branch's preview."""
        name = name_deployment(self.scope.project.name, branch)
        (found,) = [each for each in self.list_deployments() if each["name"] == name]
        return dict(self.ask_astro("GET", f"deployments/{found['id']}"))

    def write_mark(self, branch_name: str, **changes: str) -> str:
        """Return a description with the branch's mark, or with one that differs in `changes`."""
        project = self.scope.project
        mark = Mark(self.scope.control_plane, project.name, project.repository, branch_name, NO_FINGERPRINT)
        return format_mark(replace(mark, **changes))

    def make_deployment(self, branch: str, **changes: Any) -> str:
        """Create the branch's Deployment by hand, marked as ours unless `changes` say otherwise; return its id."""
        body = {
            "name": name_deployment(self.scope.project.name, branch),
            "description": self.write_mark(branch),
            "workspaceId": WORKSPACE_ID,
            "type": "STANDARD",
            "executor": "CELERY",
            "schedulerSize": "SMALL",
            "isCicdEnforced": False,
            "isDagDeployEnabled": True,
            "isHighAvailability": False,
            "isDevelopmentMode": True,
            "cloudProvider": "AWS",
            "region": "us-east-1",
            "astroRuntimeVersion": "3.3-2",
            **changes,
        }
        return str(self.ask_astro("POST", "deployments", body)["id"])

    def edit_deployment(self, deployment_id: str, **changes: Any) -> None:
        """Edit a Deployment as a person would in Astro's UI; what `changes` do not name stays."""
        known = self.ask_astro("GET", f"deployments/{deployment_id}")
        names = ("name", "description", "type", "workspaceId", "executor", "schedulerSize", "contactEmails")
        flags = ("isCicdEnforced", "isDagDeployEnabled", "isHighAvailability", "isDevelopmentMode")
        body = {name: known[name] for name in (*names, *flags) if name in known}
        body["environmentVariables"] = [
            {"key": each["key"], "isSecret": each["isSecret"]} | ({} if each["isSecret"] else {"value": each["value"]})
            for each in known.get("environmentVariables") or []
        ]
        self.ask_astro("POST", f"deployments/{deployment_id}", body | changes)

    def list_deploys(self, deployment_id: str) -> list[dict[str, Any]]:
        """Return the Deployment's deploy records, newest first."""
        found: list[dict[str, Any]] = self.ask_astro("GET", f"deployments/{deployment_id}/deploys?limit=1000")[
            "deploys"
        ]
        return found

    @contextlib.contextmanager
    def show_records(self, deployment_id: str, records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        """Let Astro answer with this list of deploys in the block: its lists may be minutes old."""
        body = {"deploys": records, "totalCount": len(records), "limit": 1000, "offset": 0}
        path = rf".*/deployments/{deployment_id}/deploys.*"
        self.sandbox.plant(face="astro", path=path, status=200, body=body, times=None)
        try:
            yield
        finally:
            assert self.sandbox.client.delete("/sandbox/faults").is_success

    def send_dags(self, path: str, deploy: Mapping[str, Any]) -> str:
        """Bring an empty bundle of DAGs for a deploy that was begun, and end that; return its id."""
        with io.BytesIO() as packed:
            tarfile.open(fileobj=packed, mode="w:gz").close()
            sent = self.sandbox.client.put(deploy["dagsUploadUrl"], content=packed.getvalue())
        assert sent.status_code == 201, sent.text
        version = sent.headers["x-ms-version-id"]
        self.ask_astro("POST", f"{path}/{deploy['id']}/finalize", {"dagTarballVersion": version})
        return str(deploy["id"])

    def list_files(self, deployment_id: str) -> dict[str, str]:
        """Return the SHA-256 of every file that runs there, by path."""
        answer = self.sandbox.client.get(f"/sandbox/deployments/{deployment_id}/files")
        return {file["path"]: file["sha256"] for file in answer.json()["files"]}

    # What was asked of the sandbox

    def forget_requests(self) -> None:
        """Count from here."""
        assert self.sandbox.client.delete("/sandbox/requests").is_success

    def list_requests(self, face: str, methods: Iterable[str] = ("GET", *WRITES)) -> list[str]:
        """Return the requests to one face of the sandbox as `METHOD path`, oldest first."""
        requests = self.sandbox.client.get("/sandbox/requests").json()["requests"]
        return [
            f"{each['method']} {each['path']}"
            for each in requests
            if each["face"] == face and each["method"] in set(methods)
        ]

    # Runs

    def plan(self, **context: Any) -> list[Run]:
        """Make one pass with a fresh plan task of the control DAG; return the runs that it starts."""
        task = self.make_plan_task()
        dispatched = self.run_plan(task, **context)
        return [self.start_dispatched(each) for each in dispatched]

    def start_dispatched(self, each: Mapping[str, Any]) -> Run:
        """Return the run that a dispatch task was told to trigger."""
        return self.start(each["conf"], run_id=each["trigger_run_id"], dag_id=each["trigger_dag_id"])

    def make_plan_task(self) -> Any:
        """Return the control DAG's plan task."""
        return make_control_dag(self.scope).task_dict["plan"]

    def run_plan(self, task: Any, **context: Any) -> list[dict[str, Any]]:
        """Run a plan task once and return what it would dispatch, checked to be JSON."""
        full = {
            "ti": FakeTaskInstance(self.airflow, {}, "plan", 1),
            "dag_run": SimpleNamespace(run_id="pass", run_type="asset_triggered", conf={}),
            "asset_state_store": FakeStores(self.stores, task),
            "inlet_events": self.events.read(),
            "params": {},
            **context,
        }
        began = datetime.now(UTC)
        try:
            found: list[dict[str, Any]] = json.loads(json.dumps(task.execute(full)))
        finally:
            close_hooks(task)
        summary = self.memory.summary.read()
        assert summary is not None, "nothing is shown of the pass"
        assert summary.at >= began, "what this pass shows failed: the log says why"
        return found

    def start(
        self, conf: Mapping[str, Any], run_id: str, run_type: str = PLANNED_RUN_TYPE, dag_id: str = "", **params: Any
    ) -> Run:
        """Return a new run of one of the project's DAGs, by default of the preview DAG."""
        run = Run(self, dag_id or self.scope.preview_dag, run_id, run_type, dict(conf), params)
        self.runs.append(run)
        self.airflow.states[run_id], self.airflow.dags[run_id] = "running", run.dag_id
        self.airflow.tasks[run_id] = run.states
        return run

    def start_planned(self, verb: Verb, branch: str, head: str, deployment_id: str = "", **changes: Any) -> Run:
        """Return a run as control would start it for this errand, claimed already."""
        job = Job(
            verb=verb,
            branch=branch,
            head=head,
            deployment_name=name_deployment(self.scope.project.name, branch),
            deployment_id=deployment_id,
            reason="planned by the test",
            work=f"{slug_branch(branch)}~{verb.value}~{head[:12]}~{'0' * 8}",
        )
        run = self.start_job(self.scope.preview_dag, f"{job.work}~{next(self.numbers)}", replace(job, **changes))
        run.step("claim")
        return run

    def start_job(self, dag_id: str, run_id: str, job: Job) -> Run:
        """Return a run that control started for this job, not yet claimed."""
        return self.start_dispatched(make_dispatch(self.seals, dag_id, run_id, job))

    def start_form(self, **params: Any) -> Run:
        """Return a run that a person starts with the form, not yet claimed."""
        filled = {"action": "deploy", "deploy_type": "infer", "reason": "to see it", "branch": "", **params}
        return self.start({}, f"manual__{next(self.numbers)}", "manual", **filled)

    def start_target_form(self, target: str, **params: Any) -> Run:
        """Return a run of a target's DAG that a person starts with the form, not yet claimed."""
        filled = {"action": "deploy", "deploy_type": "infer", "reason": "to see it", **params}
        number = next(self.numbers)
        return self.start({}, f"manual__{number}", "manual", dag_id=self.scope.target_dag(target), **filled)

    def create_preview(self, branch: str, head: str) -> str:
        """Create and deploy the branch's preview by a whole planned run; return the Deployment's id."""
        run = self.start_planned(Verb.CREATE, branch, head)
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
        return str(run.xcoms["create"]["return_value"])


@dataclass
class Run:
    """One run of a DAG; every task is made anew from the DAG for each try, as a worker does."""

    stage: Stage
    dag_id: str
    run_id: str
    run_type: str
    conf: dict[str, Any]
    params: dict[str, Any]
    user: str | None = "mira"
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    task_stores: dict[str, DictStore] = field(default_factory=dict)
    tasks: dict[str, BaseOperator] = field(default_factory=dict)
    parked: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clear_number: int = 0

    def decide(self, kind: ChangeType, commit: str, observed: str = "") -> None:
        """Let the change type step have decided so, on top of the deploy of that id, with bases that nobody knows."""
        decision = DeployDecision(kind, commit, "decided by the test", observed)
        self.hand("change_type", dump_decision(decision))

    def hand(self, task_id: str, value: Any, key: str = RESULT_KEY) -> None:
        """Let the task have returned this, or handed it on by another key, sealed as it does."""
        place = Place(self.dag_id, self.run_id, f"{task_id}.{key}")
        seal = self.stage.seals.make(WORK, place, value)
        self.xcoms[task_id] = {key: value, SEAL_PREFIX + key: seal}

    def rehand(self, task_id: str, **changes: Any) -> None:
        """Let the task have returned something else, sealed as it does."""
        self.hand(task_id, self.xcoms[task_id][RESULT_KEY] | changes)

    def _make_dag(self) -> Any:
        scope, name = self.stage.scope, self.dag_id.partition(".")[2]
        if self.dag_id == scope.preview_dag:
            return make_preview_dag(scope)
        if self.dag_id == scope.commands_dag:
            return make_commands_dag(scope)
        if self.dag_id == scope.feedback_dag:
            return make_feedback_dag(scope)
        if self.dag_id == scope.promotion_dag:
            return make_promotion_dag(scope)
        if self.dag_id == scope.template_dag:
            return make_template_dag(scope)
        target, _, is_request = name.partition(".")
        return make_request_dag(scope, target) if is_request else make_target_dag(scope, target)

    def _make_task(self, task_id: str) -> BaseOperator:
        self.tasks[task_id] = self._make_dag().task_dict[task_id]
        return self.tasks[task_id]

    def _make_context(self, task: BaseOperator) -> Any:
        tries = self.tries.get(task.task_id, 1)
        return {
            "ti": FakeTaskInstance(self.stage.airflow, self.xcoms, task.task_id, tries, self.dag_id),
            "dag_run": SimpleNamespace(
                run_id=self.run_id,
                run_type=self.run_type,
                conf=self.conf,
                triggering_user_name=self.user,
                start_date=self.started_at,
                clear_number=self.clear_number,
            ),
            "dag": task.get_dag(),
            "outlet_events": FakeOutlets(task),
            "task_instance": SimpleNamespace(id=f"{self.run_id}.{task.task_id}"),
            "task_state_store": self.task_stores.setdefault(task.task_id, DictStore()),
            "asset_state_store": FakeStores(self.stage.stores, task),
            "params": self.params,
        }

    def execute(self, task_id: str) -> Any:
        """Run the task's next try until it returns, raises or defers; return what it returned, as XCom keeps it."""
        self.tries[task_id] = self.tries.get(task_id, 0) + 1
        self.xcoms.pop(task_id, None)
        self.links.pop(task_id, None)
        task = self._make_task(task_id)
        return self._conclude(task_id, task.execute, self._make_context(task))

    def resume(self, task_id: str, method: str, **kwargs: Any) -> Any:
        """Resume a deferred task in a new process' place, as Airflow does with the trigger's event."""
        task = self._make_task(task_id)
        kwargs = json.loads(json.dumps(kwargs))
        return self._conclude(
            task_id, lambda context: task.resume_execution(method, kwargs, context), self._make_context(task)
        )

    def step(self, task_id: str) -> Any:
        """Run the task's next try to its end, through the triggers for which it defers."""
        call: Callable[[], Any] = partial(self.execute, task_id)
        while True:
            try:
                return call()
            except TaskDeferred as deferred:
                event = await_event(deferred)
                call = partial(self.resume, task_id, deferred.method_name, **(deferred.kwargs or {}), event=event)

    def _conclude(self, task_id: str, call: Callable[[Any], Any], context: Any) -> Any:
        task = self.tasks[task_id]
        try:
            task.pre_execute(context)
            value = call(context)
        except TaskDeferred:
            self.states[task_id] = "deferred"
            raise
        except TaskAwaitingInput as parked:
            self.states[task_id] = "awaiting_input"
            self.parked[task_id] = json.loads(json.dumps(parked.kwargs))
            raise
        except AirflowSkipException:
            self.states[task_id] = "skipped"
            raise
        except Exception:
            self.states[task_id] = "failed"
            raise
        finally:
            self._write_links(task)
            close_hooks(task)
        self.states[task_id] = "success"
        self.stage.events.emit(context["outlet_events"], self.run_id)
        self._finish(task, value, context)
        return self.xcoms.get(task_id, {}).get("return_value")

    def _write_links(self, task: BaseOperator) -> None:
        """Do what Airflow does with a task's buttons when it ends or parks: write each address, also an empty one."""
        ours = [each for each in task.operator_extra_links if isinstance(each, OutsideLink)]
        key: Any = None
        self.links.setdefault(task.task_id, {}).update({each.name: each.get_link(task, ti_key=key) for each in ours})

    def _finish(self, task: BaseOperator, value: Any, context: Any) -> None:
        """Do what Airflow does with a result: keep it, unless the task has others skipped; then it keeps it itself."""
        try:
            task.post_execute(context)
        except DownstreamTasksSkipped as skip:
            for skipped in skip.tasks:
                self.states[str(skipped)] = "skipped"
        else:
            if value is not None:
                context["ti"].xcom_push("return_value", value)

    def play(self) -> dict[str, str]:
        """Run what has not run yet, each task once and by its trigger rule, and end the run; return the states."""
        for task in self._make_dag().topological_sort():
            if task.task_id not in self.states:
                self._play_task(task)
        self.stage.airflow.states[self.run_id] = "failed" if FAILED & set(self.states.values()) else "success"
        return self.states

    def _play_task(self, task: Any) -> None:
        before = {self.states[task_id] for task_id in task.upstream_task_ids}
        if task.is_teardown:
            is_due = self._has_setup(task)
            missed = "skipped"
        else:
            refused = FAILED | ({"skipped"} if task.trigger_rule == "all_success" else set())
            is_due = not before & refused
            missed = "upstream_failed" if before & FAILED else "skipped"
        if not is_due:
            self.states[task.task_id] = missed
            return
        try:
            self.step(task.task_id)
        except Exception:
            if self.states[task.task_id] not in {"failed", "skipped"}:
                raise

    def _has_setup(self, teardown: Any) -> bool:
        setups = [task_id for task_id in teardown.upstream_task_ids if teardown.dag.task_dict[task_id].is_setup]
        return all(self.states[task_id] == "success" for task_id in setups)

    def read_failure(self, task_id: str) -> dict[str, Any]:
        """Return what the task told the report step of its failure."""
        found: dict[str, Any] = self.xcoms[task_id]["failure"]
        return found


def read_refusal(run: Run) -> str:
    """Return why what a form asks for cannot be done: by its claim, or by the task that fails of it after that."""
    run.play()
    failed = next(task for task, state in run.states.items() if state == "failed")
    assert run.read_failure(failed)["is_permanent"]
    return str(run.read_failure(failed)["cause"])


def close_hooks(task: BaseOperator) -> None:
    """Close what the task opened, as the end of its process would."""
    for name in ("github", "astro", "commands"):
        if name in vars(task):
            vars(task)[name].close()


def await_event(deferred: TaskDeferred) -> dict[str, Any]:
    """Run a deferral's trigger, made anew from what it serializes to, and return its event's payload."""
    path, kwargs = deferred.trigger.serialize()
    module, _, name = path.rpartition(".")
    make_trigger = getattr(importlib.import_module(module), name)
    trigger = make_trigger(**{**json.loads(json.dumps(kwargs)), "poll_interval_s": 0.05})

    async def take_first() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(asyncio.wait_for(take_first(), AWAIT_S))
    payload: dict[str, Any] = json.loads(json.dumps(event.payload))
    return payload
