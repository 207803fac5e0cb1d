"""Which values are others by now: told by seals, for one Deployment, and no longer once they were laid."""

from __future__ import annotations

from datetime import timedelta

from include.deploy_ops.core.environment.rotation import REREAD_AFTER, RETRY_AFTER, Laid, Reading, Rotated, find_rotated
from tests.worlds.values.works import NOW

SEALS = {"A": "1", "B": "2"}


def test_what_was_laid_is_not_laid_again() -> None:
    assert find_rotated(Laid("id", SEALS), "id", SEALS) is None
    assert find_rotated(Laid("id", {**SEALS, "GONE": "3"}), "id", SEALS) is None  # the policy's change tells of that


def test_another_value_a_new_key_and_a_lost_memory_are_told() -> None:
    assert find_rotated(Laid("id", {"A": "1", "B": "old"}), "id", SEALS) == Rotated({"B": "2"})
    assert find_rotated(Laid("id", {"A": "1"}), "id", SEALS) == Rotated({"B": "2"})
    for laid in (None, Laid("another", SEALS)):
        rotated = find_rotated(laid, "id", SEALS)
        assert rotated is not None
        assert rotated.keys == ("A", "B")


def test_it_is_named_by_the_new_values_and_over_once_they_are_laid() -> None:
    rotated = Rotated({"B": "2"})
    assert rotated.digest == Rotated({"B": "2"}).digest
    assert len({rotated.digest, Rotated({"B": "3"}).digest, Rotated({"A": "2"}).digest}) == 3
    assert rotated.is_laid(Laid("id", SEALS), NOW)
    assert not rotated.is_laid(Laid("id", {"B": "old"}), NOW)
    assert not rotated.is_laid(None, NOW)


def test_a_value_that_is_another_for_each_reader_is_laid_once_for_each_reading() -> None:
    rotated = Rotated({"B": "2"})
    assert rotated.is_laid(Laid("id", {"B": "3"}, NOW), NOW)
    assert not rotated.is_laid(Laid("id", {"B": "3"}, NOW - timedelta(seconds=1)), NOW)


def test_a_reading_is_repeated_in_time_for_an_hour_and_sooner_after_a_failure() -> None:
    assert timedelta() < RETRY_AFTER < REREAD_AFTER < timedelta(hours=1)
    for problem, after in (("", REREAD_AFTER), ("gone", RETRY_AFTER)):
        reading = Reading(NOW, problem=problem)
        assert not reading.is_due(NOW + after - timedelta(seconds=1))
        assert reading.is_due(NOW + after)
        assert reading.is_due(NOW - timedelta(seconds=1))  # a clock that was set back would put it off for long
