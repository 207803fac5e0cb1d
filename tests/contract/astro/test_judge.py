"""The judge by Astro's description: what is right passes, and each planted fault is found and named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.astro.description import list_journal_problems, make_judge
from tests.contract.openapi.exchange import Exchange
from tests.contract.openapi.judge import Judge

ORGANIZATION = "/organizations/clorg"
DEPLOYMENT = f"{ORGANIZATION}/deployments/cldep"
SAID: dict[str, Any] = {
    "id": "cldeploy",
    "deploymentId": "cldep",
    "type": "DAG_ONLY",
    "status": "DEPLOYED",
    "imageRepository": "registry.example/astro/x",
    "imageTag": "deploy-1",
    "isDagDeployEnabled": True,
    "createdAt": "2026-01-01T00:00:00.000000Z",
    "git": {"provider": "GENERIC", "commitSha": "a" * 40},
}
ASKED: dict[str, Any] = {"type": "BUNDLE", "description": "d" * 500, "bundleMountPath": "/dbt/x", "git": SAID["git"]}
SCHEDULE: dict[str, Any] = {"hibernateAtCron": "0 1 * * *", "wakeAtCron": "0 2 * * *", "isEnabled": True}
QUEUE: dict[str, Any] = {
    "name": "default",
    "astroMachine": "A5",
    "isDefault": True,
    "maxWorkerCount": 1,
    "minWorkerCount": 0,
}
MADE: dict[str, Any] = {
    "name": "dev-x",
    "workspaceId": "clws",
    "scalingSpec": {"hibernationSpec": {"schedules": [SCHEDULE]}},
    "workerQueues": [QUEUE | {"workerConcurrency": 1}],
}
JSON = {"content-type": "application/json"}
DEPLOYED = Exchange(
    "POST", f"{DEPLOYMENT}/deploys", "", json.dumps(ASKED).encode(), 200, JSON, json.dumps(SAID).encode()
)
CREATED = replace(DEPLOYED, path=f"{ORGANIZATION}/deployments", sent=json.dumps(MADE).encode())
PAGE: dict[str, Any] = {"deploys": [SAID], "limit": 20, "offset": 0, "totalCount": 1}
LISTED = Exchange("GET", f"{DEPLOYMENT}/deploys", "limit=1000&offset=0", b"", 200, JSON, json.dumps(PAGE).encode())
DEPLOYMENTS = replace(
    LISTED, path=f"{ORGANIZATION}/deployments", query="workspaceIds=a&workspaceIds=b&sorts=name%3Aasc"
)
DELETED = Exchange("DELETE", DEPLOYMENT, "", b"", 204, {}, b"")
ERROR: dict[str, Any] = {"message": "Deployment not found", "requestId": "r", "statusCode": 404}
REFUSED = replace(DELETED, status=404, headers=JSON, received=json.dumps(ERROR).encode())
NULL_EMAILS: dict[str, Any] = {"contactEmails": None}


def answer(**changes: Any) -> Exchange:
    """Answer with a deploy that differs in the fields given; None takes one away."""
    return replace(DEPLOYED, received=_change(SAID, changes))


def ask(**changes: Any) -> Exchange:
    """Ask for a deploy likewise."""
    return replace(DEPLOYED, sent=_change(ASKED, changes))


def make(**changes: Any) -> Exchange:
    """Ask for a Deployment likewise."""
    return replace(CREATED, sent=_change(MADE, changes))


def _change(body: dict[str, Any], changes: dict[str, Any]) -> bytes:
    return json.dumps({key: value for key, value in (body | changes).items() if value is not None}).encode()


@pytest.mark.parametrize("exchange", [DEPLOYED, LISTED, DELETED, REFUSED])
def test_what_is_right_has_no_problems(exchange: Exchange, judge: Judge) -> None:
    assert judge.list_request_problems(exchange) == []
    assert judge.list_answer_problems(exchange) == []
    assert judge.used == set()


@pytest.mark.parametrize("exchange", [CREATED, DEPLOYMENTS])
def test_a_right_request_has_no_problems(exchange: Exchange, judge: Judge) -> None:
    assert judge.list_request_problems(exchange) == []


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (answer(id=None), "'id' is a required property"),
        (answer(type="BUNDLE"), ".type: 'BUNDLE' is not one of ['IMAGE_AND_DAG', 'IMAGE_ONLY', 'DAG_ONLY']"),
        (answer(commit="a"), "field 'commit' is not in the description"),
        (answer(git={"provider": "GENERIC"}), ".git: 'commitSha' is a required property"),
        (answer(git=SAID["git"] | {"sha": "a"}), ".git: field 'sha' is not in the description"),
        (answer(isDagDeployEnabled="yes"), ".isDagDeployEnabled: 'yes' is not of type 'boolean'"),
        (answer(createdAt="yesterday"), ".createdAt: 'yesterday' is not a 'date-time'"),
        (replace(LISTED, received=_change(PAGE, {"totalCount": "1"})), ".totalCount: '1' is not of type 'integer'"),
        (replace(LISTED, received=_change(PAGE, {"total": 1})), "field 'total' is not in the description"),
        (replace(DEPLOYED, status=201), "status 201 is not in the description"),
        (replace(DELETED, status=200), "status 200 is not in the description"),
        (replace(DELETED, received=b"{}"), "a body is answered, and the description has none"),
        (
            replace(REFUSED, received=_change(ERROR, {"statusCode": 0})),
            ".statusCode: 0 is less than the minimum of 400",
        ),
        (replace(REFUSED, path=f"{ORGANIZATION}/deployments", method="GET"), "status 404 is not in the description"),
        (replace(LISTED, path="/deployments"), "has no such operation"),
    ],
)
def test_a_wrong_answer_is_found(exchange: Exchange, words: str, judge: Judge) -> None:
    (problem,) = judge.list_answer_problems(exchange)
    assert problem.startswith(str(exchange))
    assert words in problem


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (ask(type=None), "sent .: 'type' is a required property"),
        (ask(type="DAG"), "sent .type: 'DAG' is not one of"),
        (ask(dagBundleName="x"), "sent .: field 'dagBundleName' is not in the description"),
        (ask(description="d" * 501), "sent .description: "),
        (ask(git={"provider": "GITLAB", "commitSha": "a"}), "sent .git.provider: 'GITLAB' is not one of"),
        (replace(DEPLOYED, sent=b""), "sent body is no JSON"),
        (make(name=None), "sent .: 'name' is a required property"),
        (make(workerQueues=[]), "sent .workerQueues: "),
        (make(workerQueues=[QUEUE]), "sent .workerQueues[0]: 'workerConcurrency' is a required property"),
        (
            make(scalingSpec={"hibernationSpec": {"schedules": [SCHEDULE] * 11}}),
            "sent .scalingSpec.hibernationSpec.sch",
        ),
        (replace(DELETED, sent=b"{}"), "a body is sent, and the description has none"),
        (replace(DELETED, method="PATCH"), "has no such operation"),
        (replace(LISTED, query="limit=1001"), "query limit.: 1001 is greater than the maximum of 1000"),
        (replace(LISTED, query="offset=-1"), "query offset.: -1 is less than the minimum of 0"),
        (replace(LISTED, query="limit=all"), "query limit.: 'all' is not of type 'integer'"),
        (replace(LISTED, query="page=2"), "query page is not in the description"),
        (replace(DEPLOYMENTS, query="sorts=name"), "query sorts.: 'name' is not one of"),
    ],
)
def test_a_wrong_request_is_found(exchange: Exchange, words: str, judge: Judge) -> None:
    (problem,) = judge.list_request_problems(exchange)
    assert problem.startswith(str(exchange))
    assert words in problem


def test_what_the_journal_kept_of_reads_is_judged() -> None:
    right = ["GET /astro/v1/organizations?limit=100&offset=0", "POST /astro/v1/nothing", "GET /astro/clws/deployments"]
    assert list_journal_problems(right) == []
    wrong = ["GET /astro/v1/organizations?limit=1001", "GET /astro/v1/nothing"]
    unknown, limit = list_journal_problems([*wrong, *wrong])
    assert "GET /nothing" in unknown
    assert "query limit.: 1001" in limit


def test_null_is_right_only_where_the_description_says_so(judge: Judge) -> None:
    override = replace(DELETED, method="POST", path=f"{DEPLOYMENT}/hibernation-override")
    nulls = replace(override, sent=b'{"isHibernating": null, "overrideUntil": null}')
    assert judge.list_request_problems(nulls) == []
    (problem,) = judge.list_request_problems(replace(CREATED, sent=json.dumps(MADE | NULL_EMAILS).encode()))
    assert "sent .contactEmails: None is not of type 'array'" in problem


def test_without_the_table_its_exceptions_are_problems() -> None:
    strict, lenient = make_judge(deviations=()), make_judge()
    required = ("isCicdEnforced", "isDagDeployEnabled", "isHighAvailability")
    updated = MADE | dict.fromkeys(required, False) | {"environmentVariables": []} | NULL_EMAILS
    updated |= {"type": "STANDARD", "executor": "ASTRO", "schedulerSize": "SMALL"}
    update = replace(DEPLOYED, path=DEPLOYMENT, sent=json.dumps(updated).encode())
    assert lenient.list_request_problems(update) == []
    assert "sent .contactEmails: None" in strict.list_request_problems(update)[0]
    numbers = replace(update, sent=json.dumps(updated | {"contactEmails": [7]}).encode())
    assert "sent .contactEmails[0]: 7 is not of type 'string'" in lenient.list_request_problems(numbers)[0]
    finalized = replace(REFUSED, method="POST", path=f"{DEPLOYMENT}/deploys/clx/finalize")
    assert lenient.list_answer_problems(finalized) == []
    assert "status 404" in strict.list_answer_problems(finalized)[0]
