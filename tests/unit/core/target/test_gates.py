"""Gates: each is met exactly when it should be, says what it awaits, and what nobody can see is never met."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from include.deploy_ops.core.policy.windows import Windows, parse_hours
from include.deploy_ops.core.target.gates import (
    Checks,
    Elsewhere,
    Gate,
    Wanted,
    find_unmet,
    judge_checks,
    judge_soak,
    judge_verified,
    judge_windows,
)
from include.deploy_ops.core.verification.verdict import Proof, Verification

NOW = datetime(2026, 11, 30, 12, 5, tzinfo=UTC)
SECOND, SOAK = timedelta(seconds=1), timedelta(hours=2)
BLIND = "the token may not read check runs"


def verified(proof: Proof = Proof.VERIFIED, said: str = "works") -> Verification:
    return Verification("d1", "a" * 40, proof, NOW, said)


@pytest.mark.parametrize(
    ("wanted", "checks", "unmet"),
    [
        (("ci/test",), Checks({"ci/test": "success"}), ""),
        (("ci/test",), Checks({"ci/test": "neutral"}), ""),
        (("ci/test",), Checks({"ci/test": "skipped"}), ""),
        (("ci/test",), Checks({"ci/test": "failure"}), "check 'ci/test' did not succeed: failure"),
        (("ci/test",), Checks({"ci/test": "cancelled"}), "check 'ci/test' did not succeed: cancelled"),
        (("ci/test",), Checks({"ci/test": "in_progress"}), "check 'ci/test' runs"),
        (("ci/test",), Checks({"ci/test": "pending"}), "check 'ci/test' runs"),
        (("ci/test",), Checks({"CI/test": "success"}), "check 'ci/test' is not there yet"),
        (("ci/test",), Checks(), "check 'ci/test' is not there yet"),
        (("ci/test",), Checks(blind=BLIND), f"check 'ci/test' is not known: {BLIND}"),
        (("ci/test",), Checks({"ci/test": "success"}, blind=BLIND), ""),
        (("build*",), Checks({"build-a": "success", "build-b": "pending"}), "check 'build-b' runs"),
        (("build*",), Checks({"build-a": "success"}, blind=BLIND), f"check 'build*' is not known: {BLIND}"),
        (("*",), Checks({"deploy-ops/production": "success"}), "check '*' is not there yet"),
        (("*",), Checks({"a": "success", "deploy-ops/production": "pending"}), ""),
        (
            ("a", "b*"),
            Checks({"a": "error", "b1": "queued"}),
            "check 'a' did not succeed: error; check 'b1' runs",
        ),
        (("a", "*"), Checks({"a": "error"}), "check 'a' did not succeed: error"),
        (
            ("*",),
            Checks({f"b{number}": "queued" for number in range(7)}),
            "; ".join([*(f"check 'b{number}' runs" for number in range(5)), "and 2 more"]),
        ),
        (("*",), Checks({"x" * 99: "queued"}), f"check '{'x' * 30}…{'x' * 29}' runs"),
        ("required", Checks(), ""),
        ("required", Checks(required=frozenset({"deploy-ops/etl/production"})), ""),
        ("required", Checks({"x": "failure"}, required=frozenset({"y"})), "check 'y' is not there yet"),
        ("required", Checks({"y": "success"}, required=frozenset({"y"})), ""),
        ("required", Checks({"y": "success"}, unread="403"), "which checks are required is not known: 403"),
    ],
)
def test_checks_have_to_be_green(wanted: Wanted, checks: Checks, unmet: str) -> None:
    is_stuck = "did not succeed" in unmet or "not known" in unmet  # the others come by themselves
    assert judge_checks(wanted, checks) == Gate("checks", unmet, is_stuck=is_stuck)


BOUND = frozenset({("ci", 7)})
ALONE = "it counts from app 7 alone"


@pytest.mark.parametrize(
    ("checks", "unmet"),
    [
        (Checks({"ci": "success"}, by_app={("ci", 7): "success"}), ""),
        (Checks({"ci": "failure"}, by_app={("ci", 7): "success", ("ci", 8): "failure"}), ""),
        (Checks({"ci": "success"}, by_app={("ci", 7): "queued", ("ci", 8): "success"}), "check 'ci' runs"),
        (Checks({"ci": "success"}, by_app={("ci", 8): "success"}), f"check 'ci' is not there yet: {ALONE}, and"),
        (Checks({"ci": "success"}), f"check 'ci' is not known: {ALONE}, and whose this status is stands nowhere"),
        (Checks({"ci": "success"}, blind=BLIND), f"check 'ci' is not known: {BLIND}"),
        (Checks(), "check 'ci' is not there yet"),
        (Checks({"other": "success"}, by_app={("other", 7): "success"}), "check 'ci' is not there yet"),
    ],
)
def test_a_check_of_the_same_name_from_another_app_does_not_count(checks: Checks, unmet: str) -> None:
    gate = judge_checks("required", replace(checks, bound=BOUND))
    assert gate.unmet.startswith(unmet)
    assert bool(gate.unmet) == bool(unmet)
    assert gate.is_stuck == ("not known" in unmet)
    assert judge_checks("required", replace(checks, bound=frozenset({("deploy-ops/x", 7)}))).unmet == "", "it is ours"


@pytest.mark.parametrize(
    ("elsewhere", "unmet", "is_stuck"),
    [
        (Elsewhere("staging", verification=verified()), "", False),
        (Elsewhere("staging", "main has X, merge it", verified(), is_stuck=True), "main has X, merge it", True),
        (Elsewhere("staging", "staging runs other content", verified()), "staging runs other content", False),
        (Elsewhere("staging"), "staging is not verified yet", False),
        (Elsewhere("staging", verification=verified(Proof.FAILED, "2 errors")), "staging: 2 errors", True),
        (Elsewhere("staging", verification=verified(Proof.UNKNOWN, "not asked")), "staging: not asked", True),
        (Elsewhere("staging", verification=verified(Proof.PENDING, "")), "staging is not verified yet", False),
    ],
)
def test_another_target_has_to_run_the_same_and_work(elsewhere: Elsewhere, unmet: str, *, is_stuck: bool) -> None:
    assert judge_verified(elsewhere, NOW) == Gate("verified", unmet, is_stuck=is_stuck)


def test_it_soaks_to_the_very_end() -> None:
    elsewhere, end = Elsewhere("staging", verification=verified(), reset="a push of b5f3"), NOW + SOAK
    told = "soaks on staging until Mon 14:05 UTC, since a push of b5f3"
    assert judge_soak(elsewhere, SOAK, end - SECOND) == Gate("soak", told, end)
    assert judge_soak(elsewhere, SOAK, end) == Gate("soak")


def test_what_was_verified_again_soaks_since_the_first_time_and_is_told_in_the_zone_of_now() -> None:
    known, berlin = replace(verified(), since=NOW - timedelta(hours=1)), ZoneInfo("Europe/Berlin")
    gate = judge_soak(Elsewhere("staging", verification=known), SOAK, NOW.astimezone(berlin))
    assert gate == Gate("soak", "soaks on staging until Mon 14:05 CET", NOW + SOAK - timedelta(hours=1))


def test_what_is_not_verified_does_not_soak() -> None:
    elsewhere = Elsewhere("staging", verification=verified(Proof.FAILED, "2 import errors"))
    told = "soaks on staging for 2h once that is verified"
    assert judge_soak(elsewhere, SOAK, NOW + timedelta(days=30)) == Gate("soak", told)


def test_a_closed_window_says_when_it_opens() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    rules = Windows((parse_hours("Mon-Thu 09:00-12:00"),), (), berlin)
    opening = datetime(2026, 12, 1, 9, tzinfo=berlin)
    assert judge_windows(rules, NOW) == Gate("windows", "window opens Tue 09:00 CET", opening)
    assert judge_windows(rules, opening) == Gate("windows")
    far = Windows((parse_hours("Mon 09:00-12:00"),), (), berlin)
    assert judge_windows(far, NOW).unmet == "window opens 2026-12-07 09:00 CET"
    never = Windows((parse_hours("Mon 09:00-12:00"),), (parse_hours("Mon 00:00-24:00"),), berlin)
    said = "no window opens within a year; correct the policy"
    assert judge_windows(never, NOW) == Gate("windows", said, is_stuck=True)


def test_each_gate_that_is_met_says_by_what_and_when() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now, shown = NOW.astimezone(berlin), Elsewhere("staging", verification=verified())
    green = Checks({"ci/test": "success", "build-a": "skipped", "x" * 99: "neutral"}, required=frozenset({"build-a"}))
    many = Checks({f"b{number}": "success" for number in range(7)})
    windows = Windows((parse_hours("Mon-Thu 09:00-16:00"),), (), berlin)
    gates = [
        judge_checks(("ci/test", "build*"), green),
        judge_checks(("*",), many),
        judge_checks("required", green),
        judge_checks("required", Checks()),
        judge_verified(shown, now),
        judge_soak(shown, SOAK, now + SOAK),
        judge_windows(windows, NOW),
    ]
    assert [each.said for each in gates] == [
        "green: 'ci/test', 'build-a'",
        "green: 'b0', 'b1', 'b2', 'b3', 'b4', and 2 more",
        "green: 'build-a'",
        "no check is required",
        "staging runs the same, verified Mon 13:05 CET",
        "soaked on staging for 2h until Mon 15:05 CET",
        "window is open Mon 13:05 CET",
    ]
    closed = judge_checks(("ci/test", "b"), Checks({"ci/test": "success"}))
    assert (closed.said, closed.met) == ("check 'b' is not there yet", "")


def test_what_is_awaited_stands_in_a_line_with_the_first_time() -> None:
    early, late = NOW + SECOND, NOW + SOAK
    gates = [Gate("checks", "a"), Gate("verified"), Gate("soak", "b", late), Gate("windows", "c", early)]
    assert find_unmet(gates) == ("a; b; c", early)
    assert find_unmet(gates[:2]) == ("a", None)
    assert find_unmet([Gate("soak")]) == ("", None)
