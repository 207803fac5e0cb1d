"""What each trigger has in common: it is a dataclass whose fields are its arguments, and so all that Airflow stores.

Waits for nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from airflow.triggers.base import BaseTrigger


class UnshownPayload(dict[str, Any]):
    """An event's payload that code of others wrote parts of: masked, and yet too long for the log of each event."""

    def __repr__(self) -> str:
        return "{not shown}"


@dataclass(eq=False, repr=False)
class StoredTrigger(BaseTrigger):
    """A trigger that Airflow makes again, in another process, from its class path and its fields."""

    def __post_init__(self) -> None:
        super().__init__()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments that make an equal trigger."""
        kind = type(self)
        arguments = {field.name: getattr(self, field.name) for field in fields(self) if field.init}
        return f"{kind.__module__}.{kind.__qualname__}", arguments
