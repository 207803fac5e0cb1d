"""What is restated of Astro's description is what that says, where ASTRO_DESCRIPTION names a copy of it (OpenAPI 3.0).

The copy is not ours, so it is not here; without it the restatement is only held to be whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.astro.description import load_description
from tests.contract.openapi.description import Description, Operation
from tests.contract.openapi.schema import Part

SAYS = ("type", "format", "enum", "nullable", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
NOT_RESTATED = "Cluster"
COPY = os.environ.get("ASTRO_DESCRIPTION")


@cache
def load_copy() -> Description:
    """Read the copy; its YAML takes seconds."""
    return Description(yaml.safe_load(Path(str(COPY)).read_text()))


def map_operations(description: Description) -> dict[str, Operation]:
    """Give the operations by method and path."""
    return {str(each): each for each in description.list_operations()}


def list_differences(ours: Part, theirs: Part, seen: set[tuple[Any, ...]]) -> Iterator[str]:
    """List where two schemas say something else, once for each pair of them."""
    ours, theirs = ours.follow(), choose_standard(theirs.follow())
    pair = (ours.keys, theirs.keys)
    if pair in seen or ours.keys[-1] == NOT_RESTATED:
        return
    seen.add(pair)
    where = f"{'/'.join(ours.keys)} against {'/'.join(theirs.keys)}"
    for word in SAYS:
        if ours.value.get(word) != theirs.value.get(word):
            yield f"{where}: {word} is {ours.value.get(word)}, not {theirs.value.get(word)}"
    if set(ours.value.get("required", ())) != set(theirs.value.get("required", ())):
        yield f"{where}: required are {ours.value.get('required')}, not {theirs.value.get('required')}"
    fields = ours.value.get("properties", {}), theirs.value.get("properties", {})
    if differing := fields[0].keys() ^ fields[1].keys():
        yield f"{where}: only one has {sorted(differing)}"
    for field in fields[0].keys() & fields[1].keys():
        yield from list_differences(ours.get("properties", field), theirs.get("properties", field), seen)
    if "items" in ours.value and "items" in theirs.value:
        yield from list_differences(ours.get("items"), theirs.get("items"), seen)


def choose_standard(part: Part) -> Part:
    """Of the shapes of a Deployment's request, choose the one of the type STANDARD; another part is as it is."""
    if "discriminator" not in part.value:
        return part
    reference = part.value["discriminator"]["mapping"]["STANDARD"]
    return part.document.root.get(*reference.split("/")[1:])


def find_schemas(operation: Operation) -> dict[object, Part | None]:
    """Find the schemas of parameters, of the request's body and of each answer by its status; None without a body."""
    body = ("content", "application/json", "schema")
    statuses = operation.part.get("responses").value
    return {
        **{name: part.get("schema") for name, part in operation.parameters.items()},
        **{status: operation.part.find("responses", status, *body) for status in statuses},
        "sent": operation.part.find("requestBody", *body),
    }


def test_every_object_is_used() -> None:
    text = json.dumps(load_description().root.value)
    names = load_description().root.get("components", "schemas").value
    assert [name for name in names if f'schemas/{name}"' not in text] == []


@pytest.mark.parametrize("name", map_operations(load_description()))
def test_an_operation_is_restated_right(name: str) -> None:
    ours, theirs = (find_schemas(map_operations(each)[name]) for each in (load_description(), load_copy()))
    assert ours.keys() == theirs.keys()
    differences: list[str] = []
    for what, schema in ours.items():
        said = theirs[what]
        if schema is not None and said is not None:
            differences += list_differences(schema, said, set())
        elif schema is not said:
            differences.append(f"{what}: only one has a body")
    assert not differences, "\n".join(differences)


# By hand alone: the repository has no copy of Astro's own description, nor has CI.
test_an_operation_is_restated_right.__test__ = COPY is not None  # type: ignore[attr-defined]
