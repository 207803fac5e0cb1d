"""Command lines as the real CLI reads them: flags anywhere, long, short and joined. It runs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


@dataclass(frozen=True)
class Flag:
    """A flag, by its names without dashes."""

    name: str
    short: str = ""
    takes_value: bool = False


@dataclass
class Line:
    """A parsed command line: the arguments, and the values of the flags that were given."""

    arguments: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Return whether a flag without a value was given, and not as `=false`."""
        return self.values.get(name, "false") == "true"

    def get(self, name: str) -> str:
        """Return a flag's value, empty when it was not given."""
        return self.values.get(name, "")

    @property
    def argument(self) -> str:
        """The first argument, empty when there is none."""
        return self.arguments[0] if self.arguments else ""


def parse_line(argv: Sequence[str], flags: Sequence[Flag]) -> Line:
    """Return arguments and flags of a command line.

    :raises CliError: with usage, for an unknown flag or one that lacks its value.
    """
    line = Line()
    words = iter(argv)
    for word in words:
        if word == "--":
            line.arguments.extend(words)
        elif word.startswith("--"):
            _read_long(word, words, flags, line)
        elif word.startswith("-") and word != "-":
            _read_short(word, words, flags, line)
        else:
            line.arguments.append(word)
    return line


def _read_long(word: str, words: Iterator[str], flags: Sequence[Flag], line: Line) -> None:
    name, equals, value = word[2:].partition("=")
    flag = next((flag for flag in flags if flag.name == name), None)
    if flag is None:
        raise CliError(f"unknown flag: --{name}", has_usage=True)
    if equals:
        line.values[name] = value
    else:
        line.values[name] = _take_value(words, word) if flag.takes_value else "true"


def _read_short(word: str, words: Iterator[str], flags: Sequence[Flag], line: Line) -> None:
    """Read `-f`, `-fd` and, of a flag with a value, `-n x`, `-nx` and `-n=x`."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((flag for flag in flags if flag.short == letter), None)
        if flag is None:
            raise CliError(f"unknown shorthand flag: {letter!r} in {word}", has_usage=True)
        if flag.takes_value:
            line.values[flag.name] = letters.removeprefix("=") or _take_value(words, f"{letter!r} in {word}")
            return
        line.values[flag.name] = "true"


def _take_value(words: Iterator[str], flag: str) -> str:
    value = next(words, None)
    if value is None:
        raise CliError(f"flag needs an argument: {flag}", has_usage=True)
    return value


def read_wait(line: Line, default: str) -> float | None:
    """Return how many seconds `--wait` may take, None without it.

    :raises CliError: if `--wait-time` is given alone, or is no duration.
    """
    if line.has("wait"):
        return read_duration(line.get("wait-time") or default, "wait-time")
    if line.get("wait-time"):
        raise CliError("cannot use --wait-time with --wait=false")
    return None


def read_duration(text: str, flag: str) -> float:
    """Return the seconds of a duration such as `20s`, `1m30s` or `500ms`.

    :raises CliError: with usage, if it is none.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f'invalid argument "{text}" for "--{flag}" flag: time: invalid duration "{text}"'
        raise CliError(message, has_usage=True)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
