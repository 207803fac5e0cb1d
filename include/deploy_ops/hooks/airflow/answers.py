"""Turn the JSON of Airflow's REST API into our values, or say what is wrong with it; of version 2, and of version 1.

Asks nothing. Field names are those of Airflow's own OpenAPI descriptions; what we do not read is Airflow's affair. The
texts are a stranger's: each is cut to a length here, and cleaned where it is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, MalformedAnswerError
from include.deploy_ops.core.naming import OWN_RUN_START
from include.deploy_ops.core.verification.facts import TIMES, AirflowDag, ImportFault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.deploy_ops.hooks.conversation import Ask

M = TypeVar("M", bound=BaseModel)

TEXT_MAX = 1000
"""Characters of a schedule or a file's name; Airflow stores no DAG id beyond 250, and no file beyond 2000."""
WORDS_MAX = 100
"""Tags or owners of one DAG; Airflow bounds the length of each to 100 and the owners' together to 2000."""
TRACE_MAX = 16_384
"""Characters of a traceback, its end: a message may have any length."""

_SHOWN_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""A DAG id that shows nothing but a name."""
_PROBLEMS_TOLD_MAX = 5
_DAG_FOLDERS = ("/usr/local/airflow/dags/", "/dags/")
"""Where version 1, which knows absolute paths alone, has the DAG folder: Astro's images, then any that is named so."""
NO_SCHEDULE = frozenset({"", "None"})
"""Airflow's summary of a DAG without a schedule (NullTimetable.summary)."""
NEVER = "Never, external triggers only"
"""What version 1 says of such a DAG (NullTimetable.description)."""


@dataclass(frozen=True, slots=True)
class AirflowRun:
    """A run. `dag_id` is empty where it is not fit to be shown; `is_persons`: a person started it, as far as is told.

    Version 1 does not tell what an operator triggered.
    """

    dag_id: str
    is_persons: bool
    queued_at: datetime | None
    started_at: datetime | None

    @property
    def asked_at(self) -> datetime | None:
        """When it was asked for, or cleared: the later of queueing and start."""
        return max(filter(None, (self.queued_at, self.started_at)), default=None)


def _cut(value: Any) -> Any:
    return value[:TEXT_MAX] if isinstance(value, str) else value


def _cut_trace(value: Any) -> Any:
    return value[-TRACE_MAX:] if isinstance(value, str) else value


def _cut_list(value: Any) -> Any:
    return tuple(value[:WORDS_MAX]) if isinstance(value, list) else value


Instant = Annotated[AwareDatetime, Strict(strict=False), Field(ge=TIMES[0], le=TIMES[1])]
Text = Annotated[str, BeforeValidator(_cut)]
_Trace = Annotated[str, BeforeValidator(_cut_trace)]
DagId = Annotated[str, Field(min_length=1, max_length=250)]


class Json(BaseModel):
    """A part of an answer: the fields that we read, each of the type that Airflow describes."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Listed(Json):
    total_entries: int = Field(ge=0)


class _Tag(Json):
    name: Text


_Tags = Annotated[tuple[_Tag, ...], BeforeValidator(_cut_list)]
_Owners = Annotated[tuple[Text, ...], BeforeValidator(_cut_list)]


class _Dag(Json):
    dag_id: DagId
    is_paused: bool
    is_stale: bool
    last_parsed_time: Instant | None
    last_parse_duration: float | None = Field(default=None, ge=0, le=86_400)
    fileloc: Text
    relative_fileloc: Text | None = None
    bundle_version: Text | None = None
    timetable_summary: Text | None
    tags: _Tags
    owners: _Owners


class _OldDag(Json):
    dag_id: DagId
    is_paused: bool | None
    is_active: bool | None
    last_parsed_time: Instant | None
    fileloc: Text
    schedule_interval: dict[str, Any] | None
    timetable_description: Text | None = None
    tags: _Tags | None
    owners: _Owners


class _Fault(Json):
    import_error_id: int
    timestamp: Instant
    filename: Text
    stack_trace: _Trace


class _Run(Json):
    dag_run_id: Text
    dag_id: Text
    run_type: Text
    triggered_by: Text | None = None
    queued_at: Instant | None = None
    start_date: Instant | None


class _Version(Json):
    version: Annotated[str, Field(min_length=1, max_length=100)]


def parse_list(request: Ask, answer: Any, key: str) -> tuple[list[Any], int]:
    """Return a page's items, and how many the whole list has; raises MalformedAnswerError."""
    total = read_model(request, _Listed, answer).total_entries
    items = answer.get(key)
    if not isinstance(items, list):
        raise doubt(request, f"the answer has no list '{key}'")
    return items, total


def parse_dag(request: Ask, item: Any, version: int) -> AirflowDag:
    """Return a DAG; raises MalformedAnswerError."""
    return (
        _make_dag(read_model(request, _Dag, item)) if version > 1 else _make_old_dag(read_model(request, _OldDag, item))
    )


def _make_dag(found: _Dag) -> AirflowDag:
    return AirflowDag(
        dag_id=found.dag_id,
        file=found.relative_fileloc or _place(found.fileloc),
        parsed_at=found.last_parsed_time,
        parse_s=found.last_parse_duration,
        is_paused=found.is_paused,
        is_stale=found.is_stale,
        schedule=_drop_none(found.timetable_summary or ""),
        tags=_sort(each.name for each in found.tags),
        owners=_sort(found.owners),
        bundle_version=found.bundle_version or "",
    )


def _make_old_dag(found: _OldDag) -> AirflowDag:
    return AirflowDag(
        dag_id=found.dag_id,
        file=_place(found.fileloc),
        parsed_at=found.last_parsed_time,
        is_paused=bool(found.is_paused),
        is_stale=not found.is_active,
        schedule=_tell_interval(found),
        tags=_sort(each.name for each in found.tags or ()),
        owners=_sort(found.owners),
    )


def _tell_interval(found: _OldDag) -> str:
    """Return the schedule in a text: a cron expression or "Dataset", else what Airflow says of the timetable."""
    value = (found.schedule_interval or {}).get("value")
    if isinstance(value, str):
        return _drop_none(value[:TEXT_MAX])
    said = found.timetable_description or ""
    if found.schedule_interval is None:
        return "" if said == NEVER else said
    return said or "a schedule"


def _drop_none(summary: str) -> str:
    return "" if summary in NO_SCHEDULE else summary


def parse_fault(request: Ask, item: Any, version: int) -> tuple[int, ImportFault]:
    """Return an import error's id and itself; raises MalformedAnswerError."""
    found = read_model(request, _Fault, item)
    file = found.filename if version > 1 else _place(found.filename)
    return found.import_error_id, ImportFault(file, found.timestamp, found.stack_trace)


def parse_run(request: Ask, item: Any) -> AirflowRun:
    """Return a run, of either version; raises MalformedAnswerError."""
    found = read_model(request, _Run, item)
    is_persons = found.run_type == "manual" and found.triggered_by != "operator"
    return AirflowRun(
        dag_id=found.dag_id if _SHOWN_ID.fullmatch(found.dag_id) else "",
        is_persons=is_persons and not found.dag_run_id.startswith(OWN_RUN_START),
        queued_at=found.queued_at,
        started_at=found.start_date,
    )


def parse_version(request: Ask, answer: Any) -> str:
    """Return Airflow's version; raises MalformedAnswerError."""
    return read_model(request, _Version, answer).version


def _place(path: str) -> str:
    """Return an absolute path's part below the DAG folder, or the path where none is in it."""
    for folder in _DAG_FOLDERS:
        before, found, below = path.partition(folder)
        if found and (folder == _DAG_FOLDERS[-1] or not before):
            return below
    return path


def _sort(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def read_model(request: Ask, model: type[M], answer: Any) -> M:
    """Return a part of an answer as what it must be; raises MalformedAnswerError."""
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:_PROBLEMS_TOLD_MAX]
        said = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'answer'}: {each['msg']}" for each in problems)
        raise doubt(request, f"the answer is malformed: {said}") from None


def doubt(request: Ask, what: str) -> MalformedAnswerError:
    """Return the error that an answer which cannot be believed is."""
    return MalformedAnswerError(f"{request}: {what}; {NOTHING_FOLLOWS}")
