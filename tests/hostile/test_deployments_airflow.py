"""A Deployment's Airflow in which a branch's code answers: what it sees of us, what it costs us, what it has us say.

Whoever may push a branch plants a plugin there, reads every request, and answers as they like.
"""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, ReadRefusedError
from include.deploy_ops.core.verification.difference import compare_dags
from include.deploy_ops.core.verification.facts import AirflowFacts
from include.deploy_ops.core.verification.faults import read_fault
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.airflow.api import AsyncAirflowReader
from include.deploy_ops.hooks.airflow.connection import aread_airflow_token
from tests.worlds.doubles.deployment_airflow import TOKEN, make_dag, make_fault, say, serve
from tests.worlds.doubles.hostile_server import Asked, HostileServer, Script

SENT = {"host", "authorization", "accept", "accept-encoding", "connection", "user-agent"}
SECONDS_MAX = 20.0
"""For a look of fifty pages, on a busy machine."""
MEMORY_MAX = 64 << 20
ASTRO_TOKEN = "astro-canary-0123456789abcdef"  # noqa: S105 - opens nothing


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 3.0)
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", 4 << 20)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)


def look(script: Script) -> tuple[AirflowFacts | DeployOpsError, list[Asked]]:
    """Return what a look gives, in bounded time, and what was asked for it."""

    async def read(host: str) -> AirflowFacts:
        async with AsyncAirflowReader(f"{host}/api/v2", TOKEN) as reader:
            return await reader.read_facts()

    began = time.monotonic()
    with HostileServer(script) as server:
        try:
            found: AirflowFacts | DeployOpsError = asyncio.run(read(server.host))
        except DeployOpsError as error:
            found = error
        asked = list(server.asked)
    assert time.monotonic() - began < SECONDS_MAX
    assert TOKEN not in repr(found)
    return found, asked


def test_a_plugin_that_records_requests_sees_the_deployments_token_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps({"conn_type": "http", "password": ASTRO_TOKEN}))
    found, asked = look(serve([make_dag()], [make_fault()]))
    assert isinstance(found, AirflowFacts)
    for request in asked:
        assert request.method == "GET"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert set(request.headers) == {
            "host",
            "authorization",
            "accept",
            "accept-encoding",
            "connection",
            "user-agent",
        }
        assert ASTRO_TOKEN not in repr(request)


def test_a_preview_is_never_sent_the_token_with_which_we_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEWS", json.dumps({"conn_type": "http", "password": ASTRO_TOKEN}))

    async def read(host: str) -> AirflowFacts:
        token = await aread_airflow_token("previews", ASTRO_TOKEN)
        async with AsyncAirflowReader(f"{host}/api/v2", token) as reader:
            return await reader.read_facts()

    with HostileServer(serve()) as server:
        with pytest.raises(ReadRefusedError) as caught:
            asyncio.run(read(server.host))
        assert server.asked == []
    assert ASTRO_TOKEN not in str(caught.value)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_redirect_on_any_page_leads_nowhere(page: int) -> None:
    script, count = serve([make_dag(f"d{number}") for number in range(150)], [make_fault()]), 0

    with HostileServer(serve()) as other:

        def lead(asked: Asked) -> Iterable[bytes]:
            nonlocal count
            count += 1
            to = f"http://{other.host}/api/v2/dags?limit=100&offset=0"
            return say({}, 307, Location=to) if count == page else script(asked)

        found, asked = look(lead)
    assert isinstance(found, DeployOpsError)
    assert "is not followed" in str(found)
    assert len(asked) == page
    assert other.asked == []


def flood_pages(asked: Asked) -> Iterable[bytes]:
    key = "dags" if "/dags" in asked.path else "import_errors"
    offset = int(asked.path.partition("offset=")[2])
    numbers = range(offset, offset + 100)
    items = [make_dag(f"d{number}") if key == "dags" else make_fault(number) for number in numbers]
    return say({key: items, "total_entries": 10**9})


def test_dags_without_end_are_no_more_than_fifty_pages() -> None:
    found, asked = look(flood_pages)
    assert isinstance(found, PermanentError)
    assert len(asked) == 50


def test_import_errors_without_end_are_two_pages() -> None:
    script = serve([make_dag()])
    found, asked = look(lambda request: script(request) if "/dags" in request.path else flood_pages(request))
    assert isinstance(found, AirflowFacts)
    assert (len(found.faults), len(asked)) == (200, 3)


def test_tracebacks_of_megabytes_take_little_memory() -> None:
    line = 'File "x", line 1\n' * 1500
    faults = [make_fault(number, stack_trace=line + "é\u202e" * 400) for number in range(100)]
    tracemalloc.start()
    try:
        found, _ = look(serve([make_dag()], faults))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert isinstance(found, AirflowFacts)
    assert kept < MEMORY_MAX
    assert sum(len(each.trace) for each in found.faults) <= 100 * 16_384


BOMBS: dict[str, Any] = {
    "a name of a megabyte": {"dag_id": "x" * 1_000_000},
    "a name that is none": {"dag_id": "\u0000"},
    "tags without end": {"tags": [{"name": "x" * 200}] * 10_000},
    "a schedule of a megabyte": {"timetable_summary": "* " * 500_000},
    "owners in depth": {"owners": [[[[["x"]]]]]},
    "a time before time": {"last_parsed_time": "0001-01-01T00:00:00+23:59"},
    "a parse that takes for ever": {"last_parse_duration": 1e308},
    "a file of a megabyte": {"relative_fileloc": "../" * 300_000},
}


@pytest.mark.parametrize("kind", BOMBS)
def test_one_dag_costs_no_more_than_a_look(kind: str) -> None:
    found, asked = look(serve([make_dag(**BOMBS[kind])]))
    assert len(asked) <= 2
    assert len(repr(found)) < 200_000


TEXTS = [
    "[click](https://evil.example) @everyone ![x](https://evil.example/p.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m\x00\x08\r\n::set-output name=x::y",
    "a\u202eb\u200bc\u2028d\ufeff",
    f"token {TOKEN} Bearer {TOKEN} ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "postgres://user:pass-canary@db/x?token=query-canary",
    "| a | b |\n|---|---|\n```\n# heading",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_is_told_of_a_fault_is_one_clean_line(text: str) -> None:
    trace = f'Traceback (most recent call last):\n  File "/usr/local/airflow/dags/{text}", line 3, in f\nError: {text}'
    found, _ = look(serve(faults=[make_fault(stack_trace=trace, filename=f"{text}.py"[:900])]))
    assert isinstance(found, AirflowFacts)
    for is_public in (False, True):
        read = read_fault(found.faults[0], is_public=is_public)
        told = f"{read.file} {read.error}"
        assert told.isprintable()
        assert len(told) < 800
        assert TOKEN not in told
        assert "ghp_" not in read.error
        assert "canary" not in read.error
    assert "alert" not in read.error.partition(" (")[0]  # of a message, strangers are told the type alone


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_is_told_of_a_dag_is_one_clean_line(text: str) -> None:
    dag = make_dag(timetable_summary=text, tags=[{"name": text}], owners=[text], relative_fileloc=text)
    found, _ = look(serve([dag]))
    there, _ = look(serve([make_dag()]))
    assert isinstance(found, AirflowFacts)
    assert isinstance(there, AirflowFacts)
    (change,) = compare_dags(found, there, {text}).behind or compare_dags(found, there, {text}).changes
    assert change.how.isprintable()
    assert len(change.how) < 1000
    assert TOKEN not in change.how


@pytest.mark.parametrize(
    "trace",
    [
        '  File "' * 2000,
        '  File "' + "/" * 16_000 + '", line 1',
        "Traceback (most recent call last):\n" * 400,
        "(" * 16_000,
        "0x" * 8000,
        "\n" * 16_000,
        " " * 16_000 + "x",
    ],
    ids=["beginnings", "slashes", "tracebacks", "brackets", "numbers", "lines", "blanks"],
)
def test_reading_a_fault_takes_no_longer_than_its_length(trace: str) -> None:
    found, _ = look(serve(faults=[make_fault(number, stack_trace=trace) for number in range(100)]))
    assert isinstance(found, AirflowFacts)
    began = time.monotonic()
    for fault in found.faults:
        read_fault(fault)
    assert time.monotonic() - began < 5
