"""Where a mapped value comes from: a text of the policy, or a variable or connection of the management Airflow."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from include.deploy_ops.core.environment.placeholders import check_placeholders

VALUE_BYTES_MAX = 64 * 1024
"""The most that one value may be, in UTF-8."""

TOTAL_BYTES_MAX = 512 * 1024
"""The most that all values of one preview may be together."""

FIELDS = ("password", "login", "host", "port", "schema", "uri")
"""What of a connection can be a value of its own, beside `extra.<key>`."""

EXTRA = "extra."
WHOLE = ""
"""The field of a connection that is mapped as one: all of it, as JSON."""

_ID = re.compile(r"[^\s\x00-\x1f\x7f]+(?: [^\s\x00-\x1f\x7f]+)*")
_STEPS = re.compile(r"(?:^|[/\\])\.{0,2}(?:[/\\]|$)|[?#%]")
"""What in an id has a secrets backend, which asks for an address, find another: empty or dotted steps, ?, # and %."""

_FORM = "a text, {variable: <name>}, or {connection: <id>, field: <field>}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text of the policy, with placeholders. It stands in the policy for all to read: it is no secret."""

    text: str

    @property
    def is_secret(self) -> bool:
        """Never."""
        return False

    def __str__(self) -> str:
        return "a text of the policy"


@dataclass(frozen=True, slots=True)
class VariableSource:
    """A variable of the management Airflow."""

    variable: str

    @property
    def is_secret(self) -> bool:
        """Always: nobody knows what it holds."""
        return True

    def __str__(self) -> str:
        return f"variable '{self.variable}'"


@dataclass(frozen=True, slots=True)
class ConnectionSource:
    """A connection of the management Airflow: all of it, or one field."""

    connection: str
    field: str = WHOLE

    @property
    def is_secret(self) -> bool:
        """Always."""
        return True

    def __str__(self) -> str:
        return f"{self.field} of connection '{self.connection}'" if self.field else f"connection '{self.connection}'"


Source: TypeAlias = Pattern | VariableSource | ConnectionSource


def parse_source(value: object) -> Source:
    """Return where a value comes from, as the policy writes it; raises ValueError with what is expected."""
    if isinstance(value, Pattern | VariableSource | ConnectionSource):
        return value
    if isinstance(value, str):
        return _parse_text(value)
    keys = set(value) if isinstance(value, Mapping) else set()
    if isinstance(value, Mapping) and keys == {"variable"}:
        return VariableSource(check_id(value["variable"]))
    if isinstance(value, Mapping) and keys == {"connection", "field"}:
        return ConnectionSource(check_id(value["connection"]), _check_field(value["field"]))
    raise ValueError(_FORM)


def write_source(source: Source) -> str | dict[str, str]:
    """Return where a value comes from as `parse_source` reads it; of a connection as one the field is empty."""
    match source:
        case Pattern(text):
            return text
        case VariableSource(variable):
            return {"variable": variable}
        case ConnectionSource(connection, field):
            return {"connection": connection, "field": field}


def parse_connection(value: object) -> ConnectionSource:
    """Return the connection that is mapped as one; raises ValueError with what is expected."""
    return value if isinstance(value, ConnectionSource) else ConnectionSource(check_id(value))


def check_id(value: object) -> str:
    """Return the id of a connection or variable of the management Airflow."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("the id of a connection, or the name of a variable, of the management Airflow")
    if _STEPS.search(value):
        raise ValueError("an id without '?', '#', '%' and empty or dotted steps, by which a backend may find another")
    return value


def _parse_text(text: str) -> Pattern:
    check_placeholders(text)
    if "\0" in text:
        raise ValueError("a text without NUL, which no environment can hold")
    if (size := len(text.encode())) > VALUE_BYTES_MAX:
        raise ValueError(f"a text of at most {VALUE_BYTES_MAX:,} bytes, not {size:,}")
    return Pattern(text)


def _check_field(value: object) -> str:
    if isinstance(value, str) and (value in FIELDS or (value.startswith(EXTRA) and value != EXTRA)):
        return value
    nearest = difflib.get_close_matches(value, FIELDS, n=1) if isinstance(value, str) else ()
    advice = f"did you mean {nearest[0]}?" if nearest else "one of them"
    raise ValueError(f"a field: {', '.join(FIELDS)} or extra.<key>; {advice}")
