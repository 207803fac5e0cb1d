"""The rules every REST request keeps: authentication, rate limit, JSON, errors, ETag, paging. No resource's own."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from starlette.responses import Response

from sandbox.identity import GITHUB_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from starlette.requests import Request

    from sandbox.github.rate_limit import RateLimit
    from sandbox.github.repositories import Repositories
    from sandbox.github.repository import Repository
    from sandbox.settings import Settings

DOCUMENTATION = "https://docs.github.com/rest"
DEFAULT_PAGE_SIZE = 30
OK, NO_CONTENT = 200, 204
READS = {"GET", "HEAD"}
UNCOUNTED = {304, 401}  # a conditional request that changed nothing, and nobody's
RAW_TYPES = ("application/vnd.github.raw", "application/vnd.github.v3.raw")


class ApiError(Exception):
    """An answer other than success: GitHub's status and message, and for 422 which field is wrong."""

    def __init__(self, status: int, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors


Item = TypeVar("Item")


def build_invalid(resource: str, field_name: str, message: str = "", code: str = "invalid") -> ApiError:
    """Build GitHub's 422 for one field; a message makes the code `custom`, as GitHub does."""
    detail = {"resource": resource, "field": field_name, "code": "custom" if message else code}
    return ApiError(422, "Validation Failed", [detail | ({"message": message} if message else {})])


def build_not_found() -> ApiError:
    """Build GitHub's 404."""
    return ApiError(404, "Not Found")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked and read: path parameters, query, JSON body, who asks."""

    repositories: Repositories
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    user: str
    is_write: bool
    wants_raw: bool
    page_limit: int

    @property
    def repository(self) -> Repository:
        """Give the repository that the path names; 404 where there is none."""
        repository = self.repositories.get(f"{self.path['owner']}/{self.path['repo']}")
        if repository is None:
            raise build_not_found()
        return repository

    @property
    def moved(self) -> Repository | None:
        """Give the repository that the path names as it was called once."""
        return self.repositories.find_former(f"{self.path.get('owner')}/{self.path.get('repo')}")

    def refuse_archived(self) -> None:
        """Refuse a write to a repository that takes none."""
        named = self.repositories.get(f"{self.path.get('owner')}/{self.path.get('repo')}")
        if self.is_write and named is not None and named.is_archived:
            raise ApiError(403, "Repository was archived so is read-only.")

    @property
    def fields(self) -> dict[str, Any]:
        """Give the body, which must be a JSON object."""
        if not isinstance(self.body, dict):
            raise ApiError(400, "Body should be a JSON object")
        return self.body

    def read_text(self, resource: str, name: str, default: str | None = None) -> str:
        """Give a text field of the body; 422 where it is missing without default, or no text."""
        value = self.fields.get(name)
        if default is not None and value in (None, ""):
            return default
        if value is None or value == "":
            raise build_invalid(resource, name, code="missing_field")
        if not isinstance(value, str):
            raise ApiError(422, f"For 'properties/{name}', {json.dumps(value)} is not a string.")
        return value

    def read_number(self, name: str) -> int:
        """Give a whole number from the path; anything else is a resource that does not exist."""
        if not (self.path[name].isascii() and self.path[name].isdigit()):
            raise build_not_found()
        return int(self.path[name])

    @property
    def page(self) -> int:
        """Give the page asked for, from 1."""
        return max(1, _read_int(self.query.get("page"), 1))

    @property
    def per_page(self) -> int:
        """Give how many items a page has, at most GitHub's (here the settings') largest."""
        return min(self.page_limit, max(1, _read_int(self.query.get("per_page"), DEFAULT_PAGE_SIZE)))

    @property
    def offset(self) -> int:
        """Give how many items stand on the pages before."""
        return (self.page - 1) * self.per_page


def _read_int(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back. `total` is the number of items on all pages, where the answer is one page."""

    data: Any = None
    status: int = 200
    total: int | None = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler: TypeAlias = "Callable[[Call], Answer]"


def paginate(call: Call, items: Sequence[Item], render: Callable[[Item], Any]) -> Answer:
    """Answer with the page asked for."""
    shown = items[call.offset : call.offset + call.per_page]
    return Answer([render(item) for item in shown], total=len(items))


def find_password(authorization: str) -> str | None:
    """Give the token of an Authorization header (`token X`, `Bearer X`, or Basic with any user); None without one."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() in {"token", "bearer"}:
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, or no UTF-8 in it
        return None


def has_token(authorization: str) -> bool:
    """Whether the header carries the sandbox's token."""
    password = find_password(authorization)
    return password is not None and secrets.compare_digest(password.encode(), GITHUB_TOKEN.encode())


class Rest:
    """Wraps handlers into endpoints. Handlers run one after the other on the event loop: each is a transaction.

    :param base_url: `http://host:port`, the start of every Link.
    :param user: the login that the token stands for.
    """

    def __init__(
        self, repositories: Repositories, settings: Settings, limit: RateLimit, base_url: str, user: str
    ) -> None:
        self._repositories = repositories
        self._settings = settings
        self._limit = limit
        self._base_url = base_url
        self._user = user

    def build_endpoint(
        self, handler: Handler, *, is_counted: bool = True
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Build a Starlette endpoint; `is_counted` False is for what GitHub does not count against the rate limit."""

        async def answer_request(request: Request) -> Response:
            try:
                self._authorize(request, is_counted=is_counted)
                call = await self._read_call(request)
                if moved := call.moved:
                    response = self._redirect(request, moved.id)
                else:
                    call.refuse_archived()
                    response = self._render(request, call, handler(call))
            except ApiError as error:
                response = _render_error(error)
            if is_counted and response.status_code not in UNCOUNTED:
                self._limit.count_request()
            response.headers.update(self._limit.list_headers())
            return response

        return answer_request

    def _authorize(self, request: Request, *, is_counted: bool) -> None:
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise ApiError(401, "Requires authentication")
        if not has_token(authorization):
            raise ApiError(401, "Bad credentials")
        if is_counted and not self._limit.remaining:
            raise ApiError(403, "API rate limit exceeded for user ID 1.")

    async def _read_call(self, request: Request) -> Call:
        path = {name: str(value) for name, value in request.path_params.items()}
        if any("\0" in value for value in (*path.values(), *request.query_params.values())):
            raise build_not_found()
        body = await request.body()
        try:
            data = json.loads(body) if body else {}
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None
        wants_raw = request.headers.get("accept", "").startswith(RAW_TYPES)
        limit = self._settings.page_limit
        is_write = request.method not in READS
        return Call(self._repositories, path, dict(request.query_params), data, self._user, is_write, wants_raw, limit)

    def _redirect(self, request: Request, number: int) -> Response:
        """Lead to the repository by its number, as GitHub does: for good where one reads, for now where one writes."""
        start, _, named = quote(request.scope["path"]).partition("/repos/")
        rest = named.split("/", 2)[2:]
        query = f"?{request.url.query}" if request.url.query else ""
        address = self._base_url + "/".join([f"{start}/repositories/{number}", *rest]) + query
        is_read = request.method in READS
        status, said = (301, "Moved Permanently") if is_read else (307, "Temporary Redirect")
        body = {"message": said, "url": address, "documentation_url": DOCUMENTATION}
        return Response(json.dumps(body), status, {"location": address}, media_type="application/json; charset=utf-8")

    def _render(self, request: Request, call: Call, answer: Answer) -> Response:
        if answer.status == NO_CONTENT:
            return Response(status_code=NO_CONTENT)
        body = json.dumps(answer.data).encode() if answer.raw is None else answer.raw
        headers = {**answer.headers, "x-github-media-type": "github.v3; format=json"}
        if answer.total is not None:
            headers |= self._list_links(request, call, answer.total)
        if request.method in READS and answer.status == OK:
            headers["etag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
            if has_etag(request.headers.get("if-none-match", ""), headers["etag"]):
                return Response(status_code=304, headers=headers)
        kind = "application/json; charset=utf-8" if answer.raw is None else "application/vnd.github.raw; charset=utf-8"
        return Response(body, answer.status, headers, media_type=kind)

    def _list_links(self, request: Request, call: Call, total: int) -> dict[str, str]:
        last = max(1, -(-total // call.per_page))
        pages = {"prev": call.page - 1, "next": call.page + 1, "last": last, "first": 1}
        if call.page >= last:
            pages = {"prev": min(call.page - 1, last), "first": 1}
        if call.page == 1:
            pages = {rel: page for rel, page in pages.items() if rel in {"next", "last"}}
        address = self._base_url + quote(request.scope["path"])
        links = [f'<{address}?{urlencode({**call.query, "page": page})}>; rel="{rel}"' for rel, page in pages.items()]
        return {"link": ", ".join(links)} if links else {}


def has_etag(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match names the tag; compared weakly, as RFC 9110 (13.1.2) asks."""
    named = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in named or etag.removeprefix("W/") in named


def _render_error(error: ApiError) -> Response:
    data: dict[str, Any] = {"message": str(error)}
    if error.errors is not None:
        data["errors"] = error.errors
    data |= {"documentation_url": DOCUMENTATION, "status": str(error.status)}
    return Response(json.dumps(data), error.status, media_type="application/json; charset=utf-8")
