"""The fields that are compared with templates are those that Astro describes, by name and by type."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from include.deploy_ops.core.template.settings import CONFIGURATION, EMAILS, LISTS, Rule, find_value, read_settings
from tests.contract.astro.description import load_description
from tests.contract.astro.test_reading import answers
from tests.contract.openapi.schema import Part

TYPES = {bool: "boolean", int: "integer", str: "string", list: "array"}


def find_field(path: str, part: Part | None = None) -> Part:
    """Return what is described under the path below a Deployment, or below a part of it."""
    found = part or load_description().root.get("components", "schemas", "Deployment")
    for name in path.split("."):
        found = found.follow().get("properties", name)
    return found.follow()


@pytest.mark.parametrize("rule", CONFIGURATION, ids=lambda rule: rule.key)
def test_a_field_of_the_configuration_is_described(rule: Rule) -> None:
    assert find_field(rule.field).value["type"] == TYPES[rule.kind]


@pytest.mark.parametrize("part", LISTS)
def test_the_fields_of_a_list_are_described(part: str) -> None:
    field, rules = LISTS[part]
    described = find_field(field)
    assert described.value["type"] == "array"
    for rule in rules:
        assert find_field(rule.field, described.get("items")).value["type"] == TYPES[rule.kind]


def test_the_addresses_are_described() -> None:
    assert find_field(EMAILS[1]).get("items").follow().value["type"] == "string"


@given(answers("Deployment"))
def test_all_that_an_answer_tells_is_read_and_nothing_else(answer: dict[str, Any]) -> None:
    settings = read_settings(answer)
    for rule in CONFIGURATION:
        assert find_value(settings["configuration"], rule.key) == find_value(answer, rule.field)
    for part, (field, _) in LISTS.items():
        told = find_value(answer, field)
        assert (part in settings) == (told is not None)
        assert len(settings.get(part, ())) == len(told or ())
    assert settings.get(EMAILS[0]) == answer.get(EMAILS[1])
