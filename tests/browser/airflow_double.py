"""An Airflow for the page to talk to: its REST answers are played, the page's own files served by the real plugin.

Its UI is a frame with the sandbox and the theme class that Airflow's has; what the page asks is kept.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import uvicorn
from airflow import settings
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api import security
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from demo.ports import HOST, find_free_ports
from include.deploy_ops.core.doctor.examination import DOCTOR_DAG
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.scope import CLI_POOL
from include.deploy_ops.run.sights import HEALTH_KEY, dump_sights
from plugins import deployments_page
from tests.browser.fleet import make_summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import pytest

    from include.deploy_ops.core.doctor.examination import Examination
    from include.deploy_ops.core.plan.outcome import Outcome
    from include.deploy_ops.core.view.health import Sight
    from include.deploy_ops.core.view.row import Row

REPOSITORIES = 1000
"""From here on assets are repositories'; those before are fleets'."""
JOBS = ("SchedulerJob", "TriggererJob", "DagProcessorJob")
"""The types of the jobs that live."""
SANDBOX = "allow-scripts allow-same-origin allow-forms allow-downloads"
UI = """<!doctype html><html class="{theme}"><head><base href="{base}/"><style>html,body{{height:100%;margin:0}}</style>
</head><body style="font-family:sans-serif"><p id="where"></p><iframe title="Deploys" sandbox="{sandbox}"
src="{src}" style="border:none;width:100%;height:94%"></iframe><script>
addEventListener("popstate", () => {{ document.getElementById("where").textContent = location.pathname }})
</script></body></html>"""


QUESTION = """<!doctype html><html lang="en"><title>Required Actions</title><main><h1>{subject}</h1>
<button>Approve</button> <button>Reject</button><p role="status"></p></main><script>
for (const button of document.querySelectorAll("button")) button.onclick = async () => {{
  const body = JSON.stringify({{ chosen_options: [button.textContent], params_input: {{}} }});
  const sent = await fetch("{api}", {{ method: "PATCH", body, headers: {{ "Content-Type": "application/json" }} }});
  document.querySelector("[role=status]").textContent = sent.ok ? "answered" : "refused";
}}</script></html>"""
"""Airflow's page of a question: a button for each answer."""


@dataclass(frozen=True)
class AnswersAll:
    """An auth manager that lets everybody see the page, and whom the double says read the configuration."""

    double: AirflowDouble

    def is_authorized_view(self, **_: Any) -> bool:
        """Whether the user may see Airflow's UI."""
        return True

    def is_authorized_configuration(self, **_: Any) -> bool:
        """Whether the user may read Airflow's configuration."""
        return self.double.may_configure


@dataclass
class Kept:
    """A project's state store, by key."""

    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        self.values[key] = value

    def delete(self, key: str) -> None:
        """Forget the key."""
        self.values.pop(key, None)


def make_health() -> dict[str, dict[str, Any]]:
    """Return what Airflow says of itself where all of it runs."""
    now = datetime.now(UTC).isoformat()
    beats = ("scheduler", "triggerer", "dag_processor")
    return {"metadatabase": {"status": "healthy"}} | {
        part: {"status": "healthy", f"latest_{part}_heartbeat": now} for part in beats
    }


@dataclass
class AirflowDouble:
    """The played Airflow. Change its attributes while it runs; `faults` maps the end of a path to the status it gets.

    :param prefix: the URL prefix that it lives behind.
    """

    prefix: str = ""
    theme: str = "light"
    stores: dict[str, Kept] = field(default_factory=dict)
    seen: dict[str, Kept] = field(default_factory=dict)
    health: dict[str, dict[str, Any]] = field(default_factory=make_health)
    errors: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    dags: dict[str, bool] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    pools: set[str] = field(default_factory=lambda: {CLI_POOL})
    jobs: list[str] = field(default_factory=lambda: [*JOBS])
    database: str = "postgresql"
    may_configure: bool = True
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cleared: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    paused: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[tuple[str, str, list[str]]] = field(default_factory=list)
    port: int = field(default_factory=lambda: find_free_ports(1)[0])

    @property
    def url(self) -> str:
        """The base URL, prefix included."""
        return f"http://{HOST}:{self.port}{self.prefix}"

    @property
    def page_url(self) -> str:
        """The page, alone in a window."""
        return f"{self.url}/deploy-ops/page"

    def reset(self) -> None:
        """Forget everything, as before the first pass."""
        for kept in (
            self.stores,
            self.seen,
            self.errors,
            self.cleared,
            self.paused,
            self.rows,
            self.dags,
            self.runs,
            self.approvals,
            self.faults,
            self.asked,
            self.posted,
            self.answers,
        ):
            kept.clear()
        self.theme = "light"
        self.health = make_health()
        self.pools = {CLI_POOL}
        self.jobs = [*JOBS]
        self.database, self.may_configure = "postgresql", True

    def show(self, project: str, rows: Sequence[Row], at: datetime | None = None, mode: str = "apply") -> None:
        """Write the rows as a pass of control does, and let the project have its DAGs."""
        store = self.stores.setdefault(project, Kept())
        after = {row.slug: row for row in rows}
        digests = Memory(store).write_rows(self.rows.get(project, {}), after)
        Memory(store).summary.write(make_summary(project, digests, at, mode))
        self.rows[project] = after
        for dag in [f"{project}.control", *(dag for row in rows for dag in (row.dag, row.request_dag) if dag)]:
            self.dags.setdefault(dag, False)

    def see(self, project: str, **sights: Sight) -> None:
        """Leave how services were seen, as the trigger does."""
        self.seen.setdefault(project, Kept()).set(HEALTH_KEY, dump_sights(sights))

    def examine(self, project: str, examination: Examination) -> None:
        """Leave what the doctor found, as its DAG does, which is there and unpaused."""
        Memory(self.stores[project]).examination.write(examination)
        self.dags[DOCTOR_DAG] = False

    def fail_control(self, project: str, failing: Sight) -> None:
        """Leave how control fails, as its callback does."""
        Memory(self.stores[project]).failing.write(failing)

    def start_run(self, dag: str, run_id: str, state: str = "running", **more: Any) -> None:
        """Let a run be in flight."""
        now = datetime.now(UTC).isoformat()
        run = {"dag_id": dag, "dag_run_id": run_id, "state": state, "run_type": "operator_triggered", "conf": {}}
        times = {"start_date": now, "queued_at": now, "run_after": now, "triggering_user_name": None}
        self.runs.append({**run, **times, **more})

    def ask(self, dag: str, run_id: str, subject: str) -> None:
        """Let a task wait for an answer."""
        task = {"dag_id": dag, "dag_run_id": run_id, "task_id": "approve", "map_index": -1, "state": "awaiting_input"}
        now = datetime.now(UTC).isoformat()
        self.approvals.append({"task_instance": task, "subject": subject, "created_at": now})

    def decide(self, dag: str, run_id: str, subject: str, choice: str = "Approve", **more: Any) -> None:
        """Let a question have been answered; `more` replaces what Airflow tells of it."""
        now = datetime.now(UTC).isoformat()
        task = {"id": f"{dag} {run_id}", "dag_id": dag, "dag_run_id": run_id, "task_id": "approve", "state": "success"}
        told = {"subject": subject, "created_at": now, "responded_at": now, "chosen_options": [choice]}
        who = {"id": "7", "name": "boris"}
        detail = {"task_instance": task, "responded_by_user": who, "params_input": {}, "response_received": True}
        self.approvals.append({**detail, **told, **more})

    def strand(self, dag: str, run_id: str, subject: str, who: str = "boris") -> None:
        """Let a question be answered while its task was about to wait: it waits on."""
        self.ask(dag, run_id, subject)
        self.approvals[-1] |= {"response_received": True, "responded_by_user": {"id": "7", "name": who}}

    def list_questions(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return the questions whose tasks are so, that are answered or are not, the newest answers first."""
        states, answered = query.get("state"), query.get("response_received")
        found = [each for each in self.approvals if not states or each["task_instance"]["state"] in states]
        if answered:
            found = [each for each in found if each.get("response_received", False) is (answered == ["true"])]
        until = query.get("created_at_lte", ["9"])[0]
        found = [each for each in found if each["created_at"] <= until]
        return sorted(found, key=lambda each: str(each.get("responded_at")), reverse=True)

    def keep_deploys(self, project: str, slug: str, deploys: Sequence[Outcome]) -> None:
        """Write an environment's deploys as control does."""
        Memory(self.stores[project]).deploys(slug).write(tuple(deploys))

    def answer(  # noqa: C901, PLR0911 - a case per request
        self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]
    ) -> Response:
        """Return what Airflow's REST API answers."""
        self.asked.append(f"{method} {path}")
        for end, (status, detail) in self.faults.items():
            if path.endswith(end) or end == "*":
                return JSONResponse({"detail": detail}, status)
        parts = path.split("/")
        match method, parts:
            case "GET", ["dags"]:
                dags = [{"dag_id": dag, "is_paused": is_paused} for dag, is_paused in self.dags.items()]
                return give_page("dags", dags, query)
            case "GET", ["pools", pool]:
                is_there = pool in self.pools
                return JSONResponse({"name": pool} if is_there else {"detail": "none"}, 200 if is_there else 404)
            case "GET", ["assets"]:
                return give_page("assets", self.list_assets(), query)
            case "GET", ["assets", asset, "state-store", key]:
                kept = list((self.seen if int(asset) >= REPOSITORIES else self.stores).values())
                value = kept[int(asset) % REPOSITORIES].get(key)
                found = {"key": key, "value": value}
                return JSONResponse(found) if value is not None else JSONResponse({"detail": "not found"}, 404)
            case "POST", ["dags", "~", "dagRuns", "list"]:
                states = body.get("states", [run["state"] for run in self.runs])
                runs = [run for run in self.runs if run["dag_id"] in body["dag_ids"] and run["state"] in states]
                return give_page("dag_runs", runs, {"offset": [body["page_offset"]], "limit": [body["page_limit"]]})
            case "GET", ["dags", "~", "dagRuns", "~", "hitlDetails"]:
                return give_page("hitl_details", self.list_questions(query), query)
            case "GET", ["dags", dag, "dagRuns", run_id]:
                known = [run for run in self.runs if (run["dag_id"], run["dag_run_id"]) == (dag, run_id)]
                return JSONResponse(known[0]) if known else JSONResponse({"detail": "not found"}, 404)
            case "PATCH", ["dags", dag, "dagRuns", run, "taskInstances", "approve", "-1", "hitlDetails"]:
                self.answers.append((dag, run, body["chosen_options"]))
                self.approvals[:] = [each for each in self.approvals if not is_of(each, dag, run)]
                return JSONResponse({})
            case "POST", ["dags", dag, "dagRuns"]:
                self.posted.append((dag, body))
                run_id = f"manual__{len(self.posted)}"
                self.start_run(dag, run_id, "queued", run_type="manual", conf=body["conf"], triggering_user_name="ada")
                return JSONResponse(self.runs[-1])
        told = self.tell_health(parts, query) if method == "GET" else self.change(method, parts, body)
        return told or JSONResponse({"detail": f"{method} {path} is not played"}, 418)

    def list_assets(self) -> list[dict[str, Any]]:
        """Return the assets whose stores the page reads."""
        fleets = [{"id": i, "name": f"deploy_ops.{name}.fleet"} for i, name in enumerate(self.stores)]
        seen = enumerate(self.seen, REPOSITORIES)
        return [*fleets, *({"id": i, "name": f"deploy_ops.{name}.repository"} for i, name in seen)]

    def tell_health(self, parts: list[str], query: dict[str, list[str]]) -> Response | None:
        """Return what Airflow says of itself and of its DAG files, if that is asked."""
        match parts:
            case ["monitor", "health"]:
                return JSONResponse(self.health)
            case ["jobs"]:
                jobs = [{"job_type": each, "state": "running"} for each in self.jobs]
                return JSONResponse({"jobs": jobs, "total_entries": len(jobs)})
            case ["importErrors"]:
                return give_page("import_errors", self.errors, query)
        return None

    def change(self, method: str, parts: list[str], body: dict[str, Any]) -> Response | None:
        """Pause a DAG or clear a run, if that is asked."""
        match method, parts:
            case "PATCH", ["dags", dag]:
                self.paused.append((dag, body))
                self.dags[dag] = body["is_paused"]
                return JSONResponse({"dag_id": dag, **body})
            case "POST", ["dags", dag, "dagRuns", run, "clear"]:
                self.cleared.append((dag, run, body))
                self.approvals[:] = [each for each in self.approvals if not is_of(each, dag, run)]
                self.start_run(dag, run, "queued")
                return JSONResponse(self.runs[-1])
        return None

    def make_app(self) -> FastAPI:
        """Return the web application: the plugin's, the REST API, and a UI around them."""
        deployments_page.make_app.cache_clear()
        plugin = deployments_page.make_app()
        plugin.dependency_overrides[security.get_user] = lambda: SimpleAuthManagerUser(username="ada", role="viewer")
        inner = FastAPI()
        inner.mount("/deploy-ops", deployments_page.serve)

        async def call_api(request: Request, path: str) -> Response:
            body = {} if request.method == "GET" else await request.json()
            return self.answer(request.method, path, parse_qs(request.url.query), body)

        def show_ui(request: Request, path: str = "") -> Response:
            src = f"/{path}?{request.url.query}" if path else f"{self.prefix}/deploy-ops/page"
            return HTMLResponse(UI.format(theme=self.theme, base=self.prefix, sandbox=SANDBOX, src=src))

        inner.api_route("/api/v2/{path:path}", methods=["GET", "POST", "PATCH"])(call_api)

        def show_question(dag: str, run: str) -> Response:
            (asked,) = [each for each in self.approvals if is_of(each, dag, run)]
            api = f"{self.prefix}/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
            return HTMLResponse(QUESTION.format(subject=asked["subject"], api=api))

        inner.get("/dags/{dag}/runs/{run}/tasks/approve/required_actions")(show_question)

        def show_other(path: str) -> Response:
            return PlainTextResponse(f"page {path}")

        inner.get("/plugin/deployments")(show_ui)
        inner.get("/plugin/deployments/{path:path}")(show_ui)
        inner.get("/{path:path}")(show_other)
        outer = FastAPI()
        outer.mount(self.prefix, inner)
        return outer


def is_of(asked: dict[str, Any], dag: str, run: str) -> bool:
    """Whether the question is the run's."""
    task = asked["task_instance"]
    return bool(task["dag_id"] == dag and task["dag_run_id"] == run)


def give_page(name: str, found: list[dict[str, Any]], query: dict[str, list[Any]]) -> JSONResponse:
    """Return one page of a listing, never more than Airflow gives."""
    offset, limit = int(query.get("offset", [0])[0]), min(100, int(query.get("limit", [50])[0]))
    return JSONResponse({name: found[offset : offset + limit], "total_entries": len(found)})


class Running:
    """A double that listens, until the context ends."""

    def __init__(self, double: AirflowDouble, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(security, "get_auth_manager", lambda: AnswersAll(double))
        patch.setattr(settings, "get_engine", lambda: SimpleNamespace(dialect=SimpleNamespace(name=double.database)))
        self.double = double
        config = uvicorn.Config(double.make_app(), host=HOST, port=double.port, log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.should_exit = True
        self.thread.join()
