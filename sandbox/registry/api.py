"""The distribution API over HTTP: blobs, uploads, manifests, tags. What is stored and who may is decided elsewhere.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.registry.auth import Gate, Scope
from sandbox.registry.errors import RegistryError
from sandbox.registry.manifest import is_digest, read_manifest
from sandbox.registry.uploads import Upload, Uploads, check_digest

if TYPE_CHECKING:
    from sandbox.registry.store import Store

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_LONGEST_NAME = 255  # https://distribution.github.io/distribution/spec/api/#overview
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?")
_MANIFEST_LIMIT_BYTES = 4 << 20  # distribution's own limit
_ACTIONS: dict[str, tuple[str, ...]] = {"GET": ("pull",), "HEAD": ("pull",), "DELETE": ("delete",)}
_WRITING = ("pull", "push")

_Endpoint = Callable[[Request, str], Awaitable[Response]]


class Api:
    """Turns requests into calls on store and uploads, after the gate let them pass."""

    def __init__(self, store: Store, uploads: Uploads, gate: Gate, base_url: str) -> None:
        self._store = store
        self._uploads = uploads
        self._gate = gate
        self._base_url = base_url

    def routes(self) -> list[BaseRoute]:
        """Return the routes below /v2; a repository's name may hold slashes."""
        name = "/{name:path}"
        return [
            Route("/", _answer(self._greet)),
            Route("/token", _answer(self._issue_token)),
            self._route(f"{name}/tags/list", "GET", self._list_tags),
            self._route(f"{name}/manifests/{{reference}}", "GET", self._get_manifest),
            self._route(f"{name}/manifests/{{reference}}", "PUT", self._put_manifest),
            self._route(f"{name}/manifests/{{reference}}", "DELETE", self._delete_manifest),
            self._route(f"{name}/blobs/uploads/", "POST", self._begin_upload),
            self._route(f"{name}/blobs/uploads/{{upload}}", "GET", self._get_upload, _WRITING),
            self._route(f"{name}/blobs/uploads/{{upload}}", "PATCH", self._continue_upload),
            self._route(f"{name}/blobs/uploads/{{upload}}", "PUT", self._finish_upload),
            self._route(f"{name}/blobs/uploads/{{upload}}", "DELETE", self._cancel_upload, _WRITING),
            self._route(f"{name}/blobs/{{digest}}", "GET", self._get_blob),
            self._route(f"{name}/blobs/{{digest}}", "DELETE", self._delete_blob),
        ]

    def _route(self, path: str, method: str, endpoint: _Endpoint, actions: tuple[str, ...] | None = None) -> Route:
        needed = actions or _ACTIONS.get(method, _WRITING)

        async def enter(request: Request) -> Response:
            name = _read_name(request.path_params["name"])
            wishes = [Scope(source, "pull") for source in request.query_params.getlist("from") if _is_name(source)]
            granted = self._gate.authorize(
                request.headers.get("authorization"), [Scope(name, action) for action in needed], wishes
            )
            request.state.granted = granted
            return await endpoint(request, name)

        return Route(path, _answer(enter), methods=[method])

    async def _greet(self, request: Request) -> Response:
        self._gate.authorize(request.headers.get("authorization"), [])
        return JSONResponse({})

    async def _issue_token(self, request: Request) -> Response:
        scopes = request.query_params.getlist("scope")
        return JSONResponse(self._gate.issue_token(request.headers.get("authorization"), scopes))

    async def _list_tags(self, request: Request, name: str) -> Response:
        tags = self._store.list_tags(name)
        last, limit = request.query_params.get("last", ""), _read_limit(request)
        rest = [tag for tag in tags if tag > last]
        page = rest if limit is None else rest[:limit]
        headers = {}
        if page and len(page) < len(rest):
            query = urlencode({"last": page[-1], "n": limit})
            headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
        return JSONResponse({"name": name, "tags": page}, headers=headers)

    async def _get_manifest(self, request: Request, name: str) -> Response:
        manifest = self._store.get_manifest(name, request.path_params["reference"])
        return Response(
            manifest.content, media_type=manifest.media_type, headers={"Docker-Content-Digest": manifest.digest}
        )

    async def _put_manifest(self, request: Request, name: str) -> Response:
        reference = _read_reference(request.path_params["reference"])
        content = await _read_limited(request, _MANIFEST_LIMIT_BYTES)
        manifest = read_manifest(content, request.headers.get("content-type"))
        self._store.put_manifest(name, reference, manifest)
        return self._created(f"/v2/{name}/manifests/{manifest.digest}", manifest.digest)

    async def _delete_manifest(self, request: Request, name: str) -> Response:
        self._store.delete_manifest(name, request.path_params["reference"])
        return Response(status_code=202)

    async def _get_blob(self, request: Request, name: str) -> Response:
        digest = request.path_params["digest"]
        path = self._store.find_blob(name, digest)
        headers = {"Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        return FileResponse(path, headers=headers, media_type="application/octet-stream")

    async def _delete_blob(self, request: Request, name: str) -> Response:
        self._store.delete_blob(name, request.path_params["digest"])
        return Response(status_code=202)

    async def _begin_upload(self, request: Request, name: str) -> Response:
        query = request.query_params
        digest, source = query.get("mount"), query.get("from", "")
        if digest and Scope(source, "pull") in request.state.granted and self._store.mount_blob(name, digest, source):
            return self._created(f"/v2/{name}/blobs/{digest}", digest)
        upload = self._uploads.begin(name)
        if "digest" in query:
            return await self._receive_last(request, upload)
        return self._progress(upload, 202)

    async def _get_upload(self, request: Request, name: str) -> Response:
        return self._progress(self._uploads.get(name, request.path_params["upload"]), 204)

    async def _continue_upload(self, request: Request, name: str) -> Response:
        upload = self._uploads.get(name, request.path_params["upload"])
        await self._receive(request, upload)
        return self._progress(upload, 202)

    async def _finish_upload(self, request: Request, name: str) -> Response:
        return await self._receive_last(request, self._uploads.get(name, request.path_params["upload"]))

    async def _cancel_upload(self, request: Request, name: str) -> Response:
        self._uploads.close(self._uploads.get(name, request.path_params["upload"]))
        return Response(status_code=204)

    async def _receive(self, request: Request, upload: Upload) -> None:
        try:
            await upload.append(request.stream(), _read_start(request))
        except RegistryError as error:
            error.headers |= self._describe_progress(upload)
            raise

    async def _receive_last(self, request: Request, upload: Upload) -> Response:
        await self._receive(request, upload)
        digest = request.query_params.get("digest")
        try:
            check_digest(upload, digest)
            self._store.adopt_blob(upload.repository, upload.digest, upload.path)
        finally:
            self._uploads.close(upload)
        return self._created(f"/v2/{upload.repository}/blobs/{upload.digest}", upload.digest)

    def _created(self, path: str, digest: str) -> Response:
        return Response(status_code=201, headers={"Location": self._base_url + path, "Docker-Content-Digest": digest})

    def _progress(self, upload: Upload, status: int) -> Response:
        return Response(status_code=status, headers=self._describe_progress(upload))

    def _describe_progress(self, upload: Upload) -> dict[str, str]:
        return {
            "Location": f"{self._base_url}/v2/{upload.repository}/blobs/uploads/{upload.id}",
            "Docker-Upload-UUID": upload.id,
            "Range": f"0-{max(upload.size - 1, 0)}",  # distribution, too, says 0-0 of nothing
        }


def _answer(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn refusals into the protocol's answers; a client that hung up gets none that it could read."""

    async def answer(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except RegistryError as error:
            response = error.to_response()
        except ClientDisconnect:
            response = Response(status_code=400)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        return response

    return answer


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def _read_name(text: str) -> str:
    if not _is_name(text):
        raise RegistryError("NAME_INVALID", "invalid repository name", {"name": text})
    return text


def _read_reference(text: str) -> str:
    if not is_digest(text) and not _TAG.fullmatch(text):
        raise RegistryError("TAG_INVALID", "neither a tag nor a sha256 digest", {"reference": text})
    return text


def _read_limit(request: Request) -> int | None:
    text = request.query_params.get("n")
    if text is None:
        return None
    if not text.isdecimal():
        raise RegistryError("PAGINATION_NUMBER_INVALID", "n is no whole number of 0 or more", {"n": text})
    return int(text)


def _read_start(request: Request) -> int | None:
    """Return the offset at which a chunk says to begin; None when it does not say."""
    text = request.headers.get("content-range")
    if text is None:
        return None
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise RegistryError("RANGE_INVALID", f"Content-Range {text!r} is not <start>-<end>")
    start, end = int(match[1]), int(match[2])
    length = request.headers.get("content-length")
    if length is not None and int(length) != end - start + 1:
        raise RegistryError("SIZE_INVALID", f"Content-Range {text!r} does not fit Content-Length {length}")
    return start


async def _read_limited(request: Request, limit_bytes: int) -> bytes:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > limit_bytes:
            raise RegistryError("SIZE_INVALID", f"a manifest has at most {limit_bytes} bytes")
    return bytes(content)
