"""Slots of the state store: none of their values is too large, and who reads while one is written misses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.versioned import PARTS_MAX
from include.deploy_ops.run import store as product
from include.deploy_ops.run.store import (
    VALUE_BYTES_MAX,
    BoundedSlot,
    GatheredValues,
    NamedValues,
    Shards,
    SplitSlot,
)
from tests.worlds.doubles.airflow import DictStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TEXTS = TypeAdapter(dict[str, str])


class _Crash(Exception):  # noqa: N818 - no error of anybody's
    """The process died."""


class FragileStore(DictStore):
    """Counts writes, and dies before the next one once `left` are done."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write, or die."""
        self._live()
        super().set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        """Forget, or die."""
        self._live()
        super().delete(key)

    def _live(self) -> None:
        if self.left is not None:
            if not self.left:
                raise _Crash
            self.left -= 1


def make_slot(store: DictStore) -> SplitSlot[str]:
    return SplitSlot(store, "texts", TEXTS, blank=dict)


def fill(count: int, length: int = 100) -> dict[str, str]:
    return {f"name-{number}": "x" * length for number in range(count)}


def test_what_fits_lies_under_one_key_as_it_always_did() -> None:
    store = DictStore()
    make_slot(store).write(fill(10))
    assert store.values == {"texts": {"version": 1, "value": fill(10)}}


@pytest.mark.parametrize("count", [400, 1_000, 5_000])
def test_every_value_is_small_and_all_read_back(count: int) -> None:
    store = DictStore()
    make_slot(store).write(fill(count))
    assert max(len(json.dumps(value)) for value in store.values.values()) <= 48 * 1024
    assert make_slot(store).read_whole() == (fill(count), True)


def test_it_shrinks_again_and_leaves_nothing_behind() -> None:
    store = DictStore()
    slot = make_slot(store)
    slot.write(fill(5_000))
    assert len(store.values) > 8
    slot.write(fill(3))
    assert store.values.keys() == {"texts"}
    slot.write(fill(5_000))
    make_slot(store).forget()
    assert not store.values


def test_only_the_part_of_what_changed_is_written() -> None:
    store = FragileStore()
    make_slot(store).write(fill(5_000))
    slot = make_slot(store)
    values = slot.read()
    store.written.clear()
    slot.write({**values, "name-7": "other"})
    assert len(store.written) == 1
    store.written.clear()
    slot.write(slot.read())
    assert not store.written


def test_one_entry_that_is_too_large_does_not_scatter_the_others() -> None:
    store = DictStore()
    values = {**fill(300), "large": "x" * 100_000}
    make_slot(store).write(values)
    assert len(store.values) == 1
    assert make_slot(store).read() == values


def test_a_part_that_is_gone_is_no_empty_part() -> None:
    store = DictStore()
    make_slot(store).write(fill(5_000))
    del store.values["texts.3"]
    found, is_whole = make_slot(store).read_whole()
    assert not is_whole
    assert 0 < len(found) < len(fill(5_000))


@pytest.mark.parametrize("count", [PARTS_MAX + 1, -1, "2", True, 10**9])
def test_a_number_of_parts_that_cannot_be_is_one(count: object) -> None:
    store = DictStore()
    store.set("texts", {"version": 1, "value": {"a": "b"}, "parts": count})
    assert make_slot(store).read() == {"a": "b"}


sizes = st.dictionaries(st.sampled_from([f"n{number}" for number in range(24)]), st.sampled_from([1, 30, 90]))


@settings(max_examples=150, deadline=None)
@given(before=sizes, after=sizes, writes=st.integers(0, 20))
def test_who_reads_while_it_is_written_or_after_a_crash_misses_nothing(
    before: dict[str, int], after: dict[str, int], writes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "VALUE_BYTES_MAX", 200)
        store = FragileStore()
        old = {name: "o" * size for name, size in before.items()}
        new = {name: "n" * size for name, size in after.items()}
        make_slot(store).write(old)
        slot = make_slot(store)
        assert slot.read() == old
        store.left = writes
        has_crashed = is_fatal(lambda: slot.write(new))
        found, is_whole = make_slot(store).read_whole()
        assert is_whole
        check_between(found, old, new)
        store.left = None
        # Whoever goes on reads first, as everybody does.
        slot = make_slot(store)
        slot.read()
        slot.write(new)
        assert make_slot(store).read() == new
        assert has_crashed or found == new


def is_fatal(act: Callable[[], None]) -> bool:
    try:
        act()
    except _Crash:
        return True
    return False


def check_between(found: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> None:
    assert old.keys() & new.keys() <= found.keys() <= old.keys() | new.keys()
    assert all(value in {old.get(name), new.get(name)} for name, value in found.items())


@pytest.mark.parametrize("text", ["a" * 4000, "ü" * 4000, '"' * 4000])
def test_of_too_many_values_the_oldest_go(text: str) -> None:
    store = DictStore()
    slot = BoundedSlot(store, "texts", TypeAdapter(tuple[str, ...]), blank=tuple)
    assert slot.read() == ()
    given = tuple(f"{number}{text}" for number in range(30))
    slot.write(given)
    kept = slot.read()
    assert 0 < len(kept) < 30
    assert kept == given[-len(kept) :]
    assert len(json.dumps(store.values["texts"])) <= VALUE_BYTES_MAX + 128
    slot.write(given[:1])
    assert slot.read() == given[:1]


def make_values(store: DictStore) -> NamedValues[str]:
    return NamedValues(store, "new", TEXTS)


def make_gathered(store: DictStore) -> GatheredValues[str]:
    return GatheredValues(store, "new", TEXTS, "old")


def gather(store: DictStore) -> None:
    values = make_gathered(store)
    values.gather(has_older=True)
    values.forget_older()


def test_what_fits_under_one_key_is_one_request_and_what_changes_two() -> None:
    store = FragileStore()
    values = fill(100)
    make_values(store).write({}, values)
    assert store.values.keys() == {"new"}
    store.asked = 0
    assert make_values(store).read() == values
    assert store.asked == 1
    make_values(store).write({"name-7": values["name-7"]}, {"name-7": "other"})
    assert store.asked == 3
    assert make_values(store).read() == {**values, "name-7": "other"}


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_where_nothing_differs_nothing_is_written(count: int) -> None:
    store = FragileStore()
    known = fill(count)
    make_values(store).write({}, known)
    store.written.clear()
    for before, after in (({}, {}), (known, known), ({}, known), ({"gone": "x"}, {})):
        make_values(store).write(before, after)
    assert not store.written
    assert make_values(store).read() == known


def test_what_another_wrote_meanwhile_stays() -> None:
    store = DictStore()
    one, other = make_values(store), make_values(store)
    before = one.read()
    other.write({}, {"a": "x"})
    one.write(before, {"b": "y"})
    other.write({"a": "x"}, {})
    assert make_values(store).read() == {"b": "y"}


@pytest.mark.parametrize("values", [{}, fill(40), fill(5_000)])
def test_what_an_older_release_spread_is_read_and_gathered_once(values: dict[str, str]) -> None:
    store = DictStore()
    Shards(store, "old", TEXTS).write({}, values)
    older = store.values.copy()
    assert make_gathered(store).read() == values
    assert store.values == older, "who reads moves nothing"
    gather(store)
    assert not [key for key in store.values if key.startswith("old.")]
    store.asked = 0
    assert make_gathered(store).read() == values
    assert store.asked == len(store.values)


def test_what_lies_under_the_new_key_counts_whatever_is_left_under_the_older_ones() -> None:
    store = DictStore()
    Shards(store, "old", TEXTS).write({}, {"a": "old", "b": "old"})
    make_gathered(store).write({}, {"a": "new"})
    make_gathered(store).write({"b": "old"}, {})
    gather(store)
    assert store.values.keys() == {"new"}
    assert make_gathered(store).read() == {"a": "new"}


class HookedStore(DictStore):
    """Does something else before the value is given that is asked for as number `turn`."""

    def __init__(self, turn: int, act: Callable[[DictStore], None]) -> None:
        super().__init__()
        self.turn, self.act = turn, act

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, perhaps as another leaves it."""
        self.turn -= 1
        if self.turn == -1:
            self.act(self)
        return super().get(key, default)


@pytest.mark.parametrize("turn", range(20))
def test_who_reads_while_another_gathers_misses_nothing(turn: int) -> None:
    store = HookedStore(1_000, gather)
    Shards(store, "old", TEXTS).write({}, fill(40))
    store.turn = turn
    assert make_gathered(store).read() == fill(40)


names = st.sampled_from([f"n{number}" for number in range(24)])
steps = st.lists(st.tuples(st.sets(names), sizes, st.integers(0, 20)), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(older=sizes, steps=steps, gathers=st.sets(st.integers(0, 3)))
def test_patches_of_what_grows_and_shrinks_and_is_gathered_are_those_of_a_mapping_wherever_one_dies(
    older: dict[str, int], steps: list[tuple[set[str], dict[str, int], int]], gathers: set[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "VALUE_BYTES_MAX", 200)
        store, known = FragileStore(), {name: "o" * size for name, size in older.items()}
        Shards(store, "old", TEXTS).write({}, known)
        for number, (dropped, changes, writes) in enumerate(steps):
            if number in gathers:
                die_or_do(store, writes, lambda: gather(store))
                assert make_gathered(store).read() == known
                gather(store)
            after = {name: f"{number}" * size for name, size in changes.items()}
            # What is neither dropped nor changed, this one has not read.
            before = {name: value for name, value in known.items() if name in dropped | after.keys()}
            wanted = {name: value for name, value in known.items() if name not in before} | after
            values = make_gathered(store)
            die_or_do(store, writes, lambda: values.write(before, after))  # noqa: B023 - done at once
            check_between(make_gathered(store).read(), known, wanted)
            make_gathered(store).write(before, after)
            assert make_gathered(store).read() == wanted
            known = wanted


def die_or_do(store: FragileStore, writes: int, act: Callable[[], None]) -> None:
    store.left = writes
    is_fatal(act)
    store.left = None
