"""Say what is wrong with an exchange by an OpenAPI document, and by the table of deviations beside it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.contract.openapi.deviation import JSON, UNKNOWN, Deviation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.openapi.description import Description, Operation
    from tests.contract.openapi.exchange import Exchange
    from tests.contract.openapi.schema import Part, Problem


class Judge:
    """Judges requests and answers.

    :param deviations: the exceptions; those that an exchange needed are kept in `used`.
    """

    def __init__(self, description: Description, deviations: tuple[Deviation, ...]) -> None:
        self.description = description
        self._deviations = deviations
        self.used: set[Deviation] = set()

    def list_request_problems(self, exchange: Exchange) -> list[str]:
        """Say what is wrong with a request: operation, path, query, body."""
        operation = self.description.find_operation(exchange.method, exchange.path)
        if operation is None:
            return [f"{exchange}: the description has no such operation"]
        problems = [
            *_judge_places(operation, exchange),
            *self._judge_query(operation, exchange),
            *self._judge_sent(operation, exchange),
        ]
        return [f"{exchange}: {problem}" for problem in problems]

    def _judge_query(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        for name, text in exchange.parameters:
            described = operation.parameters.get(("query", name))
            if described is not None:
                yield from _judge_text(f"query {name}", described, text)
            elif not self._use(operation, query=name):
                yield f"query {name} is not in the description"
        for (where, name), described in operation.parameters.items():
            if where == "query" and described.value.get("required") and name not in dict(exchange.parameters):
                yield f"query {name} is missing"

    def _judge_sent(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        body = operation.part.find("requestBody")
        if body is None:
            if exchange.sent:
                yield "a body is sent, and the description has none"
        elif exchange.sent or body.value.get("required"):
            for problem in _judge_json(exchange.sent, body.get("content", JSON, "schema")):
                null = "" if isinstance(problem, str) else problem.null
                if not (null and self._use(operation, null=null)):
                    yield f"sent {problem}"

    def list_answer_problems(self, exchange: Exchange) -> list[str]:
        """Say what is wrong with an answer: status, content type, headers, body.

        An operation that is not described has one right answer, "not found".
        """
        operation = self.description.find_operation(exchange.method, exchange.path)
        if operation is None and exchange.status != HTTPStatus.NOT_FOUND:
            return [f"{exchange}: the description has no such operation"]
        return [f"{exchange}: {problem}" for problem in self._judge_answer(operation, exchange)]

    def _judge_answer(self, operation: Operation | None, exchange: Exchange) -> list[str]:
        described = _find_response(operation, exchange.status) if operation else None
        problems = [f"status {exchange.status} is not in the description"]
        if described is not None:
            content = described.find("content")
            schemas = {kind: content.find(kind, "schema") for kind in content.value} if content else {}
            problems = [*_judge_headers(described, exchange), *self._judge_body(operation, exchange, schemas)]
        if not problems:
            return []
        for deviation in self._list_deviations(operation, status=exchange.status, query="", field="", null=""):
            schema = self.description.root.find("components", "schemas", deviation.schema)
            schemas = {deviation.media_type: schema} if deviation.media_type else {}
            if not any(self._judge_body(operation, exchange, schemas)):
                self.used.add(deviation)
                return []
        return problems

    def _judge_body(
        self, operation: Operation | None, exchange: Exchange, schemas: dict[str, Part | None]
    ) -> Iterator[str]:
        for problem in _judge_received(exchange, schemas):
            unknown = "" if isinstance(problem, str) else problem.unknown
            if not (unknown and self._use(operation, status=exchange.status, field=unknown)):
                yield str(problem)

    def _list_deviations(self, operation: Operation | None, **facts: str | int) -> list[Deviation]:
        return [deviation for deviation in self._deviations if deviation.concerns(operation or UNKNOWN, **facts)]

    def _use(self, operation: Operation | None, **facts: str | int) -> bool:
        found = self._list_deviations(operation, **facts)
        self.used.update(found)
        return bool(found)


def _find_response(operation: Operation, status: int) -> Part | None:
    responses = operation.part.get("responses")
    return responses.find(str(status)) or responses.find(f"{status // 100}XX")


def _judge_places(operation: Operation, exchange: Exchange) -> Iterator[str]:
    found = operation.pattern.fullmatch(exchange.path)
    for name, text in (found.groupdict() if found else {}).items():
        yield from _judge_text(f"path {name}", operation.parameters["path", name], unquote(text))


def _judge_text(what: str, parameter: Part, text: str) -> Iterator[str]:
    schema = parameter.get("schema")
    if schema.value.get("type") == "array":  # which is told by its name again and again, a value each
        schema = schema.get("items")
    value: Any = text
    if schema.value.get("type") in {"integer", "boolean", "number"}:
        try:
            value = json.loads(text)
        except ValueError:
            value = text  # which is of the wrong type
    for problem in schema.list_problems(value):
        yield f"{what}{problem}"


def _judge_headers(described: Part, exchange: Exchange) -> Iterator[str]:
    headers = described.find("headers")
    for name in headers.value if headers else ():
        text = exchange.headers.get(name.lower())
        if text is not None and headers is not None:
            yield from _judge_text(f"header {name}", headers.get(name), text)


def _judge_received(exchange: Exchange, schemas: dict[str, Part | None]) -> Iterator[Problem | str]:
    """Judge content type and body by the schemas of the content types; with none, there must be no body."""
    if not schemas:
        if exchange.received:
            yield "a body is answered, and the description has none"
    elif exchange.media_type not in schemas:
        yield f"content type is {exchange.media_type!r}, not {' or '.join(schemas)}"
    elif exchange.media_type == JSON:
        yield from _judge_json(exchange.received, schemas[JSON])


def _judge_json(body: bytes, schema: Part | None) -> Iterator[Problem | str]:
    try:
        value = json.loads(body)
    except ValueError as error:
        yield f"body is no JSON: {error}"
        return
    if schema is not None:
        yield from schema.list_problems(value)
