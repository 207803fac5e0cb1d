"""The API token's claims. The signature is not looked at, as in the real CLI."""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any

from sandbox.cli.errors import CliError

_PARTS = 3
_TEXTS = ("org_id", "scope", "version", "kid", "apiTokenId")


@dataclass(frozen=True)
class Claims:
    """What the CLI uses of a token."""

    permissions: tuple[str, ...]
    token_id: str
    expires_s: float | None  # seconds since the epoch

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_s is not None and self.expires_s < time.time()

    def find(self, kind: str) -> str:
        """Return the id of the permission `<kind>:<id>`, empty when there is none."""
        found = (text.partition(":")[2] for text in self.permissions if text.partition(":")[0] == kind)
        return next(found, "")


def read_claims(token: str) -> Claims:
    """Return the claims of a JWT.

    :raises CliError: with usage, if it is none; the text holds nothing of the token.
    """
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise _malformed()
    header, claims = _decode(parts[0]), _decode(parts[1])
    permissions = claims.get("permissions") or []
    if not header.get("alg") or not _is_valid(claims, permissions):
        raise _malformed()
    return Claims(tuple(permissions), claims.get("apiTokenId", ""), claims.get("exp"))


def _is_valid(claims: dict[str, Any], permissions: Any) -> bool:
    return (
        isinstance(permissions, list)
        and all(isinstance(permission, str) for permission in permissions)
        and all(isinstance(claims.get(name, ""), str) for name in _TEXTS)
        and isinstance(claims.get("exp", 0), int | float)
    )


def _decode(part: str) -> dict[str, Any]:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise _malformed() from None  # the cause would show the token
    if not isinstance(decoded, dict):
        raise _malformed()
    return decoded


def _malformed() -> CliError:
    return CliError("API Token is invalid or malformed", has_usage=True)
