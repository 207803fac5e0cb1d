"""Checks the Python files of `dags/` that a deploy changes, without running them: Astro itself parses nothing of them.

What is certainly broken is refused, with file, line and column; whatever is in doubt is a warning, because a deploy
that works must not be held up. Three judges, each for what it knows best:

- This worker's own Python compiles each file (`dag_probe.py`, in a process of its own). It alone knows all of Python's
  rules (Ruff's parser takes `return` outside a function, an unknown coding line or a null byte for fine), and it alone
  reads encodings other than UTF-8. What it accepts is accepted.
- A file that it refuses may be newer than this worker: the Deployment's Runtime may have a later Python. Ruff reads it
  as the newest Python and as ours; it is let through, with a warning, if Ruff finds nothing wrong for the newest, and
  blames the version for ours. Whether the Runtime is that new, nobody tells us.
- A file that exhausts the compiler (nesting, memory, size, time) is let through with a warning: another Python has
  other limits. Ruff is not asked about it.

The check is bounded as a whole, too: in files, bytes, time and what is said. What it did not look at it tells.

`astro deploy` uploads all of `dags/`, so every changed file counts, but a broken one that `.airflowignore` excludes is
a warning: Airflow never parses it by itself, and it may be a template that was never meant to be Python. If a DAG
imports it, that DAG shows the error. What does not differ from the deployed commit is not looked at: an old error must
not hold up the repair of another file. Ruff's Airflow rules are warnings, always.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.deploy_ops.checkout import dag_probe
from include.deploy_ops.checkout.dag_probe import SOURCE_BYTES_MAX
from include.deploy_ops.checkout.ruff import NEWEST_PYTHON, SYNTAX, CodeFinding, RuffFailedError, ask_ruff
from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.process.command import Command
from include.deploy_ops.process.confinement import Sight
from include.deploy_ops.process.redaction import redact_shapes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

TIME_LIMIT_S = 60.0
"""Seconds for all compiling, and again for all questions to Ruff."""

FILE_TIME_LIMIT_S = 15.0
"""Seconds for compiling one file."""

FILES_MAX = 5_000
BYTES_MAX = 64 << 20
"""Files that are looked at, and their bytes together."""

_AIRFLOW_RULES = "AIR"
# What the compiler refuses and the grammar does not; Ruff tells it by these rules alone.
_COMPILER_RULES = "F404,F406,F407,F621,F622,F701,F702,F704,F706,F707,PLE0115,PLE0117,PLE0118,PLE1142"
_OURS = sys.version_info[:2]
_OUR_CODE = Path(__file__).parents[1]
_DEATHS_MAX = 5  # of the compiling process, each by another file
_JUDGED_MAX = 20  # broken files for which Ruff is asked, one by one: it gives up a whole batch for one file
_REFUSALS_SHOWN, _WARNINGS_SHOWN = 5, 30

_LOG = logging.getLogger(__name__)


def check_dags(
    project: Path, changed: Collection[str] | None, *, ignore_syntax: str = "glob", refuses: bool = True
) -> int:
    """Raise PermanentError if a changed Python file below `dags/` is broken; log what is only worth a warning.

    Returns how many files were not checked: too large, too many, or too much for the compiler; the log names them.

    :param project: the project's folder in a worktree; nothing is written to it, links out of it are not followed.
    :param changed: paths relative to the project that differ from what is deployed; None means all below `dags/`.
    :param ignore_syntax: `glob` or `regexp`, how the Deployment's Airflow reads `.airflowignore`.
    :param refuses: False makes a warning of what is broken, too.
    :raises RetryableError: a file is broken for this worker's Python, and Ruff, which could tell whether the file is
        merely newer, is missing or did not answer.
    """
    check = _Check(project, ignore_syntax)
    check.run(sorted(set(_list_files(project, changed))))
    warnings = check.warnings if refuses else [*map(str, check.broken), *check.warnings]
    for line in _shorten(warnings, _WARNINGS_SHOWN):
        _LOG.warning("%s", line)
    if refuses and check.broken:
        told = ";\n".join(_shorten(map(str, check.broken), _REFUSALS_SHOWN))  # where lines are folded, too, a list
        raise PermanentError(f"{told};\ncorrect it on the branch; nothing was deployed, what ran before runs on")
    return check.unchecked


def _list_files(project: Path, changed: Collection[str] | None) -> Iterator[str]:
    """Yield the Python files by their own names, a link's too if it stays in the project; what is gone is no file."""
    top = project.resolve()
    if changed is None:
        changed = [path.relative_to(project).as_posix() for path in (project / "dags").rglob("*.py")]
    for name in changed:
        path = project / name
        try:
            if path.is_dir() and not path.is_symlink():  # a submodule, whose files no tree of the commit names
                yield from _list_files(project, [each.relative_to(project).as_posix() for each in path.rglob("*.py")])
                continue
            is_ours = name.endswith(".py") and path.is_file() and path.resolve().is_relative_to(top)
        except (OSError, RuntimeError):  # a circle of links, or a name that no file can have
            continue
        if is_ours:
            yield name


def _shorten(lines: Iterable[str], shown: int) -> list[str]:
    told = list(lines)
    return [*told[:shown], f"and {len(told) - shown} more"] if len(told) > shown else told


@dataclass(slots=True)
class _Check:
    """One check: what it found so far."""

    project: Path
    ignore_syntax: str
    broken: list[CodeFinding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchecked: int = 0
    _judged: int = 0
    _ruff_s: float = TIME_LIMIT_S  # seconds that Ruff has left

    def run(self, names: Sequence[str]) -> None:
        compiled = self._compile(self._choose(names))
        known = (name for name in compiled if "unknown" not in compiled[name])
        fine = [name for name in known if "error" not in compiled[name] or self._excuse(name, compiled[name])]
        if fine and not self.broken:
            self._warn_of_airflow(fine)

    def _choose(self, names: Sequence[str]) -> list[str]:
        """Return the files that are looked at; tell which are not."""
        chosen, left = list[str](), BYTES_MAX
        for at, name in enumerate(names):
            size = (self.project / name).stat().st_size
            if len(chosen) == FILES_MAX or min(size, SOURCE_BYTES_MAX) > left:
                bounds = f"{FILES_MAX} files or {BYTES_MAX >> 20} MiB"
                self._leave(len(names) - at, f"more than {bounds} changed")
                break
            if size > SOURCE_BYTES_MAX:
                self._leave_out(name, f"not checked: it is larger than {SOURCE_BYTES_MAX >> 20} MiB")
                continue
            chosen.append(name)
            left -= size
        return chosen

    def _leave(self, count: int, why: str) -> None:
        self.unchecked += count
        self.warnings.append(f"{count} more changed files were not checked: {why}")

    def _leave_out(self, name: str, why: str) -> None:
        self.unchecked += 1
        self._warn(name, why)

    def _compile(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the probe's answers by name; after a file that ends it, go on with the next one."""
        answers: dict[str, Any] = {}
        left, deadline = list(names), time.monotonic() + TIME_LIMIT_S
        for _ in range(_DEATHS_MAX):
            if not left or (answers and time.monotonic() >= deadline):
                break
            found, ending = self._probe(left, deadline - time.monotonic())
            answers |= dict(zip(left, found, strict=False))
            for name in left[len(found) :][:1]:
                self._leave_out(name, f"not checked, the compiler gave up on it: {ending}")
            left = left[len(found) + 1 :]
        if left:
            self._leave(len(left), "the compiler gave up on others, or took all the time there is")
        for name, answer in answers.items():
            self._tell(name, answer)
        return answers

    def _probe(self, names: Sequence[str], timeout_s: float) -> tuple[list[Any], str]:
        """Return one answer for each file up to the end or the one that ended the probe, and how it ended."""
        lines: list[str] = []
        # -I and -S: no module of the branch's, the user's or an installed package's is imported in place of Python's
        # own.
        argv = [sys.executable, "-I", "-S", dag_probe.__file__, str(self.project), self.ignore_syntax]
        argv.append(str(FILE_TIME_LIMIT_S))
        given = b"\0".join(map(os.fsencode, names))
        try:
            result = Command(
                argv,
                cwd=self.project,
                env={},
                timeout_s=timeout_s,
                stdin=given,
                on_line=lines.append,
                is_answer=True,
                sight=Sight(reads=(self.project, Path(dag_probe.__file__), _OUR_CODE), has_network=False),
            ).run()
            ending = f"exit code {result.exit_code} {result.stderr.strip()[-200:]}"
            if result.exit_code == -signal.SIGALRM:
                ending = f"it took longer than {FILE_TIME_LIMIT_S:.0f} s"
        except RetryableError:
            ending = f"all together took longer than {TIME_LIMIT_S:.0f} s"
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")], ending

    def _tell(self, name: str, answer: dict[str, Any]) -> None:
        if "unknown" in answer:
            self._leave_out(name, f"not checked: {answer['unknown']}")
        self.warnings += [str(_read_finding(name, each)) for each in answer["warnings"]]

    def _warn(self, name: str, text: str) -> None:
        self.warnings.append(str(CodeFinding(name, 1, 1, text)))

    def _excuse(self, name: str, answer: dict[str, Any]) -> bool:
        """Whether a file that does not compile may be right for a newer Python; file it as broken, or as a warning."""
        found = _read_finding(name, answer["error"])
        if answer["ignored_by"]:
            self.warnings.append(f"{found}; let through: .airflowignore excludes it by '{answer['ignored_by']}'")
            return False
        newest = self._judge_as_newest(name, found)
        if newest is not None:
            self.broken.append(newest)
            return False
        ours = f"Python {_OURS[0]}.{_OURS[1]}"
        self.warnings.append(f"{found}; let through: newer than this worker's {ours}, the Runtime's must read it")
        return True

    def _judge_as_newest(self, name: str, found: CodeFinding) -> CodeFinding | None:
        """Return what is wrong with the file for every Python; None if it is merely newer than ours."""
        self._judged += 1
        if self._judged > _JUDGED_MAX:
            return found
        try:
            newest, ours = (self._ask_ruff([name], _COMPILER_RULES, python=python) for python in (NEWEST_PYTHON, _OURS))
        except RuffFailedError:
            return found
        except RetryableError as error:
            if self._ruff_s <= 0:  # it is there, and this file is too much for it: so it will be another time
                return found
            raise RetryableError(f"{found}; whether it is broken or merely newer, Ruff has to tell: {error}") from error
        if not newest:
            return None if any(each.rule == SYNTAX for each in ours) else found
        # Where ours is blamed further up, the newer syntax stopped this Python before the real error.
        return newest[0] if ours and ours[0] < newest[0] else found

    def _warn_of_airflow(self, names: Sequence[str]) -> None:
        try:
            found = self._ask_ruff(names, _AIRFLOW_RULES, heeds_noqa=True)
        except (RuffFailedError, RetryableError) as error:
            self.warnings.append(f"Ruff's Airflow rules were not checked: {error}")
            return
        self.warnings += [str(each) for each in found if each.rule != SYNTAX]

    def _ask_ruff(self, names: Sequence[str], select: str, **options: Any) -> list[CodeFinding]:
        begun = time.monotonic()
        try:
            return ask_ruff(self.project, names, select, timeout_s=self._ruff_s, **options)
        finally:
            self._ruff_s -= time.monotonic() - begun


def _read_finding(name: str, said: dict[str, Any]) -> CodeFinding:
    return CodeFinding(name, said["line"], said["column"], redact_shapes(said["text"]))
