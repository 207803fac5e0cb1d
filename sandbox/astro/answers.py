"""How the API answers: JSON, its error body, pages, and who may ask. It knows nothing of Deployments."""

from __future__ import annotations

import functools
import json
import secrets
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    Endpoint = Callable[[Request], Awaitable[Response]]

_LIMIT_DEFAULT = 20  # the platform API's reference
_LIMIT_MAX = 1000  # likewise


class ApiError(Exception):
    """A refusal.

    :param status: the HTTP status, 400 to 599.
    :param message: what the CLI prints behind `Error: `.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def answer_error(error: ApiError) -> JSONResponse:
    """Return the API's error body; `message` is all that the CLI shows of it."""
    body = {"message": error.message, "requestId": secrets.token_hex(16), "statusCode": error.status}
    return JSONResponse(body, status_code=error.status)


def guard(endpoint: Endpoint) -> Endpoint:
    """Let only the sandbox's token and organization through, and turn `ApiError` into its answer."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            _check_caller(request)
            return await endpoint(request)
        except ApiError as error:
            return answer_error(error)

    return answer


def _check_caller(request: Request) -> None:
    offered = request.headers.get("authorization", "").encode()
    if not secrets.compare_digest(offered, f"Bearer {ASTRO_TOKEN}".encode()):
        raise ApiError(401, "Unauthorized")
    if request.path_params.get("organization", ORGANIZATION_ID) != ORGANIZATION_ID:
        raise ApiError(403, "The token is of another Organization")


async def refuse_unknown(request: Request) -> Response:
    """Answer a path or a method that this API does not have."""
    raise ApiError(404, f"The sandbox's Astro has no {request.method} {request.url.path}")


async def read_object(request: Request) -> dict[str, Any]:
    """Return the request's JSON object; an absent body is an empty one.

    :raises ApiError: 400, if the body is anything else.
    """
    raw = await request.body()
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise ApiError(400, f"Invalid request: the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid request: the body must be a JSON object")
    return body


def answer_page(request: Request, plural: str, items: Sequence[dict[str, Any]]) -> JSONResponse:
    """Return the page of `items` that `limit` (0 to 1000, default 20) and `offset` ask for."""
    limit = _read_count(request, "limit", _LIMIT_DEFAULT)
    offset = _read_count(request, "offset", 0)
    if limit > _LIMIT_MAX:
        raise ApiError(400, f"Invalid request: limit must be between 0 and {_LIMIT_MAX}, not {limit}")
    page = list(items[offset : offset + limit])
    return JSONResponse({plural: page, "limit": limit, "offset": offset, "totalCount": len(items)})


def _read_count(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"Invalid request: {name} must be a count, not {text!r}")
    return int(text)
