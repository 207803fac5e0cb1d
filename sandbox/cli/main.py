"""The commands and their flags, and how a command line becomes one of them and an exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.cli.api import VERSION
from sandbox.cli.apply import run_create, run_update
from sandbox.cli.config import load_config
from sandbox.cli.deploy import run_deploy
from sandbox.cli.deployment import run_delete, run_hibernate, run_inspect, run_wake_up
from sandbox.cli.errors import CliError, PanicError, StopError
from sandbox.cli.faults import obey_fault
from sandbox.cli.flags import Flag, Line, parse_line
from sandbox.cli.listing import run_deployment_list, run_workspace_list
from sandbox.cli.session import Session, open_session
from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FORCE = Flag("force", "f")
_NAME = Flag("deployment-name", "n", takes_value=True)
_WORKSPACE = Flag("workspace-id", takes_value=True)
_OUTPUT = Flag("output", "o", takes_value=True)
_FILE = Flag("deployment-file", takes_value=True)
_WAIT_TIME = Flag("wait-time", takes_value=True)
_OVERRIDE = (
    _FORCE,
    _NAME,
    _WORKSPACE,
    Flag("until", "u", takes_value=True),
    Flag("for", "d", takes_value=True),
    Flag("remove-override", "r"),
)
_GROUPS = ("deployment", "workspace")


@dataclass(frozen=True)
class Command:
    """One command. `hides_token_line` and `has_usage` (after every error) differ between them in the real CLI too."""

    words: tuple[str, ...]
    run: Callable[[Session, Line], None]
    flags: tuple[Flag, ...]
    arguments_max: int = 1
    hides_token_line: bool = False
    has_usage: bool = False


_COMMANDS = (
    Command(("workspace", "list"), run_workspace_list, (Flag("json"), _OUTPUT), arguments_max=0),
    Command(
        ("deployment", "list"),
        run_deployment_list,
        (Flag("all", "a"), Flag("json"), _OUTPUT, _WORKSPACE),
        arguments_max=0,
    ),
    Command(
        ("deployment", "inspect"),
        run_inspect,
        (
            _NAME,
            _OUTPUT,
            _WORKSPACE,
            Flag("template", "t"),
            Flag("key", "k", takes_value=True),
            Flag("clean-output", "c"),
        ),
        hides_token_line=True,
    ),
    Command(
        ("deployment", "create"),
        run_create,
        (_FILE, _WORKSPACE, _FORCE, Flag("clean-output"), Flag("wait", "i"), _WAIT_TIME),
        arguments_max=0,
        hides_token_line=True,
        has_usage=True,
    ),
    Command(
        ("deployment", "update"),
        run_update,
        (_FILE, _WORKSPACE, _FORCE, _NAME, Flag("clean-output", "c")),
        hides_token_line=True,
    ),
    Command(("deployment", "delete"), run_delete, (_FORCE, _NAME, _WORKSPACE)),
    Command(("deployment", "hibernate"), run_hibernate, _OVERRIDE),
    Command(("deployment", "wake-up"), run_wake_up, _OVERRIDE),
    Command(
        ("deploy",),
        run_deploy,
        (
            _FORCE,
            _NAME,
            _WORKSPACE,
            Flag("dags", "d"),
            Flag("dags-path", takes_value=True),
            Flag("image"),
            Flag("image-name", "i", takes_value=True),
            Flag("description", takes_value=True),
            Flag("wait", "w"),
            _WAIT_TIME,
        ),
    ),
)


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0, 1, or 2 for a panic."""
    command = next((known for known in _COMMANDS if tuple(argv[: len(known.words)]) == known.words), None)
    try:
        if command is None:
            return _run_other(argv)
        _run(command, argv[len(command.words) :])
    except CliError as error:
        print(f"Error: {error}", file=sys.stderr)
        if error.has_usage or (command is not None and command.has_usage):
            print(_describe_usage(command.words if command else ()), file=sys.stderr)
        return 1
    except PanicError:
        print("panic: runtime error: invalid memory address or nil pointer dereference", file=sys.stderr)
        return 2
    except StopError as stop:
        return stop.exit_code
    return 0


def _run(command: Command, words: Sequence[str]) -> None:
    line = parse_line(words, command.flags)
    if len(line.arguments) > command.arguments_max:
        limit = f"accepts at most {command.arguments_max} arg(s), received {len(line.arguments)}"
        raise CliError(limit, has_usage=True)
    session = open_session(load_config(), hides_token_line=command.hides_token_line)
    obey_fault(session, command.words[-1])
    command.run(session, line)


def _run_other(argv: Sequence[str]) -> int:
    """Answer `version`, and print help for what is no command: below a group that is a success."""
    if list(argv[:1]) == ["version"]:
        say(f"Astro CLI Version: {VERSION}")
        return 0
    if argv and argv[0] not in _GROUPS:
        raise CliError(f'unknown command "{argv[0]}" for "astro"\nRun \'astro --help\' for usage.')
    parse_line(argv, ())
    say(_describe_usage(tuple(argv[:1])))
    return 0


def _describe_usage(words: tuple[str, ...]) -> str:
    name = " ".join(("astro", *words))
    below = [" ".join(known.words) for known in _COMMANDS if known.words[: len(words)] == words != known.words]
    command = next((known for known in _COMMANDS if known.words == words), None)
    flags = [f"      --{flag.name}" for flag in command.flags] if command else []
    listed = ["Available Commands:", *(f"  astro {text}" for text in below)] if below else ["Flags:", *flags]
    return "\n".join(["Usage:", f"  {name} [flags]", "", *listed])
