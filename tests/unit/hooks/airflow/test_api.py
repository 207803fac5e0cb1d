"""Reading a Deployment's Airflow over real HTTP: pages, both versions of the API, and every answer that is none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import (
    DeployOpsError,
    MalformedAnswerError,
    ObservationError,
    PermanentError,
    RateLimitError,
    ReadRefusedError,
)
from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts
from include.deploy_ops.hooks import conversation, patience
from include.deploy_ops.hooks.airflow import api as airflow_api
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.airflow.api import AirflowReader, AsyncAirflowReader
from include.deploy_ops.hooks.airflow.run_answers import parse_start
from tests.worlds.doubles.deployment_airflow import (
    DATE,
    TOKEN,
    make_dag,
    make_fault,
    make_old_dag,
    say,
    serve,
)
from tests.worlds.doubles.hostile_server import HostileServer, Script, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.worlds.doubles.hostile_server import Asked


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)


def read(script: Script, version: int = 2, secrets: tuple[str, ...] = ()) -> tuple[AirflowFacts, list[Asked]]:
    with HostileServer(script) as server:
        with AirflowReader(f"{server.host}/api/v{version}", TOKEN, secrets=secrets, sleep=lambda _: None) as reader:
            facts = reader.read_facts()
        return facts, server.asked


def fail(script: Script) -> DeployOpsError:
    with pytest.raises(DeployOpsError) as caught:
        read(script)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_facts_are_read_in_our_own_values() -> None:
    facts, asked = read(serve([make_dag()], [make_fault()]))
    assert facts.at == datetime(2026, 11, 30, 0, 10, 25, tzinfo=UTC)
    assert facts.dags == (
        AirflowDag(
            dag_id="orders",
            file="sub/orders.py",
            parsed_at=datetime(2026, 11, 30, 0, 10, 20, 615667, tzinfo=UTC),
            parse_s=0.25,
            is_paused=True,
            schedule="0 0 * * *",
            tags=("a", "b"),
            owners=("ann",),
        ),
    )
    (fault,) = facts.faults
    assert (fault.file, fault.at.second) == ("broken1.py", 21)
    assert fault.trace.endswith("No module named 'nothere'\n")
    assert [each.path.partition("&")[0] for each in asked] == [
        "/api/v2/dags?exclude_stale=false",
        "/api/v2/importErrors?limit=100",
    ]


def test_version_1_is_read_alike() -> None:
    fault = make_fault(filename="/usr/local/airflow/dags/broken1.py")
    del fault["bundle_name"]
    script = serve([make_old_dag(), make_old_dag("z", is_active=False)], [fault], base="/api/v1")
    facts, asked = read(script, version=1)
    first, second = facts.dags
    assert (first.file, first.schedule, first.tags, first.is_stale) == ("sub/orders.py", "0 0 * * *", ("a", "b"), False)
    assert (second.is_stale, first.parse_s, facts.faults[0].file) == (True, None, "broken1.py")
    assert asked[0].path.startswith("/api/v1/dags?only_active=false")


def test_a_dag_without_a_schedule_has_none_whatever_airflow_calls_it() -> None:
    facts, _ = read(serve([make_dag(timetable_summary="None")]))
    assert facts.dags[0].schedule == ""


@pytest.mark.parametrize(
    ("interval", "is_scheduled"),
    [({"__type": "TimeDelta", "days": 1, "seconds": 0, "microseconds": 0}, True), (None, False)],
)
def test_a_span_of_time_is_a_schedule_of_version_1(interval: Any, is_scheduled: bool) -> None:
    dag = make_old_dag(schedule_interval=interval, timetable_description="" if interval else None)
    facts = parse_start(conversation.Ask("/dags/orders"), dag, "orders", 1)
    assert facts.is_scheduled == is_scheduled


@pytest.mark.parametrize(
    ("interval", "description", "schedule"),
    [
        (None, "Never, external triggers only", ""),
        ({"__type": "CronExpression", "value": "None"}, None, ""),
        (None, "At the end of a moon", "At the end of a moon"),
        ({"__type": "CronExpression", "value": "Dataset"}, None, "Dataset"),
        ({"__type": "TimeDelta", "days": 1, "seconds": 0, "microseconds": 0}, "", "a schedule"),
        ({"__type": "RelativeDelta", "value": None}, "each month", "each month"),
    ],
)
def test_schedules_of_version_1(interval: Any, description: Any, schedule: str) -> None:
    dag = make_old_dag(schedule_interval=interval, timetable_description=description)
    facts, _ = read(serve([dag], base="/api/v1"), version=1)
    assert facts.dags[0].schedule == schedule


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({"relative_fileloc": None}, "sub/orders.py"),
        ({"relative_fileloc": None, "fileloc": "/tmp/x/dags/a/dags/b.py"}, "a/dags/b.py"),  # noqa: S108 - a value
        ({"relative_fileloc": None, "fileloc": "/opt/b.py"}, "/opt/b.py"),
    ],
)
def test_file_without_a_place_in_a_bundle(changes: dict[str, Any], file: str) -> None:
    facts, _ = read(serve([make_dag(**changes)]))
    assert facts.dags[0].file == file


@pytest.mark.parametrize("page_max", [100, 50, 7])
def test_all_pages_are_read_whatever_the_deployment_bounds_them_to(page_max: int) -> None:
    dags = [make_dag(f"d{number:03}") for number in range(220)]
    facts, asked = read(serve(dags, [make_fault(number) for number in range(130)], page_max=page_max))
    assert [each.dag_id for each in facts.dags] == [each["dag_id"] for each in dags]
    assert len(facts.faults) == 130
    assert len(asked) == -(-220 // page_max) + -(-130 // page_max)


def test_more_dags_than_are_read_is_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "DAGS_MAX", 3)
    error = fail(serve([make_dag(f"d{number}") for number in range(5)]))
    assert isinstance(error, PermanentError)
    assert "has 5 DAGs" in str(error)


def test_of_very_many_faults_the_rest_is_counted() -> None:
    facts, asked = read(serve(faults=[make_fault(number) for number in range(900)]))
    assert (len(facts.faults), facts.faults_left, len(asked)) == (200, 700, 3)


def test_long_texts_are_cut() -> None:
    long = "x" * 1_000_000
    tags = [{"name": f"{number}{long}"} for number in range(300)]
    dag = make_dag(tags=tags[:3], timetable_summary=long, owners=[f"o{number}" for number in range(500)])
    facts, _ = read(serve([dag], [make_fault(stack_trace=f"{long}\nEnd: here")]))
    assert len(facts.faults[0].trace) == 16_384
    assert facts.faults[0].trace.endswith("End: here")
    assert {len(each) for each in (*facts.dags[0].tags, facts.dags[0].schedule)} == {1000}
    assert len(facts.dags[0].owners) == 100


def test_what_the_deployment_repeats_of_our_token_is_in_no_value() -> None:
    dag = make_dag(TOKEN, tags=[{"name": TOKEN}], owners=[f"x{TOKEN}"], timetable_summary=TOKEN)
    facts, _ = read(serve([dag], [make_fault(filename=f"{TOKEN}.py", stack_trace=f"Error: {TOKEN}")]))
    assert TOKEN not in repr(facts)


def test_what_a_preview_was_given_is_in_no_traceback() -> None:
    trace = "Error: postgres://u:s3cret%2Fvalue@db/x s3cret/value, and ghp_0123456789abcdefghij0123"
    facts, _ = read(serve(faults=[make_fault(stack_trace=trace)]), secrets=("s3cret/value",))
    assert facts.faults[0].trace == "Error: postgres://u:***@db/x ***, and ***"


def test_triggers_read_the_same() -> None:
    async def read_awaited(host: str) -> tuple[AirflowFacts, str]:
        async with AsyncAirflowReader(f"{host}/api/v2", TOKEN) as reader:
            return await reader.read_facts(), await reader.read_version()

    script = serve([make_dag()], [make_fault()])
    with HostileServer(script) as server:
        awaited, version = asyncio.run(read_awaited(server.host))
    assert awaited == read(script)[0]
    assert version == "3.3.2"


def test_version_is_read() -> None:
    with HostileServer(serve()) as server, AirflowReader(f"{server.host}/api/v2", TOKEN) as reader:
        assert reader.read_version() == "3.3.2"


HTML = answer(200, b"<!doctype html><title>Airflow</title>", Content_Type="text/html", Date=DATE)

REFUSALS: dict[str, tuple[list[bytes], type[DeployOpsError], str]] = {
    "401": (say({"detail": "Not authenticated"}, 401), ReadRefusedError, "the token may not read this"),
    "403": (say({"detail": "Invalid JWT token"}, 403), ReadRefusedError, "give it one"),
    "404": (say({"error": "API route not found"}, 404), ObservationError, "sleeps, starts or is deployed to"),
    "a page": (HTML, ObservationError, "a page for people"),
    "nothing": (answer(200, b"", Date=DATE), ObservationError, "0 bytes that are not JSON"),
    "no Date": (answer(200, b'{"dags": [], "total_entries": 0}'), ObservationError, "no sound Date"),
    "an odd Date": (say({}, Date="soon"), ObservationError, "no sound Date"),
    "a Date at the end of time": (say({}, Date="Fri, 31 Dec 9999 23:59:59 -0900"), ObservationError, "no sound Date"),
    "a Date at its beginning": (say({}, Date="Wed, 01 Jan 1800 00:00:00 GMT"), ObservationError, "no sound Date"),
    "204": (answer(204, b"", Date=DATE), ObservationError, "HTTP 204"),
    "a pause": (say({}, 429, Retry_After="900"), RateLimitError, "asks to wait 900 s"),
    "an outage": (say({"detail": "no"}, 500), ObservationError, "no usable answer in 3 tries: HTTP 500"),
    "a gateway's page": (answer(503, b"<html>", Date=DATE), ObservationError, "in 3 tries: HTTP 503"),
    "half": ([b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"], ObservationError, "no usable answer in 3 tries"),
    "no list": (say({"total_entries": 0}), MalformedAnswerError, "no list 'dags'"),
    "no count": (say({"dags": []}), MalformedAnswerError, "total_entries: Field required"),
    "null": (say(None), MalformedAnswerError, "malformed"),
    "a text": (say("no"), MalformedAnswerError, "malformed"),
    "fewer than counted": (say({"dags": [], "total_entries": 3}), MalformedAnswerError, "counts 3 items and listed 0"),
    "more than counted": (say({"dags": [{}], "total_entries": 0}), MalformedAnswerError, "counts 0 items and listed 1"),
    "a DAG twice": (say({"dags": [make_dag()] * 2, "total_entries": 2}), MalformedAnswerError, "listed twice"),
    "no DAG": (say({"dags": [7], "total_entries": 1}), MalformedAnswerError, "malformed"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_is_no_answer_is_an_error_that_says_so(kind: str) -> None:
    said, error_type, says = REFUSALS[kind]
    error = fail(lambda _: said)
    assert type(error) is error_type
    assert says in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"dag_id": ""},
        {"dag_id": "x" * 251},
        {"dag_id": 7},
        {"is_paused": "no"},
        {"is_stale": None},
        {"last_parsed_time": "yesterday"},
        {"last_parsed_time": "2026-11-30T00:10:20"},
        {"last_parsed_time": "0001-01-01T00:00:00Z"},
        {"last_parsed_time": "9999-12-31T23:59:59Z"},
        {"last_parse_duration": -1},
        {"last_parse_duration": 1e300},
        {"tags": "ab"},
        {"tags": [{}]},
        {"owners": [None]},
        {"fileloc": None},
    ],
    ids=str,
)
def test_a_malformed_dag_is_told(changes: dict[str, Any]) -> None:
    error = fail(serve([make_dag(**changes)]))
    assert type(error) is MalformedAnswerError
    assert next(iter(changes)) in str(error)


@pytest.mark.parametrize(
    "changes", [{"timestamp": None}, {"filename": 7}, {"stack_trace": None}, {"import_error_id": "1"}], ids=str
)
def test_a_malformed_fault_is_told(changes: dict[str, Any]) -> None:
    error = fail(serve(faults=[make_fault(**changes)]))
    assert type(error) is MalformedAnswerError
    assert next(iter(changes)) in str(error)


def test_a_fault_twice_is_told() -> None:
    assert "an import error is listed twice" in str(fail(serve(faults=[make_fault(), make_fault()])))


def test_a_list_that_moves_while_it_is_read_is_no_list() -> None:
    totals = iter([3, 4])

    def reply(asked: Asked) -> Iterable[bytes]:
        del asked
        return say({"dags": [make_dag(f"d{(total := next(totals))}")], "total_entries": total})

    assert "changed while it was read, from 3 to 4 items" in str(fail(reply))


def test_an_outage_that_ends_is_ridden_out() -> None:
    calls = iter([say({}, 502), say({}, 502)])
    script = serve([make_dag()])
    facts, asked = read(lambda request: next(calls, None) or script(request))
    assert (len(facts.dags), len(asked)) == (1, 4)


def test_a_look_is_not_begun_on_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "LOOK_TIME_MAX_S", -1.0)
    with pytest.raises(ObservationError, match="were not read in"):
        read(serve([make_dag()]))


def test_nobody_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "_CONNECT_TIMEOUT_S", 0.5)
    with (
        AirflowReader("127.0.0.1:1/api/v2", TOKEN, sleep=lambda _: None) as reader,
        pytest.raises(ObservationError, match="no usable answer in 3 tries: ConnectError"),
    ):
        reader.read_facts()
