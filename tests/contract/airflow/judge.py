"""Airflow's own OpenAPI description of its API v2, out of the installed package, and what is wrong with an exchange."""

from __future__ import annotations

import functools
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

PREFIX = "/api/v2"
_ROOT = "urn:airflow"
_FORMATS = FormatChecker(["date-time", "uuid"])


@functools.cache
def load_description() -> dict[str, Any]:
    """Return the description."""
    text = files("airflow.api_fastapi.core_api.openapi").joinpath("v2-rest-api-generated.yaml").read_text()
    loaded: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return loaded


@functools.cache
def _load_registry() -> Registry[Any]:
    resource = DRAFT202012.create_resource(load_description())
    registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
    return registry


def find_operation(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """Return the described path that a path (from /api/v2 on) fits best, and its operation."""
    fitting = [
        described
        for described, operations in load_description()["paths"].items()
        if method.lower() in operations and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", described), path)
    ]
    best = min(fitting, key=lambda described: described.count("{"), default=None)
    return None if best is None else (best, load_description()["paths"][best][method.lower()])


def list_request_problems(request: httpx.Request) -> list[str]:
    """Say what is wrong with a request: no such operation, an unknown parameter, a body that does not fit."""
    found = find_operation(request.method, cut_path(request))
    if found is None:
        return [f"{request.method} {request.url} is not described"]
    problems = (*_judge_query(found[1], request), *_judge_sent(found[1], request))
    return [f"{request.method} {request.url}: {each}" for each in problems]


def list_answer_problems(response: httpx.Response) -> list[str]:
    """Say what is wrong with an answer: status, content type, body.

    An operation that is not described has one right answer, "not found".
    """
    request = response.request
    found = find_operation(request.method, cut_path(request))
    if found is None:
        return [] if response.status_code == 404 else [f"{request.method} {request.url} is not described"]
    return [f"{request.method} {request.url}: {each}" for each in _judge_answer(found[1], response)]


def cut_path(request: httpx.Request) -> str:
    """Return a request's path from /api/v2 on."""
    return PREFIX + request.url.path.partition(PREFIX)[2]


def _judge_query(operation: dict[str, Any], request: httpx.Request) -> Iterator[str]:
    known = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
    for name, text in request.url.params.multi_items():
        if name not in known:
            yield f"query {name} is not described"
        elif known[name].get("type") in {"integer", "boolean"}:
            yield from (f"query {name}{each}" for each in list_schema_problems(known[name], _read(text)))


def _judge_sent(operation: dict[str, Any], request: httpx.Request) -> Iterator[str]:
    body = operation.get("requestBody")
    if body is None:
        if request.content:
            yield "a body is sent, and none is described"
    elif request.content or body.get("required"):
        schema = body["content"]["application/json"]["schema"]
        yield from (f"sent{each}" for each in list_schema_problems(schema, json.loads(request.content or b"null")))


def _judge_answer(operation: dict[str, Any], response: httpx.Response) -> Iterator[str]:
    described = operation["responses"].get(str(response.status_code))
    if described is None:
        yield f"status {response.status_code} is not described"
        return
    content = described.get("content", {})
    if not content:
        if response.content:
            yield "a body is answered, and none is described"
    elif response.headers["content-type"] not in content:
        yield f"content type {response.headers['content-type']} is not described"
    else:
        yield from list_schema_problems(content["application/json"]["schema"], response.json())


def list_schema_problems(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Say what is wrong with a value by a schema of the description: also a field that the schema does not name."""
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{_ROOT}#/'))
    validator = Draft202012Validator(absolute, registry=_load_registry(), format_checker=_FORMATS)
    for error in validator.iter_errors(value):
        yield f"{error.json_path[1:]}: {error.message[:300]}"
    yield from _list_unknown_fields(schema, value, "")


def _list_unknown_fields(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    while "$ref" in schema:
        schema = load_description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list) and "items" in schema:
        for each in value:
            yield from _list_unknown_fields(schema["items"], each, f"{where}[]")
    elif isinstance(value, dict) and "properties" in schema:
        for name, field in value.items():
            if name in schema["properties"]:
                yield from _list_unknown_fields(schema["properties"][name], field, f"{where}.{name}")
            elif not schema.get("additionalProperties"):
                yield f"{where}.{name} is not described"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
