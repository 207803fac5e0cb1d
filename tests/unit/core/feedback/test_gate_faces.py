"""What a gate awaits is the same word in plan, row, needs, comment and commit status, however the gate stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include.deploy_ops.core.feedback.statuses import FAILURE, PENDING, judge
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Hold, HoldKind, Plan
from include.deploy_ops.core.policy.keys import PullRequestSource, Requires, Target
from include.deploy_ops.core.policy.windows import Windows, parse_dates, parse_hours
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target
from include.deploy_ops.core.target.gates import (
    Checks,
    Elsewhere,
    Gate,
    find_unmet,
    judge_checks,
    judge_soak,
    judge_verified,
    judge_windows,
)
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.pages import render_plan
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.core.view.rows import make_rows
from tests.worlds.stages.pages import fold_page
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, sha
from tests.worlds.values.faces import find_doubled, list_lines
from tests.worlds.values.feedback_examples import make_facts

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 30, 13, 5, tzinfo=BERLIN)
SOAK = timedelta(hours=2)
WINDOWS = Windows((parse_hours("Mon-Thu 09:00-12:00"),), (), BERLIN)
NEVER = Windows((parse_hours("Mon 09:00-12:00"),), (parse_hours("Mon 00:00-24:00"),), BERLIN)
CLOSED = Windows((), (parse_dates("2026-11-30/2027-01-03"),), BERLIN)
BLIND = "the token may not read check runs, which a GitHub App may (docs/install.md)"


def look(proof: Proof = Proof.VERIFIED, said: str = "", **changes: Any) -> Elsewhere:
    """Return what staging shows: the same content, verified just now unless said otherwise."""
    known = Verification("d1", sha("a"), proof, NOW.astimezone(UTC), said)
    return replace(Elsewhere("staging", verification=known), **changes)


def elsewhere(shown: Elsewhere) -> list[Gate]:
    return [judge_verified(shown, NOW), judge_soak(shown, SOAK, NOW)]


STATES: dict[str, list[Gate]] = {
    "a check runs": [judge_checks(("ci/test",), Checks({"ci/test": "pending"}))],
    "a check is missing": [judge_checks(("ci/test", "build*"), Checks({"build-1": "success"}))],
    "a check failed": [judge_checks(("ci/test",), Checks({"ci/test": "failure"}))],
    "a check cannot be seen": [judge_checks(("ci/test",), Checks(blind=BLIND))],
    "the rules cannot be read": [judge_checks("required", Checks(unread="GET /rules answered HTTP 403"))],
    "many checks run": [judge_checks(("*",), Checks({f"build-{number}": "queued" for number in range(9)}))],
    "not verified yet": elsewhere(look(Proof.PENDING)),
    "it does not work there": elsewhere(look(Proof.FAILED, "2 import errors")),
    "other content": elsewhere(look(differs="staging runs other content: dags/a.py differs")),
    "trunk has more": elsewhere(look(differs="main has 'dags/a.py', merge it into staging", is_stuck=True)),
    "it soaks": elsewhere(look()),
    "it soaks anew": elsewhere(look(reset="8331752 was verified there Mon 13:05 CET")),
    "the window is closed": [judge_windows(WINDOWS, NOW)],
    "days are denied": [judge_windows(CLOSED, NOW)],
    "no window opens": [judge_windows(NEVER, NOW)],
    "all at once": [
        judge_checks(("ci/test",), Checks({"ci/test": "pending"})),
        *elsewhere(look()),
        judge_windows(WINDOWS, NOW),
    ],
}
RULES = Requires(checks=("ci/test",))
RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
TARGET = Target(deployment="Production", pull_request=RELEASE, approval="required", requires=RULES)
PULL = make_pull(7, "astro_deploy", sha("b"))
SHOWN = make_deployment("x", id="p", name="Production")
PROJECT = make_project(targets={"production": TARGET})


def make_record(plan: Plan, *targets: TargetState) -> PassRecord:
    return PassRecord(
        project=PROJECT,
        control_plane=PLANE,
        now=NOW.astimezone(UTC),
        snapshot=RepositorySnapshot((), (PULL,)),
        observed=Observed((SHOWN,), {}),
        wanted={},
        targets=targets,
        plan=plan,
    )


def write_target(gates: list[Gate], target: Target = TARGET) -> tuple[Hold, Row, str]:
    """Return what holds a release at its target, the target's row, and the plan as people read it."""
    source = Source(RELEASE.source, PULL.head_sha, sha("c"), PULL.number, sha("d"))
    history = DeployHistory(head=sha("a"), image_commit=sha("a"), dags_commit=sha("a"), newest_id="d0")
    state = TargetState("production", target, source, (SHOWN,), history, "", Remembered(), gates=tuple(gates))
    hold = compare_target(state, PROJECT.name, "policy")
    assert isinstance(hold, Hold)
    plan = Plan((), (hold,), 0)
    return hold, make_rows(make_record(plan, state))["target.production"], render_plan(plan, NOW)


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(("approval", "verb"), [("required", "request"), ("none", "deploy")])
def test_every_face_awaits_the_same(name: str, approval: str, verb: str) -> None:
    gates = STATES[name]
    awaited, opens_at = find_unmet(gates)
    assert awaited, "the example has no closed gate"
    hold, row, plan = write_target(gates, TARGET.model_copy(update={"approval": approval}))
    assert (hold.what, hold.reason, hold.opens_at) == (verb, awaited, opens_at)
    assert f"| hold | production | {verb} | {awaited} |" in fold_page(plan)
    is_stuck = any(each.is_stuck for each in gates)
    state = State.HELD if is_stuck else State.WAITING
    assert (row.state, row.why) == (state, f"{verb}: {awaited}")
    assert [each.why for each in row.needs] == ([awaited] if is_stuck else []), "a person is needed where one is, only"
    assert row.gates == tuple(each.unmet for each in gates if each.unmet)
    check_told(row, f"{verb}: {awaited}")


def check_told(row: Row, words: str) -> None:
    """See that comment and status of the row say these words and its state, the latter as far as it has room."""
    comment = render_comment(make_facts(), row.pull, [row]).replace("\\", "")
    assert f"- {row.state.value.capitalize()}: {words}" in comment
    assert f"**{row.state.value}**" in comment
    status = judge(row, make_facts())
    assert status is not None
    said = f"{row.state.value}: {words}"
    assert status.state == (FAILURE if row.state is State.HELD else PENDING)
    assert status.description == said or said.startswith(status.description.removesuffix("…").rstrip())
    assert find_doubled(list_lines(row)) == find_doubled([status.description]) == []


@pytest.mark.parametrize("forced", ["ask", "gates"])
def test_a_row_tells_what_a_forced_deploy_does_with_gates(forced: str) -> None:
    target = TARGET.model_copy(update={"forced": forced})
    _, row, _ = write_target(STATES["it soaks"], target)
    assert row.gated == {"ask": "skip", "gates": "never"}[forced]
    free = TargetState(
        "production", target.model_copy(update={"requires": None}), None, (SHOWN,), DeployHistory(), "", Remembered()
    )
    assert make_rows(make_record(Plan((), (), 0), free))["target.production"].gated == ""


@pytest.mark.parametrize("name", [name for name in STATES if "check" in name])
def test_a_preview_that_waits_for_checks_says_so_everywhere(name: str) -> None:
    (gate,) = STATES[name]
    said = f"{gate.unmet}; it waits until that is green, or someone forces it"
    hold = Hold("dev-x", "deploy", said, kind=HoldKind.WAITING, slug="dev-x", checked=sha("b"))
    pull = make_pull(7, "dev-x", sha("b"))
    record = replace(
        make_record(Plan((), (hold,), 1)),
        snapshot=RepositorySnapshot((Branch("dev-x", sha("b")),), (pull,)),
        wanted={"dev-x": sha("b")},
    )
    row = make_rows(record)["dev-x"]
    assert f"| hold | dev-x | deploy | {said} |" in fold_page(render_plan(record.plan, NOW))
    assert (row.state, row.why) == (State.WAITING, f"deploy: {said}")
    check_told(row, f"deploy: {said}")
