"""Where bundles are uploaded: the part of Azure's blob protocol that the Astro CLI's client speaks.

A small blob comes as one PUT; a larger one as blocks and a list of them. Every finished blob is a version of its own.
It does not know what a bundle is.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from typing import TYPE_CHECKING

from starlette.responses import Response

from sandbox.astro.answers import ApiError, answer_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

_BLOCK = re.compile(rb"<(?:Latest|Uncommitted|Committed)>([^<]+)</")


class Uploads:
    """Blobs below one directory.

    :param directory: made when needed, emptied by `clear`.
    :param find_signature: upload id to the `sig` that opens it, None when there is no such upload.
    """

    def __init__(self, directory: Path, find_signature: Callable[[str], str | None]) -> None:
        self._directory = directory
        self._find_signature = find_signature
        self._versions: dict[tuple[str, str], Path] = {}

    def clear(self) -> None:
        """Forget every blob."""
        self._versions.clear()
        shutil.rmtree(self._directory, ignore_errors=True)

    def find(self, upload_id: str, version: str) -> Path | None:
        """Return the file of one version of an upload, None when there is none."""
        return self._versions.get((upload_id, version))

    def keep(self, upload_id: str, version: str, content: bytes) -> Path:
        """Store a blob that nobody uploaded, and return its file."""
        path = self._directory / upload_id / version
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._versions[upload_id, version] = path
        return path

    async def put(self, request: Request) -> Response:
        """Answer a PUT: 201, with `x-ms-version-id` when it finishes a blob."""
        try:
            return await self._put(request)
        except ApiError as error:
            return answer_error(error)

    async def _put(self, request: Request) -> Response:
        upload_id = request.path_params["upload"]
        signature = self._find_signature(upload_id)
        if signature is None or request.query_params.get("sig") != signature:
            raise ApiError(403, "Server failed to authenticate the request: the signature does not match")
        folder = self._directory / upload_id
        folder.mkdir(parents=True, exist_ok=True)
        match request.query_params.get("comp"):
            case None:
                return await self._put_blob(request, folder)
            case "block":
                return await _put_block(request, folder)
            case "blocklist":
                return await self._put_block_list(request, folder)
            case other:
                raise ApiError(400, f"Unknown comp {other!r}")

    async def _put_blob(self, request: Request, folder: Path) -> Response:
        version = _make_version()
        path = folder / version
        await _save_body(request, path)
        return self._finish(folder, version, path)

    async def _put_block_list(self, request: Request, folder: Path) -> Response:
        blocks = [_name_block(folder, name.decode()) for name in _BLOCK.findall(await request.body())]
        version = _make_version()
        path = folder / version
        with path.open("wb") as blob:
            for block in blocks:
                if not block.exists():
                    raise ApiError(400, "InvalidBlockList: a block of the list was never uploaded")
                with block.open("rb") as content:
                    shutil.copyfileobj(content, blob)
        return self._finish(folder, version, path)

    def _finish(self, folder: Path, version: str, path: Path) -> Response:
        self._versions[folder.name, version] = path
        return Response(status_code=201, headers={"x-ms-version-id": version, "etag": f'"{version}"'})


async def _put_block(request: Request, folder: Path) -> Response:
    name = request.query_params.get("blockid")
    if not name:
        raise ApiError(400, "A block needs a blockid")
    await _save_body(request, _name_block(folder, name))
    return Response(status_code=201)


async def _save_body(request: Request, path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)


def _name_block(folder: Path, name: str) -> Path:
    """Return a block's file; its name is the client's, so only the name's hash becomes a path."""
    return folder / f"block-{hashlib.sha256(name.encode()).hexdigest()}"


def _make_version() -> str:
    """Return a version id as Azure gives them: a time with seven decimals, never the same twice."""
    moment_ns = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment_ns // 10**9))
    return f"{seconds}.{moment_ns % 10**9 // 100:07d}Z"
