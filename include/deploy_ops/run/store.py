"""Airflow's asset state store: typed slots over its keys, and a store that writes nothing.

Every value is stored as versioned JSON (`versioned.py`). What cannot be read any more counts as forgotten and is
logged, entry by entry where a value is a collection. What the slots are for, `memory.py` says.
"""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.versioned import read_value, wrap_value

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pydantic import TypeAdapter

T = TypeVar("T")

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

    def write(self, value: T) -> None:
        """Replace the value; the last writer wins."""
        self.store.set(self.key, wrap_value(self.dump(value)))

    def forget(self) -> None:
        """Empty the slot."""
        self.store.delete(self.key)

    def dump(self, value: T) -> Any:
        """Return the value as JSON."""
        return self.adapter.dump_python(value, mode="json", exclude_defaults=self.is_terse)


@dataclass(frozen=True, kw_only=True)
class FilledSlot(Slot[T]):
    """A slot that reads as `blank()` while it is empty; as a rule each of its value's entries stands for itself."""

    within: Sequence[str] | None = ()
    blank: Callable[[], T]

    def read(self) -> T:
        """Return the value, or the blank one."""
        found = super().read()
        return self.blank() if found is None else found


class Shards(Generic[T]):
    """Values by name, spread over 16 keys, for what grows with the repository: Airflow warns of values above 64 KiB."""

    names: ClassVar[Sequence[str]] = "0123456789abcdef"
    is_terse: ClassVar[bool] = False

    def __init__(self, store: Store, name: str, adapter: TypeAdapter[dict[str, T]]) -> None:
        self._slots = {
            shard: FilledSlot(store, f"{name}.{shard}", adapter, blank=dict, is_terse=self.is_terse)
            for shard in self.names
        }

    def place(self, key: str) -> str:
        """Return the shard in which the key's value lies."""
        return hash_text(key, 1)

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
        for shard in sorted(moved):
            self._slots[shard].write({key: value for key, value in after.items() if self.place(key) == shard})


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
    return int(hash_text(slug, 2), 16) % ROW_SHARDS


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
