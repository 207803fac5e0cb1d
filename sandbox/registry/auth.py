"""Docker's token protocol: who may pull from and push to which repository. It stores no image and answers no request.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.identity import ASTRO_TOKEN, REGISTRY_PASSWORD, REGISTRY_USER
from sandbox.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.settings import Settings

ASTRO_USER = "cli"  # the name under which the Astro CLI logs in
_ASTRO_PREFIX = "astro/"
_ALL_ACTIONS = "pull,push,delete"
_TOKEN_LIFE_S = 300


class Scope(NamedTuple):
    """One right: to pull from, push to or delete in a repository."""

    repository: str
    action: str


@dataclass(frozen=True)
class _Token:
    user: str | None
    scopes: frozenset[Scope]
    expires_at: float


class Gate:
    """Issues tokens and checks them.

    A token remembers who asked for what; whether it may is decided at each use: a changed setting counts at once.
    """

    def __init__(self, settings: Settings, base_url: str) -> None:
        self._settings = settings
        self._realm = f"{base_url}/v2/token"
        self._service = base_url.partition("://")[2]
        self._tokens: dict[str, _Token] = {}

    def reset(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    def issue_token(self, authorization: str | None, scopes: Iterable[str]) -> dict[str, Any]:
        """Return the token endpoint's answer; without credentials a token for what anyone may do.

        :param scopes: as in the query, `repository:<name>:<action>,<action>`, several in one text allowed.
        :raises RegistryError: UNAUTHORIZED for wrong credentials.
        """
        user = _identify_user(authorization) if authorization else None
        now = time.monotonic()
        self._tokens = {text: token for text, token in self._tokens.items() if token.expires_at > now}
        text = secrets.token_urlsafe(32)
        self._tokens[text] = _Token(user, frozenset(_parse_scopes(scopes)), now + _TOKEN_LIFE_S)
        return {"token": text, "access_token": text, "expires_in": _TOKEN_LIFE_S}

    def authorize(
        self, authorization: str | None, needs: Sequence[Scope], wishes: Sequence[Scope] = ()
    ) -> frozenset[Scope]:
        """Let a request pass if its token carries every needed right.

        :param wishes: rights that help but may be refused; a token that never asked for them is sent back to ask.
        :returns: the rights among needs and wishes that are granted.
        :raises RegistryError: UNAUTHORIZED with the challenge that names what to ask for; DENIED when a known user
            asked for all of it and may not.
        """
        asked = [*needs, *wishes]
        token = self._find_token(authorization)
        if token is None:
            raise self._challenge(asked, "invalid_token" if authorization else None)
        if not token.scopes.issuperset(asked):
            raise self._challenge(asked, "insufficient_scope")
        granted = frozenset(scope for scope in asked if self._may(token.user, scope))
        if granted.issuperset(needs):
            return granted
        if token.user is None:
            raise self._challenge(asked, "insufficient_scope")
        raise RegistryError("DENIED", "requested access to the resource is denied", _describe(needs))

    def _find_token(self, authorization: str | None) -> _Token | None:
        scheme, _, text = (authorization or "").partition(" ")
        token = self._tokens.get(text) if scheme.lower() == "bearer" else None
        return token if token and token.expires_at > time.monotonic() else None

    def _may(self, user: str | None, scope: Scope) -> bool:
        if scope.repository.startswith(_ASTRO_PREFIX):
            return user == ASTRO_USER
        if user == REGISTRY_USER:
            return True
        return scope.action == "pull" and self._settings.registry_auth == "anonymous"

    def _challenge(self, scopes: Sequence[Scope], error: str | None) -> RegistryError:
        fields = {"realm": self._realm, "service": self._service}
        if scopes:
            fields["scope"] = " ".join(_describe(scopes))
        if error:
            fields["error"] = error
        header = "Bearer " + ",".join(f'{key}="{value}"' for key, value in fields.items())
        return RegistryError("UNAUTHORIZED", "authentication required", _describe(scopes), {"WWW-Authenticate": header})


def _describe(scopes: Sequence[Scope]) -> list[str]:
    actions: dict[str, list[str]] = {}
    for scope in scopes:
        actions.setdefault(scope.repository, []).append(scope.action)
    return [f"repository:{repository}:{','.join(names)}" for repository, names in actions.items()]


def _parse_scopes(texts: Iterable[str]) -> Iterable[Scope]:
    for text in " ".join(texts).split():
        kind, _, rest = text.partition(":")
        repository, _, actions = rest.rpartition(":")
        if kind == "repository":
            yield from (Scope(repository, action) for action in actions.replace("*", _ALL_ACTIONS).split(","))


def _identify_user(authorization: str) -> str:
    user, password = _read_basic(authorization)
    if user == ASTRO_USER and password.removeprefix("Bearer ") == ASTRO_TOKEN:
        return user
    if (user, password) == (REGISTRY_USER, REGISTRY_PASSWORD):
        return user
    raise _refuse_credentials("incorrect username or password")


def _read_basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _refuse_credentials("the token endpoint takes Basic credentials, or none")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _refuse_credentials("the Basic credentials are no base64 of user:password") from error
    return user, password


def _refuse_credentials(message: str) -> RegistryError:
    return RegistryError("UNAUTHORIZED", message, None, {"WWW-Authenticate": 'Basic realm="sandbox"'})
