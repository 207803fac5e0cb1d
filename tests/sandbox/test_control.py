"""The control face against the running server: faults that break real connections, the journal, settings, reset."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, ORGANIZATION_ID
from tests.sandbox.conftest import CI_LOGIN, Sandbox

UPLOADS = "/v2/acme/app/blobs/uploads/"
HELLO_DIGEST = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def log_in(sandbox: Sandbox) -> dict[str, str]:
    token = sandbox.get_token("repository:acme/app:pull,push", login=CI_LOGIN)
    return {"Authorization": f"Bearer {token}"}


def test_a_planted_answer_comes_as_often_as_asked_and_then_the_real_one(sandbox: Sandbox) -> None:
    headers = {"Retry-After": "3"}
    sandbox.plant(path="^/v2/$", status=503, body={"message": "down"}, headers=headers, times=2)

    answers = [sandbox.client.get("/v2/") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 401]
    assert answers[0].json() == {"message": "down"}
    assert answers[0].headers["retry-after"] == "3"
    assert answers[0].headers["content-type"] == "application/json"
    assert sandbox.client.get("/sandbox/faults").json() == {"faults": []}


def test_a_body_alone_is_an_answer_with_its_content_type(sandbox: Sandbox) -> None:
    sandbox.plant(face="registry", body="<html>", content_type="text/html")

    answer = sandbox.client.get("/v2/")

    assert (answer.status_code, answer.text) == (200, "<html>")
    assert answer.headers["content-type"].startswith("text/html")


def test_a_fault_strikes_only_what_meets_all_of_its_conditions(sandbox: Sandbox) -> None:
    sandbox.plant(face="registry", method="get", path=r"[?]n=1$", status=500, times=None)

    def get(path: str) -> int:
        return sandbox.client.get(path).status_code

    assert get("/v2/acme/app/tags/list?n=1") == 500
    assert get("/v2/acme/app/tags/list?n=1") == 500, "times null strikes until cleared"
    assert get("/v2/acme/app/tags/list?n=2") == 401
    assert sandbox.client.head("/v2/acme/app/tags/list?n=1").status_code == 401
    assert get("/astro/v1/organizations?n=1") == 401
    assert sandbox.client.delete("/sandbox/faults").status_code == 204
    assert get("/v2/acme/app/tags/list?n=1") == 401


def test_a_check_and_what_a_branch_requires_are_set_from_outside(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
    api = "/github/api/v3/repos/acme/data-platform"
    head = sandbox.client.get(f"{api}/branches/main", headers=headers).json()["commit"]["sha"]
    face = "/sandbox/repositories/acme/data-platform"
    check = {"commit": head, "name": "ci/test", "state": "failure"}
    assert sandbox.client.post(f"{face}/checks", json=check).status_code == 204
    (found,) = sandbox.client.get(f"{api}/commits/{head}/check-runs", headers=headers).json()["check_runs"]
    assert (found["name"], found["conclusion"]) == ("ci/test", "failure")
    required = {"branch": "main", "checks": ["ci/test"]}
    assert sandbox.client.post(f"{face}/required-checks", json=required).status_code == 204
    assert sandbox.client.get(f"{api}/branches/main", headers=headers).json()["protected"]

    for wrong, status in (({"state": "great"}, 400), ({"commit": "0" * 40}, 404), ({"name": ""}, 400), ({"x": 1}, 400)):
        assert sandbox.client.post(f"{face}/checks", json=check | wrong).status_code == status
    assert sandbox.client.post("/sandbox/repositories/acme/none/checks", json=check).status_code == 404
    assert sandbox.client.post("/sandbox/repositories/acme/none/required-checks", json=required).status_code == 404


def test_rules_and_settings_of_a_repository_are_set_from_outside(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
    api, face = "/github/api/v3/repos/acme/data-platform", "/sandbox/repositories/acme/data-platform"
    rules = {"branch": "main", "rules": ["update"], "bypass": "always"}
    assert sandbox.client.post(f"{face}/rules", json=rules).status_code == 204
    (rule,) = sandbox.client.get(f"{api}/rules/branches/main", headers=headers).json()
    shown = sandbox.client.get(f"{api}/rulesets/{rule['ruleset_id']}", headers=headers).json()
    assert (rule["type"], shown["current_user_can_bypass"]) == ("update", "always")
    settings = {"archived": True, "allow_merge_commit": False}
    assert sandbox.client.post(f"{face}/settings", json=settings).status_code == 204
    found = sandbox.client.get(api, headers=headers).json()
    assert {key: found[key] for key in settings} == settings
    assert sandbox.client.post(f"{face}/rules", json=rules | {"rules": ["all"]}).status_code == 400
    assert sandbox.client.post(f"{face}/settings", json={"archived": "yes"}).status_code == 400
    for part, body in (("rules", rules), ("settings", settings)):
        assert sandbox.client.post(f"/sandbox/repositories/acme/none/{part}", json=body).status_code == 404


def test_headers_alone_are_laid_over_the_real_answer(sandbox: Sandbox) -> None:
    sandbox.plant(face="registry", headers={"X-RateLimit-Remaining": "1", "WWW-Authenticate": "none"})

    answer = sandbox.client.get("/v2/")

    assert answer.status_code == 401
    assert answer.headers["x-ratelimit-remaining"] == "1"
    assert answer.headers.get_list("www-authenticate") == ["none"]


def test_a_delay_comes_before_the_real_answer(sandbox: Sandbox) -> None:
    sandbox.plant(face="registry", delay_s=0.3)

    begun = time.monotonic()
    answer = sandbox.client.get("/v2/")

    assert answer.status_code == 401
    assert time.monotonic() - begun >= 0.3


def test_a_dropped_request_gets_no_answer_and_has_no_effect(sandbox: Sandbox) -> None:
    headers = log_in(sandbox)
    sandbox.plant(method="POST", drop=True)

    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.client.post(UPLOADS, headers=headers, params={"digest": HELLO_DIGEST}, content=b"hello")

    [entry] = sandbox.client.get("/sandbox/requests").json()["requests"][-1:]
    assert entry["method"] == "POST"
    assert entry["status"] is None
    assert sandbox.client.get(f"/v2/acme/app/blobs/{HELLO_DIGEST}", headers=headers).status_code == 404


def test_dropped_after_means_done_but_unanswered(sandbox: Sandbox) -> None:
    headers = log_in(sandbox)
    sandbox.plant(method="POST", drop="after")

    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.client.post(UPLOADS, headers=headers, params={"digest": HELLO_DIGEST}, content=b"hello")

    assert sandbox.client.get(f"/v2/acme/app/blobs/{HELLO_DIGEST}", headers=headers).content == b"hello"


def test_a_truncated_body_breaks_off_below_its_content_length(sandbox: Sandbox) -> None:
    sandbox.plant(face="registry", truncate=10)

    with sandbox.client.stream("GET", "/v2/") as answer:
        assert answer.status_code == 401
        with pytest.raises(httpx.RemoteProtocolError, match=r"received 10 bytes, expected \d\d+"):
            answer.read()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"path": "/v2"}, "nothing would go wrong: give status"),
        ({"path": "(", "status": 500}, "path: Value error, no regular expression"),
        ({"face": "gitlab", "status": 500}, "face: Input should be 'github', 'git', 'airflow', 'astro' or 'registry'"),
        ({"stauts": 500}, "stauts: Extra inputs are not permitted"),
        ({"status": 500, "drop": True}, "exclude each other"),
        ({"status": 500, "times": 0}, "times: Input should be greater than or equal to 1"),
        ({"cli": "deploy", "stderr": "Error: x"}, "nothing would go wrong: give exit_0_without_deploying"),
        ([], "the body is a JSON list; expected an object"),
    ],
)
def test_an_impossible_fault_is_refused_in_words(sandbox: Sandbox, fault: Any, words: str) -> None:
    answer = sandbox.client.post("/sandbox/faults", json=fault)

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_cli_fault_is_for_its_command_and_is_used_up(sandbox: Sandbox) -> None:
    sandbox.plant(cli="deploy", exit=1, stderr="Error: planted")
    sandbox.plant(status=500, path="cli")

    def ask(command: str) -> Any:
        return sandbox.client.get("/sandbox/faults/cli", params={"command": command}).json()["fault"]

    assert ask("create") is None
    assert ask("deploy") == {"exit": 1, "stderr": "Error: planted"}
    assert ask("deploy") is None
    assert sandbox.client.get("/sandbox/faults/cli").status_code == 400


def test_the_journal_counts_the_bytes_of_both_bodies(sandbox: Sandbox) -> None:
    content = b"x" * 1000
    path, digest = "/v2/acme/app/blobs", f"sha256:{hashlib.sha256(content).hexdigest()}"
    headers = {"Authorization": f"Bearer {sandbox.get_token('repository:acme/app:pull,push', login=CI_LOGIN)}"}
    pushed = sandbox.client.post(f"{path}/uploads/?digest={digest}", content=content, headers=headers)
    assert pushed.status_code == 201
    assert sandbox.client.get(f"{path}/{digest}", headers=headers).content == content

    token, push, pull = sandbox.client.get("/sandbox/requests").json()["requests"]

    assert token["sent"] > 0
    assert (push["received"], push["sent"]) == (1000, len(pushed.content))
    assert (pull["received"], pull["sent"]) == (0, 1000)


def test_the_journal_holds_what_came_to_the_faces_and_nothing_of_the_control_face(sandbox: Sandbox) -> None:
    sandbox.client.get("/v2/acme/app/tags/list?n=1&last=%2F", headers={"If-None-Match": '"x"'})
    sandbox.client.get("/github/acme/data-platform.git/info/refs?service=git-upload-pack")
    sandbox.client.get("/github/api/v3/rate_limit")
    sandbox.client.get("/astro/v1/organizations")

    requests = sandbox.client.get("/sandbox/requests").json()["requests"]

    assert [entry["face"] for entry in requests] == ["registry", "git", "github", "astro"]
    assert [entry["status"] for entry in requests] == [401] * 4
    assert [entry["conditional"] for entry in requests] == [True, False, False, False]
    assert requests[0]["path"] == "/v2/acme/app/tags/list?n=1&last=%2F"
    assert requests[0]["at"] <= requests[-1]["at"]
    assert sandbox.client.delete("/sandbox/requests").status_code == 204
    assert sandbox.client.get("/sandbox/requests").json() == {"requests": []}


def test_settings_change_all_or_nothing(sandbox: Sandbox) -> None:
    before = sandbox.client.get("/sandbox/settings").json()

    after = sandbox.client.post("/sandbox/settings", json={"ci_delay_s": 0.5, "ci_fails": True}).json()

    assert after == before | {"ci_delay_s": 0.5, "ci_fails": True}
    assert sandbox.client.post("/sandbox/settings", json={"ci_fails": False, "waking_s": -1}).status_code == 400
    assert sandbox.client.get("/sandbox/settings").json() == after


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ci_dealy_s": 1}, "unknown setting ci_dealy_s; known are creating_s, deploying_s,"),
        ({"ci_delay_s": "soon"}, "ci_delay_s: Input should be a valid number"),
        ({"registry_auth": "token"}, "registry_auth is 'token'; expected one of anonymous, private"),
        ({"page_limit": -1}, "page_limit is -1; expected 0 or more"),
    ],
)
def test_an_impossible_setting_is_refused_in_words(sandbox: Sandbox, change: dict[str, Any], words: str) -> None:
    answer = sandbox.client.post("/sandbox/settings", content=json.dumps(change))

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_clocks_go_beside_this_machines_until_a_reset(sandbox: Sandbox) -> None:
    def measure_ahead_s() -> float:
        """Return how far Astro's clock is ahead, by a Deployment that is touched."""
        url, headers = f"/astro/v1/organizations/{ORGANIZATION_ID}", {"Authorization": f"Bearer {ASTRO_TOKEN}"}
        found = sandbox.client.get(f"{url}/deployments", headers=headers).json()["deployments"][0]
        deploy = {"type": "DAG_ONLY", "description": "now"}
        made = sandbox.client.post(f"{url}/deployments/{found['id']}/deploys", json=deploy, headers=headers).json()
        return (datetime.fromisoformat(made["createdAt"]) - datetime.now(UTC)).total_seconds()

    assert sandbox.client.post("/sandbox/reset").is_success
    assert sandbox.client.post("/sandbox/settings", json={"clock_ahead_s": -600}).is_success
    assert -610 < measure_ahead_s() < -590
    assert sandbox.client.post("/sandbox/settings", json={"clock_ahead_s": "late"}).status_code == 400
    assert sandbox.client.post("/sandbox/reset").is_success
    assert -10 < measure_ahead_s() < 10


def test_reset_takes_back_faults_settings_requests_and_images(sandbox: Sandbox) -> None:
    headers = log_in(sandbox)
    pushed = sandbox.client.post(UPLOADS, headers=headers, params={"digest": HELLO_DIGEST}, content=b"hello")
    assert pushed.status_code == 201
    sandbox.plant(face="astro", status=500, times=None)
    sandbox.client.post("/sandbox/settings", json={"ci_fails": True})

    assert sandbox.client.post("/sandbox/reset").status_code == 204

    assert sandbox.client.get("/sandbox/faults").json() == {"faults": []}
    assert sandbox.client.get("/sandbox/requests").json() == {"requests": []}
    assert sandbox.client.get("/sandbox/settings").json()["ci_fails"] is False
    anew = {"Authorization": "Bearer " + sandbox.get_token("repository:acme/app:pull")}
    assert sandbox.client.head(f"/v2/acme/app/blobs/{HELLO_DIGEST}", headers=anew).status_code == 404


def test_the_files_of_an_unknown_deployment_are_a_404_that_names_it(sandbox: Sandbox) -> None:
    answer = sandbox.client.get("/sandbox/deployments/nobody/files")

    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no Deployment 'nobody'"}


def test_anybody_may_comment_and_be_granted_a_permission(sandbox: Sandbox) -> None:
    repository = "/sandbox/repositories/acme/data-platform"
    said = {"user": "mona", "body": "hello"}
    assert sandbox.client.post(f"{repository}/pulls/1/comments", json=said).status_code == 404
    assert sandbox.client.post(f"{repository}/pulls/1/comments", json={"body": "x"}).status_code == 400
    assert sandbox.client.post(f"{repository}/collaborators/mona", json={"permission": "write"}).status_code == 204
    assert sandbox.client.post(f"{repository}/collaborators/mona", json={"permission": "all"}).status_code == 400
    other = "/sandbox/repositories/acme/none/collaborators/mona"
    assert sandbox.client.post(other, json={"permission": "write"}).status_code == 404
