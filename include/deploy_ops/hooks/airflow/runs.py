"""What we change in one Deployment's Airflow: runs of DAGs, by a run id of ours, and pools.

Decides nothing. Whatever it changes may be asked for twice: a run has one id, and a state is set.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, ObservationError, PermanentError, WriteRefusedError
from include.deploy_ops.core.verification.smoke import is_askable
from include.deploy_ops.hooks.airflow.answers import parse_list
from include.deploy_ops.hooks.airflow.api import AirflowReader, AsyncAirflowReader
from include.deploy_ops.hooks.airflow.http import TRIES, ask, change
from include.deploy_ops.hooks.airflow.pools import lay_pools
from include.deploy_ops.hooks.airflow.run_answers import parse_failed_tasks, parse_log, parse_run, parse_start
from include.deploy_ops.hooks.conversation import Ask
from include.deploy_ops.process.redaction import list_forms, redact_shapes, redact_urls, replace_forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.deploy_ops.core.environment.pools import Pool
    from include.deploy_ops.core.verification.smoke import FailedTask, RunFacts, StartFacts
    from include.deploy_ops.hooks.conversation import Conversation

TASKS_READ = 100
"""Failed tasks of a run that are looked through for the first one."""


class AirflowPauser(AirflowReader):
    """Pauses DAGs of one Deployment's Airflow, blocking: for who has other work, so nothing is asked for twice."""

    def pause(self, dag_id: str) -> None:
        """Pause the DAG; one that is gone is no error. Raises as `http.change` does."""
        self._hold(set_paused(dag_id, is_paused=True, tries=1))


class AsyncAirflowRunner(AsyncAirflowReader):
    """Starts and watches runs, awaited. Every method raises as `http.ask` does, those that change as `http.change`."""

    async def read_start(self, dag_id: str) -> StartFacts | None:
        """Return what decides whether the DAG may be started; None where there is no such DAG."""
        return await self._hold(ask_start(dag_id, self._api.version))

    async def set_paused(self, dag_id: str, *, is_paused: bool) -> None:
        """Pause the DAG, or unpause it; one that is gone is no error when it is paused."""
        await self._hold(set_paused(dag_id, is_paused=is_paused))

    async def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> RunFacts:
        """Start a run unless it is there; return how it goes. `WriteRefusedError.said`: why Airflow starts none."""
        return await self._hold(start_run(dag_id, run_id, conf, self._api.version))

    async def read_run(self, dag_id: str, run_id: str) -> RunFacts | None:
        """Return how a run goes; None where there is none."""
        return await self._hold(ask_run(dag_id, run_id))

    async def end(self, dag_id: str, run_id: str) -> None:
        """Set the run failed, which ends its tasks; one that is gone is no error."""
        await self._hold(end_run(dag_id, run_id))

    async def list_failed_tasks(self, dag_id: str, run_id: str) -> tuple[FailedTask, ...]:
        """Return the run's failed tasks, the first one to end first."""
        return await self._hold(ask_failed_tasks(dag_id, run_id))

    async def read_log(self, dag_id: str, run_id: str, task: FailedTask) -> str:
        """Return the end of what a task's last try logged, without our token, other secrets and what looks like one."""
        text = await self._hold(ask_log(dag_id, run_id, task))
        given = list_forms([self._api.service.token, *self._secrets])
        return redact_shapes(redact_urls(replace_forms(text, given)))

    async def lay_pools(self, wanted: Sequence[Pool]) -> tuple[str, ...]:
        """Make the pools what is wanted; return the names under which a person has one, which stays."""
        return await self._hold(lay_pools(wanted, self._api.version))


def ask_start(dag_id: str, version: int) -> Conversation[StartFacts | None]:
    """Ask for a DAG, and how many of its runs are at work or wait."""
    request = Ask(_path(dag_id))
    answer = yield from _ask_one(request, dag_id)
    if answer is None:
        return None
    facts = parse_start(request, answer, dag_id, version)
    if not facts.max_active_runs:
        return facts
    listing = Ask(f"{_path(dag_id)}/dagRuns", {"state": "running", "limit": 1})
    _, busy = parse_list(listing, (yield from ask(listing)).value, "dag_runs")
    return replace(facts, busy=busy)


def set_paused(dag_id: str, *, is_paused: bool, tries: int = TRIES) -> Conversation[None]:
    """Have a DAG paused or unpaused."""
    request = Ask(_path(dag_id), {"update_mask": "is_paused"}, "PATCH", {"is_paused": is_paused})
    try:
        yield from change(request, tries)
    except WriteRefusedError as error:
        if not (is_paused and _is_gone(error, dag_id)):
            raise


def start_run(dag_id: str, run_id: str, conf: Mapping[str, Any], version: int) -> Conversation[RunFacts]:
    """Have a run started, unless it was by an earlier try."""
    found = yield from ask_run(dag_id, run_id)
    if found is not None:
        return found
    content = {"dag_run_id": run_id, "conf": dict(conf)}
    request = Ask(f"{_path(dag_id)}/dagRuns", {}, "POST", content | ({"logical_date": None} if version > 1 else {}))
    try:
        answer = yield from change(request)
    except WriteRefusedError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        found = yield from ask_run(dag_id, run_id)  # the first of two requests was heard, and not its answer
        if found is None:
            raise
        return found
    return parse_run(request, answer, dag_id, run_id)


def ask_run(dag_id: str, run_id: str) -> Conversation[RunFacts | None]:
    """Ask for a run."""
    request = Ask(_path(dag_id, run_id))
    answer = yield from _ask_one(request, run_id)
    return None if answer is None else parse_run(request, answer, dag_id, run_id)


def end_run(dag_id: str, run_id: str) -> Conversation[None]:
    """Have a run set failed."""
    try:
        yield from change(Ask(_path(dag_id, run_id), {}, "PATCH", {"state": "failed"}))
    except WriteRefusedError as error:
        if not _is_gone(error, run_id):
            raise


def ask_failed_tasks(dag_id: str, run_id: str) -> Conversation[tuple[FailedTask, ...]]:
    """Ask for the failed tasks of a run."""
    request = Ask(f"{_path(dag_id, run_id)}/taskInstances", {"state": "failed", "limit": TASKS_READ})
    items, _ = parse_list(request, (yield from ask(request)).value, "task_instances")
    return parse_failed_tasks(request, items[:TASKS_READ])


def ask_log(dag_id: str, run_id: str, task: FailedTask) -> Conversation[str]:
    """Ask for what a task's last try logged."""
    if not is_askable(task.task_id):
        raise PermanentError(f"the log of a task of the name {task.task_id!r:.200} is not asked for")
    path = f"{_path(dag_id, run_id)}/taskInstances/{quote(task.task_id, safe='')}/logs/{task.try_number}"
    request = Ask(path, {"full_content": "true", "map_index": task.map_index})
    return parse_log(request, (yield from ask(request)).value)


def _ask_one(request: Ask, name: str) -> Conversation[Any]:
    """Ask for one thing; return None where Airflow itself says that it has none of this name."""
    try:
        return (yield from change(request))
    except WriteRefusedError as error:
        if _is_gone(error, name):
            return None
        raise ObservationError(f"{error}; {NOTHING_FOLLOWS}") from error


def _is_gone(error: WriteRefusedError, name: str) -> bool:
    """Whether Airflow has no such thing: what answers 404 while a Deployment sleeps or starts names none."""
    return error.status == HTTPStatus.NOT_FOUND and name in error.said


def _path(dag_id: str, run_id: str = "") -> str:
    """Return a DAG's address, or its run's. :raises PermanentError: an id that would lead to something else."""
    for each in (dag_id, *([run_id] if run_id else [])):
        if not is_askable(each):
            raise PermanentError(f"nothing is asked about {each!r:.200}: it is no id of Airflow's")
    path = f"/dags/{quote(dag_id, safe='')}"
    return f"{path}/dagRuns/{quote(run_id, safe='')}" if run_id else path
