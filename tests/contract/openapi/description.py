"""The operations of an OpenAPI document, and which of them a request is. It judges nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.contract.openapi.schema import Document, Part

METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    :param parameters: what it takes, by where ("path" or "query") and name.
    :param pattern: what its paths look like, quoted; a named group for each place.
    """

    method: str
    template: str
    part: Part
    parameters: dict[tuple[str, str], Part]
    pattern: re.Pattern[str]

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


class Description:
    """An OpenAPI document's operations, each read when it is first asked for."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.root = Document(content).root
        self._read = cache(self._read_operation)

    def list_operations(self) -> list[Operation]:
        """List all operations."""
        return [
            self._read(method.upper(), template)
            for template, item in self.root.value["paths"].items()
            for method in sorted(METHODS & item.keys())
        ]

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Find the operation of a quoted path below the API's base URL; of several, the one with most words."""
        fitting = [
            operation
            for template, item in self.root.value["paths"].items()
            if method.lower() in METHODS & item.keys() and _begins_like(template, path)
            for operation in [self._read(method, template)]
            if operation.pattern.fullmatch(path)
        ]
        return max(fitting, key=lambda operation: len(_PLACE.sub("", operation.template)), default=None)

    def _read_operation(self, method: str, template: str) -> Operation:
        part = self.root.get("paths", template, method.lower())
        listed = part.find("parameters")
        found = [listed.get(index) for index in range(len(listed.value))] if listed else []
        parameters = {(each.value["in"], each.value["name"]): each for each in found}
        return Operation(method, template, part, parameters, _compile(template, parameters))


def _begins_like(template: str, path: str) -> bool:
    """Whether all words before the first place, and the word after `{owner}/{repo}`, agree: a quick first look."""
    return all(
        one == other or "{" in one for one, other in zip(template.split("/")[:5], path.split("/")[:5], strict=False)
    )


def _compile(template: str, parameters: dict[tuple[str, str], Part]) -> re.Pattern[str]:
    pieces = _PLACE.split(template)  # words and names of places by turns
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            pieces[index] = re.escape(piece)
        else:
            is_long = parameters["path", piece].value.get("x-multi-segment")
            pieces[index] = f"(?P<{piece}>{'.+' if is_long else '[^/]+'})"
    return re.compile("".join(pieces))
