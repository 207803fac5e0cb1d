"""Take blobs in, piece by piece, straight to disk. It knows no rights and does not speak HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import uuid
from typing import TYPE_CHECKING

from sandbox.registry.errors import RegistryError
from sandbox.registry.manifest import is_digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Upload:
    """One blob on its way: a file that grows and the digest of what it holds so far.

    :param path: the file; its bytes are hashed as they are written, so memory stays flat whatever the size.
    """

    def __init__(self, upload_id: str, repository: str, path: Path) -> None:
        self.id = upload_id
        self.repository = repository
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._writing = asyncio.Lock()

    @property
    def digest(self) -> str:
        """The digest of the bytes received so far."""
        return "sha256:" + self._hash.hexdigest()

    async def append(self, pieces: AsyncIterator[bytes], start: int | None = None) -> None:
        """Add bytes at the end. When the sender breaks off, what came so far stays and can be continued.

        :param start: the offset at which the sender believes to be.
        :raises RegistryError: RANGE_INVALID when that is not where the upload stands.
        """
        async with self._writing:
            if start is not None and start != self.size:
                raise RegistryError("RANGE_INVALID", f"the upload continues at byte {self.size}, not at {start}")
            with self.path.open("ab") as file:
                async for piece in pieces:
                    file.write(piece)
                    self._hash.update(piece)
                    self.size += len(piece)


class Uploads:
    """The uploads that are under way.

    :param directory: where their files are; made, and emptied by `reset`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._uploads: dict[str, Upload] = {}

    def reset(self) -> None:
        """Forget every upload."""
        self._uploads.clear()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)

    def begin(self, repository: str) -> Upload:
        """Open an upload to a repository."""
        upload_id = str(uuid.uuid4())
        upload = Upload(upload_id, repository, self._directory / upload_id)
        upload.path.touch()
        self._uploads[upload_id] = upload
        return upload

    def get(self, repository: str, upload_id: str) -> Upload:
        """Return a repository's upload.

        :raises RegistryError: BLOB_UPLOAD_UNKNOWN.
        """
        upload = self._uploads.get(upload_id)
        if upload is None or upload.repository != repository:
            raise RegistryError("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", {"upload": upload_id})
        return upload

    def close(self, upload: Upload) -> None:
        """Forget an upload, and its file unless the store has taken it."""
        self._uploads.pop(upload.id, None)
        upload.path.unlink(missing_ok=True)


def check_digest(upload: Upload, expected: str | None) -> None:
    """Compare what was received with what was promised.

    :raises RegistryError: DIGEST_INVALID.
    """
    if expected is None or not is_digest(expected):
        raise RegistryError(
            "DIGEST_INVALID", "expected digest=sha256:<64 hex digits> in the query", {"digest": expected}
        )
    if upload.digest != expected:
        message = f"provided digest did not match uploaded content, which has {upload.digest}"
        raise RegistryError("DIGEST_INVALID", message, {"digest": expected})
