"""How Airflow's API answers: refusals, pages, and what it reads of a request. It knows no resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.airflow.instance import Airflow

    Endpoint = Callable[[Airflow, Request], Awaitable[Response]]

Document = dict[str, Any]
PAGE = ("limit", "offset", "order_by")
"""What any list takes."""
_LIMIT_DEFAULT = 50
_LIMIT_MAX = 100  # Airflow's [api] maximum_page_limit
_WORDS = {"true": True, "false": False, "1": True, "0": False}


class RefusalError(Exception):
    """A refusal.

    :param status: the HTTP status, 400 to 599.
    :param detail: what the answer says.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def refuse_value(*place: str, says: str, found: object = None) -> RefusalError:
    """Return the refusal of a part of a request, as Airflow writes it.

    :param place: where it stands: "query" or "body", and its name.
    """
    return RefusalError(422, [{"type": "value_error", "loc": list(place), "msg": says, "input": found}])


def refuse_twice() -> RefusalError:
    """Return the refusal of something that is there already, as Airflow writes it."""
    said = "Serious error when handling your request. Check logs for more details"
    hidden = {"statement": "hidden", "orig_error": "hidden"}
    return RefusalError(409, {"reason": "Unique constraint violation", **hidden, "message": said})


async def read_body(
    request: Request, fields: Mapping[str, tuple[type, ...]], required: Collection[str] = ()
) -> Document:
    """Return the request's JSON object, which has no other fields than those.

    :param fields: name to the types that its value may have.
    :raises RefusalError: 422.
    """
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise refuse_value("body", says=f"JSON decode error: {error}") from error
    if not isinstance(body, dict):
        raise refuse_value("body", says="Input should be an object", found=body)
    for name in required:
        if name not in body:
            raise refuse_value("body", name, says="Field required")
    for name, value in body.items():
        if name not in fields:
            raise refuse_value("body", name, says="Extra inputs are not permitted", found=value)
        if type(value) not in fields[name]:  # a bool is no int here
            raise refuse_value("body", name, says="Input should be of another type", found=value)
    return body


def check_query(request: Request, known: Iterable[str]) -> None:
    """Refuse parameters that the sandbox does not follow: an answer without them would be a wrong one.

    :raises RefusalError: 501.
    """
    for name in request.query_params:
        if name not in known:
            raise RefusalError(501, f"The sandbox's Airflow does not know the query parameter {name!r} here")


def read_flag(request: Request, name: str, default: bool | None = None) -> bool | None:
    """Return a yes or no of the query.

    :raises RefusalError: 422.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() not in _WORDS:
        raise refuse_value("query", name, says="Input should be a valid boolean", found=text)
    return _WORDS[text.lower()]


def read_count(request: Request, name: str, default: int) -> int:
    """Return a count of the query.

    :raises RefusalError: 422.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise refuse_value(
            "query", name, says="Input should be a valid integer, greater than or equal to 0", found=text
        )
    return int(text)


def sort_by(request: Request, items: Iterable[Document], orders: Mapping[str, str], default: str) -> list[Document]:
    """Return the items in the order that `order_by` asks for; null is the largest, as in PostgreSQL, which Astro has.

    :param orders: name in the query to the field; a hyphen before the name turns the order around.
    :raises RefusalError: 400.
    """
    found = list(items)
    for name in reversed(request.query_params.getlist("order_by") or [default]):
        field = orders.get(name.removeprefix("-"))
        if field is None:
            plain = name.removeprefix("-")
            raise RefusalError(
                400, f"Ordering with '{plain}' is disallowed or the attribute does not exist on the model"
            )
        found.sort(key=_make_key(field), reverse=name.startswith("-"))
    return found


def _make_key(field: str) -> Callable[[Document], tuple[bool, Any]]:
    return lambda item: (item[field] is None, "" if item[field] is None else item[field])


def answer_page(request: Request, plural: str, items: list[Document]) -> JSONResponse:
    """Return the page of `items` that `limit` (default 50, at most 100) and `offset` ask for."""
    limit = min(read_count(request, "limit", _LIMIT_DEFAULT), _LIMIT_MAX)
    offset = read_count(request, "offset", 0)
    return JSONResponse({plural: items[offset : offset + limit], "total_entries": len(items)})
