"""Astro's v1 API as the CLI calls it: headers, pages, and what it makes of each answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sandbox.cli.errors import CliError, PanicError
from sandbox.cli.transport import Answer, DroppedError, send_request

VERSION = "1.45.0"
_OK, _NO_CONTENT = 200, 204
_DESCRIBED = frozenset({400, 401, 403, 404, 500})
_PAGES_MAX = 100


@dataclass
class Api:
    """Calls with one token.

    :param core: the setting `local.core`, without `/v1`.
    :param authorization: `Bearer <token>`, or empty.
    """

    core: str
    authorization: str = field(repr=False)
    _has_called: bool = False

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON of a GET. Like Go's transport it is sent once more when its connection drops.

        That goes for a connection that was used before, hence not for the first call of a process.
        """
        target = f"{path}?{urlencode(sorted(query.items()))}" if query else path
        try:
            return self._call("GET", target)
        except DroppedError:
            if not self._has_called:
                raise
            return self._call("GET", target)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON of a POST."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> None:
        """Send a DELETE."""
        self._call("DELETE", path)

    def list_all(self, path: str, plural: str, limit: int, **query: str) -> list[dict[str, Any]]:
        """Return the items of all pages."""
        items: list[dict[str, Any]] = []
        for _ in range(_PAGES_MAX):
            page = self.get(path, limit=str(limit), offset=str(len(items)), **query)
            found = page.get(plural) or []
            items += found
            if not found or len(items) >= (page.get("totalCount") or 0):
                return items
        raise CliError(f"aborted listing {plural} after {_PAGES_MAX} pages")

    def _call(self, method: str, target: str, body: dict[str, Any] | None = None) -> Any:
        headers = {
            "x-astro-client-identifier": "cli",
            "x-astro-client-version": VERSION,
            "x-client-os-identifier": "linux-amd64",
            "User-Agent": f"astro-cli/{VERSION}",
        }
        if self.authorization:
            headers["authorization"] = self.authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body, sort_keys=True).encode()
        answer = send_request(method, f"{self.core}/v1{target}", headers, content)
        self._has_called = True
        return _read_answer(answer)


def _read_answer(answer: Answer) -> Any:
    """Only 200 and 204 are successes, and only JSON is read; a success of another type makes the real CLI panic."""
    is_json = "json" in answer.headers.get("content-type", "")
    if answer.status == _NO_CONTENT:
        return None
    if answer.status == _OK:
        if not is_json:
            raise PanicError
        return _decode(answer.body)
    # Decoded twice: strictly by the client where the API's description has the status, then leniently for the message.
    if is_json and answer.status in _DESCRIBED:
        error = _decode(answer.body)
        if not isinstance(error, dict):
            raise CliError("json: cannot unmarshal array into Go value of type astrov1.Error")
    raise CliError(_find_message(answer))


def _find_message(answer: Answer) -> str:
    try:
        error = json.loads(answer.body)
    except ValueError:
        error = None
    if not isinstance(error, dict):
        return f"failed to perform request, status {answer.status}"
    return str(error.get("message", ""))


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(error.doc) or error.msg.startswith("Unterminated")
        wrong = f"invalid character '{error.doc[error.pos : error.pos + 1]}' looking for beginning of value"
        raise CliError("unexpected end of JSON input" if is_cut else wrong) from error
