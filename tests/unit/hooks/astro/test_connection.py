"""The Airflow connection to Astro: what it may hold, and what is said about what it may not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.hooks.astro.connection import aread_astro_connection, read_astro_connection

IDS = {"organization_id": "clorg", "workspace_id": "clws"}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("ASTRO_CLI", raising=False)

    def define(extra: Any = IDS, **fields: Any) -> None:
        connection = {"conn_type": "http", "password": "the-token", "extra": extra, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))

    return define


@pytest.mark.parametrize(
    ("host", "domain", "api_url", "core_url"),
    [
        ("", "astronomer.io", "https://api.astronomer.io/v1", None),
        ("astronomer-dev.io", "astronomer-dev.io", "https://api.astronomer-dev.io/v1", None),
        ("cloud.astronomer.io", "astronomer.io", "https://api.astronomer.io/v1", None),
        ("http://127.0.0.1:8900/astro/", "localhost", "http://127.0.0.1:8900/astro/v1", "http://127.0.0.1:8900/astro"),
        ("https://astro.example/v1", "localhost", "https://astro.example/v1", "https://astro.example"),
    ],
)
def test_host_is_a_domain_or_a_url(connect: Any, host: str, domain: str, api_url: str, core_url: str | None) -> None:
    connect(host=host)
    connection = read_astro_connection("astro_default")
    assert (connection.domain, connection.api_url, connection.core_url) == (domain, api_url, core_url)
    assert (connection.organization_id, connection.workspace_id) == ("clorg", "clws")
    assert connection.is_plain_http == host.startswith("http:")


def test_executable_comes_from_extra_then_environment_then_path(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect()
    assert read_astro_connection("astro_default").executable == "astro"
    monkeypatch.setenv("ASTRO_CLI", "/opt/astro")
    assert read_astro_connection("astro_default").executable == "/opt/astro"
    connect(extra={**IDS, "cli": "/usr/bin/astro", "registry": "images.example:5000"})
    assert read_astro_connection("astro_default").executable == "/usr/bin/astro"
    assert read_astro_connection("astro_default").registry == "images.example:5000"


@pytest.mark.parametrize("is_awaited", [False, True])
def test_token_is_masked_in_logs_and_hidden_in_repr(
    connect: Any, monkeypatch: pytest.MonkeyPatch, *, is_awaited: bool
) -> None:
    connect()
    masked: list[str] = []

    async def amask(secret: str) -> None:
        masked.append(secret)

    monkeypatch.setattr("include.deploy_ops.hooks.astro.connection.mask_secret", masked.append)
    monkeypatch.setattr("include.deploy_ops.hooks.astro.connection.amask_secret", amask)
    connection = (
        asyncio.run(aread_astro_connection("astro_default")) if is_awaited else read_astro_connection("astro_default")
    )
    assert connection.token == "the-token"  # noqa: S105
    assert masked == ["the-token"]
    assert "the-token" not in repr(connection)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"extra": {"workspace_id": "clws"}}, "extra.organization_id: missing"),
        ({"extra": {"organization_id": "clorg"}}, "extra.workspace_id: missing"),
        ({"extra": {**IDS, "workspace_id": "a/b"}}, "extra.workspace_id: 'a/b' is no id"),
        ({"extra": {**IDS, "workspace_id": 7}}, "extra.workspace_id is a int"),
        ({"extra": "{"}, "extra is not JSON"),
        ({"extra": "[]"}, "extra is a list"),
        ({"password": ""}, "the password is empty"),
        ({"password": "secret-part\n"}, "the password holds characters"),
        ({"password": "Bearer secret-part"}, "the password holds characters"),
        ({"host": "astronomer"}, "neither a domain"),
        ({"host": "astronomer.io", "port": 443}, "neither a domain"),
        ({"host": "ftp://astro.example"}, "not a URL"),
        ({"host": "http://u:secret-part@127.0.0.1"}, "remove user and password"),
        ({"host": "http://127.0.0.1", "port": 8900}, "write the port 8900 into"),
    ],
)
def test_incomplete_connection_is_named_with_its_field(connect: Any, fields: dict[str, Any], said: str) -> None:
    connect(**fields)
    with pytest.raises(ObservationError, match=said) as caught:
        read_astro_connection("astro_default")
    assert "'astro_default'" in str(caught.value)
    assert "secret-part" not in str(caught.value)


def test_missing_connection_is_retryable_and_named() -> None:
    with pytest.raises(ObservationError, match="no Airflow connection 'nobody'"):
        read_astro_connection("nobody")
    with pytest.raises(ObservationError, match="no Airflow connection 'nobody'"):
        asyncio.run(aread_astro_connection("nobody"))
