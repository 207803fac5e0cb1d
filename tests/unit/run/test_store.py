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
from include.deploy_ops.run.store import VALUE_BYTES_MAX, BoundedSlot, SplitSlot
from tests.worlds.doubles.airflow import DictStore

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = TypeAdapter(dict[str, str])


class _Crash(Exception):  # noqa: N818 - no error of anybody's
    """The process died."""


class FragileStore(DictStore):
    """Counts writes, and dies before the next one once `left` are done."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.written: list[str] = []

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write, or die."""
        self._live()
        self.written.append(key)
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
        has_crashed = write_or_die(slot, new)
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


def write_or_die(slot: SplitSlot[str], value: dict[str, str]) -> bool:
    try:
        slot.write(value)
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
