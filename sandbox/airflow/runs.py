"""A run of a DAG, and what becomes of it. What lets it run is the instance's affair."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

Document = dict[str, Any]
_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(eq=False)
class Run:
    """A run as Airflow's API v2 answers it, with its task instances.

    :param number: of all runs of its Deployment; its files are named by it.
    """

    document: Document
    number: int
    task_instances: list[Document] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """Its DagRunState."""
        return str(self.document["state"])

    def start(self) -> None:
        """Leave the queue."""
        self.document |= {"state": "running", "start_date": format_time(datetime.now(UTC))}

    def adopt(self, found: Document) -> None:
        """Take over what a child reported at its end."""
        kept = ("state", "last_scheduling_decision", "dag_versions", "data_interval_start", "data_interval_end")
        self.document |= {key: found["run"][key] for key in kept}
        self.task_instances = found["task_instances"]
        self._end(found["run"]["end_date"])

    def finish(self, state: str) -> None:
        """End it in a state, and with it its tasks, as Airflow does when somebody sets the state of a run."""
        for each in self.task_instances:
            if each["state"] not in _FINISHED:
                each["state"] = state if each["state"] == "running" else "skipped"
        self.document["state"] = state
        self._end(format_time(datetime.now(UTC)))

    def queue_again(self) -> None:
        """Forget how it went: it shall run anew."""
        self.task_instances, self.task = [], None
        self.document |= {"state": "queued", "start_date": None, "end_date": None, "duration": None}

    def _end(self, at: str | None) -> None:
        self.document["end_date"] = at
        began = self.document["start_date"]
        if at and began:
            self.document["duration"] = (datetime.fromisoformat(at) - datetime.fromisoformat(began)).total_seconds()


def make_document(dag: Document, version: Document | None, given: Document) -> Document:
    """Return a new run as Airflow's API v2 answers it, queued.

    :param version: of the DAG, as the API describes it.
    :param given: the fields that the asker, or the schedule, decides.
    """
    at = format_time(datetime.now(UTC))
    return {
        "dag_run_id": f"manual__{at}",
        "dag_id": dag["dag_id"],
        "dag_display_name": dag["dag_display_name"],
        "logical_date": None,
        "queued_at": at,
        "start_date": None,
        "end_date": None,
        "duration": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": at,
        "last_scheduling_decision": None,
        "run_type": "manual",
        "state": "queued",
        "triggered_by": "rest_api",
        "triggering_user_name": "sandbox",
        "conf": {},
        "note": None,
        "dag_versions": [version] if version else [],
        "bundle_version": None,
        "partition_key": None,
        "partition_date": None,
        **given,
    }


def format_time(moment: datetime) -> str:
    """Return the time as Airflow writes it: RFC 3339 with microseconds and `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
