"""What Astro says of its v1 API: `described.yml`, made into an OpenAPI document, and the judge by it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.contract.astro.deviations import DEVIATIONS, ERROR
from tests.contract.openapi.description import Description
from tests.contract.openapi.deviation import JSON, Deviation
from tests.contract.openapi.exchange import Exchange
from tests.contract.openapi.judge import Judge

API_PATH = "/astro/v1"  # where the sandbox's Astro has what api.astronomer.io has below /v1

_FILE = Path(__file__).with_name("described.yml")
_PLAIN = {
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "flag": {"type": "boolean"},
    "whole": {"type": "integer"},
    "number": {"type": "number"},
}
_BOUNDS = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "array": ("minItems", "maxItems"),
}


@cache
def load_description() -> Description:
    """Read the description."""
    short = yaml.safe_load(_FILE.read_text())
    return Description(
        {
            "paths": {path: _expand_path(path, operations) for path, operations in short["paths"].items()},
            "components": {"schemas": {name: _expand_object(fields) for name, fields in short["objects"].items()}},
        }
    )


def make_judge(deviations: tuple[Deviation, ...] = DEVIATIONS) -> Judge:
    """Make a judge by Astro's description and the exceptions from it."""
    return Judge(load_description(), deviations)


def list_journal_problems(lines: Iterable[str]) -> list[str]:
    """Say what is wrong with the reads among the sandbox's `METHOD path?query`; it keeps no bodies, reads have none."""
    begin, judge = f"GET {API_PATH}", make_judge()
    targets = {line.removeprefix(begin).partition("?")[::2] for line in lines if line.startswith(f"{begin}/")}
    asked = [Exchange("GET", path, query, b"", 0, {}, b"") for path, query in sorted(targets)]
    return [problem for each in asked for problem in judge.list_request_problems(each)]


def _expand_path(path: str, operations: dict[str, Any]) -> dict[str, Any]:
    return {method: _expand_operation(path, operation) for method, operation in operations.items()}


def _expand_operation(path: str, short: dict[str, Any]) -> dict[str, Any]:
    places = [
        {"in": "path", "name": name, "required": True, "schema": _PLAIN["text"]}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    query = [
        {"in": "query", "name": name, "schema": _expand_type(text)} for name, text in short.get("query", {}).items()
    ]
    success = {"200": {"content": _expand_content(short["gives"])}} if "gives" in short else {"204": {}}
    operation = {
        "parameters": places + query,
        "responses": success | {str(status): {"content": _expand_content(ERROR)} for status in short["refuses"]},
    }
    body = {"required": True, "content": _expand_content(short["takes"])} if "takes" in short else None
    return operation if body is None else {**operation, "requestBody": body}


def _expand_content(name: str) -> dict[str, Any]:
    return {JSON: {"schema": _expand_type(name)}}


def _expand_object(fields: dict[str, Any]) -> dict[str, Any]:
    properties = {name.removesuffix("!"): _expand_type(text) for name, text in fields.items()}
    required = [name.removesuffix("!") for name in fields if name.endswith("!")]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _expand_type(short: str | list[str]) -> dict[str, Any]:
    if isinstance(short, list):
        item, *bounds = short
        return _bound({"type": "array", "items": _expand_type(item)}, bounds)
    word, *bounds = short.split(" ")
    if word.endswith("?"):
        return {**_expand_type(word.removesuffix("?")), "nullable": True}
    if "|" in word:
        return {"type": "string", "enum": word.removesuffix("|").split("|")}
    return _bound(_PLAIN[word], bounds) if word in _PLAIN else {"$ref": f"#/components/schemas/{word}"}


def _bound(schema: dict[str, Any], bounds: list[str]) -> dict[str, Any]:
    ends = bounds[0].split("..") if bounds else ()
    names = _BOUNDS.get(schema["type"], ())
    return schema | {name: int(end) for name, end in zip(names, ends, strict=False) if end}
