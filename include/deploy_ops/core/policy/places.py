"""Where the keys of the policy stand: file and line, by the key's path. Pure; reading the files is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.text.document import DocumentError, find_lines, read_document
from include.deploy_ops.core.text.schema import Location, format_location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Place:
    """A key as it stands in a file: its path there, and the line in which it begins, counted from 1."""

    source: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Outline:
    """What stands where in one file of the policy. `projects` are the positions of its projects, by name."""

    source: str
    lines: Mapping[Location, int]
    projects: Mapping[str, int]

    def find(self, location: Location) -> Place | None:
        """Return the place of what lies there."""
        line = self.lines.get(location)
        return None if line is None else Place(self.source, line, format_location(location))


def outline_file(source: str, text: str) -> Outline:
    """Return the outline of one file; an empty one where the text is no document."""
    try:
        document = read_document(text)
    except DocumentError:
        return Outline(source, {}, {})
    return Outline(source, find_lines(text), dict(_list_projects(document)))


def _list_projects(document: Any) -> Iterator[tuple[str, int]]:
    projects = document.get("projects") if isinstance(document, dict) else None
    for index, entry in enumerate(projects if isinstance(projects, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield name, index


def find_place(outlines: Sequence[Outline], project: str, key: Location) -> Place | None:
    """Return where a key of the project stands: in its own file, else in the main file's `defaults`, or at its top.

    None where it stands nowhere, and so has its default. A key of a list's entry that lies deeper than the file says
    is where the list is.

    :param outlines: those of all files of the policy, the main one's first.
    """
    own = next((each for each in outlines if project in each.projects), None)
    for length in range(len(key), 0, -1):
        part = key[:length]
        if own is not None and (place := own.find(("projects", own.projects[project], *part))):
            return place
        for above in (("defaults",), ()):
            if outlines and (place := outlines[0].find((*above, *part))):
                return place
        if length > 1 and isinstance(key[length - 1], str):
            return None  # a key that is left out has its default, wherever the keys above it stand
    return None


def tell_place(outlines: Sequence[Outline], project: str, key: Location) -> str:
    """Return the key with its place, in words: `previews.max_live, include/deploy_ops.yaml:14`.

    The key alone where the project stands in none of the files: then nobody knows whether it has its default.
    """
    if not key:
        return ""
    place = find_place(outlines, project, key)
    is_known = any(project in each.projects for each in outlines)
    return ", ".join([format_location(key), *([str(place or "by default")] if place or is_known else [])])
