"""What stands on a terminal and in a file at the end: steps alone, whatever moved meanwhile."""

from __future__ import annotations

import os
import pty
import re
import select
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.screen import Screen, ScreenClosedError

WIDTH = 40


@pytest.fixture
def terminal() -> Iterator[tuple[int, Screen]]:
    """Return the two ends of a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, WIDTH))
    with os.fdopen(theirs, "w") as stream:
        yield ours, Screen(stream)
    os.close(ours)


def read(ours: int, end: str) -> str:
    """Return what was written to the terminal, once it ends so; the kernel hands it over in pieces."""
    text = b""
    while not text.endswith(end.encode()):
        assert select.select([ours], [], [], 10)[0], f"after {text!r} nothing came"
        text += os.read(ours, 4096)
    return text.decode()


def show(written: str) -> list[str]:
    """Return the lines that one sees after it was written."""
    lines = [""]
    for piece in re.split(r"(\r\n|\r\x1b\[2K)", written):
        if piece == "\r\n":
            lines.append("")
        elif piece.startswith("\r"):
            lines[-1] = ""
        else:
            lines[-1] += piece
    return lines


def test_on_a_terminal_one_line_moves_and_steps_stay(terminal: tuple[int, Screen]) -> None:
    ours, screen = terminal
    screen.say("up")
    for waited in range(100):
        screen.show(f"… a deploy, {waited} s")
    assert show(read(ours, "99 s")) == ["up", "… a deploy, 99 s"]
    screen.say("deployed")
    screen.show("… the next")
    assert show("up\r\n… a deploy, 99 s" + read(ours, "the next")) == ["up", "deployed", "… the next"]


def test_what_moves_is_never_wider_than_the_terminal(terminal: tuple[int, Screen]) -> None:
    ours, screen = terminal
    screen.show("x" * 3 * WIDTH)
    assert show(read(ours, "x" * (WIDTH - 1))) == ["x" * (WIDTH - 1)]


def test_in_a_file_there_are_steps_alone(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as stream:
        screen = Screen(stream)
        screen.say("up")
        screen.show("… a deploy, 2 s")
        screen.say("deployed")
        stream.seek(0)
        assert stream.read() == "up\ndeployed\n"


@pytest.mark.parametrize("write", [Screen.say, Screen.show])
def test_a_reader_that_left_is_told(write: Callable[[Screen, str], None]) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        screen = Screen(stream)
        screen.show("…")
        os.close(reading)
        with pytest.raises(ScreenClosedError, match="Broken pipe"):
            write(screen, "up")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # for what could not be written


@pytest.mark.parametrize("write", [Screen.say, Screen.show])
def test_a_terminal_that_closed_is_told(write: Callable[[Screen, str], None]) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        screen = Screen(stream)
        screen.show("…")
        os.close(ours)
        with pytest.raises(ScreenClosedError, match="Input/output error"):
            write(screen, "up")
        os.dup2(os.open(os.devnull, os.O_WRONLY), theirs)
