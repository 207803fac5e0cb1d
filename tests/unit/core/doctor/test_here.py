"""Judging this Airflow and its worker: each check on both sides of its bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.doctor import here
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.wanted import CLI_VERSION, SETTINGS, Setting
from include.deploy_ops.core.view.health import GITHUB, expect_look, see_failing, see_well

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
OK, WARN, FAIL, NOT_KNOWN = Status.OK, Status.WARN, Status.FAIL, Status.NOT_KNOWN
GIB = 1 << 30


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def judge(check: Check, status: Status, *words: str) -> None:
    """Assert how the check stands, and that these words are told."""
    assert (check.area, check.status) == (Area.HERE, status)
    for word in words:
        assert word in f"{check.name}: {check.found}; {check.advice}"


def test_the_cli_is_the_release_that_is_known() -> None:
    judge(here.judge_cli("astro", CLI_VERSION, ""), OK, CLI_VERSION)
    judge(here.judge_cli("astro", "1.99.0", ""), WARN, "1.99.0 at astro", f"use {CLI_VERSION}")
    judge(
        here.judge_cli("astro", "", "this worker has no astro"), FAIL, "this worker has no astro", "install Astro CLI"
    )


def test_its_file_is_held_to_what_was_noted() -> None:
    judge(here.judge_checksum("/bin/astro", "ab" * 32, "ab" * 32), OK, "/bin/astro.sha256")
    judge(here.judge_checksum("/bin/astro", "ab" * 32, "cd" * 32), FAIL, "abab", "cdcd", "build the image anew")
    judge(here.judge_checksum("/bin/astro", "ab" * 32, ""), NOT_KNOWN, "sha256sum /bin/astro > /bin/astro.sha256")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("git version 2.38.0", OK),
        ("git version 2.39.5 (Apple Git-154)", OK),
        ("git version 3.0", OK),
        ("git version 2.37.9", FAIL),
        ("git version 1.99", FAIL),
        ("command not found", FAIL),
        ("", FAIL),
    ],
)
def test_git_is_new_enough(said: str, status: Status) -> None:
    judge(here.judge_git(said, ""), status, *(["install Git 2.38 or newer"] if status is FAIL else []))


def test_git_that_does_not_run_is_told_as_it_was_said() -> None:
    judge(here.judge_git("", "this worker has no git"), FAIL, "this worker has no git", "install Git")


def test_an_engine_is_there_or_is_asked_for() -> None:
    judge(here.judge_engine("podman 5.4", ""), OK, "podman 5.4")
    judge(here.judge_engine("", "no docker"), FAIL, "no docker", "take `build` out")


def test_without_confinement_everything_works_and_is_told() -> None:
    judge(here.judge_confinement(""), OK)
    judge(here.judge_confinement("bubblewrap is not installed"), WARN, "is not installed", "docs/install.md")


@pytest.mark.parametrize(
    ("free", "status"), [(3 * GIB, OK), (2 * GIB, OK), (2 * GIB - 1, WARN), (GIB // 4, WARN), (GIB // 4 - 1, FAIL)]
)
def test_there_is_room(free: int, status: Status) -> None:
    judge(here.judge_disk(free, "/mnt"), status, "GiB in /mnt", *([] if status is OK else ["TMPDIR"]))


def test_a_pool_is_proven_by_what_ran_in_it_lately() -> None:
    judge(here.judge_pool("calls", ago(hours=3), (), NOW), OK, "pool calls", "3h ago")
    judge(here.judge_pool("calls", ago(days=8), (), NOW), NOT_KNOWN, "airflow pools set calls")
    judge(here.judge_pool("calls", None, (), NOW), NOT_KNOWN, "Admin, Pools")
    judge(
        here.judge_pool("calls", ago(hours=3), ("deploy waits",), NOW), WARN, "deploy waits", "airflow pools set calls"
    )


@pytest.mark.parametrize(
    ("url", "repository_url", "status"),
    [
        ("https://airflow.acme.example/x", "https://github.com/acme/shop", OK),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8900/acme/shop", OK),
        ("http://localhost:8080", "https://github.com/acme/shop", WARN),
        ("", "https://github.com/acme/shop", WARN),
        ("airflow.acme.example", "https://github.com/acme/shop", FAIL),
        ("ftp://airflow.acme.example", "https://github.com/acme/shop", FAIL),
        ("https://", "https://github.com/acme/shop", FAIL),
    ],
)
def test_links_lead_to_where_people_are(url: str, repository_url: str, status: Status) -> None:
    judge(here.judge_base_url(url, repository_url), status, *([] if status is OK else ["AIRFLOW__API__BASE_URL"]))


SLEEP, LAZY, _, LEAST, _ = SETTINGS


@pytest.mark.parametrize(
    ("setting", "found", "status"),
    [
        (SLEEP, "0.25", OK),
        (SLEEP, ".25", OK),
        (SLEEP, "1", WARN),
        (SLEEP, None, WARN),
        (LAZY, "false", OK),
        (LAZY, "F", OK),
        (LAZY, "0", OK),
        (LAZY, "True", WARN),
        (LAZY, "what", WARN),
        (LEAST, "15", OK),
        (LEAST, "60", OK),
        (LEAST, "3", WARN),
        (LEAST, "", WARN),
    ],
)
def test_a_setting_does_what_the_dockerfile_wants(setting: Setting, found: str | None, status: Status) -> None:
    advice = [f"set {setting.variable}={setting.value} "] if status is WARN else []
    judge(here.judge_setting(setting, found), status, f"[{setting.section}] {setting.key}", *advice)


def test_dags_are_there_and_unpaused() -> None:
    judge(here.judge_dags({"shop.control": False, "shop.preview": False}), OK, "2 are there")
    judge(here.judge_dags({"shop.control": False, "shop.preview": True}), WARN, "paused: shop.preview", "unpause")
    judge(here.judge_dags({"shop.control": None, "shop.preview": True}), FAIL, "not there: shop.control")
    judge(here.judge_dags({f"shop.{number}": True for number in range(7)}), WARN, "shop.4 and 2 more")


def test_the_trigger_looks_as_often_as_it_said() -> None:
    seen = expect_look(see_well(ago(seconds=70)), 60)
    judge(here.judge_watch(GITHUB, seen, None, NOW, is_paused=False), OK, "triggers: GitHub", "1m 10s ago")
    late = expect_look(see_well(ago(minutes=4)), 60)
    judge(here.judge_watch(GITHUB, late, None, NOW, is_paused=False), FAIL, "for 4m", "triggerer")
    judge(here.judge_watch(GITHUB, late, None, NOW, is_paused=True), WARN, "control is paused", "unpause control")
    passed = ago(minutes=3)
    judge(here.judge_watch(GITHUB, None, passed, NOW, is_paused=False), FAIL, "nobody has looked so far", "triggerer")
    waiting = expect_look(see_well(ago(minutes=30)), 3600)
    judge(here.judge_watch(GITHUB, waiting, None, NOW, is_paused=False), OK)


def test_what_the_trigger_sees_fail_is_told() -> None:
    seen = see_failing(GITHUB, None, "HTTP 502", ago(seconds=20))
    judge(here.judge_watch(GITHUB, seen, None, NOW, is_paused=False), WARN, "HTTP 502")


def test_where_nothing_was_noted_so_far_it_is_not_known_whether_somebody_looks() -> None:
    for passed in (None, ago(seconds=100)):
        judge(here.judge_watch(GITHUB, None, passed, NOW, is_paused=False), NOT_KNOWN, "just begun", "in a minute")
    judge(here.judge_watch(GITHUB, None, None, NOW, is_paused=True), WARN, "nobody has looked so far", "unpause")
    begun = here.judge_passes(None, "", NOW, is_paused=False, is_watched=False)
    judge(begun, NOT_KNOWN, "no pass is remembered", "in a minute")
    judge(here.judge_passes(None, "", NOW, is_paused=True, is_watched=False), WARN, "control is paused")


def test_control_makes_its_passes() -> None:
    judge(here.judge_passes(ago(minutes=59), "", NOW, is_paused=False), OK, "59m ago")
    judge(here.judge_passes(ago(hours=2, seconds=1), "", NOW, is_paused=False), FAIL, "scheduler")
    judge(here.judge_passes(ago(hours=3), "", NOW, is_paused=True), WARN, "control is paused")
    judge(here.judge_passes(None, "", NOW, is_paused=False), FAIL, "no pass is remembered")
    judge(here.judge_passes(ago(minutes=1), "shop.control fails since", NOW, is_paused=False), FAIL, "fails since")


@pytest.mark.parametrize(
    ("skew_s", "status", "said"),
    [
        (0.4, OK, "0 s"),
        (15.0, OK, "15 s ahead"),
        (-15.1, WARN, "15 s behind"),
        (60.0, WARN, "60 s ahead"),
        (61.0, FAIL, "61 s ahead"),
        (None, NOT_KNOWN, "said no time"),
    ],
)
def test_clocks_agree(skew_s: float | None, status: Status, said: str) -> None:
    judge(here.judge_clock(GITHUB, skew_s), status, "clock beside GitHub", said)


def test_a_notifier_is_made_or_not() -> None:
    judge(here.judge_notifier("a.b.C", ""), OK, "notifier a.b.C")
    judge(here.judge_notifier("a.b.C", "No module named 'a'"), FAIL, "No module named 'a'", "install its provider")


def test_outside_of_airflow_it_is_said_where_to_look() -> None:
    judge(here.leave_to_airflow(here.DAGS), NOT_KNOWN, "deploy_ops.doctor")
