"""One Deployment's Airflow: what it has parsed, its pools, and its runs. Airflow itself does the work, in children.

Nothing is done before somebody asks. Code, or variables, that it did not parse yet are parsed by the first question
that comes; a run has a child of its own. What is kept here is in the words of Airflow's API v2.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
import tarfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.airflow.child import name_log
from sandbox.airflow.children import ChildError
from sandbox.airflow.environment import make_environment
from sandbox.airflow.own_files import FileError, read_own_file
from sandbox.airflow.runs import Document, Run, format_time, make_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.airflow.children import Children
    from sandbox.astro.records import Code, Deployment
    from sandbox.settings import Settings

_REAL_HOME = "/usr/local/airflow"  # where a Deployment's files lie
_REAL_PREFIX = "/usr/local"  # and its Python
_DEFAULT_POOL = {"name": "default_pool", "slots": 128, "description": "Default pool", "include_deferred": False}
# A child is task and server in one; these write what elsewhere stands in the server's log.
_SERVER, _SERVER_FILE = "airflow.api_fastapi.", "/fastapi/testclient.py"


@dataclass(frozen=True, slots=True)
class Means:
    """What every Airflow of the sandbox works with.

    :param unpack: lays the files of a Deployment's code into a folder.
    :param database: a migrated, empty database; whoever needs it first makes it.
    """

    children: Children
    settings: Settings
    unpack: Callable[[Deployment, Code, Path], None]
    database: Path


class Airflow:
    """The Airflow of one Deployment.

    :param folder: its own; made when it is needed.
    """

    def __init__(self, deployment: Deployment, folder: Path, means: Means) -> None:
        self.deployment = deployment
        self.pools: dict[str, Document] = {"default_pool": dict(_DEFAULT_POOL)}
        self.runs: dict[tuple[str, str], Run] = {}
        self.failure: str | None = None  # why the newest parse gave nothing
        self.parsed_at: str | None = None  # when the newest parse was over
        self._folder = folder
        self._means = means
        self._dags: dict[str, Document] = {}
        self._import_errors: list[Document] = []
        self._versions: dict[str, Document] = {}
        self._needs: dict[str, Document] = {}
        self._parsed = ""
        self._parsed_s = 0.0
        self._seen = ("", 0.0)
        self._parsing: asyncio.Task[None] | None = None

    @property
    def runtime(self) -> str:
        """The Astro Runtime version that it runs."""
        code = self.deployment.running_code(self._means.settings)
        return code.runtime_version or str(self.deployment.spec["astroRuntimeVersion"])

    async def catch_up(self) -> None:
        """Have parsed what is deployed, unless that takes longer than `airflow_patience_s`."""
        until_s = time.monotonic() + self._means.settings.airflow_patience_s
        while self._parsing is not None or self._is_behind():
            task = self._parsing = self._parsing or asyncio.create_task(self._parse())
            await asyncio.wait({task}, timeout=max(0.0, until_s - time.monotonic()))
            if not task.done() or task.cancelled():
                return
            if self._parsing is task:
                self._parsing = None
            task.result()

    def end(self) -> None:
        """Give up what is under way."""
        for task in (self._parsing, *(run.task for run in self.runs.values())):
            if task is not None:
                task.cancel()

    def list_dags(self) -> list[Document]:
        """Return all DAGs that were ever parsed, stale ones too, in order of their ids."""
        return [self.find_dag(dag_id) for dag_id in sorted(self._dags)]

    def find_dag(self, dag_id: str) -> Document:
        """Return one DAG.

        :raises KeyError: when there never was one.
        """
        dag = self._dags[dag_id]
        return dag if dag["is_stale"] else {**dag, "last_parsed_time": self._move(dag["last_parsed_time"])}

    def list_import_errors(self) -> list[Document]:
        """Return the errors of the files that cannot be imported."""
        return [{**each, "timestamp": self._move(each["timestamp"])} for each in self._import_errors]

    def find_params(self, dag_id: str) -> dict[str, Document]:
        """Return a DAG's params: each its `schema`, and its `value` where it has one."""
        return dict(self._needs.get(dag_id, {}).get("params", {}))

    def set_paused(self, dag_id: str, *, is_paused: bool) -> None:
        """Pause a DAG or let it run, also by its schedule: a run that is due by it starts at once."""
        dag = self._dags[dag_id]
        was_paused, dag["is_paused"] = dag["is_paused"], is_paused
        due = dag["next_dagrun_run_after"]
        if was_paused and not is_paused and due and datetime.fromisoformat(due) <= datetime.now(UTC):
            logical_date = dag["next_dagrun_logical_date"]
            given = {"run_type": "scheduled", "triggered_by": "timetable", "triggering_user_name": None}
            run_id = f"scheduled__{logical_date}"
            if (dag_id, run_id) not in self.runs:
                self.trigger(dag_id, {**given, "dag_run_id": run_id, "logical_date": logical_date})
        self.push_on()

    def put_pool(self, pool: Document) -> None:
        """Create or change a pool; runs that waited for it go on."""
        self.pools[pool["name"]] = pool
        self.push_on()

    def count_running(self, pool: str) -> int:
        """Return how many tasks run in a pool."""
        active = (run for run in self.runs.values() if run.state == "running")
        return sum(each["pool"] == pool and each["state"] == "running" for run in active for each in run.task_instances)

    def trigger(self, dag_id: str, given: Document) -> Run:
        """Queue a run, and start it if nothing keeps it.

        :param given: the fields of the run that are not as for any.
        """
        document = make_document(self._dags[dag_id], self._versions.get(dag_id), given)
        run = self.runs[dag_id, document["dag_run_id"]] = Run(document, len(self.runs) + 1)
        self.push_on()
        return run

    def push_on(self) -> None:
        """Start the runs that may start: not of a paused DAG, not more than it may have, not without its pools."""
        for run in self.runs.values():
            if run.state == "queued" and self._may_start(run):
                run.start()
            if run.state == "running" and run.task is None and self._has_pools(run):
                run.task = asyncio.create_task(self._run(run))

    def set_state(self, run: Run, state: str) -> None:
        """Do what Airflow does when somebody sets a run's state: end it, or let it run anew."""
        self.read_progress(run)
        if run.task is not None:
            run.task.cancel()
        if state == "queued":
            run.queue_again()
        else:
            run.finish(state)
        self.push_on()

    def read_progress(self, run: Run) -> None:
        """Take over what a run's child has reported so far."""
        if run.state == "running" and (self._folder / _name_report(run)).exists():
            run.task_instances = self._read(_name_report(run))["task_instances"]

    def read_log(self, run: Run, task_id: str, map_index: int, try_number: int) -> list[Document]:
        """Return the lines of a try's log as the API gives them; none when there is no such log.

        :raises FileError: the log is none of Airflow's, or too large.
        """
        name = name_log(run.number, task_id, map_index, try_number)
        lines = map(json.loads, self._read_text(f"logs/{name}").splitlines())
        return [_write_line(line) for line in lines if not _is_server(line)]

    def _is_behind(self) -> bool:
        """Whether there is code, or a variable, that it shall have begun to parse by now."""
        code = self.deployment.running_code(self._means.settings)
        name = self._name_code(code)
        if name != self._seen[0]:
            self._seen = (name, time.monotonic())
        is_time = time.monotonic() - self._seen[1] >= self._means.settings.parsing_s
        return name != self._parsed and is_time and (code.image_tag or code.dag_version) is not None

    def _name_code(self, code: Code) -> str:
        variables = [(each["key"], each["value"]) for each in self.deployment.variables]
        said = [code.image_tag, code.dag_version, self.deployment.spec["isDagDeployEnabled"], variables]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    async def _parse(self) -> None:
        async with self._means.children.turn:
            code = self.deployment.running_code(self._means.settings)
            self._parsed, self.failure = self._name_code(code), None
            try:
                await self._make_database()
                await asyncio.to_thread(self._lay_out, code)
                self._adopt(await self._ask("parse", "parsed.json"))
            except (ChildError, FileError, tarfile.TarError) as error:
                self.failure = str(error)
            self._parsed_s, self.parsed_at = time.monotonic(), format_time(datetime.now(UTC))
        self.push_on()

    def _adopt(self, found: Document) -> None:
        before = self._dags
        self._dags = {dag["dag_id"]: dag for dag in found["dags"]}
        for dag_id in before.keys() & self._dags:
            self._dags[dag_id]["is_paused"] = before[dag_id]["is_paused"]
        self._import_errors, self._versions = found["import_errors"], found["versions"]
        self._needs = found["needs"]

    def _may_start(self, run: Run) -> bool:
        dag = self._dags[run.document["dag_id"]]
        active = [each for each in self.runs.values() if each.state == "running"]
        count = sum(each.document["dag_id"] == dag["dag_id"] for each in active)
        return not dag["is_stale"] and not dag["is_paused"] and count < (dag["max_active_runs"] or 1)

    def _has_pools(self, run: Run) -> bool:
        return self.pools.keys() >= set(self._needs.get(run.document["dag_id"], {}).get("pools", ()))

    async def _run(self, run: Run) -> None:
        async with self._means.children.turn:
            given = {key: run.document[key] for key in ("dag_id", "conf", "run_after", "logical_date")}
            dag = self._dags[given["dag_id"]]
            try:
                run.adopt(
                    await self._ask(
                        "run",
                        _name_report(run),
                        run_id=run.document["dag_run_id"],
                        number=run.number,
                        file=dag["relative_fileloc"],
                        **given,
                    )
                )
            except (ChildError, FileError):
                self.read_progress(run)
                run.finish("failed")
        self.push_on()

    async def _make_database(self) -> None:
        """Copy the migrated, empty database, unless there is one; the first Airflow of all makes it by Airflow."""
        own, template = self._folder / "home" / "airflow.db", self._means.database
        if own.exists():
            return
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        (self._folder / "project").mkdir(exist_ok=True)
        own.parent.mkdir(exist_ok=True)
        if template.exists():
            shutil.copyfile(template, own)
            return
        await self._means.children.run(self._folder, self._make_order("migrate", "migrated.json"))
        new = template.with_suffix(".new")
        shutil.copyfile(own, new)
        new.replace(template)

    def _lay_out(self, code: Code) -> None:
        project = self._folder / "project"
        shutil.rmtree(project)
        project.mkdir()
        self._means.unpack(self.deployment, code, project)

    def _make_order(self, mode: str, report: str) -> Document:
        home, project = self._folder / "home", self._folder / "project"
        return {
            "mode": mode,
            "environment": make_environment(self.deployment.variables, home, project),
            "project": str(project),
            "report": str(self._folder / report),
            "logs": str(self._folder / "logs"),
            "pools": list(self.pools.values()),
        }

    async def _ask(self, mode: str, report: str, **more: Any) -> Document:
        """Have a child do something, and return its report.

        :raises ChildError: it did not come to its end.
        :raises FileError: its report is none.
        """
        (self._folder / report).unlink(missing_ok=True)
        await self._means.children.run(self._folder, {**self._make_order(mode, report), **more})
        return self._read(report)

    def _read(self, report: str) -> Document:
        try:
            found = json.loads(self._read_text(report))
        except ValueError as error:
            raise FileError(f"{report} is no JSON: {error}") from error
        return dict(found)

    def _read_text(self, name: str) -> str:
        """Return a file of a child, with the paths that the real Airflow would have."""
        text = read_own_file(self._folder / name)
        return text.replace(str(self._folder / "project"), _REAL_HOME).replace(sys.prefix, _REAL_PREFIX)

    def _move(self, moment: str) -> str:
        """Return when something that was parsed was parsed last: again and again, until there is newer code."""
        every_s = self._means.settings.parsed_again_s
        is_old = self._parsing is not None and self._seen[1] > self._parsed_s
        until_s = self._seen[1] if is_old else time.monotonic()
        times = (until_s - self._parsed_s) // every_s if every_s else 0
        return format_time(datetime.fromisoformat(moment) + timedelta(seconds=times * every_s))


def _name_report(run: Run) -> str:
    return f"run-{run.number}.json"


def _is_server(line: Document) -> bool:
    return str(line.get("logger")).startswith(_SERVER) or str(line.get("filename")).endswith(_SERVER_FILE)


def _write_line(line: Document) -> Document:
    """Return a line of a log as Airflow's supervisor writes it."""
    return {("error_detail" if key == "exception" else key): value for key, value in line.items()}
