"""The ring of kept passes: bounded in number and size, whole or not there, and written only where something is new."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.passes.decision import Decision, decide
from include.deploy_ops.core.passes.snapshot import load_snapshot
from include.deploy_ops.run import snapshots as ring
from include.deploy_ops.run.snapshots import INDEX_KEY, Snapshots, pack, part, unpack
from include.deploy_ops.run.store import VALUE_BYTES_MAX
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import sha
from tests.worlds.values.generated import World
from tests.worlds.values.passes import NOW, make_facts, make_rules

if TYPE_CHECKING:
    import pytest

    from include.deploy_ops.core.passes.reading import PassFacts

RULES = make_rules(World({}).project)


def make_pass(number: int) -> tuple[PassFacts, Decision]:
    """Return a pass that found another branch than any other."""
    facts = make_facts(World({"main": sha("a"), f"dev-{number}": sha("b")}))
    facts = replace(facts, given=replace(facts.given, now=NOW + timedelta(minutes=number)))
    return facts, decide(RULES, facts)


def list_kept(store: DictStore, count: int = 3) -> list[int]:
    """Return the numbers of the passes that are kept, as they are read."""
    found = [load_snapshot(each, "it") for each in Snapshots(store, count).read()]
    return [round((each.at - NOW) / timedelta(minutes=1)) for each in found if each is not None]


def test_the_last_ones_are_kept_the_oldest_first() -> None:
    store = DictStore()
    for number in range(5):
        assert Snapshots(store, 3).keep(RULES, *make_pass(number)) == ""
        assert list_kept(store) == list(range(max(number - 2, 0), number + 1))
    assert len(store.values) == 4


def test_a_pass_that_decided_the_same_is_not_kept_again() -> None:
    store = DictStore()
    facts, decision = make_pass(1)
    Snapshots(store, 3).keep(RULES, facts, decision)
    store.written.clear()
    later = replace(facts, given=replace(facts.given, now=NOW + timedelta(hours=1)))
    Snapshots(store, 3).keep(RULES, later, decision)
    assert store.written == []
    assert list_kept(store) == [1]


def test_where_the_policy_asks_for_fewer_the_others_are_forgotten() -> None:
    store = DictStore()
    for number in range(5):
        Snapshots(store, 5).keep(RULES, *make_pass(number))
    Snapshots(store, 2).keep(RULES, *make_pass(5))
    assert len(store.values) <= 3
    assert list_kept(store)[-1] == 5


def test_what_is_too_large_is_not_kept_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DictStore()
    monkeypatch.setattr(ring, "BYTES_MAX", 100)
    said = Snapshots(store, 3).keep(RULES, *make_pass(1))
    assert "100 are the most" in said
    assert store.values == {}


def test_no_value_is_larger_than_airflow_takes_and_all_comes_back() -> None:
    store = DictStore()
    facts, decision = make_pass(1)
    noise = random.Random(7)  # noqa: S311 - heads that no packing makes smaller
    heads = [f"{noise.getrandbits(160):040x}" for _ in range(3000)]
    branches = tuple(Branch(f"dev-{number}", head) for number, head in enumerate(heads))
    snapshot = replace(facts.reading.snapshot, branches=branches)
    large = replace(facts, reading=replace(facts.reading, snapshot=snapshot))
    assert Snapshots(store, 3).keep(RULES, large, decision) == ""
    assert len(store.values) > 2
    assert max(len(str(value)) for value in store.values.values()) < VALUE_BYTES_MAX + 4096
    (found,) = (load_snapshot(each, "it") for each in Snapshots(store, 3).read())
    assert found is not None
    assert found.facts.reading.snapshot.branches == branches


def test_a_pass_of_which_a_piece_is_lost_is_none_and_the_others_stand() -> None:
    store = DictStore()
    for number in range(2):
        Snapshots(store, 3).keep(RULES, *make_pass(number))
    del store.values["control.snapshot-0"]
    assert list_kept(store) == [1]
    store.values[INDEX_KEY] = "rubbish"
    assert list_kept(store) == []


def test_rubbish_and_what_unpacks_to_very_much_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack(part(pack({"a": [1, None, "é"]}))) == {"a": [1, None, "é"]}
    for bad in ({}, {"000": "no base64!"}, {"000": "aGFsbG8="}, {"000": pack(1)[:-6]}):
        assert unpack(bad) is None
    monkeypatch.setattr(ring, "TEXT_BYTES_MAX", 1000)
    assert unpack(part(pack("a" * 100_000))) is None
