"""Asks Ruff about Python files; says what Ruff found, and decides nothing. The project's own settings take no part."""

from __future__ import annotations

import json
import os
import sysconfig
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.text.markdown import cut
from include.deploy_ops.process.command import Command, ProcessLimits
from include.deploy_ops.process.confinement import Sight
from include.deploy_ops.process.redaction import redact_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEWEST_PYTHON = (3, 15)
"""The newest Python that the locked Ruff knows."""

SYNTAX = "invalid-syntax"
"""The name that Ruff gives what its parser refuses, whichever rules are asked for."""

_COMMAND = ("ruff", "check", "--isolated", "--no-cache", "--output-format", "json-lines")
_BATCH = 200  # files on one command line
_LIMITS = ProcessLimits(memory_bytes=2 << 30, file_bytes=1 << 20)
_FINDINGS_MAX = 1_000  # of which a person sees a few; Ruff may tell of every line
_TEXT_LENGTH_MAX = 300
_ANSWERED = {0, 1}  # Ruff found nothing, or something; 2 and signals are failures (docs.astral.sh/ruff/linter)


@dataclass(frozen=True, slots=True, order=True)
class CodeFinding:
    """Something about one place in a file; the path is relative to the project, line and column count from 1."""

    path: str
    line: int
    column: int
    text: str
    rule: str = ""

    def __str__(self) -> str:
        shown = self.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\n", "\\n")
        return f"{shown}:{self.line}:{self.column}: {self.rule and f'{self.rule} '}{self.text}"


class RuffFailedError(Exception):
    """Ruff ended without an answer: it exhausts its stack by nesting that Python itself refuses. Holds its words."""


class _EnoughError(Exception):
    """More was found than anybody reads."""


def ask_ruff(
    project: Path,
    names: Sequence[str],
    select: str,
    *,
    python: tuple[int, int] = NEWEST_PYTHON,
    heeds_noqa: bool = False,
    timeout_s: float,
) -> list[CodeFinding]:
    """Return what Ruff finds in the files, sorted, the first thousand of it; it skips what is no UTF-8.

    :param select: Ruff's rules, separated by commas; what no Python could parse is found besides.
    :param python: the version of Python that Ruff takes the files for.
    :param heeds_noqa: whether a comment in a file can silence a rule.
    :param timeout_s: seconds for all of them together.
    :raises RuffFailedError: for one of the files; then nothing is known of the others either.
    :raises RetryableError: this worker has no Ruff, or the time passed.
    """
    known = {str(project.resolve() / name): name for name in names if _is_text(name)}
    paths, lines, deadline = list(known), list[str](), time.monotonic() + timeout_s

    def take(line: str) -> None:
        lines.append(line)
        if len(lines) > _FINDINGS_MAX:
            raise _EnoughError

    options = ["--select", select, "--target-version", f"py{python[0]}{python[1]}"]
    options += [] if heeds_noqa else ["--ignore-noqa"]
    for at in range(0, len(paths), _BATCH):
        command = Command(
            [*_COMMAND, *options, "--", *paths[at : at + _BATCH]],
            cwd=project,
            env={"PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])},
            timeout_s=max(0.0, deadline - time.monotonic()),
            on_line=take,
            limits=_LIMITS,
            is_answer=True,
            sight=Sight(reads=(project,), has_network=False),
        )
        try:
            result = command.run()
        except _EnoughError:
            break
        if result.exit_code not in _ANSWERED:
            raise RuffFailedError(f"Ruff ended with exit code {result.exit_code}: {result.stderr.strip()[-200:]}")
    return sorted(_read_finding(known, line) for line in lines if line.startswith("{") and line.endswith("}"))


def _is_text(name: str) -> bool:
    """Whether Ruff can say the name in JSON."""
    return name.isprintable()


def _read_finding(known: dict[str, str], line: str) -> CodeFinding:
    try:
        said = json.loads(line)
        name, place = known[said["filename"]], said["location"]
        text = cut(redact_shapes(said["message"]), _TEXT_LENGTH_MAX)
        return CodeFinding(name, place["row"], place["column"], text, said["code"] or SYNTAX)
    except (ValueError, LookupError, TypeError) as error:
        raise RuffFailedError(f"Ruff's answer cannot be read ({type(error).__name__})") from None
