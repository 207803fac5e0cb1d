"""The verify trigger: one event, in time, whatever the Deployment's Airflow answers on the way.

Airflow is played look by look; how it is asked, the tests of the hook show.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from airflow.triggers.base import TriggerEvent

from include.deploy_ops.core.errors import ObservationError, PermanentError, ReadRefusedError
from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.hooks.github import repository
from include.deploy_ops.run.seals import Seals
from include.deploy_ops.triggers import heads, verified
from include.deploy_ops.triggers.masks import OLDER
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from tests.worlds.doubles.astro import AstroDouble, Reply, make_deploy, serve_list

if TYPE_CHECKING:
    from collections.abc import Iterator

THEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEPLOYS = "deployments/cldep1/deploys"
HERE, THERE = "cldep1", "clprod"
TRACE = "  File \"/usr/local/airflow/dags/a.py\", line 3, in <module>\nKeyError: 'x'\n"
Look = AirflowFacts | Exception


def see(seconds: float, *dags: str, broken: tuple[str, ...] = ()) -> AirflowFacts:
    """Return a look so long after the first one, at DAGs and errors that were just parsed."""
    at = THEN + timedelta(seconds=seconds)
    return AirflowFacts(
        at,
        tuple(AirflowDag(each.removesuffix(".py"), each, at, 0.1) for each in dags),
        tuple(ImportFault(each, at, TRACE) for each in broken),
    )


@dataclass
class Airflows:
    """What each Deployment's Airflow shows, look by look; the last one stays."""

    looks: dict[str, list[Look]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def open(self, _astro: object, deployment_id: str, conn_id: str | None) -> _Access:
        return _Access(self, deployment_id, conn_id)


@dataclass
class _Access:
    airflows: Airflows
    deployment_id: str
    conn_id: str | None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def look(self) -> AirflowFacts:
        self.airflows.before()
        self.airflows.asked.append((self.deployment_id, self.conn_id))
        looks = self.airflows.looks[self.deployment_id]
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def airflows(monkeypatch: pytest.MonkeyPatch) -> Airflows:
    played = Airflows()
    monkeypatch.setattr(verified, "AsyncAirflowAccess", played.open)
    monkeypatch.setattr(verified, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(verified, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(heads, "HEADS_INTERVAL_S", 0.0)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    return played


@pytest.fixture(autouse=True)
def astro(monkeypatch: pytest.MonkeyPatch) -> Iterator[AstroDouble]:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        double.say(DEPLOYS, serve_list("deploys", [make_deploy(5)]))
        yield double
    reset_secrets_masker()


def make_trigger(seconds: float = 5, **changes: Any) -> DeployVerifiedTrigger:
    now = datetime.now(UTC)
    arguments: dict[str, Any] = {
        "astro_conn_id": "astro_default",
        "deployment_id": HERE,
        "deploy_id": "cldeploy5",
        "owner": "acme/shop",
        "airflow_conn_id": "preview_airflow",
        "files": ["a.py", "b.py"],
        "changed": ["a.py"],
        "touched": ["a.py"],
        "started_at": now.isoformat(),
        "deadline": (now + timedelta(seconds=seconds)).isoformat(),
        "compared_id": "",
        "compared_conn_id": None,
        "is_public": False,
        "heads": {},
        "github_conn_id": "github_default",
        "repository": "acme/shop",
        "poll_interval_s": 0.01,
    }
    return DeployVerifiedTrigger(**arguments | changes)


def run(trigger: DeployVerifiedTrigger) -> dict[str, Any]:
    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(collect())
    # Airflow logs the event so, and code of the branch wrote parts of it.
    assert {repr(event), str(event)} == {"TriggerEvent<{not shown}>", "payload={not shown}"}
    payload: dict[str, Any] = json.loads(json.dumps(event.payload))
    return payload


def test_serialize_gives_back_every_argument() -> None:
    trigger = make_trigger()
    path, arguments = trigger.serialize()
    assert path == "include.deploy_ops.triggers.verified.DeployVerifiedTrigger"
    assert DeployVerifiedTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_it_waits_until_all_is_parsed(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(0, "b.py"), see(20, "b.py"), see(40, "a.py", "b.py")]
    event = run(make_trigger())
    assert (event["state"], event["detail"], event["findings"]["broken"]) == ("seen", "", [])
    assert airflows.asked == [(HERE, "preview_airflow")] * 4


def test_import_errors_are_handed_on_with_file_and_line(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, "b.py", broken=("a.py",)), see(70, "b.py", broken=("a.py",))]
    (broken,) = run(make_trigger())["findings"]["broken"]
    assert (broken["file"], broken["line"], broken["error"]) == ("a.py", 3, "KeyError: 'x'")


def test_what_strangers_read_has_no_message(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, "b.py", broken=("a.py",)), see(70, "b.py", broken=("a.py",))]
    event = run(make_trigger(is_public=True))
    assert event["findings"]["broken"][0]["error"] == "KeyError"
    assert "'x'" not in json.dumps(event)


def test_errors_of_the_other_deployment_are_told_apart(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, broken=("a.py", "b.py")), see(70, broken=("a.py", "b.py"))]
    airflows.looks[THERE] = [see(0, broken=("b.py",))]
    event = run(make_trigger(compared_id=THERE, compared_conn_id="production_airflow"))
    assert {each["file"]: each["is_shared"] for each in event["findings"]["broken"]} == {"a.py": False, "b.py": True}
    assert airflows.asked[-1] == (THERE, "production_airflow")


def test_without_the_other_deployments_answer_only_errors_of_the_change_are_its_own(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, "a.py", broken=("b.py",)), see(70, "a.py", broken=("b.py",))]
    airflows.looks[THERE] = [ObservationError("HTTP 503")]
    event = run(make_trigger(compared_id=THERE))
    assert event["state"] == "unknown"
    assert "nothing was compared: HTTP 503" in event["detail"]
    assert event["findings"]["broken"][0]["is_shared"]


def test_without_the_other_deployment_errors_of_unchanged_files_are_not_its_own(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, "a.py", broken=("b.py",)), see(70, "a.py", broken=("b.py",))]
    event = run(make_trigger(compared_lack="Astro shows no Deployment 'Production'"))
    assert (event["state"], event["findings"]["broken"][0]["is_shared"]) == ("unknown", True)
    assert "nothing was compared: Astro shows no Deployment 'Production'" in event["detail"]


def test_an_airflow_that_does_not_answer_is_asked_until_the_deadline(airflows: Airflows) -> None:
    airflows.looks[HERE] = [ObservationError("HTTP 503"), see(0), TimeoutError(), see(40, "a.py", "b.py")]
    assert run(make_trigger())["state"] == "seen"
    airflows.looks[HERE] = [ObservationError("HTTP 503")]
    began = time.monotonic()
    event = run(make_trigger(seconds=0.3))
    assert (event["state"], event["detail"]) == ("unknown", "HTTP 503")
    assert time.monotonic() - began < 5


def test_a_parse_that_never_comes_ends_in_time_and_names_the_file(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0, "b.py")]
    event = run(make_trigger(seconds=0.3))
    assert (event["state"], event["detail"]) == ("unknown", "not parsed yet: a.py, b.py")
    assert len(airflows.asked) < 40


def test_an_error_that_was_seen_counts_though_others_were_not_parsed_in_time(airflows: Airflows) -> None:
    airflows.looks[HERE] = [see(0), see(40, broken=("b.py",)), see(70, broken=("b.py",))]
    event = run(make_trigger(seconds=0.3))
    assert event["state"] == "unknown"
    assert [each["file"] for each in event["findings"]["broken"]] == ["b.py"]


@pytest.mark.parametrize(
    ("error", "looks"),
    [(ReadRefusedError("HTTP 403; give it one"), verified.REFUSALS_MAX), (PermanentError("9000 DAGs"), 1)],
)
def test_what_no_later_look_mends_ends_the_wait(airflows: Airflows, error: Exception, looks: int) -> None:
    airflows.looks[HERE] = [error]
    event = run(make_trigger(seconds=60))
    assert (event["state"], event["detail"], len(airflows.asked)) == ("unknown", str(error), looks)


def test_a_newer_deploy_overtakes_it(airflows: Airflows, astro: AstroDouble) -> None:
    airflows.looks[HERE] = [see(0), see(40, "a.py", "b.py")]
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(6), make_deploy(5)]))
    event = run(make_trigger())
    assert (event["state"], event["detail"]) == ("overtaken", "deploy cldeploy6 came after it")
    assert event["findings"]["broken"] == []


def test_whether_it_was_overtaken_need_not_be_told(airflows: Airflows, astro: AstroDouble) -> None:
    airflows.looks[HERE] = [see(0), see(40, "a.py", "b.py")]
    astro.say(DEPLOYS, Reply({"message": "no"}, 403))
    assert run(make_trigger())["state"] == "seen"


def test_a_push_ends_the_wait(airflows: Airflows, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_moved(watched: heads.Heads) -> str:
        return f"dev-x moved from {watched.heads['dev-x'][:12]}"

    monkeypatch.setattr(heads.Heads, "find_moved", find_moved)
    airflows.looks[HERE] = [see(0)]
    event = run(make_trigger(seconds=60, heads={"dev-x": "a" * 40}))
    assert event["detail"] == "dev-x moved from aaaaaaaaaaaa, so nobody waits for it"


@pytest.mark.parametrize(("found", "said"), [("b" * 40, "dev-x moved from aaaaaaaaaaaa"), (None, "dev-x is not there")])
def test_who_pushes_or_deletes_the_branch_does_not_wait_for_an_airflow_that_is_silent(
    airflows: Airflows, monkeypatch: pytest.MonkeyPatch, found: str | None, said: str
) -> None:
    polled: list[str] = []

    def poll(name: str) -> Any:
        polled.append(name)
        return None if found is None else SimpleNamespace(head=found)

    async def wait(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(repository, "DeployOpsGithubHook", lambda *_, **__: SimpleNamespace(find_branch=poll))
    monkeypatch.setattr(_Access, "look", wait)
    began = time.monotonic()
    event = run(make_trigger(seconds=600, heads={"dev-x": "a" * 40}))
    assert event["detail"].startswith(said)
    assert polled == ["dev-x"]
    assert time.monotonic() - began < 30


MAPPED = {"key": "AIRFLOW_VAR_API_KEY", "source": {"variable": "preview_key"}}
VALUE = "hunter2-hunter2"


def give(value: str, **changes: Any) -> dict[str, Any]:
    """Return what a trigger is told of a preview that was given the value."""
    read = read_astro_connection("astro_default")
    laid = Seals("acme", (read.token,)).seal_values(HERE, {MAPPED["key"]: value})  # type: ignore[dict-item]
    arguments = {"control_plane": "acme", "astro_conn_id": "astro_default", "deployment_id": HERE}
    return {**arguments, "mapped": [MAPPED], "laid": laid, **changes}


def quote_value(at: float, *dags: str) -> AirflowFacts:
    """Return a look at DAGs, and at an error that quotes the value."""
    found = see(at, "b.py", broken=("a.py",))
    more = tuple(AirflowDag(each, "b.py", found.at, 0.1) for each in dags)
    return replace(found, dags=found.dags + more, faults=(replace(found.faults[0], trace=TRACE.replace("x", VALUE)),))


@pytest.mark.parametrize(
    ("laid", "error", "noted"),
    [(VALUE, "KeyError: '***'", []), ("before the rotation", "KeyError", [OLDER])],
    ids=["known", "rotated"],
)
def test_an_event_holds_no_mapped_value(
    airflows: Airflows, monkeypatch: pytest.MonkeyPatch, laid: str, error: str, noted: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", VALUE)
    looks = [quote_value(at, f"smoke_{VALUE}") for at in (0, 40, 70)]
    airflows.looks[HERE] = [ObservationError(f"HTTP 500 {VALUE}"), *looks]
    airflows.looks[THERE] = [see(60, "b.py")]
    event = run(make_trigger(given=give(laid), compared_id=THERE, smoke=["smoke_*"]))
    assert VALUE not in json.dumps(event)
    assert [each["error"] for each in event["findings"]["broken"]] == [error]
    assert [each["dag_id"] for each in event["candidates"]] == ["smoke_***"]
    assert event["notes"] == noted


@pytest.mark.parametrize("smoke", [["smoke_*"], ["smoke_hunter*"]])
def test_a_dag_is_run_unless_its_id_holds_a_value_that_the_policy_does_not_tell(
    airflows: Airflows, monkeypatch: pytest.MonkeyPatch, smoke: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", "hunter")
    airflows.looks[HERE] = [quote_value(at, "smoke_hunter", "smoke_b") for at in (0, 40, 70)]
    event = run(make_trigger(given=give("hunter"), smoke=smoke))
    expected = {"smoke_*": ["smoke_***", "smoke_b"], "smoke_hunter*": ["smoke_hunter"]}[smoke[0]]
    assert sorted(each["dag_id"] for each in event["candidates"]) == expected


def test_while_the_values_cannot_be_read_nothing_is_asked(airflows: Airflows) -> None:
    event = run(make_trigger(given=give(VALUE), pools=[]))
    assert event["state"] == "unknown"
    assert "gave no variable 'preview_key'" in event["detail"]
    assert (airflows.asked, event["findings"]["broken"], event["notes"]) == ([], [], [])
