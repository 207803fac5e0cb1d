"""Airflow's asset state store: typed slots over its keys, and a store that writes nothing.

Every value is stored as versioned JSON (`versioned.py`). What cannot be read any more counts as forgotten and is
logged, entry by entry where a value is a collection. What the slots are for, `memory.py` says.
"""

from __future__ import annotations

import functools
import json
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.versioned import PARTS_MAX, count_parts, read_parts, read_value, wrap_value

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pydantic import TypeAdapter

T = TypeVar("T")

VALUE_BYTES_MAX = 48 * 1024 - 128
"""The most that is stored under one key, as JSON and beside its version: Airflow warns of values above 64 KiB."""

ROW_SHARDS = 32


class Store(Protocol):
    """Airflow's accessor for one asset's state."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the key's JSON value, or the default."""

    def set(self, key: str, value: Any) -> None:
        """Write the key's JSON value."""

    def delete(self, key: str) -> None:
        """Forget the key."""


@dataclass(frozen=True)
class Slot(Generic[T]):
    """One key and the type of its value; empty until something is written.

    `within` is the path to the entries of the value that stand for themselves, as in `read_parts`. A terse slot does
    not store what equals its default.
    """

    store: Store
    key: str
    adapter: TypeAdapter[T]
    _: KW_ONLY
    within: Sequence[str] | None = None
    is_terse: bool = False

    def read(self) -> T | None:
        """Return the value; None where there is none, or none that can be read."""
        return read_value(self.key, self.store.get(self.key), self.adapter, self.within)

    def read_whole(self) -> tuple[T | None, bool]:
        """Return what `read` does, and whether none of its entries is lost."""
        read = read_parts(self.key, self.store.get(self.key), self.adapter, self.within)
        value, lost = read  # apart: mypy would look for an adapter of what this method returns
        return value, not lost

    def write(self, value: T) -> None:
        """Replace the value; the last writer wins."""
        self.store.set(self.key, wrap_value(self.dump(value)))

    def forget(self) -> None:
        """Empty the slot."""
        self.store.delete(self.key)

    def dump(self, value: T) -> Any:
        """Return the value as JSON."""
        return self.adapter.dump_python(value, mode="json", exclude_defaults=self.is_terse)


@dataclass(frozen=True)
class KeptSlot(Slot[T]):
    """A slot that is asked for once: control alone writes it, and a task goes by what it said when that was asked."""

    kept: list[T | None] = field(default_factory=list, repr=False, compare=False)

    def read(self) -> T | None:
        """Return the value as it was when it was read first, or was written since."""
        if not self.kept:
            self.kept.append(super().read())
        return self.kept[0]

    def write(self, value: T) -> None:
        """Replace the value."""
        super().write(value)
        self.kept[:] = [value]

    def forget(self) -> None:
        """Empty the slot."""
        super().forget()
        self.kept[:] = [None]


@dataclass(frozen=True, kw_only=True)
class FilledSlot(Slot[T]):
    """A slot that reads as `blank()` while it is empty; as a rule each of its value's entries stands for itself."""

    within: Sequence[str] | None = ()
    blank: Callable[[], T]

    def read(self) -> T:
        """Return the value, or the blank one."""
        found = super().read()
        return self.blank() if found is None else found


@dataclass(frozen=True, kw_only=True)
class SplitSlot(FilledSlot[dict[str, T]]):
    """A slot over values by name, which lie under further keys as well as soon as they are too large for one.

    There are one, two, four … parts: the first under the slot's key, where their number stands, part 3 under `key.3`. A
    name's hash says in which part its value lies, and counts nowhere else. Parts are written in such an order that who
    reads meanwhile, or after a crash, misses no value.
    """

    parts: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    """What is stored in each part, as far as this object has read or written it."""

    def read(self) -> dict[str, T]:
        """Return the values of all parts."""
        return self.read_whole()[0]

    def read_whole(self) -> tuple[dict[str, T], bool]:
        """Return what `read` does, and whether nothing of it is lost."""
        first = self.store.get(self.key)
        count = count_parts(first)
        self.parts.clear()
        found: dict[str, T] = {}
        is_whole = True
        for part in range(count):
            stored = first if part == 0 else self.store.get(self._name(part))
            read = read_parts(self._name(part), stored, self.adapter, self.within)
            values, lost = read  # apart, as above
            is_whole = is_whole and not lost and (values is not None or (stored is None and count == 1))
            found |= {name: value for name, value in (values or {}).items() if place_in(name, count) == part}
            self.parts[part] = stored
        return found, is_whole

    def write(self, value: dict[str, T]) -> None:
        """Replace the values; parts whose content is the same are left alone."""
        before = max(self.parts, default=-1) + 1 or count_parts(self.store.get(self.key))
        dumped = self.dump(value)
        count = _count_needed(dumped)
        # More parts: the new ones first, which nobody reads before the first one says so. Fewer: the first one last.
        order = [*range(before, count), *range(min(before, count))] if count > before else [*range(1, count), 0]
        for part in order:
            content = {name: each for name, each in dumped.items() if place_in(name, count) == part}
            stored = wrap_value(content, count if part == 0 else 1)
            if self.parts.get(part) != stored:
                self.store.set(self._name(part), stored)
                self.parts[part] = stored
        for part in range(count, before):
            self.store.delete(self._name(part))
            self.parts.pop(part, None)

    def forget(self) -> None:
        """Empty the slot."""
        if not self.parts:
            self.read()
        for part in sorted(self.parts, reverse=True):
            if self.parts.pop(part) is not None:
                self.store.delete(self._name(part))

    def _name(self, part: int) -> str:
        return f"{self.key}.{part}" if part else self.key


@dataclass(frozen=True, kw_only=True)
class BoundedSlot(FilledSlot[tuple[T, ...]]):
    """A slot over values in order, the newest last; of too many for one key the oldest go."""

    def write(self, value: tuple[T, ...]) -> None:
        """Replace the values by the newest ones that fit."""
        dumped = [*self.dump(value)]
        sizes = [len(json.dumps(each)) + len(", ") for each in dumped]
        while dumped and sum(sizes) > VALUE_BYTES_MAX:
            del dumped[0], sizes[0]
        self.store.set(self.key, wrap_value(dumped))


def place_in(name: str, count: int) -> int:
    """Return the part of so many in which the name's value lies; `count` is a power of two."""
    return int(hash_name(name), 16) % count


@functools.lru_cache(maxsize=1 << 16)
def hash_name(name: str) -> str:
    """Return eight hexadecimal digits over the name; each write asks for those of all names."""
    return hash_text(name, 8)


def _count_needed(dumped: Mapping[str, Any]) -> int:
    """Return the least number of parts, of 1, 2, 4 …, of which none is too large, but for what no parting mends."""
    sizes = {name: len(json.dumps({name: value})) for name, value in dumped.items()}
    count = 1
    while count < PARTS_MAX:
        parts = [0] * count
        for name, size in sizes.items():
            parts[place_in(name, count)] += size if size <= VALUE_BYTES_MAX else 0
        if max(parts) <= VALUE_BYTES_MAX:
            break
        count *= 2
    return count


class Shards(Generic[T]):
    """Values by name, spread over 16 keys, so that of what grows with the repository little is written at once."""

    names: ClassVar[Sequence[str]] = "0123456789abcdef"
    is_terse: ClassVar[bool] = False

    def __init__(self, store: Store, name: str, adapter: TypeAdapter[dict[str, T]]) -> None:
        self._slots = {
            shard: SplitSlot(store, f"{name}.{shard}", adapter, blank=dict, is_terse=self.is_terse)
            for shard in self.names
        }

    def place(self, key: str) -> str:
        """Return the shard in which the key's value lies."""
        return hash_name(key)[0]

    def read(self, among: Container[str] | None = None) -> dict[str, T]:
        """Return what is in the shards `among` these names, or in all of them."""
        names = [shard for shard in self.names if among is None or shard in among]
        return {key: value for name in names for key, value in self._slots[name].read().items()}

    def read_one(self, key: str) -> T | None:
        """Return one key's value."""
        return self._slots[self.place(key)].read().get(key)

    def write(self, before: Mapping[str, T], after: Mapping[str, T]) -> None:
        """Replace what was read before: only the shards whose content differs are written."""
        moved = {self.place(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        contents: dict[str, dict[str, T]] = {shard: {} for shard in sorted(moved)}
        for key, value in after.items() if moved else ():
            if (shard := self.place(key)) in moved:
                contents[shard][key] = value
        for shard, content in contents.items():
            self._slots[shard].write(content)

    def forget(self) -> None:
        """Empty all shards."""
        for slot in self._slots.values():
            slot.forget()


class SortedShards(Shards[T]):
    """The same over 32 keys, in the order of the names and without what equals its default."""

    names = tuple(f"{shard:02x}" for shard in range(ROW_SHARDS))
    is_terse = True

    def place(self, key: str) -> str:
        """Return the shard in which the key's value lies."""
        return f"{shard_row(key):02x}"

    def write(self, before: Mapping[str, T], after: Mapping[str, T]) -> None:
        """Replace what was read before: only the shards whose content differs are written."""
        super().write(before, dict(sorted(after.items())))

    def digest(self, values: Mapping[str, T]) -> dict[str, str]:
        """Return 12 hexadecimal digits over each shard that holds some of the values."""
        parts: dict[str, dict[str, T]] = {}
        for key, value in values.items():
            parts.setdefault(self.place(key), {})[key] = value
        stored = {shard: self._slots[shard].dump(part) for shard, part in sorted(parts.items())}
        return {shard: hash_text(json.dumps(part, sort_keys=True), 12) for shard, part in stored.items()}


def shard_row(slug: str) -> int:
    """Return the shard in which an environment's row lies."""
    return int(hash_name(slug)[:2], 16) % ROW_SHARDS


class NamedValues(Generic[T]):
    """Values by name under one key, and under more as they grow: as a rule one request to Airflow reads them all.

    Who writes tells what it had read: what others wrote meanwhile stays.
    """

    def __init__(self, store: Store, key: str, adapter: TypeAdapter[dict[str, T]]) -> None:
        self._slot = SplitSlot(store, key, adapter, blank=dict)

    def read(self) -> dict[str, T]:
        """Return all of them."""
        return self._slot.read()

    def write(self, before: Mapping[str, T], after: Mapping[str, T]) -> None:
        """Forget what is in `before` alone, and set what differs there; where that changes nothing, write nothing."""
        gone = before.keys() - after.keys()
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        if gone or changed:
            stored = self.read()
            patched = {name: value for name, value in stored.items() if name not in gone} | changed
            if patched != stored:
                self._slot.write(patched)


class GatheredValues(NamedValues[T]):
    """The same, of what releases before 0.3 spread over 16 keys: these are read until something lies under the new one.

    They cost a request each, so control gathers what is there once, even where that is nothing.
    """

    def __init__(self, store: Store, key: str, adapter: TypeAdapter[dict[str, T]], older: str) -> None:
        super().__init__(store, key, adapter)
        self._older = Shards(store, older, adapter)

    def read(self) -> dict[str, T]:
        """Return all of them."""
        found = super().read()
        if not self._is_new():
            return found
        older = self._older.read()
        return super().read() or older  # once more: they may have been gathered, and forgotten, meanwhile

    def gather(self, *, has_older: bool) -> None:
        """Write under the new key what lies under the older ones, or that nothing does, unless something is there."""
        found = self.read() if has_older else super().read()
        if self._is_new():
            self._slot.write(found)

    def forget_older(self) -> None:
        """Forget what lies under the older keys."""
        self._older.forget()

    def _is_new(self) -> bool:
        """Whether nothing lay under the new key when it was read last."""
        return self._slot.parts[0] is None


_GONE = object()


class DryStore:
    """Behaves to its user as the store below it; what is written stays here, and is gone with the task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return what was written here, else what lies below."""
        value = self._written[key] if key in self._written else self._store.get(key, default)
        return default if value is _GONE else value

    def set(self, key: str, value: Any) -> None:
        """Keep the value here."""
        self._written[key] = value

    def delete(self, key: str) -> None:
        """Hide the key."""
        self._written[key] = _GONE
