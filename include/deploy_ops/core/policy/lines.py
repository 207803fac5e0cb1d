"""Tells what is wrong with a policy as compilers do, by file and line: for editors, pre-commit and CI. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.text.document import find_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.deploy_ops.core.policy.file import PolicyProblem
    from include.deploy_ops.core.text.schema import Location


def tell_lines(problems: Iterable[PolicyProblem], texts: Mapping[str, str]) -> Iterator[str]:
    """Yield each problem as `file:line: key: what was found, and what to do`, by file and line.

    :param texts: of the files that could be read, by their names in the problems.
    """
    lines = {source: find_lines(text) for source, text in texts.items()}
    found: dict[str, list[tuple[int, PolicyProblem]]] = {}
    for problem in problems:
        line = problem.line or _find_line(problem.location or (), lines.get(problem.source, {}))
        found.setdefault(problem.source, []).append((line, problem))
    for source, told in found.items():
        for line, problem in sorted(told, key=lambda each: each[0]):
            yield f"{source}:{line}: {problem}"


def _find_line(location: Location, lines: Mapping[Location, int]) -> int:
    """Return the line of the key; of one that is missing that of what lacks it, at last the first one."""
    places = (location[:length] for length in range(len(location), -1, -1))
    return next((lines[place] for place in places if place in lines), 1)
