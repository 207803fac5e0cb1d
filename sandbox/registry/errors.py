"""What a registry refuses, in the distribution specification's own codes. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from starlette.responses import JSONResponse

# https://distribution.github.io/distribution/spec/api/#errors-2 and distribution's registry/api/errcode.
_STATUS = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DENIED": 403,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 400,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "PAGINATION_NUMBER_INVALID": 400,
    "RANGE_INVALID": 416,
    "SIZE_INVALID": 400,
    "TAG_INVALID": 400,
    "UNAUTHORIZED": 401,
}


class RegistryError(Exception):
    """A refusal.

    :param code: the specification's code; it decides the HTTP status.
    :param detail: JSON that says which name, digest or scope is meant.
    :param headers: headers the protocol asks for with this refusal, as `WWW-Authenticate`.
    """

    def __init__(self, code: str, message: str, detail: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = [detail]
        self.headers = dict(headers or {})

    @classmethod
    def about_each(cls, code: str, message: str, details: Sequence[Any]) -> Self:
        """Return one refusal that lists an error for each detail, as the specification wants it of missing blobs."""
        error = cls(code, message)
        error.details = list(details)
        return error

    def to_response(self) -> JSONResponse:
        """Return the refusal as the specification's JSON body."""
        errors = [{"code": self.code, "message": self.message, "detail": detail} for detail in self.details]
        return JSONResponse({"errors": errors}, _STATUS[self.code], self.headers)
