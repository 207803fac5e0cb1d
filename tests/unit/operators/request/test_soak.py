"""A production that waits until staging has run the same for a while, verified: what is the same, what resets that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.policy.keys import Promotion, Requires
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.row import State
from tests.unit.operators.request.test_gates import Clock
from tests.worlds.stages.request import SLUG, open_gate

if TYPE_CHECKING:
    from tests.worlds.stages.request import Gate
    from tests.worlds.stages.stage import Stage

NOW = datetime(2026, 11, 30, 11, tzinfo=UTC)
PROMOTION = Promotion.model_validate({"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"})
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
STAGING = slug_target("staging")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still; it is Monday noon."""
    return Clock(monkeypatch, NOW)


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Gate:
    """Give a production that waits for staging, which runs the release and is verified since now."""
    rules = Requires.model_validate({"verified": "staging", "soak": "2h"})
    gate = open_gate(stage, monkeypatch, requires=rules)
    play_staging(gate)
    verify(gate, clock.now)
    return gate


def play_staging(gate: Gate) -> None:
    """Let staging have what it follows."""
    (run,) = [each for each in gate.stage.plan() if each.dag_id == "shop.staging"]
    assert run.play()["deploy"] == "success"


def verify(gate: Gate, at: datetime, proof: Proof = Proof.VERIFIED, said: str = "verified") -> None:
    """Let a run have asked staging's Airflow whether what runs there works."""
    newest = gate.stage.list_deploys(gate.staging)[0]["id"]
    gate.stage.memory.verification(STAGING).write(Verification(newest, gate.head, proof, at, said))


def read_awaited(gate: Gate, state: State = State.WAITING) -> str:
    """Return what production waits for, as its row says after a pass that asks nobody."""
    assert gate.plan() == []
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, bool(row.needs)) == (state, state is State.HELD)
    return row.why.removeprefix("request: ")


def test_production_is_asked_about_once_staging_has_soaked(gate: Gate, clock: Clock) -> None:
    since = f"since {gate.head[:7]} was verified there Mon 11:00 UTC"
    assert read_awaited(gate) == f"soaks on staging until Mon 13:00 UTC, {since}"
    clock.now = NOW + 2 * HOUR - SECOND
    assert gate.plan() == []
    clock.now += SECOND
    body = gate.start_planned().ask()["body"]
    assert "| verified | met | `staging runs the same, verified Mon 11:00 UTC` |" in body
    assert "| soak | met | `soaked on staging for 2h until Mon 13:00 UTC` |" in body


@pytest.mark.parametrize(
    ("proof", "said", "awaited"),
    [
        (Proof.FAILED, "2 import errors", "staging: 2 import errors"),
        (Proof.UNKNOWN, "not verified: no connection", "staging: not verified: no connection"),
    ],
)
def test_what_is_not_verified_is_awaited(gate: Gate, proof: Proof, said: str, awaited: str) -> None:
    verify(gate, NOW - 9 * HOUR, proof, said)
    assert read_awaited(gate, State.HELD) == f"{awaited}; soaks on staging for 2h once that is verified"


def test_a_verdict_on_an_older_deploy_is_none(gate: Gate, clock: Clock) -> None:
    clock.now = NOW + 3 * HOUR
    gate.record(gate.staging)
    assert gate.plan() == []  # the pass before saw a run at work
    awaited = "staging: not verified: nobody asked its Airflow since this deploy"
    assert read_awaited(gate, State.HELD) == f"{awaited}; soaks on staging for 2h once that is verified"


def test_what_somebody_deployed_to_staging_resets_the_soak_and_is_named(gate: Gate, clock: Clock) -> None:
    clock.now = NOW + 3 * HOUR
    gate.record(gate.staging, is_override=True, is_forced=True, person="mira", reason="to see it")
    verify(gate, clock.now)
    since = f"since {gate.head[:7]} (astro_deploy), by mira, because to see it was verified there Mon 14:00 UTC"
    assert read_awaited(gate) == f"soaks on staging until Mon 16:00 UTC, {since}"


def test_a_release_that_staging_does_not_show_yet_waits(gate: Gate) -> None:
    gate.head = gate.stage.push_more("astro_deploy", {"dags/later.py": "# later\n"})
    awaited = read_awaited(gate)
    assert awaited.startswith("staging runs other content: only DAGs differ from the image of ")
    gate.stage.forget_requests()
    assert read_awaited(gate) == awaited
    assert not [each for each in gate.stage.list_requests("github") if "/trees/" in each or "/compare/" in each]


def test_what_was_found_to_differ_is_looked_at_again_once_staging_has_it(gate: Gate, clock: Clock) -> None:
    clock.now = NOW + 2 * HOUR
    gate.head = gate.stage.push_more("astro_deploy", {"dags/later.py": "# later\n"})
    (run,) = [each for each in gate.stage.plan() if each.dag_id == "shop.staging"]
    assert "staging runs other content" in gate.stage.memory.read_rows()[SLUG].why
    assert run.play()["deploy"] == "success"
    verify(gate, NOW)
    gate.start_planned().ask()


def test_what_is_ignored_is_the_same_content(gate: Gate, clock: Clock) -> None:
    gate.stage.push_more("astro_deploy", {"docs/later.md": "later\n"})
    clock.now = NOW + 2 * HOUR
    gate.start_planned().ask()


@pytest.mark.parametrize("on", ["pull_request", "push"])
@pytest.mark.parametrize(("entrance", "changes"), [("astro_deploy", {}), ("staging", {"promotion": PROMOTION})])
def test_a_hotfix_that_staging_lacks_is_named(gate: Gate, on: str, entrance: str, changes: dict[str, Any]) -> None:
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update={"on": on, "merge": False})
    gate.stage.change_project(targets={**targets, "production": production}, **changes)
    gate.stage.push("main", {"dags/hotfix.py": "# hotfix\n", "docs/why.md": "why\n"})
    awaited = f"main has 'dags/hotfix.py', merge it into {entrance}; soaks on staging for 2h once that is verified"
    assert read_awaited(gate, State.HELD) == awaited


def test_a_main_that_lacks_what_staging_has_waits(gate: Gate) -> None:
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update={"on": "push", "merge": False})
    gate.stage.change_project(targets={**targets, "production": production})
    assert read_awaited(gate).startswith("staging runs other content: only DAGs differ from the image of ")


def test_a_staging_that_somebody_overrode_waits_for_a_person(gate: Gate) -> None:
    main = gate.stage.author.git("rev-parse", "origin/main")
    gate.record(gate.staging, commit=main, is_override=True, is_forced=True, person="mira", reason="INC-42")
    told = f"staging runs other content: overridden by {main[:7]} (astro_deploy), by mira, because INC-42"
    assert read_awaited(gate, State.HELD) == f"{told}; soaks on staging for 2h once that is verified"


def test_staging_is_looked_at_again_before_the_deploy(gate: Gate, clock: Clock) -> None:
    clock.now = NOW + 2 * HOUR
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    run.finish()
    (dispatched,) = gate.plan()
    deploy = gate.stage.start_dispatched(dispatched)
    for task in ("claim", "change_type", "image"):
        deploy.step(task)
    verify(gate, clock.now, Proof.FAILED, "1 import error")
    with pytest.raises(AirflowSkipException, match="is delayed: staging: 1 import error; soaks"):
        deploy.step("deploy")
    verify(gate, NOW)
    deploy.step("deploy")
    assert len(gate.stage.list_deploys(gate.production)) == 1


def test_a_staging_that_is_not_there_is_told(gate: Gate) -> None:
    gate.stage.edit_deployment(gate.staging, name="Elsewhere")
    said = "what staging runs is not known: no Deployments are named 'Staging'"
    assert read_awaited(gate, State.HELD) == f"{said}; soaks on staging for 2h once that is verified"
