"""How a command ends early."""

from __future__ import annotations


class CliError(Exception):
    """Ends the command with exit code 1 and `Error: <text>` on stderr.

    :param has_usage: whether the command's usage follows.
    """

    def __init__(self, message: str, *, has_usage: bool = False) -> None:
        super().__init__(message)
        self.has_usage = has_usage


class PanicError(Exception):
    """Ends the command with exit code 2 and a panic on stderr: an answer lacks what the CLI takes for granted."""


class StopError(Exception):
    """Ends the command at once and without a word on stderr.

    :param exit_code: 0 where the real CLI calls it a success, though nothing was done.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit {exit_code}")
        self.exit_code = exit_code
