"""An idle preview whose Airflow lies about who works there: it keeps itself for a while, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.cleanup.expiry import Subject, judge
from include.deploy_ops.core.cleanup.text import render_findings
from include.deploy_ops.core.cleanup.use import Use
from include.deploy_ops.core.policy.keys import Environment
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.astro.answers import MintedToken
from include.deploy_ops.observation.uses import UseObserver
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.doubles.deployment_airflow import TOKEN, make_run, say
from tests.worlds.doubles.hostile_server import Asked, HostileServer, Script, answer
from tests.worlds.values.examples import make_project
from tests.worlds.values.subjects import DAY, LIMITS, make_subject

NOW = datetime.now(UTC)
SECONDS_MAX = 20.0
REQUESTS_MAX = 11
STORED_MAX = 2000
"""Characters of what is remembered of one preview."""


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 1.0)
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", 4 << 20)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)


class Minting:
    """An Astro that mints tokens and takes them back."""

    astro_conn_id = "astro_default"

    def __init__(self) -> None:
        self.open: list[MintedToken] = []

    def create_deployment_token(self, deployment_id: str) -> MintedToken:
        self.open.append(MintedToken(deployment_id, TOKEN))
        return self.open[-1]

    def delete_token(self, token: MintedToken) -> None:
        self.open.remove(token)


def list_runs(runs: list[dict[str, Any]], total: int) -> Script:
    return lambda asked: say({"dag_runs": [] if "state=" in asked.path else runs, "total_entries": total})


def flood(asked: Asked) -> Iterable[bytes]:
    """Answer runs of ours without end."""
    runs = [make_run(NOW, dag_run_id=f"deploy-ops~{number}") for number in range(100)]
    return list_runs(runs, 10**9)(asked)


def drip(_: Asked) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n["
    for _count in range(200):
        time.sleep(0.02)
        yield b" "


LIES: dict[str, Script] = {
    "HTML": lambda _: answer(200, b"<html><script>alert(1)</script>", Content_Type="text/html"),
    "HTML as an error": lambda _: answer(500, b"<script>alert(1)</script>[x](https://evil.example)\x1b[31m|"),
    "ten thousand runs on a page": list_runs([make_run(NOW) for _ in range(10_000)], 10_000),
    "runs of ours without end": flood,
    "a run of the year 9999": list_runs([make_run(datetime(9999, 1, 1, tzinfo=UTC))], 1),
    "a run of next year": list_runs([make_run(NOW + timedelta(days=365))], 1),
    "a run of a moment ago": list_runs([make_run(NOW - timedelta(minutes=1))], 1),
    "a run in flight for ever": lambda _: say({"dag_runs": [make_run(NOW, dag_id="<b>|`x`\n# y")], "total_entries": 1}),
    "a name of megabytes": list_runs([make_run(NOW, dag_id="x" * 3_000_000)], 1),
    "depth": lambda _: answer(200, b"[" * 1_000_000),
    "a total that is none": lambda _: say({"dag_runs": [], "total_entries": -1}),
    "a redirect": lambda _: say({}, 307, Location="https://evil.example/[x](y)"),
    "drops": lambda _: [],
    "drips": drip,
}


def ask(
    script: Script, subjects: list[Subject], memory: Memory, **previews: Any
) -> tuple[tuple[Subject, ...], list[Asked], Minting]:
    """Have cleanup ask all of these, of which the first one's Airflow lies, and the others' tell nothing of use."""
    astro = Minting()
    project = make_project(previews={"activity": ("deploys", "runs"), **previews})
    scope = SimpleNamespace(project=project, previews=project.previews)
    observer = UseObserver(scope, astro, memory, NOW)  # type: ignore[arg-type]  # as far as it is used
    with HostileServer(script) as liar, HostileServer(list_runs([], 0)) as honest:
        hosts = [liar.host, *[honest.host] * (len(subjects) - 1)]
        there = [
            replace(each, deployment=replace(each.deployment, airflow_api=f"{host}/api/v2"))
            for each, host in zip(subjects, hosts, strict=True)
        ]
        return observer.learn(there, LIMITS, {each.deployment.id for each in there}), list(liar.asked), astro


@pytest.mark.parametrize("lie", LIES)
def test_whatever_it_answers_others_fare_as_ever_and_it_costs_little(lie: str) -> None:
    store = DictStore()
    subjects = [make_subject("dev-a", 5 * DAY, NOW), make_subject("dev-b", 5 * DAY, NOW)]
    began = time.monotonic()
    seen, asked, astro = ask(LIES[lie], subjects, Memory(store))
    assert time.monotonic() - began < SECONDS_MAX
    assert len(asked) <= REQUESTS_MAX
    assert astro.open == []
    expiry = judge(seen, {}, LIMITS, run_id="run", now=NOW)
    assert expiry.verdicts["id-dev-b"].verb == "hibernate"
    table = render_findings(expiry.findings)
    assert TOKEN not in table
    assert "\x1b" not in table
    assert "<script>" not in table.partition("whether somebody works there")[0]
    stored = json.dumps(store.values)
    assert TOKEN not in stored
    assert len(stored) < 2 * STORED_MAX


@pytest.mark.parametrize("is_there", [True, False])
def test_a_mapped_value_that_its_airflow_answers_is_neither_told_nor_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, is_there: bool
) -> None:
    value, store = "c4nary-key-0123456789", DictStore()
    if is_there:
        monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", value)
    environment = Environment(variables={"key": {"variable": "preview_key"}})  # type: ignore[dict-item]  # as written
    subjects = [make_subject("dev-a", 5 * DAY, NOW)]
    seen, _, _ = ask(lambda _: answer(403, value.encode()), subjects, Memory(store), environment=environment)
    assert seen[0].use is not None
    assert seen[0].use.problem
    assert value not in seen[0].use.problem + json.dumps(store.values) + caplog.text


@pytest.mark.parametrize("lie", LIES)
def test_whatever_it_answers_it_is_told_and_deleted_in_the_end(lie: str) -> None:
    memory = Memory(DictStore())
    seen, _, _ = ask(LIES[lie], [make_subject("dev-a", 27 * DAY, NOW)], memory)
    (verdict,) = judge(seen, {}, LIMITS, run_id="run", now=NOW).verdicts.values()
    assert verdict.verb == "delete"
    assert verdict.due_at <= NOW + DAY
    worst = Use(NOW + DAY, NOW + DAY, "a run is in flight", "no answer")
    later = make_subject("dev-a", 28 * DAY, NOW + DAY, use=worst)
    (finding,) = judge([later], {verdict.deployment_id: verdict}, LIMITS, run_id="r", now=NOW + DAY).findings
    assert finding.verdict == ("delete" if verdict.is_final else "keep")


def test_a_run_of_next_year_and_ids_that_look_like_ours_keep_nothing() -> None:
    for script in (LIES["a run of next year"], list_runs([make_run(NOW, dag_run_id="deploy-ops~me")], 1)):
        seen, _, _ = ask(script, [make_subject("dev-a", 5 * DAY, NOW)], Memory(DictStore()))
        assert judge(seen, {}, LIMITS, run_id="run", now=NOW).findings[0].verdict == "hibernate"
