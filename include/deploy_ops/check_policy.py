"""Checks policy files without Airflow or a network: `python -m include.deploy_ops.check_policy [FILE…]`.

For pre-commit and CI. Each problem is a line `file:line: key: what was found, and what to do`. A team's file is checked
with its main file, which says what it may use, and a main file with its teams'. Ends with 0 where all are valid, with 1
where one is not. What only a connection or a service knows is the doctor's affair.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.file import PolicyFileError, find_main, find_policy, read_policy
from include.deploy_ops.core.policy.lines import tell_lines
from include.deploy_ops.core.text.visible import reveal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from include.deploy_ops.core.policy.file import PolicyProblem


def check_files(paths: Iterable[Path]) -> list[str]:
    """Return what is wrong with the policies to which these files belong, a line each."""
    told: list[str] = []
    policy = find_policy(os.environ)
    for main in dict.fromkeys(find_main(path, policy) for path in paths):
        problems = _list_problems(main)
        told += tell_lines(problems, _read_texts({each.source for each in problems}))
    return told


def _list_problems(main: Path) -> tuple[PolicyProblem, ...]:
    try:
        return read_policy(main).problems
    except PolicyFileError as error:
        return error.problems


def _read_texts(sources: Iterable[str]) -> dict[str, str]:
    """Return the texts of the files that can be read."""
    texts: dict[str, str] = {}
    for source in sources:
        with contextlib.suppress(OSError):  # that is what is wrong with it, and is told
            texts[source] = Path(source).read_text("utf-8", errors="replace")
    return texts


def main(arguments: Sequence[str]) -> int:
    """Check the files, by default the policy that Airflow would read; print what is wrong, and return the exit code."""
    told = check_files(map(Path, arguments or [_shorten(find_policy(os.environ))]))
    for line in told:
        sys.stdout.write(f"{reveal(line)}\n")
    return 1 if told else 0


def _shorten(path: Path) -> str:
    """Return the path as editors and CI find it: from here, where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
