"""What an Astro token says of itself: the claims of its JSON Web Token, as the Astro CLI reads them.

Proves nothing: nobody looks at its signature but Astro.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from include.deploy_ops.core.doctor.astro_facts import TokenClaims
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.hooks.json_body import read_json

_PARTS = 3
_LENGTH_MAX = 16_384
_ORGANIZATION, _WORKSPACE = "organizationId", "workspaceId"


def read_claims(token: str) -> TokenClaims:
    """Return a token's claims; raises PermanentError, without a word of the token, where the CLI could not read them.

    The CLI takes the organization of every request from them, and the workspace where they name one.
    """
    parts = token.split(".")
    if len(parts) != _PARTS or len(token) > _LENGTH_MAX:
        raise _refuse("it has not the three parts of a JSON Web Token")
    _read_part(parts[0], "header")
    claims = _read_part(parts[1], "content")
    permissions = _read_permissions(claims)
    return TokenClaims(
        token_id=_read_text(claims, "apiTokenId"),
        expires_at=_read_end(claims.get("exp")),
        organizations=tuple(value for kind, value in permissions if kind == _ORGANIZATION),
        workspaces=tuple(value for kind, value in permissions if kind == _WORKSPACE),
    )


def _read_part(part: str, name: str) -> dict[str, Any]:
    try:
        value = read_json(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise _refuse(f"its {name} is no JSON in base64url") from None
    if not isinstance(value, dict):
        raise _refuse(f"its {name} is no JSON object")
    return value


def _read_permissions(claims: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each permission's type and id; at one without a colon the CLI would crash."""
    found = claims.get("permissions") or []
    if not isinstance(found, list) or not all(isinstance(each, str) and ":" in each for each in found):
        raise _refuse("its permissions are no list of <type>:<id>")
    pairs = (each.split(":")[:2] for each in found)
    return [(kind, value) for kind, value in pairs]


def _read_text(claims: dict[str, Any], key: str) -> str:
    value = claims.get(key) or ""
    if not isinstance(value, str):
        raise _refuse(f"its {key} is no text")
    return value


def _read_end(seconds: Any) -> datetime | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise _refuse("its exp is no number")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise _refuse("its exp is no time") from None


def _refuse(why: str) -> PermanentError:
    return PermanentError(f"the token is none that the Astro CLI can read: {why}")
