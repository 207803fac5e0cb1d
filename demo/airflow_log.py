"""What Airflow's components said of errors, cut to what the report of a failure can hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = 60
"""How many lines a report gets, the newest."""
_WIDTH = 300
_FIRST, _LAST = 2, 6
"""Lines that are kept of one error: what failed, and the exception; Airflow's tracebacks have up to 100 in between."""
_COMPONENT = re.compile(r"([a-z-]+) +\| (.*)")  # `airflow standalone` writes it before each line
_ENTRY = re.compile(r"\d{4}-\d\d-\d\dT\S+ \[(?P<level>\w+) *\]")
_RAISED = re.compile(r"Traceback \(most recent call last\)")
# Tasks' tokens, headers, and what the demo's connections hold: they open the stack only, and belong in no report.
_SECRET = re.compile(r"eyJ[\w-]+\.[\w.-]+|(?<=Bearer )\S+|(?<=Basic )\S+|sandbox-[a-z]+-(?:token|password)")


def tell_errors(log: str) -> str:
    """Return the last errors and tracebacks of a log, of each its beginning and end, without secrets."""
    told = [line for error in list_errors(log) for line in _cut(error)]
    return "\n".join(_SECRET.sub("***", line)[:_WIDTH] for line in told[-LINES:])


def list_errors(log: str) -> list[list[str]]:
    """Return the lines of each error, in the order in which they began; components write in between one another."""
    errors: list[list[str]] = []
    open_errors: dict[str, list[str]] = {}
    for line, component, said in _split(log):
        entry = _ENTRY.match(said)
        if entry:
            open_errors.pop(component, None)
        is_new = entry["level"] in {"error", "critical"} if entry else component not in open_errors
        if is_new and (entry or _RAISED.match(said)):
            open_errors[component] = []
            errors.append(open_errors[component])
        if component in open_errors:
            open_errors[component].append(line)
    return errors


def _split(log: str) -> Iterator[tuple[str, str, str]]:
    """Yield each line with its component (empty in a component's own log) and what that said."""
    for line in log.splitlines():
        found = _COMPONENT.match(line)
        yield (line, found[1], found[2]) if found else (line, "", line)


def _cut(error: list[str]) -> list[str]:
    left_out = len(error) - _FIRST - _LAST
    return error if left_out <= 1 else [*error[:_FIRST], f"… {left_out} lines …", *error[-_LAST:]]
