"""What a person does in Airflow's UI: fills in a DAG's form, reads what waits for an answer, and answers it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

REST_S = 7.0
"""Seconds that an approval has stood before anybody answers it: Airflow may see the end of the process that asked 5 s
late, and fails a task that goes on before that."""


class RefusedError(Exception):
    """Airflow did not take what the person entered; the text is what the UI would show."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A question that a task asks, and waits.

    :param seen_s: when it was seen waiting, on the monotonic clock.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    body: str
    options: tuple[str, ...]
    seen_s: float = field(compare=False)

    @property
    def is_rested(self) -> bool:
        """Whether it can be answered."""
        return time.monotonic() - self.seen_s >= REST_S


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in front of Airflow's UI, by the public API that the UI uses.

    :param airflow: logged in as them.
    """

    airflow: httpx.Client

    def trigger(self, dag_id: str, conf: Mapping[str, Any], run_id: str | None = None) -> str:
        """Send a DAG's form, and return the id of the run that it started.

        :raises RefusedError: a value is none that the form takes, or the DAG cannot be run.
        """
        body = {"logical_date": None, "conf": dict(conf), **({"dag_run_id": run_id} if run_id else {})}
        return str(self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def list_approvals(self, dag_id: str = "~") -> list[Approval]:
        """Return what waits for an answer, in this DAG or in all."""
        answer = self.airflow.get(
            f"/api/v2/dags/{dag_id}/dagRuns/~/hitlDetails",
            params={"state": "awaiting_input", "response_received": "false", "limit": 100},
        )
        answer.raise_for_status()
        now_s = time.monotonic()
        return [read_approval(detail, now_s) for detail in answer.json()["hitl_details"]]

    def answer(self, approval: Approval, option: str, **entered: str) -> None:
        """Choose an option and enter parameters; it must be rested.

        :raises RefusedError: there is no such option, or somebody else answered.
        """
        if not approval.is_rested:
            raise ValueError(f"{approval.task_id} of {approval.run_id} asks for less than {REST_S:.0f} s: wait")
        run = f"/api/v2/dags/{approval.dag_id}/dagRuns/{approval.run_id}"
        path = f"{run}/taskInstances/{approval.task_id}/{approval.map_index}/hitlDetails"
        self._send("PATCH", path, {"chosen_options": [option], "params_input": entered})

    def pause(self, dag_id: str, *, is_paused: bool) -> None:
        """Turn a DAG's switch."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": is_paused})

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.airflow.request(method, path, json=body)
        if answer.is_client_error:
            raise RefusedError(f"HTTP {answer.status_code}: {answer.text}")
        answer.raise_for_status()
        return dict(answer.json())


def read_approval(detail: Mapping[str, Any], seen_s: float) -> Approval:
    """Return one of Airflow's `hitl_details`."""
    task = detail["task_instance"]
    return Approval(
        dag_id=task["dag_id"],
        run_id=task["dag_run_id"],
        task_id=task["task_id"],
        map_index=task["map_index"],
        subject=detail["subject"],
        body=detail["body"] or "",
        options=tuple(detail["options"]),
        seen_s=seen_s,
    )
