"""Which DAGs a branch changes against another Deployment, and what else differs between the two."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.verification.difference import CHANGES_MAX, compare_dags
from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.core.verification.verdict import DagChange

AT = datetime(2026, 5, 1, tzinfo=UTC)
ORDERS = AirflowDag("orders", "orders.py", AT, schedule="@daily", tags=("shop",), owners=("ann",))


def look(*dags: AirflowDag, broken: tuple[str, ...] = ()) -> AirflowFacts:
    return AirflowFacts(AT, dags, tuple(ImportFault(file, AT, "ImportError: no") for file in broken))


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"schedule": ""}, "schedule @daily → none"),
        ({"schedule": "@hourly"}, "schedule @daily → @hourly"),
        ({"tags": ("new", "shop")}, "tags +new"),
        ({"tags": ()}, "tags -shop"),
        ({"owners": ("bob",)}, "owners +bob -ann"),
        ({"file": "shop/orders.py"}, "file orders.py → shop/orders.py"),
        ({"schedule": "", "owners": ()}, "schedule @daily → none; owners -ann"),
    ],
)
def test_a_changed_dag_is_told(changes: dict[str, object], how: str) -> None:
    found = compare_dags(look(replace(ORDERS, **changes)), look(ORDERS), {"orders.py"})  # type: ignore[arg-type]
    assert found.changes == (DagChange("orders", "changed", how),)
    assert found.behind == ()


def test_whether_it_is_paused_and_when_it_was_parsed_is_no_difference() -> None:
    here = look(replace(ORDERS, is_paused=True, parsed_at=None, parse_s=3, bundle_version="b"))
    assert compare_dags(here, look(ORDERS), {"orders.py"}).changes == ()


def test_new_and_gone() -> None:
    refunds = AirflowDag("refunds", "refunds.py")
    found = compare_dags(look(ORDERS), look(refunds), {"orders.py", "refunds.py"})
    assert found.changes == (DagChange("orders", "new", "schedule @daily"), DagChange("refunds", "gone"))
    found = compare_dags(look(refunds), look(), {"refunds.py"})
    assert found.changes == (DagChange("refunds", "new", "no schedule"),)


def test_a_broken_file_says_nothing_of_its_dags() -> None:
    found = compare_dags(look(broken=("orders.py",)), look(ORDERS), {"orders.py"})
    assert found.changes == (DagChange("orders", "unknown", "orders.py is broken"),)


def test_a_file_that_breaks_without_being_changed_is_told_with_the_changes() -> None:
    found = compare_dags(look(broken=("orders.py",)), look(ORDERS), {"lib/shop.py"})
    assert found.changes == (DagChange("orders", "unknown", "orders.py is broken"),)


def test_what_the_branch_did_not_touch_is_behind() -> None:
    there = look(replace(ORDERS, schedule="@hourly"), AirflowDag("later", "later.py"))
    here = look(ORDERS, AirflowDag("dropped", "dropped.py"))
    found = compare_dags(here, there, {"other.py"})
    assert found.changes == ()
    assert found.behind == (
        DagChange("dropped", "new", "no schedule"),
        DagChange("later", "gone"),
        DagChange("orders", "changed", "schedule @hourly → @daily"),
    )


def test_stale_dags_are_not_there() -> None:
    found = compare_dags(look(replace(ORDERS, is_stale=True)), look(), {"orders.py"})
    assert found.changes == ()
    found = compare_dags(look(ORDERS), look(replace(ORDERS, is_stale=True)), {"orders.py"})
    assert [each.what for each in found.changes] == ["new"]


def test_of_very_many_the_rest_is_counted() -> None:
    dags = [AirflowDag(f"d{number:04}", "many.py") for number in range(CHANGES_MAX + 7)]
    found = compare_dags(look(*dags), look(), {"many.py"})
    assert (len(found.changes), found.changes_left) == (CHANGES_MAX, 7)
    found = compare_dags(look(*dags), look(), set())
    assert (len(found.behind), found.behind_left) == (CHANGES_MAX, 7)


WORDS = st.sampled_from(["a", "b", "c"])
DAGS = st.builds(
    AirflowDag,
    dag_id=WORDS,
    file=WORDS,
    is_stale=st.booleans(),
    schedule=st.sampled_from(["", "@daily"]),
    tags=st.lists(WORDS, unique=True).map(tuple),
)
LOOKS = st.builds(
    lambda dags, broken: look(*{each.dag_id: each for each in dags if each.file not in broken}.values(), broken=broken),
    st.lists(DAGS),
    st.lists(WORDS, unique=True, max_size=1).map(tuple),
)


@given(LOOKS, LOOKS, st.sets(WORDS))
def test_each_dag_is_told_once_and_never_gone_with_a_broken_file(
    here: AirflowFacts, there: AirflowFacts, changed: set[str]
) -> None:
    found = compare_dags(here, there, changed)
    told = [each.dag_id for each in (*found.changes, *found.behind)]
    assert len(told) == len(set(told))
    ours = {each.dag_id for each in here.dags if not each.is_stale}
    theirs = {each.dag_id: each.file for each in there.dags if not each.is_stale}
    broken = {each.file for each in here.faults}
    kinds = {each.dag_id: each.what for each in (*found.changes, *found.behind)}
    assert {name for name, what in kinds.items() if what == "new"} == ours - theirs.keys()
    assert {name for name, what in kinds.items() if what in {"gone", "unknown"}} == theirs.keys() - ours
    assert all(theirs[name] not in broken for name, what in kinds.items() if what == "gone")


@given(LOOKS)
def test_a_deployment_does_not_differ_from_itself(facts: AirflowFacts) -> None:
    found = compare_dags(facts, facts, {each.file for each in facts.dags})
    assert found.changes == found.behind == ()


@given(st.text(), st.text(), st.lists(st.text(), max_size=30))
def test_any_text_becomes_a_short_line(file: str, schedule: str, tags: list[str]) -> None:
    here = replace(ORDERS, file=file, schedule=schedule, tags=tuple(tags))
    for change in compare_dags(look(here), look(ORDERS), {"orders.py"}).changes:
        assert change.how.isprintable()
        assert len(change.how) < 2500
