"""Turn what Airflow's REST API answers of runs into our values; of version 2, and of version 1.

Asks nothing. The texts are a stranger's: each is cut to a length here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from include.deploy_ops.core.verification.smoke import FailedTask, RunFacts, StartFacts
from include.deploy_ops.hooks.airflow.answers import NEVER, NO_SCHEDULE, Instant, Json, Text, doubt, read_model

if TYPE_CHECKING:
    from include.deploy_ops.hooks.conversation import Ask

LOG_CHARACTERS_MAX = 16_384
"""Of a log's end."""
_OLD_LOG = ("[(", ")]")
"""Around what version 1 answers: Python's repr of pairs of host and text."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "", "t": "\t"}


class _Dag(Json):
    dag_id: Text
    is_paused: bool
    timetable_summary: Text | None
    next_dagrun_run_after: Instant | None
    max_active_runs: int = Field(ge=0)
    allowed_run_types: list[str] | None = None


class _OldDag(Json):
    dag_id: Text
    is_paused: bool | None
    schedule_interval: dict[str, Any] | None
    timetable_description: Text | None = None
    next_dagrun_create_after: Instant | None = None
    max_active_runs: int | None = Field(default=None, ge=0)


class _Run(Json):
    dag_id: Text
    dag_run_id: Text
    state: Text
    start_date: Instant | None
    end_date: Instant | None


class _Task(Json):
    task_id: Text
    map_index: int = -1
    try_number: int = Field(ge=0)
    end_date: Instant | None
    state: Text | None


class _Line(Json):
    event: Any
    error_detail: Any = None


def parse_start(request: Ask, answer: Any, dag_id: str, version: int) -> StartFacts:
    """Return what decides whether the DAG may be started, but `busy`; raises MalformedAnswerError."""
    dag = read_model(request, _Dag, answer) if version > 1 else read_model(request, _OldDag, answer)
    if dag.dag_id != dag_id:
        raise doubt(request, f"the answer is about the DAG {dag.dag_id!r:.200}")
    if isinstance(dag, _Dag):
        is_scheduled = (dag.timetable_summary or "") not in NO_SCHEDULE or dag.next_dagrun_run_after is not None
        allowed = dag.allowed_run_types
        return StartFacts(
            dag.is_paused, is_scheduled, dag.max_active_runs, is_manual=allowed is None or "manual" in allowed
        )
    said = (dag.schedule_interval or {}).get("value") or dag.timetable_description or ""
    is_timed = bool(dag.schedule_interval) and not said  # a span of time, which has neither
    is_scheduled = is_timed or said not in {*NO_SCHEDULE, NEVER} or dag.next_dagrun_create_after is not None
    return StartFacts(bool(dag.is_paused), is_scheduled, dag.max_active_runs)


def parse_run(request: Ask, answer: Any, dag_id: str, run_id: str) -> RunFacts:
    """Return how the run goes; raises MalformedAnswerError, also where the answer is about another run."""
    run = read_model(request, _Run, answer)
    if (run.dag_id, run.dag_run_id) != (dag_id, run_id):
        raise doubt(request, f"the answer is about the run {run.dag_run_id!r:.200} of {run.dag_id!r:.200}")
    took = (run.end_date - run.start_date).total_seconds() if run.start_date and run.end_date else 0.0
    return RunFacts(run.state, max(took, 0.0))


def parse_failed_tasks(request: Ask, items: list[Any]) -> tuple[FailedTask, ...]:
    """Return the tasks that failed, the first one to end first; raises MalformedAnswerError."""
    tasks = [task for task in (read_model(request, _Task, each) for each in items) if task.state == "failed"]
    tasks.sort(key=lambda task: (task.end_date is None, str(task.end_date), task.task_id))
    return tuple(FailedTask(task.task_id, task.map_index, task.try_number) for task in tasks)


def parse_log(request: Ask, answer: Any) -> str:
    """Return a log's end as text; raises MalformedAnswerError. Lines are texts, or what Airflow 3 makes of them.

    The last error comes last: what a task prints reaches the log another way, and may stand behind the exception that
    ended it (seen on Airflow 3.3.2).
    """
    content = answer.get("content") if isinstance(answer, dict) else None
    if isinstance(content, str):
        text = content[-LOG_CHARACTERS_MAX:]
        return _read_old_log(text) if content.startswith(_OLD_LOG[0]) and content.endswith(_OLD_LOG[1]) else text
    if not isinstance(content, list):
        raise doubt(request, "the answer has no 'content'")
    lines: list[str] = []
    room = LOG_CHARACTERS_MAX
    for each in reversed(_put_error_last(content)):
        if room <= 0:
            break
        line = _read_line(request, each)[-room:]
        lines.append(line)
        room -= len(line) + 1
    return "\n".join(reversed(lines))


def _read_old_log(text: str) -> str:
    """Return the text out of a repr's end, which may be cut: whatever it is, it is not evaluated."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text.removesuffix(_OLD_LOG[1]).rstrip("'\""))


def _put_error_last(content: list[Any]) -> list[Any]:
    errors = [place for place, each in enumerate(content) if isinstance(each, dict) and each.get("error_detail")]
    if not errors:
        return content
    last = errors[-1]
    return [*content[:last], *content[last + 1 :], content[last]]


def _read_line(request: Ask, item: Any) -> str:
    if isinstance(item, str):
        return item.rstrip("\n")
    line = read_model(request, _Line, item)
    details = line.error_detail if isinstance(line.error_detail, list) else []
    errors = [f"{each.get('exc_type')}: {each.get('exc_value')}" for each in details if isinstance(each, dict)]
    return "\n".join([str(line.event), *errors])
