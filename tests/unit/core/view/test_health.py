"""How services are seen: the one sentence of an outage, when it is written, and when it counts as over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.deploy_ops.core.view.health import (
    CAUSE_LENGTH_MAX,
    OUTAGE_MIN,
    RENEWED_AFTER,
    describe_outage,
    has_recovered,
    is_news,
    see_failing,
    see_well,
)

NOW = datetime(2026, 3, 1, 21, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_an_outage_keeps_its_beginning_and_when_all_was_well() -> None:
    well = see_well(NOW)
    first = see_failing("GitHub", well, "HTTP  503\n'moon'", NOW + SECOND)
    again = see_failing("GitHub", first, "no answer", NOW + 9 * SECOND)
    assert first.said == "GitHub fails since 2026-03-01 21:03 UTC: HTTP 503 'moon'"
    assert (again.since, again.well_at, again.looked_at) == (NOW + SECOND, NOW, NOW + 9 * SECOND)
    assert again.said.endswith("21:03 UTC: no answer")
    assert see_well(NOW).said == ""


def test_a_long_cause_is_cut() -> None:
    assert len(see_failing("Astro", None, "x" * 9000, NOW).cause) == CAUSE_LENGTH_MAX


def test_what_fails_is_told_in_one_line_and_nothing_where_nothing_does() -> None:
    failing = [see_failing(name, None, "HTTP 503", NOW) for name in ("GitHub", "shop.control")]
    assert describe_outage([None, see_well(NOW), *failing]) == ". ".join(each.said for each in failing)
    assert describe_outage([None, see_well(NOW)]) == ""


def test_news_is_written_at_once_and_sameness_now_and_then() -> None:
    well = see_well(NOW)
    assert is_news(None, well)
    assert not is_news(well, see_well(NOW + RENEWED_AFTER - SECOND))
    assert is_news(well, see_well(NOW + RENEWED_AFTER))
    failing = see_failing("GitHub", well, "HTTP 503", NOW + SECOND)
    assert is_news(well, failing)
    assert not is_news(failing, see_failing("GitHub", failing, "HTTP 503", NOW + 2 * SECOND))
    assert is_news(failing, see_failing("GitHub", failing, "HTTP 502", NOW + 2 * SECOND))
    assert is_news(failing, see_well(NOW + 2 * SECOND))


def test_only_an_outage_that_a_pass_did_not_outlast_is_followed_by_a_look() -> None:
    failing = see_failing("GitHub", see_well(NOW), "HTTP 503", NOW)
    assert not has_recovered(failing, see_well(NOW + OUTAGE_MIN - SECOND))
    assert has_recovered(failing, see_well(NOW + OUTAGE_MIN))
    assert not has_recovered(failing, see_failing("GitHub", failing, "HTTP 503", NOW + 2 * OUTAGE_MIN))
    assert not has_recovered(see_well(NOW), see_well(NOW + OUTAGE_MIN))
    assert not has_recovered(None, see_well(NOW))


def test_a_clock_that_was_set_back_hides_neither_a_sight_nor_an_outages_end() -> None:
    later, now = NOW + timedelta(hours=1), see_well(NOW)
    assert is_news(see_well(later), now)
    assert has_recovered(see_failing("GitHub", None, "HTTP 503", later), now)
