"""A preview whose own code answers for its Airflow, while we start DAGs there: wrong ids, endless runs, odd logs."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.environment.pools import MARK, Pool
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.core.verification.facts import AirflowDag
from include.deploy_ops.core.verification.smoke import (
    LINE_LENGTH_MAX,
    LINES_MAX,
    Candidate,
    find_candidates,
    mask_run,
    plan_runs,
    settle_runs,
)
from include.deploy_ops.core.verification.verdict import Proof, SmokeOutcome, SmokeRun, Verification
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.airflow.runs import AirflowPauser, AsyncAirflowRunner
from include.deploy_ops.operators.control import pausing
from include.deploy_ops.operators.control.pausing import Pausing
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.triggers import smoke
from tests.unit.triggers.test_smoke import Access, make_trigger, play, tell
from tests.worlds.doubles.deployment_airflow import TOKEN, say
from tests.worlds.doubles.hostile_server import Asked, HostileServer
from tests.worlds.doubles.runs_of_dags import RunsOfDags, make_run
from tests.worlds.values.feedback_examples import make_facts, make_live

SECONDS_MAX = 15.0
MEMORY_MAX = 64 << 20
NASTY = ("../../../dags", "..", "~", "a/dagRuns?x=1", "x\n[link](http://evil)", "<img src=x>", "\u202esmoke", "a" * 251)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunsOfDags]:
    monkeypatch.setattr(smoke, "AsyncAirflowAccess", Access)
    monkeypatch.setattr(smoke, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(smoke, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(smoke, "LONGEST_BACKOFF_S", 0.02)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 1.0)
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", 4 << 20)
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)
    monkeypatch.setattr(Access, "error", None)
    played = RunsOfDags()
    with HostileServer(played) as server:
        monkeypatch.setattr(Access, "host", server.host)
        yield played


def bound(call: Callable[[], Any]) -> Any:
    """Return what the call does, having seen that it is quick and small."""
    began = time.monotonic()
    tracemalloc.start()
    try:
        found = call()
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < SECONDS_MAX
    return found


def test_an_id_that_leads_elsewhere_starts_nothing() -> None:
    dags = [AirflowDag(each, "a.py") for each in NASTY]
    starts, skipped = plan_runs([("*", {})], find_candidates(["*"], dags), "r1", may_unpause=True)
    assert starts == ()
    assert {each.dag_id for each in skipped} == set(NASTY)


@pytest.mark.parametrize("dag_id", NASTY)
def test_whatever_a_start_is_called_no_other_address_is_asked(airflow: RunsOfDags, dag_id: str) -> None:
    asked: list[str] = []

    def note(request: Asked) -> None:
        asked.append(request.path)

    airflow.spoil = note
    event = bound(lambda: play(make_trigger(dag_id, seconds=0.5)))
    assert tell(event)[reveal(dag_id)][0] == "unknown"
    assert asked == []


def test_an_answer_about_another_run_is_believed_by_nobody(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    other = make_run("smoke_a", "manual__of_somebody", "success")
    airflow.spoil = lambda asked: say(other) if "/dagRuns" in asked.path and asked.method == "POST" else None
    assert tell(bound(lambda: play(make_trigger("smoke_a", seconds=0.5))))["smoke_a"][0] == "unknown"
    airflow.spoil = lambda asked: say(other) if "/dagRuns/" in asked.path else None
    outcome, how = tell(bound(lambda: play(make_trigger("smoke_a", seconds=0.5))))["smoke_a"]
    assert outcome == "unknown"
    assert "manual__of_somebody" in how


def test_a_run_that_never_ends_and_cannot_be_ended_is_given_up(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["running"]
    airflow.spoil = lambda asked: say({}, 500) if asked.method == "PATCH" and "/dagRuns/" in asked.path else None
    event = bound(lambda: play(make_trigger("smoke_a", seconds=0.3)))
    assert tell(event)["smoke_a"][0] == "failed"
    assert event["unpaused"] == ["smoke_a"]


@pytest.mark.parametrize(
    "log",
    [
        [{"event": "x" * 100_000}] * 20,
        [{"event": "y"}] * 50_000,
        [{"event": {"deep": [["z"] * 100] * 100}}],
        "line\n" * 200_000,
        [{"event": "\x1b[31mred\u202e"}],
    ],
)
def test_whatever_is_logged_few_short_lines_are_kept(airflow: RunsOfDags, log: Any) -> None:
    airflow.add("smoke_a", is_paused=False)
    airflow.states, airflow.log = ["failed"], log
    (run,) = bound(lambda: play(make_trigger("smoke_a", unpauses=False)))["runs"]
    assert len(run["lines"]) <= LINES_MAX
    assert all(len(line) <= 8 * LINE_LENGTH_MAX for line in run["lines"])
    assert "\x1b" not in "".join(run["lines"])
    assert "\u202e" not in "".join(run["lines"])


def test_a_log_that_repeats_our_token_tells_it_nowhere(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a", is_paused=False)
    airflow.states = ["failed"]
    airflow.log = [{"event": f"header: Bearer {TOKEN}"}, {"event": "https://ann:hunter2pass@example.com/x"}]
    event = bound(lambda: play(make_trigger("smoke_a", unpauses=False)))
    assert event["runs"][0]["lines"]
    assert TOKEN not in json.dumps(event)
    assert "hunter2pass" not in json.dumps(event)


def test_what_is_logged_or_named_is_no_markdown_in_the_comment() -> None:
    evil = "```\n# Approved <img src=https://evil/x> @maintainers [x](https://evil)"
    run = SmokeRun("smoke_a", SmokeOutcome.FAILED, "", 1.0, evil.replace("\n", " "), tuple(evil.splitlines()))
    known = Verification("r1", "a" * 40, Proof.VERIFIED, datetime.now(UTC), "verified")
    row = replace(make_live(), verification=settle_runs(known, [mask_run(run, mask_text)], 1))
    comment = render_comment(make_facts(), 1, [row])
    outside = "".join(comment.split("````")[::2])
    assert "smoke_a failed after 1 s" in comment
    assert "<img" in comment
    for text in ("<img", "@maintainers", "](https://evil)"):
        assert text not in outside


def test_a_pass_of_control_waits_for_no_airflow_that_drips(
    airflow: RunsOfDags, monkeypatch: pytest.MonkeyPatch
) -> None:
    dags = tuple(f"smoke_{number}" for number in range(10))
    with HostileServer(lambda _: server.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")) as server:
        monkeypatch.setattr(pausing, "read_airflow_token", lambda *_: TOKEN)
        monkeypatch.setattr(pausing, "AirflowPauser", lambda _, token: AirflowPauser(f"{server.host}/api/v2", token))
        monkeypatch.setattr(pausing, "read_astro_connection", lambda _: SimpleNamespace(token=TOKEN[::-1]))
        known = Verification("r1", "a" * 40, Proof.UNKNOWN, datetime.now(UTC), unpaused=dags)
        rows: Any = {"dev-x": SimpleNamespace(deployment_id="d1")}
        tries: dict[str, int] = {}
        slot = SimpleNamespace(read=lambda: dict(tries), write=tries.update)
        rules = SimpleNamespace(airflow_conn_id="preview_airflow")
        scope: Any = SimpleNamespace(project=SimpleNamespace(find_verify=lambda _: rules))
        claims: Any = SimpleNamespace(find_holder=lambda _: None)
        astro: Any = SimpleNamespace(astro_conn_id="astro_default")
        monkeypatch.setattr(pausing, "is_asleep", lambda _: False)
        deployment: Any = SimpleNamespace(id="d1", name="dev-x", airflow_api="x/api/v2")
        control = Pausing(scope, astro, SimpleNamespace(pausings=slot), claims)  # type: ignore[arg-type]
        for _ in range(6):
            bound(lambda: control.pause_again(rows, {"dev-x": known}, [deployment]))
        assert len(server.asked) == pausing.TRIES_MAX  # one DAG a pass, and no pass after these


def test_pools_that_are_made_up_lead_nowhere_else(airflow: RunsOfDags) -> None:
    listed = [{"name": name, "slots": 1, "description": MARK} for name in (*NASTY, "default_pool")]
    asked: list[str] = []

    def answer(request: Asked) -> list[bytes]:
        asked.append(f"{request.method} {request.path.partition('?')[0]}")
        return say({"pools": listed, "total_entries": len(listed)} if request.method == "GET" else {})

    airflow.spoil = answer

    async def lay() -> tuple[str, ...]:
        async with AsyncAirflowRunner(f"{Access.host}/api/v2", TOKEN) as runner:
            return await runner.lay_pools([Pool("warehouse", 2)])

    assert bound(lambda: asyncio.run(lay())) == ()
    assert asked == ["GET /api/v2/pools", "POST /api/v2/pools"]


def test_thousands_of_dags_that_match_are_few_candidates() -> None:
    dags = [AirflowDag(f"smoke_{number}", "a.py") for number in range(5000)]
    found = bound(lambda: find_candidates(["smoke_*"] * 10, dags))
    assert len(found) <= 20
    assert all(isinstance(each, Candidate) for each in found)
