"""When what was deployed is parsed: each case that a real dag-processor showed, look by look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.core.verification.parsing import Deployed, ParseWatch, choose_current, is_candidate

SINCE = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return SINCE + timedelta(seconds=seconds)


def dag(
    file: str, parsed_s: float, parse_s: float | None = 1.0, *, name: str = "", is_stale: bool = False
) -> AirflowDag:
    return AirflowDag(name or file, file, at(parsed_s), parse_s, is_stale=is_stale)


def fault(file: str, seconds: float) -> ImportFault:
    return ImportFault(file, at(seconds), "ImportError: no")


def look(seconds: float, *told: AirflowDag | ImportFault) -> AirflowFacts:
    dags = tuple(each for each in told if isinstance(each, AirflowDag))
    return AirflowFacts(at(seconds), dags, tuple(each for each in told if isinstance(each, ImportFault)))


def watch(files: Iterable[str], changed: Iterable[str], *looks: AirflowFacts) -> ParseWatch:
    seen = ParseWatch(Deployed(SINCE, frozenset(files), frozenset(changed)))
    for facts in looks:
        seen = seen.look(facts)
    return seen


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"from airflow.sdk import DAG", True),
        (b"from AIRFLOW.sdk import asset", True),
        (b"import airflow", False),
        (b"dag = 1", False),
        (b"\xff airflow dag", True),
        (b"", False),
    ],
)
def test_a_file_without_the_words_is_no_candidate(content: bytes, expected: bool) -> None:
    assert is_candidate(content) is expected


def test_before_the_first_look_all_is_awaited() -> None:
    seen = watch({"a", "b"}, {"a"})
    assert seen.waiting == ("a", "b")
    assert not seen.is_done


def test_a_parse_that_began_before_the_deploy_tells_of_the_old_code() -> None:
    old = look(5, dag("a", 3, parse_s=10))
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20)), old)
    assert seen.waiting == ("a",)
    assert choose_current(seen, old).dags == ()
    new = look(36, dag("a", 34, parse_s=10))
    seen = seen.look(new)
    assert seen.is_done
    assert choose_current(seen, new).dags == new.dags


def test_a_parse_from_shortly_before_the_deploy_counts_not_though_the_date_of_the_first_look_is_old() -> None:
    deployed_s = 1.9  # by a Date of whole seconds that is renewed once a second
    early, late = dag("a", deployed_s + 0.5, parse_s=0.6), dag("a", deployed_s + 2, parse_s=0.6)
    assert watch({"a"}, {"a"}, look(2, early)).waiting == ("a",)
    assert watch({"a"}, {"a"}, look(4, late)).is_done


def test_where_no_duration_is_told_the_second_parse_counts() -> None:
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20)), look(12, dag("a", 10, None)))
    assert seen.waiting == ("a",)
    assert seen.look(look(45, dag("a", 40, None))).is_done


def test_an_error_counts_at_its_second_parse_or_when_no_parse_takes_that_long() -> None:
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20)), look(12, fault("a", 10)))
    assert seen.waiting == ("a",)
    assert seen.look(look(14, fault("a", 10))).waiting == ("a",)
    assert seen.look(look(45, fault("a", 40))).is_done
    assert watch({"a"}, {"a"}, look(0, dag("a", -20)), look(60, fault("a", 53))).is_done


def test_an_error_of_before_is_none_of_the_deployed_code() -> None:
    facts = look(12, fault("a", -3), dag("b", 10))
    seen = watch({"a", "b"}, {"b"}, facts)
    assert seen.waiting == ("a",)
    assert choose_current(seen, facts).faults == ()


def test_unchanged_files_are_awaited_too_since_what_they_import_may_have_changed() -> None:
    seen = watch({"a", "b"}, {"a"}, look(0, dag("a", -20), dag("b", -9)), look(12, dag("a", 10), dag("b", -9)))
    assert seen.waiting == ("b",)


def test_a_file_that_is_no_more_is_neither_awaited_nor_told() -> None:
    facts = look(12, dag("a", 10), dag("removed", -20), fault("gone", 11))
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20)), facts)
    assert seen.is_done
    assert [each.file for each in choose_current(seen, facts).dags] == ["a"]
    assert choose_current(seen, facts).faults == ()


def test_a_dag_that_its_file_has_no_more_is_not_told_though_it_is_not_stale_yet() -> None:
    facts = look(12, dag("a", 10, name="new"), dag("a", -20, name="old"))
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20, name="old")), facts)
    assert seen.is_done
    assert [each.dag_id for each in choose_current(seen, facts).dags] == ["new"]


def test_a_known_file_that_falls_silent_has_no_dag_after_two_full_cycles() -> None:
    seen = watch({"a", "b"}, {"a"}, look(0, dag("a", -20), dag("b", -20)))
    for seconds in range(10, 200, 10):
        b = dag("b", 10 + (seconds - 10) // 30 * 30)
        seen = seen.look(look(seconds, dag("a", -20, is_stale=seconds > 100), b))
        assert seen.is_done is (seconds >= 110)
    assert seen.silent == {"a"}


def test_where_files_are_parsed_rarely_two_full_cycles_take_their_time() -> None:
    seen = watch({"a", "b"}, {"a"}, look(0, dag("a", -20), dag("b", -20)))
    for seconds in range(10, 1000, 30):
        assert not seen.is_done, seconds
        seen = seen.look(look(seconds, dag("a", -20), dag("b", 5 + (seconds - 5) // 300 * 300)))
        if seconds > 905:
            break
    assert seen.silent == {"a"}


def test_a_new_file_is_awaited_until_it_must_be_listed() -> None:
    seen = watch({"new", "b"}, {"new"}, look(0, dag("b", -20)))
    for seconds in range(10, 421, 10):
        assert seen.waiting == ("new",) if seconds > 10 else not seen.is_done
        seen = seen.look(look(seconds, dag("b", 10 + (seconds - 10) // 30 * 30)))
    assert seen.is_done
    assert seen.silent == {"new"}


def test_a_new_file_that_speaks_is_awaited_no_longer() -> None:
    first = look(0, dag("b", -20))
    assert watch({"new", "b"}, {"new"}, first, look(260, dag("b", 250), dag("new", 255))).is_done


def test_no_one_is_silent_while_no_one_is_parsed() -> None:
    seen = watch({"a", "b"}, {"a"}, look(0, dag("b", -20)))
    for seconds in range(60, 3600, 60):
        seen = seen.look(look(seconds, dag("b", -20)))
    assert seen.waiting == ("a", "b")
    assert seen.silent == frozenset()


def test_where_airflow_knows_nothing_at_all_nothing_is_awaited_for_ever() -> None:
    seen = watch({"a"}, {"a"}, look(0))
    assert not seen.look(look(400)).is_done
    seen = seen.look(look(303)).look(look(413))
    assert seen.is_done
    assert seen.silent == {"a"}


def test_no_file_at_all_is_done_at_the_first_look() -> None:
    assert watch((), (), look(0)).is_done


def test_the_dags_of_one_parse_have_times_of_their_own() -> None:
    first = look(12, dag("a", 10.0, None, name="x"), dag("a", 10.4, None, name="y"))
    later = look(14, dag("a", 10.8, None, name="x"), dag("a", 10.4, None, name="y"))
    seen = watch({"a"}, {"a"}, look(0, dag("a", -20)), first, later)
    assert seen.waiting == ("a",)


def test_a_dag_that_was_never_parsed_is_none() -> None:
    facts = look(12, replace(dag("a", 10), parsed_at=None))
    seen = watch({"a"}, {"a"}, look(0), facts)
    assert seen.waiting == ("a",)
    assert choose_current(seen, facts).dags == ()
