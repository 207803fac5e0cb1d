"""Summing up, showing and keeping what the doctor found."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.examination import (
    Examination,
    bound_examination,
    count_checks,
    doubt,
    has_failed,
    render_checks,
    sort_checks,
    summarize_failures,
)
from include.deploy_ops.core.text.plain import LINE_WIDTH_MAX

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ADAPTER = TypeAdapter(Examination)


def make(status: Status, name: str = "trunk", area: Area = Area.GITHUB, found: str = "x") -> Check:
    return Check(area, name, status, found, "" if status is Status.OK else "do this")


OK, WARN, FAIL, NOT_KNOWN = map(make, Status)


def test_areas_are_in_the_tables_order_and_each_ones_checks_stay_as_they_were() -> None:
    here = [make(Status.OK, name, Area.HERE) for name in "ba"]
    github = [make(Status.FAIL, name) for name in "dc"]
    assert sort_checks([*here, *github]) == (*github, *here)


def test_what_matters_most_is_counted_first() -> None:
    assert count_checks([OK, NOT_KNOWN, OK, FAIL, WARN, OK]) == "1 fail, 1 warn, 1 not known, 3 ok"
    assert count_checks([]) == "nothing was checked"


@pytest.mark.parametrize(("check", "is_failed"), [(OK, False), (WARN, False), (NOT_KNOWN, False), (FAIL, True)])
def test_only_a_failed_check_fails(check: Check, is_failed: bool) -> None:
    assert has_failed([OK, check]) is is_failed
    assert bool(summarize_failures([OK, check])) is is_failed


def test_failures_are_told_in_one_line_and_of_many_the_first() -> None:
    told = summarize_failures([OK, *(make(Status.FAIL, name) for name in "abcde")])
    assert told == "; ".join([*(f"GitHub {name}: x (do this)" for name in "abc"), "2 more"])


def test_the_table_shows_each_check_and_what_to_do_as_it_is_written() -> None:
    table = render_checks([OK, make(Status.WARN, "rate `limit`", found="4,000\nleft \x1b[1m" + "long " * 60)])
    first, blank, headings, _, *rows = table.splitlines()
    assert (first, blank) == ("1 warn, 1 ok", "")
    assert headings.split() == ["area", "check", "status", "found", "what", "to", "do"]
    assert "rate `limit`" in table
    assert "\x1b" not in table
    assert "do this" in table
    assert len(rows) > 2
    assert max(map(len, table.splitlines())) <= LINE_WIDTH_MAX


def test_what_cannot_be_looked_at_is_not_known_and_has_advice() -> None:
    check = doubt(Area.ASTRO, "everything", "HTTP 500")
    assert (check.status, check.found) == (Status.NOT_KNOWN, "HTTP 500")
    assert "deploy_ops.doctor" in check.advice


def test_few_checks_are_kept_as_they_are() -> None:
    examination = Examination(NOW, (OK, FAIL))
    assert bound_examination(examination, 10_000) == examination


def test_of_too_many_those_that_matter_most_are_kept_in_their_order() -> None:
    checks = tuple(make(status, str(index)) for index, status in enumerate(list(Status) * 20))
    kept = bound_examination(Examination(NOW, checks), 3_000)
    assert kept.left_out == len(checks) - len(kept.checks) > 0
    assert [check for check in kept.checks if check.status is Status.FAIL] == [
        check for check in checks if check.status is Status.FAIL
    ]
    assert [int(check.name) for check in kept.checks] == sorted(int(check.name) for check in kept.checks)


TEXTS = st.text(max_size=2_000)
CHECKS = st.builds(Check, st.sampled_from(Area), TEXTS, st.sampled_from(Status), TEXTS, TEXTS.map("do ".__add__))


@given(checks=st.lists(CHECKS, max_size=30).map(tuple), bytes_max=st.integers(100, 20_000))
def test_what_is_kept_is_bounded_and_read_again(checks: tuple[Check, ...], bytes_max: int) -> None:
    kept = bound_examination(Examination(NOW, checks), bytes_max)
    assert len(kept.checks) + kept.left_out == len(checks)
    dumped = ADAPTER.dump_python(kept, mode="json")
    assert len(json.dumps(dumped["checks"])) <= bytes_max
    assert ADAPTER.validate_python(json.loads(json.dumps(dumped))) == kept
