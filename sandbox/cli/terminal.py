"""What the person sees and answers: lines, tables and questions. It decides nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 5
_GREEN, _PLAIN = "\033[1;32m", "\033[0m"


def say(text: str, end: str = "\n") -> None:
    """Print on stdout at once, so that the output of children comes in order."""
    print(text, end=end, flush=True)


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]], current: int | None = None) -> None:
    """Print columns, each cell padded to the longest of its column and five more.

    :param current: the row that is shown in green, even off a terminal.
    """
    widths = [max(len(cell) for cell in column) + _GAP for column in zip(header, *rows, strict=True)]
    for number, row in enumerate((header, *rows), start=-1):
        text = " " + "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(f"{_GREEN}{text}{_PLAIN}" if number == current else text)


def ask(question: str) -> bool:
    """Print the question and return whether the line on stdin says yes; its end means no."""
    say(question, end="")
    return sys.stdin.readline().strip() in {"y", "Y"}
