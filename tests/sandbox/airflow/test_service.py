"""Who may ask an Airflow, where it is, when nobody answers; and that nothing runs before somebody asks."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from sandbox.identity import WORKSPACE_ID
from tests.sandbox.airflow.stage import AUTH, Stage
from tests.sandbox.conftest import Sandbox, SandboxProcess

SIMPLE = "from airflow.sdk import dag\n"


def make_token(stage: Stage, scope: str = "DEPLOYMENT", **more: Any) -> Any:
    body = {"name": "preview", "scope": scope, "role": "DEPLOYMENT_ADMIN", "entityId": stage.deployment["id"], **more}
    return stage.call("POST", "/tokens", json=body)


def bear(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_no_child_is_started_before_somebody_asks_for_what_it_knows(sandbox: SandboxProcess) -> None:
    stage = Stage(sandbox)
    stage.deploy(orders=SIMPLE)
    stage.ask("GET", "/version")
    stage.ask("GET", "/monitor/health")
    stage.ask("GET", "/pools")
    stage.call("GET", "/deployments")

    assert psutil.Process(sandbox.process.pid).children(recursive=True) == []


def test_a_deployment_without_code_has_no_dags_and_needs_no_child(sandbox: SandboxProcess) -> None:
    stage = Stage(sandbox)

    assert stage.ask("GET", "/dags?exclude_stale=false") == {"dags": [], "total_entries": 0}
    assert psutil.Process(sandbox.process.pid).children(recursive=True) == []


def test_tokens_of_a_deployment_open_its_airflow_alone(sandbox: Sandbox) -> None:
    stage, other = Stage(sandbox), Stage(sandbox, name="dev-y")
    made = make_token(stage, tokenExpiryPeriodInDays=1)
    token = made["token"]

    assert made["endAt"] > made["startAt"]
    assert stage.ask("GET", "/pools", headers=bear(token))["total_entries"] == 1
    assert other.ask("GET", "/pools", status=403, headers=bear(token)) == {"detail": "Forbidden"}
    assert (
        sandbox.client.get(
            f"/astro/v1/organizations/{stage.deployment['organizationId']}", headers=bear(token)
        ).status_code
        == 401
    )
    assert stage.call("GET", f"/tokens?deploymentId={stage.deployment['id']}")["tokens"] == [
        {key: value for key, value in made.items() if key != "token"}
    ]
    stage.call("DELETE", f"/tokens/{made['id']}")
    assert stage.ask("GET", "/pools", status=401, headers=bear(token)) == {"detail": "Not authenticated"}


def test_tokens_of_the_workspace_open_every_airflow(sandbox: Sandbox) -> None:
    stage, other = Stage(sandbox), Stage(sandbox, name="dev-y")
    token = make_token(stage, "WORKSPACE", entityId=WORKSPACE_ID)["token"]

    for each in (stage, other):
        assert each.ask("GET", "/pools", headers=bear(token))["total_entries"] == 1


@pytest.mark.parametrize(
    "headers", [{}, bear("wrong"), {"authorization": AUTH["authorization"].replace("Bearer", "Basic")}]
)
def test_without_a_right_token_nobody_is_answered(sandbox: Sandbox, headers: dict[str, str]) -> None:
    Stage(sandbox).ask("GET", "/pools", status=401, headers=headers)


@pytest.mark.parametrize(
    "wrong", [{"scope": "DAG"}, {"role": None}, {"entityId": "nobody"}, {"tokenExpiryPeriodInDays": 0}]
)
def test_a_token_that_cannot_be_is_refused(sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=r"Invalid request|not found"):
        make_token(Stage(sandbox), **wrong)


def test_who_sleeps_or_is_being_made_or_is_gone_answers_nothing(sandbox: Sandbox) -> None:
    stage = Stage(sandbox)

    def ask() -> tuple[int, str]:
        answer = sandbox.client.get(f"{stage.url}/version", headers=AUTH)
        return answer.status_code, answer.headers["content-type"].partition(";")[0]

    stage.set(creating_s=60)
    assert ask() == (503, "text/html")
    stage.set(creating_s=0)
    assert ask() == (200, "application/json")
    stage.call("POST", f"{stage.path}/hibernation-override", json={"isHibernating": True})
    assert ask() == (503, "text/html")
    stage.call("DELETE", f"{stage.path}/hibernation-override")
    assert ask() == (200, "application/json")
    stage.call("DELETE", stage.path)
    assert ask() == (404, "text/html")


def test_another_version_of_the_api_is_not_there(sandbox: Sandbox) -> None:
    stage = Stage(sandbox)

    old = sandbox.client.get(stage.url.replace("/v2", "/v1") + "/dags", headers=AUTH)

    assert old.status_code == 404
    assert "has been removed in Airflow 3" in old.json()["error"]
    assert stage.ask("GET", "/nothing", status=404) == {"error": "API route not found"}


def test_what_the_sandbox_does_not_follow_is_refused_and_not_left_out(sandbox: Sandbox) -> None:
    answer = sandbox.client.get(f"{Stage(sandbox).url}/dags?is_favorite=true", headers=AUTH)

    assert (answer.status_code, "is_favorite" in answer.text) == (501, True)


def test_faults_strike_this_face_alone_and_the_journal_tells_it_apart(sandbox: Sandbox) -> None:
    stage = Stage(sandbox)
    sandbox.plant(face="airflow", path="/pools", status=500, body="<html>")

    assert stage.call("GET", stage.path)["id"] == stage.deployment["id"]
    assert sandbox.client.get(f"{stage.url}/pools", headers=AUTH).status_code == 500
    stage.ask("GET", "/pools")
    entries = sandbox.client.get("/sandbox/requests").json()["requests"]
    assert [each["status"] for each in entries if each["face"] == "airflow"] == [500, 200]
