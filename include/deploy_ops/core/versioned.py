"""A value that outlives the release that wrote it: stored beside the version of its form, and read part by part.

Decides nothing and stores nothing. What cannot be read any more is logged and counts as forgotten: one entry of a value
where that is what is wrong, the whole value otherwise.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Container, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)
T = TypeVar("T")

VERSION = 1
"""The version that is written. It is raised where an older reader would take a value for something else; further keys,
which older readers pass over, are no reason."""

_NOTHING: frozenset[str | int] = frozenset()


PARTS_MAX = 256
"""Parts into which one value is split at most."""

_PARTS = "parts"


def wrap_value(value: Any, parts: int = 1) -> dict[str, Any]:
    """Return the JSON value as it is stored: `{"version": …, "value": …}`, and `"parts": …` where it is several."""
    return {"version": VERSION, "value": value} | ({_PARTS: parts} if parts > 1 else {})


def count_parts(stored: Any) -> int:
    """Return in how many parts a value is stored, of which this is the first; releases before 0.3 knew of one."""
    count = stored.get(_PARTS, 1) if isinstance(stored, Mapping) else 1
    return count if type(count) is int and 1 <= count <= PARTS_MAX else 1


def unwrap_value(key: str, stored: Any) -> Any:
    """Return the value that was stored under the key, None where a later version wrote it.

    Releases before 0.2.0 stored the bare value; it is returned as it is. No value of theirs has a number as `version`.
    """
    if not isinstance(stored, Mapping) or "value" not in stored or type(stored.get("version")) is not int:
        return stored
    if stored["version"] > VERSION:
        log.warning("the remembered value of %r is of version %d and counts as forgotten", key, stored["version"])
        return None
    return stored["value"]


def read_value(key: str, stored: Any, adapter: TypeAdapter[T], within: Sequence[str] | None = None) -> T | None:
    """Return what was stored under the key, None where there is nothing, or nothing that can be read.

    :param within: as in `read_parts`.
    """
    return read_parts(key, stored, adapter, within)[0]


def read_parts(
    key: str, stored: Any, adapter: TypeAdapter[T], within: Sequence[str] | None
) -> tuple[T | None, frozenset[str | int]]:
    """Return what `read_value` does, and the entries that are left out of it.

    :param within: the path from the value to the mapping or list whose entries stand for themselves, so that one which
        cannot be read is left out alone: empty for the value itself, None where there is no such part.
    """
    value = unwrap_value(key, stored)
    if value is None:
        return None, _NOTHING
    try:
        return adapter.validate_python(value), _NOTHING
    except ValidationError as error:
        lost = _NOTHING if within is None else _list_entries(error, within)
    if lost:
        with contextlib.suppress(ValidationError):
            found = adapter.validate_python(_leave_out(value, within or (), lost))
            log.warning(
                "of the remembered value of %r, %s cannot be read and count as forgotten", key, sorted(lost, key=str)
            )
            return found, lost
    log.warning("the remembered value of %r cannot be read and counts as forgotten", key)
    return None, _NOTHING


def _list_entries(error: ValidationError, within: Sequence[str]) -> frozenset[str | int]:
    """Return the keys or indices below the path at which something is wrong."""
    depth = len(within)
    places = (each["loc"] for each in error.errors(include_url=False, include_context=False, include_input=False))
    return frozenset(place[depth] for place in places if len(place) > depth and place[:depth] == tuple(within))


def _leave_out(value: Any, within: Sequence[str], entries: Container[str | int]) -> Any:
    """Return the value without these entries of the part at the path."""
    if within:
        return {**value, within[0]: _leave_out(value[within[0]], within[1:], entries)}
    if isinstance(value, Mapping):
        return {key: each for key, each in value.items() if key not in entries}
    return [each for index, each in enumerate(value) if index not in entries]
