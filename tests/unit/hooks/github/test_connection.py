"""How the hook connects: token or GitHub App, addresses, and no secret in any error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import DeployOpsError, ObservationError, RateLimitError, TokenRefusedError
from include.deploy_ops.hooks.github import connection as github_connection
from include.deploy_ops.hooks.github.http import UnavailableError
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from tests.worlds.doubles.github import (
    HTML,
    NOT_FOUND,
    TOKEN,
    GithubDouble,
    Reply,
    connect,
    put_branches,
)

if TYPE_CHECKING:
    pass


def test_building_the_hook_asks_neither_airflow_nor_github() -> None:
    DeployOpsGithubHook("no_such_connection", "acme/pipes")


def test_a_missing_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_NOWHERE", raising=False)
    with pytest.raises(ObservationError, match=r"acme/pipes through connection 'nowhere'.*no such Airflow connection"):
        DeployOpsGithubHook("nowhere", "acme/pipes").list_branches("main")


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({}, "No access token"),
        ({"password": TOKEN, "host": "ghe.example/api/v3"}, "host must be like"),
        ({"password": TOKEN, "host": "https://me:pw@ghe.example/api/v3"}, "remove user and password"),
        ({"extra": {"app_id": 1, "installation_id": 2}}, "key_path"),
        ({"extra": {"app_id": 1, "installation_id": 2, "key_path": "/nowhere/key.pem"}}, "/nowhere/key.pem"),
        ({"password": f"{TOKEN}\n"}, "characters that no token has"),
    ],
)
def test_a_wrong_connection_is_told_without_its_secrets(
    connection: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, **connection)
    with pytest.raises(ObservationError, match=words) as caught:
        DeployOpsGithubHook("github_default", "acme/pipes").token()
    assert TOKEN not in str(caught.value)
    assert "me:pw" not in str(caught.value)


def test_the_token_goes_into_the_header_and_is_masked_once(
    github: GithubDouble, hook: DeployOpsGithubHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(github_connection, "mask_secret", masked.append)
    put_branches(github, "main")
    hook.list_branches("main")
    assert hook.token() == TOKEN
    assert masked == [TOKEN]
    assert github.asked[0].headers["Authorization"] == f"token {TOKEN}"
    assert github.asked[0].headers["User-Agent"] == "deploy-ops"
    assert TOKEN not in github.asked[0].path


@pytest.mark.parametrize(
    ("host", "clone_url"),
    [
        (None, "https://github.com/acme/pipes.git"),
        ("https://api.github.com", "https://github.com/acme/pipes.git"),
        ("https://api.acme.ghe.com/", "https://acme.ghe.com/acme/pipes.git"),
        ("https://ghe.example/api/v3", "https://ghe.example/acme/pipes.git"),
        ("https://api.example/api/v3/", "https://api.example/acme/pipes.git"),
        ("http://127.0.0.1:8900/github/api/v3", "http://127.0.0.1:8900/github/acme/pipes.git"),
    ],
)
def test_addresses_follow_from_the_api_base_url(
    host: str | None, clone_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, host=host, password=TOKEN)
    hook = DeployOpsGithubHook("github_default", "acme/pipes")
    assert hook.clone_url() == clone_url
    web_url = clone_url.removesuffix(".git")
    assert hook.web_url("pull", 7) == f"{web_url}/pull/7"
    assert hook.web_url("tree", "dev/a#b?c%") == f"{web_url}/tree/dev/a%23b%3Fc%25"


TOKENS = "/app/installations/2/access_tokens"


@pytest.fixture
def app_hook(hook: DeployOpsGithubHook, github: GithubDouble, private_key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
    connect(monkeypatch, host=github.api_url, extra=extra)
    return hook


def test_an_app_reads_with_an_installation_token_that_is_masked(
    github: GithubDouble, app_hook: DeployOpsGithubHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(github_connection, "mask_secret", masked.append)
    github.answers[TOKENS] = Reply({"token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z"}, 201)
    put_branches(github, "main")
    app_hook.list_branches("main")
    app_hook.list_branches("main")
    assert [asked.method for asked in github.asked] == ["POST", "GET", "GET"]
    assert github.asked[1].headers["Authorization"] == "token ghs_installation"
    assert masked == ["ghs_installation"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(NOT_FOUND, 404), TokenRefusedError),
        (Reply({"message": "Bad credentials"}, 401), TokenRefusedError),
        (Reply({"message": "oops"}, 502), UnavailableError),
        (Reply(is_dropped=True), UnavailableError),
        (Reply({"message": "slow"}, 403, {"Retry-After": "600"}), RateLimitError),
        (Reply(HTML, 201), ObservationError),
        (Reply([], 201), ObservationError),
        (Reply({"expires_at": "2099-01-01T00:00:00Z"}, 201), ObservationError),
    ],
)
def test_a_refused_app_is_an_error_of_ours(
    reply: Reply, error: type[DeployOpsError], github: GithubDouble, app_hook: DeployOpsGithubHook
) -> None:
    github.answers[TOKENS] = reply
    with pytest.raises(error, match="acme/pipes through connection 'github_default'"):
        app_hook.token()
    assert len(github.asked) == 1


def test_a_key_that_cannot_sign_is_told_without_the_key(
    github: GithubDouble, hook: DeployOpsGithubHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"app_id": 1, "installation_id": 2, "private_key": "-----BEGIN nonsense"}
    connect(monkeypatch, host=github.api_url, extra=extra)
    with pytest.raises(TokenRefusedError, match="no RSA key in PEM form") as caught:
        hook.token()
    assert "nonsense" not in str(caught.value)
