"""A person in Airflow's UI: what is sent for a form and for an answer, and that nobody answers too soon."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from demo.person import REST_S, Approval, Person, RefusedError, read_approval

DETAIL = {
    "task_instance": {"dag_id": "p.request", "dag_run_id": "r~1", "task_id": "approve", "map_index": -1},
    "subject": "Deploy?",
    "body": None,
    "options": ["Approve", "Reject"],
}
APPROVAL = read_approval(DETAIL, 0.0)


class Airflow:
    """Answers every request alike, and keeps what was asked."""

    def __init__(self, status: int, body: object) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = (status, body)
        self.client = httpx.Client(transport=httpx.MockTransport(self._handle), base_url="http://airflow")

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self._answer[0], json=self._answer[1])

    def read_body(self) -> Any:
        return json.loads(self.asked[-1].content)


def test_a_form_is_sent_as_a_run_without_a_logical_date() -> None:
    airflow = Airflow(200, {"dag_run_id": "manual__1"})
    assert Person(airflow.client).trigger("p.staging", {"ref": "v1"}) == "manual__1"
    assert airflow.asked[-1].url.path == "/api/v2/dags/p.staging/dagRuns"
    assert airflow.read_body() == {"logical_date": None, "conf": {"ref": "v1"}}
    Person(airflow.client).trigger("p.staging", {}, "by-hand")
    assert airflow.read_body()["dag_run_id"] == "by-hand"


def test_what_the_form_refuses_is_told_in_its_words() -> None:
    airflow = Airflow(400, {"detail": "Invalid input for param deploy_type"})
    with pytest.raises(RefusedError, match=r"HTTP 400: .*param deploy_type"):
        Person(airflow.client).trigger("p.staging", {"deploy_type": "x"})


def test_an_outage_is_no_refusal() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        Person(Airflow(500, {}).client).trigger("p.staging", {})


def test_approvals_are_those_that_wait() -> None:
    airflow = Airflow(200, {"hitl_details": [DETAIL]})
    (found,) = Person(airflow.client).list_approvals("p.request")
    assert found == Approval("p.request", "r~1", "approve", -1, "Deploy?", "", ("Approve", "Reject"), 0.0)
    assert airflow.asked[-1].url.path == "/api/v2/dags/p.request/dagRuns/~/hitlDetails"
    assert dict(airflow.asked[-1].url.params) == {
        "state": "awaiting_input",
        "response_received": "false",
        "limit": "100",
    }
    assert not found.is_rested, "it was seen just now"


@pytest.mark.parametrize(("age_s", "is_rested"), [(REST_S - 0.01, False), (REST_S, True)])
def test_an_approval_rests_before_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, age_s: float, is_rested: bool
) -> None:
    airflow, approval = Airflow(200, {}), replace(APPROVAL, seen_s=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + age_s)
    assert approval.is_rested is is_rested
    if not is_rested:
        with pytest.raises(ValueError, match="asks for less than 7 s: wait"):
            Person(airflow.client).answer(approval, "Approve")
        assert airflow.asked == []
        return
    Person(airflow.client).answer(approval, "Reject", comment="not today")
    (asked,) = airflow.asked
    assert asked.method == "PATCH"
    assert asked.url.path == "/api/v2/dags/p.request/dagRuns/r~1/taskInstances/approve/-1/hitlDetails"
    assert airflow.read_body() == {"chosen_options": ["Reject"], "params_input": {"comment": "not today"}}


def test_a_switch_is_turned() -> None:
    airflow = Airflow(200, {})
    Person(airflow.client).pause("p.staging", is_paused=True)
    assert (airflow.asked[-1].method, airflow.read_body()) == ("PATCH", {"is_paused": True})
