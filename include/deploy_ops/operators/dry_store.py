"""A state store that reads through and writes nowhere: for a run that shows what it would do, and leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.deploy_ops.operators.memory import Store


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
