"""Where the demo writes: lines that stay, and on a terminal one below them that moves; elsewhere nothing moves."""

from __future__ import annotations

import os
import select
from typing import TextIO

from demo.interrupts import recall

_CLEAR = "\r\x1b[2K"  # to the line's beginning, and nothing stands in it


class ScreenClosedError(Exception):
    """Nobody reads what is written any more."""


class Screen:
    """Writes at once, also into a pipe.

    :param stream: a terminal, a file or a pipe.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()  # one that was closed would not say so any more

    def say(self, line: str) -> None:
        """Write a line that stays.

        :raises ScreenClosedError: here and below, the terminal or the pipe's other end is gone.
        """
        self._write(f"{_CLEAR if self._is_terminal else ''}{line}\n")

    def show(self, line: str) -> None:
        """Replace the moving line; where it cannot move, nothing is written, and only looked whether anybody reads."""
        recall()
        if self._is_terminal:
            self._write(_CLEAR + line[: self._measure_width() - 1])  # a wrapped line could not be taken back
        elif _is_left(self._stream.fileno()):
            raise ScreenClosedError("Broken pipe")

    def _measure_width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError as error:
            raise ScreenClosedError(str(error)) from error

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            raise ScreenClosedError(str(error)) from error


def _is_left(number: int) -> bool:
    """Whether it is a pipe whose other end is closed."""
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
