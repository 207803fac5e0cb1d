"""Where a Deployment's Airflow is asked, and by which token: no address that leads elsewhere, no token of a target."""

from __future__ import annotations

import asyncio
import json

import pytest

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError
from include.deploy_ops.hooks.airflow.connection import aread_airflow_token, open_airflow, read_airflow_token


@pytest.mark.parametrize(
    ("address", "url", "version"),
    [
        ("org.astronomer.run/d8fe2wmv/api/v2", "https://org.astronomer.run/d8fe2wmv/api/v2", 2),
        ("org.astronomer.run/d8fe2wmv/api/v1?orgId=org_1", "https://org.astronomer.run/d8fe2wmv/api/v1", 1),
        ("https://org.astronomer.run:8443/api/v2/", "https://org.astronomer.run:8443/api/v2", 2),
        ("127.0.0.1:8900/airflow/cl1/api/v2", "http://127.0.0.1:8900/airflow/cl1/api/v2", 2),
        ("http://localhost:80/api/v2", "http://localhost:80/api/v2", 2),
        ("[::1]:80/api/v2", "http://[::1]:80/api/v2", 2),
    ],
)
def test_address_is_read(address: str, url: str, version: int) -> None:
    opened = open_airflow(address, "token")
    assert (opened.service.url, opened.version) == (url, version)
    assert "token" not in repr(opened)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "org.astronomer.run",
        "org.astronomer.run/d8fe2wmv",
        "org.astronomer.run/api/v3",
        "/api/v2",
        "http://org.astronomer.run/api/v2",
        "ftp://localhost/api/v2",
        "user:pw@org.astronomer.run/api/v2",
        "evil.example\\@org.astronomer.run/api/v2",
        "org.astronomer.run/../api/v2",
        "org.astronomer.run/a/./api/v2",
        "org.astronomer.run/%2e%2e/api/v2",
        "org.astronomer.run/api/v2#x",
        "org.astronomer.run:port/api/v2",
        "org.astronomer.run:99999/api/v2",
        "[::1/api/v2",
        "örg.example/api/v2",
        "127.0.0.1.evil.example:80\n/api/v2",
        "localhost.evil.example\t/api/v2",
    ],
)
def test_any_other_address_is_not_asked(address: str) -> None:
    with pytest.raises(ObservationError, match="Airflow is not asked"):
        open_airflow(address, "token")


def test_a_name_that_begins_like_a_local_one_is_spoken_to_by_tls() -> None:
    assert open_airflow("localhost.evil.example/api/v2", "token").service.url.startswith("https://")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünicode"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ReadRefusedError, match="token"):
        open_airflow("localhost/api/v2", token)


def test_the_password_is_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_AIRFLOW", json.dumps({"conn_type": "http", "password": "t0ken"}))
    assert read_airflow_token("preview_airflow", "astro") == "t0ken"
    assert asyncio.run(aread_airflow_token("preview_airflow", "astro")) == "t0ken"


def test_the_token_with_which_we_deploy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_AIRFLOW", json.dumps({"conn_type": "http", "password": "astro"}))
    with pytest.raises(ReadRefusedError, match="put a token there that reaches no target"):
        read_airflow_token("preview_airflow", "astro")
    with pytest.raises(ReadRefusedError, match="put a token there that reaches no target"):
        asyncio.run(aread_airflow_token("preview_airflow", "astro"))


@pytest.mark.parametrize(
    ("connection", "says"),
    [({"conn_type": "http"}, "is empty"), ({"conn_type": "http", "password": "a b"}, "characters that no token has")],
)
def test_a_connection_without_a_token_says_what_to_do(
    connection: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_AIRFLOW", json.dumps(connection))
    with pytest.raises(ReadRefusedError, match=says):
        read_airflow_token("preview_airflow", "astro")


def test_a_missing_connection_is_told() -> None:
    with pytest.raises(ReadRefusedError, match="no Airflow connection 'nowhere'; create it"):
        read_airflow_token("nowhere", "astro")
    with pytest.raises(ReadRefusedError, match="no Airflow connection 'nowhere'; create it"):
        asyncio.run(aread_airflow_token("nowhere", "astro"))
