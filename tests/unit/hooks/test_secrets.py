"""What is mapped is read as Airflow gives it, whole or not at all, and told in no text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import BaseHook, Connection, Variable

from include.deploy_ops.core.environment.mapping import Mapped
from include.deploy_ops.core.environment.sources import ConnectionSource, Source, VariableSource
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.hooks import secrets as module
from include.deploy_ops.hooks.secrets import Secrets, read_secrets

PASSWORD = 'p@ss/w&rd"1'  # noqa: S105 - an example
WAREHOUSE: dict[str, Any] = {
    "conn_type": "postgres",
    "host": "warehouse.acme.example",
    "login": "preview_reader",
    "password": PASSWORD,
    "schema": "analytics",
    "port": 5432,
    "extra": {"sslmode": "require", "nested": {"token": "t0ken-in-extra"}, "retries": 3},
}


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give Airflow a connection and a variable; collect what is masked."""
    masked: list[str] = []
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_WAREHOUSE", json.dumps(WAREHOUSE))
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", "k-12345678")
    monkeypatch.setattr(module, "mask_secret", masked.append)
    return masked


def read(source: Source) -> str:
    return read_secrets([Mapped("X", source)]).values["X"]


def test_a_connection_is_one_that_airflow_reads_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", read(ConnectionSource("preview_warehouse")))
    there, here = BaseHook.get_connection("warehouse"), BaseHook.get_connection("preview_warehouse")
    names = ("conn_type", "host", "login", "password", "schema", "port", "extra_dejson")
    assert [getattr(there, name) for name in names] == [getattr(here, name) for name in names]


@pytest.mark.parametrize("extra", ["no JSON", "[1]", '"text"', ""])
def test_whatever_its_extra_is(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    connection = Connection(conn_id="odd", conn_type="http", password=PASSWORD, extra=extra)
    monkeypatch.setattr(BaseHook, "get_connection", lambda _: connection)
    written = json.loads(read(ConnectionSource("odd")))
    assert (written["password"], written["conn_type"]) == (PASSWORD, "http")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", PASSWORD),
        ("login", "preview_reader"),
        ("host", "warehouse.acme.example"),
        ("port", "5432"),
        ("schema", "analytics"),
        ("extra.sslmode", "require"),
        ("extra.nested", '{"token": "t0ken-in-extra"}'),
    ],
)
def test_a_field_is_a_text(field: str, value: str) -> None:
    assert read(ConnectionSource("preview_warehouse", field)) == value


def test_an_address_is_airflows_own() -> None:
    uri = read(ConnectionSource("preview_warehouse", "uri"))
    assert Connection.from_uri(uri, conn_id="x").password == PASSWORD


def test_a_variable_is_read() -> None:
    assert read(VariableSource("preview_key")) == "k-12345678"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (ConnectionSource("preview_none"), "gave no connection 'preview_none'"),
        (ConnectionSource("preview_none", "password"), "gave no connection 'preview_none'"),
        (VariableSource("preview_none"), "gave no variable 'preview_none'"),
        (VariableSource("preview_empty"), "X: variable 'preview_empty' of the management Airflow is empty"),
        (ConnectionSource("preview_warehouse", "extra.none"), "X: extra.none of connection 'preview_warehouse'"),
    ],
)
def test_what_is_missing_or_empty_comes_again_and_is_named(
    monkeypatch: pytest.MonkeyPatch, source: Source, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_EMPTY", "")
    with pytest.raises(RetryableError) as caught:
        read(source)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (VariableSource("preview_short"), "X: variable 'preview_short'"),
        (ConnectionSource("preview_warehouse", "extra.retries"), "X: extra.retries of connection 'preview_warehouse'"),
        (ConnectionSource("preview_open"), "the password of connection 'preview_open'"),
    ],
)
def test_what_is_too_short_to_be_hidden_is_given_to_nobody(
    monkeypatch: pytest.MonkeyPatch, source: Source, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_SHORT", "xyz\n")
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_OPEN", json.dumps({**WAREHOUSE, "password": "xyz"}))
    with pytest.raises(RetryableError, match="shorter than 4 characters") as caught:
        read(source)
    assert str(caught.value).startswith(said)
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize("failure", [PermissionError, ValueError, ConnectionError])
def test_what_a_secrets_backend_says_is_not_repeated(monkeypatch: pytest.MonkeyPatch, failure: type[Exception]) -> None:
    def fail(_: str) -> None:
        raise failure(f"vault says {PASSWORD}")

    monkeypatch.setattr(BaseHook, "get_connection", fail)
    with pytest.raises(RetryableError, match=f"gave no connection 'preview_warehouse' .{failure.__name__}") as caught:
        read(ConnectionSource("preview_warehouse"))
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_environment_holds_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(Variable, "get", lambda _: value)
    with pytest.raises(RetryableError, match="no text that an environment holds"):
        read(VariableSource("preview_key"))


def test_airflow_is_asked_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    get = BaseHook.get_connection

    def note(conn_id: str) -> Any:
        asked.append(conn_id)
        return get(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", note)
    read_secrets(Mapped(key, ConnectionSource("preview_warehouse", "password")) for key in "ABC")
    assert asked == ["preview_warehouse"]


def test_what_gives_a_connection_away_is_hidden_but_for_what_everybody_may_read(world: list[str]) -> None:
    secrets = read_secrets([Mapped("X", ConnectionSource("preview_warehouse", "password"))])
    hidden = secrets.list_hidden("host: warehouse.acme.example")
    assert {PASSWORD, "preview_reader", "t0ken-in-extra"} <= set(hidden)
    assert "warehouse.acme.example" not in hidden
    assert "require" not in hidden  # short, and a plain word
    assert PASSWORD in world
    assert PASSWORD not in repr(secrets)


def test_a_newline_at_its_end_hides_no_value_from_us(world: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", "hunter2\n")
    secrets = read_secrets([Mapped("X", VariableSource("preview_key"))])
    assert secrets.values == {"X": "hunter2\n"}
    assert secrets.list_hidden("") == ("hunter2",)
    assert world == ["hunter2"]


def test_an_error_is_cleared_with_what_caused_it() -> None:
    secrets = Secrets({"X": PASSWORD})

    def fail() -> None:
        raise RetryableError(f"Astro answers {PASSWORD}") from OSError(f"sent {json.dumps(PASSWORD)}")

    with pytest.raises(RetryableError) as caught, secrets.hide_in_errors(""):
        fail()
    assert str(caught.value) == "Astro answers ***"
    assert str(caught.value.__cause__) == 'sent "***"'


@pytest.mark.parametrize(("value", "is_hidden"), [("dev", False), ("prod", False), ("k3y!", True), ("preview_1", True)])
def test_a_short_word_in_the_open_is_not_hidden(value: str, *, is_hidden: bool) -> None:
    hidden = Secrets({"X": value}).list_hidden("name: shop-prod, preview_1")
    assert (value in hidden) == is_hidden
