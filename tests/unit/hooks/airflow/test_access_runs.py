"""Who works in a Deployment's Airflow: which runs count as a person's, how far is read, and with which token."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from include.deploy_ops.core.cleanup.use import RunFacts
from include.deploy_ops.core.errors import DeployOpsError, ObservationError, ReadRefusedError, WriteUnknownError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.airflow.access import read_work
from include.deploy_ops.hooks.airflow.api import AirflowReader
from include.deploy_ops.hooks.airflow.connection import NO_CONNECTION
from include.deploy_ops.hooks.astro.answers import MintedToken
from tests.worlds.doubles.deployment_airflow import TOKEN, make_run, serve_runs
from tests.worlds.doubles.hostile_server import Asked, HostileServer, Script
from tests.worlds.values.examples import make_deployment

T = datetime(2026, 11, 29, 12, tzinfo=UTC)
SINCE = T - timedelta(days=3)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)


def read(script: Script, version: int = 2) -> tuple[RunFacts, list[Asked]]:
    with HostileServer(script) as server:
        with AirflowReader(f"{server.host}/api/v{version}", TOKEN, sleep=lambda _: None) as reader:
            facts = reader.read_work(SINCE)
        return facts, server.asked


def test_the_newest_run_by_a_person_is_found_by_two_requests() -> None:
    facts, asked = read(serve_runs([make_run(T), make_run(T - HOUR, state="failed")]))
    assert facts == RunFacts((T, T - HOUR), None)
    first, second = (parse_qs(urlsplit(each.path).query) for each in asked)
    assert first == {"state": ["running", "queued"], "limit": ["1"]}
    assert second == {"run_type": ["manual"], "order_by": ["-start_date"], "limit": ["100"], "offset": ["0"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"run_type": "scheduled"},
        {"run_type": "asset_triggered"},
        {"run_type": "backfill"},
        {"run_type": "operator_triggered"},
        {"triggered_by": "operator"},  # as Airflow before 3.2 called it
        {"dag_run_id": "deploy-ops~d1~1"},
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_what_a_clock_a_dag_or_we_started_does_not_count(changes: dict[str, Any], version: int) -> None:
    facts, _ = read(serve_runs([make_run(T, **changes), make_run(T - HOUR)], base=f"/api/v{version}"), version)
    assert facts.started_at == (T - HOUR,)


def test_what_was_cleared_counts_when_it_was_queued_again() -> None:
    facts, _ = read(serve_runs([make_run(T - HOUR, queued_at=T.isoformat())]))
    assert facts.started_at == (T,)


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_run_in_flight_is_told_whoever_started_it(state: str) -> None:
    facts, _ = read(serve_runs([make_run(T, state=state, run_type="scheduled", dag_id="orders")]))
    assert facts == RunFacts((), "orders")


@pytest.mark.parametrize("dag_id", ["x" * 101, "a b", "<b>", f"a{TOKEN}"])
def test_a_dag_is_only_named_by_what_is_a_name(dag_id: str) -> None:
    assert read(serve_runs([make_run(T, state="running", dag_id=dag_id)]))[0].running == ""


def test_older_runs_are_not_read() -> None:
    clock = [make_run(T - minute * timedelta(minutes=30), run_type="scheduled") for minute in range(400)]
    facts, asked = read(serve_runs(clock, base="/api/v1"), version=1)
    assert facts == RunFacts()
    assert len(asked) == 1 + 2  # 144 runs since


def test_beyond_a_thousand_runs_nothing_is_known() -> None:
    clock = [make_run(T - second * timedelta(seconds=1), run_type="scheduled") for second in range(1100)]
    with pytest.raises(ObservationError, match="among the newest 1000 runs none tells"):
        read(serve_runs(clock, base="/api/v1"), version=1)


class Astro(SimpleNamespace):
    """What mints, or does not, and remembers what it deleted."""

    astro_conn_id = "astro_default"
    value: MintedToken | None = MintedToken("t1", TOKEN)
    deleted: Callable[[MintedToken], Any]

    def create_deployment_token(self, deployment_id: str) -> MintedToken | None:
        assert deployment_id == "id-dev-a"
        return self.value


def look(script: Script, **changes: Any) -> tuple[RunFacts | DeployOpsError, list[MintedToken]]:
    gone: list[MintedToken] = []
    astro = Astro(delete_token=gone.append, **changes)
    with HostileServer(script) as server:
        deployment = make_deployment("dev-a", airflow_api=f"{server.host}/api/v2")
        try:
            return read_work(astro, deployment, None, SINCE), gone  # type: ignore[arg-type]
        except DeployOpsError as error:
            return error, gone


def refuse(_: Asked) -> Iterable[bytes]:
    raise AssertionError("it is asked")


def test_a_minted_token_is_deleted_whatever_is_answered() -> None:
    assert look(serve_runs([make_run(T)])) == (RunFacts((T,)), [MintedToken("t1", TOKEN)])
    found, gone = look(lambda _: [b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"])
    assert isinstance(found, ReadRefusedError)
    assert gone == [MintedToken("t1", TOKEN)]


def test_a_token_that_stays_costs_no_answer() -> None:
    def fail(_: MintedToken) -> None:
        raise WriteUnknownError("no answer")

    deployment_facts, _ = look(serve_runs([make_run(T)]))
    astro = Astro(delete_token=fail)
    with HostileServer(serve_runs([make_run(T)])) as server:
        deployment = make_deployment("dev-a", airflow_api=f"{server.host}/api/v2")
        assert read_work(astro, deployment, None, SINCE) == deployment_facts  # type: ignore[arg-type]


def test_without_a_token_nobody_is_asked() -> None:
    found, _ = look(refuse, value=None)
    assert str(found) == NO_CONNECTION
