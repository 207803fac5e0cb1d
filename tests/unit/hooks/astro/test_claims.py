"""What a token says of itself is read as the Astro CLI reads it, and nothing of the token is in an error."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import TokenClaims
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.hooks.astro.claims import read_claims
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID

HEADER = {"alg": "RS256", "typ": "JWT"}
SECRET = "c2VjcmV0LXNpZ25hdHVyZQ"  # noqa: S105 - signs nothing


def encode(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def make_token(**claims: Any) -> str:
    return f"{encode(HEADER)}.{encode(claims)}.{SECRET}"


def test_the_claims_are_those_that_the_cli_uses() -> None:
    permissions = ["organizationId:clorg", "workspaceId:clws", "apiTokenId:x", "deploymentId:a:b"]
    token = make_token(apiTokenId="cltok", exp=1_780_315_200, permissions=permissions, iat=1)
    ends = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert read_claims(token) == TokenClaims("cltok", ends, ("clorg",), ("clws",))


def test_the_sandboxs_token_says_what_it_opens() -> None:
    assert read_claims(ASTRO_TOKEN) == TokenClaims("sandbox", None, (ORGANIZATION_ID,), (WORKSPACE_ID,))


def test_a_token_may_say_nothing_of_itself() -> None:
    assert read_claims(make_token()) == TokenClaims("", None, (), ())


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (SECRET, "three parts"),
        (f"{encode(HEADER)}.{encode({})}", "three parts"),
        (f"{'a' * 20_000}.{encode({})}.{SECRET}", "three parts"),
        (f"no json.{encode({})}.{SECRET}", "header is no JSON"),
        (f"{encode(HEADER)}.{encode([SECRET])}.{SECRET}", "content is no JSON object"),
        (f"{encode(HEADER)}.é.{SECRET}", "content is no JSON"),
        (make_token(permissions=[SECRET]), "permissions"),
        (make_token(permissions=SECRET), "permissions"),
        (make_token(permissions=[7]), "permissions"),
        (make_token(apiTokenId=[SECRET]), "apiTokenId"),
        (make_token(exp=SECRET), "exp is no number"),
        (make_token(exp=True), "exp is no number"),
        (make_token(exp=10**18), "exp is no time"),
    ],
)
def test_what_the_cli_could_not_read_is_said_without_the_token(token: str, says: str) -> None:
    with pytest.raises(PermanentError, match=says) as caught:
        read_claims(token)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
