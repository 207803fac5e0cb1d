"""Asks Ruff about Python files; says what Ruff found, and decides nothing. The project's own settings take no part."""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.process.command import Command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEWEST_PYTHON = (3, 15)
"""The newest Python that the locked Ruff knows."""

SYNTAX = "invalid-syntax"
"""The name that Ruff gives what its parser refuses, whichever rules are asked for."""

_COMMAND = ("ruff", "check", "--isolated", "--no-cache", "--output-format", "json-lines")
_BATCH = 200  # files on one command line
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


def ask_ruff(
    project: Path,
    names: Sequence[str],
    select: str,
    *,
    python: tuple[int, int] = NEWEST_PYTHON,
    heeds_noqa: bool = False,
    timeout_s: float,
) -> list[CodeFinding]:
    """Return what Ruff finds in the files, sorted; it skips what is no UTF-8.

    :param select: Ruff's rules, separated by commas; what no Python could parse is found besides.
    :param python: the version of Python that Ruff takes the files for.
    :param heeds_noqa: whether a comment in a file can silence a rule.
    :raises RuffFailedError: for one of the files; then nothing is known of the others either.
    :raises RetryableError: this worker has no Ruff, or the time passed.
    """
    known = {str(project.resolve() / name): name for name in names if _is_text(name)}
    paths, lines = list(known), list[str]()
    options = ["--select", select, "--target-version", f"py{python[0]}{python[1]}"]
    options += [] if heeds_noqa else ["--ignore-noqa"]
    for at in range(0, len(paths), _BATCH):
        result = Command(
            [*_COMMAND, *options, "--", *paths[at : at + _BATCH]],
            cwd=project,
            env={"PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])},
            timeout_s=timeout_s,
            on_line=lines.append,
        ).run()
        if result.exit_code not in _ANSWERED:
            raise RuffFailedError(f"Ruff ended with exit code {result.exit_code}: {result.stderr.strip()[-200:]}")
    return sorted(_read_finding(known, line) for line in lines if line.startswith("{") and line.endswith("}"))


def _is_text(name: str) -> bool:
    """Whether Ruff can say the name in JSON."""
    return name.isprintable()


def _read_finding(known: dict[str, str], line: str) -> CodeFinding:
    said = json.loads(line)
    place = said["location"]
    return CodeFinding(known[said["filename"]], place["row"], place["column"], said["message"], said["code"] or SYNTAX)
