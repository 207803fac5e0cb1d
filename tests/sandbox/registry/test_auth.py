"""Who may do what in the registry, by Docker's token protocol."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox
from tests.sandbox.registry.calls import ASTRO_REPOSITORY, REPOSITORY, read_code


def test_without_a_token_the_challenge_says_where_to_get_one_and_for_what(sandbox: Sandbox) -> None:
    answer = sandbox.client.get(f"/v2/{REPOSITORY}/tags/list")

    assert read_code(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="{sandbox.url}/v2/token",service="{sandbox.host}",scope="repository:{REPOSITORY}:pull"'
    )
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("login", "status"),
    [
        (None, 200),
        (CI_LOGIN, 200),
        (ASTRO_LOGIN, 200),
        (("cli", ASTRO_LOGIN[1].removeprefix("Bearer ")), 200),
        (("ci", "wrong"), 401),
        (("cli", "wrong"), 401),
        (("somebody", CI_LOGIN[1]), 401),
    ],
)
def test_the_token_endpoint_checks_credentials(sandbox: Sandbox, login: tuple[str, str] | None, status: int) -> None:
    answer = sandbox.client.get("/v2/token", auth=login or httpx.USE_CLIENT_DEFAULT)

    assert answer.status_code == status
    if status == 200:
        headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert sandbox.client.get("/v2/", headers=headers).status_code == 200


@pytest.mark.parametrize("broken", ["Bearer x", "Basic %%%", "Basic /w=="])
def test_malformed_credentials_are_a_401(sandbox: Sandbox, broken: str) -> None:
    assert read_code(sandbox.client.get("/v2/token", headers={"Authorization": broken})) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("repository", "login", "auth", "pull", "push"),
    [
        (REPOSITORY, None, "anonymous", 404, 401),
        (REPOSITORY, None, "private", 401, 401),
        (REPOSITORY, CI_LOGIN, "private", 404, 202),
        (REPOSITORY, ASTRO_LOGIN, "anonymous", 404, 403),
        (REPOSITORY, ASTRO_LOGIN, "private", 403, 403),
        (ASTRO_REPOSITORY, None, "anonymous", 401, 401),
        (ASTRO_REPOSITORY, CI_LOGIN, "anonymous", 403, 403),
        (ASTRO_REPOSITORY, ASTRO_LOGIN, "private", 404, 202),
    ],
)
def test_rights(
    sandbox: Sandbox, repository: str, login: tuple[str, str] | None, auth: str, pull: int, push: int
) -> None:
    sandbox.client.post("/sandbox/settings", json={"registry_auth": auth})
    token = sandbox.get_token(f"repository:{repository}:pull,push", login=login)
    headers = {"Authorization": f"Bearer {token}"}

    assert sandbox.client.get(f"/v2/{repository}/tags/list", headers=headers).status_code == pull
    assert sandbox.client.post(f"/v2/{repository}/blobs/uploads/", headers=headers).status_code == push


def test_a_token_counts_only_for_what_was_asked(sandbox: Sandbox) -> None:
    token = sandbox.get_token(f"repository:{REPOSITORY}:pull", login=CI_LOGIN)

    answer = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers={"Authorization": f"Bearer {token}"})

    assert read_code(answer) == (401, "UNAUTHORIZED")
    challenge = answer.headers["www-authenticate"]
    assert f'scope="repository:{REPOSITORY}:pull,push"' in challenge
    assert 'error="insufficient_scope"' in challenge
