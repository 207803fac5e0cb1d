"""A scripted GitHub and a hook that is connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from tests.worlds.doubles.github import (
    TOKEN,
    GithubDouble,
    connect,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def github() -> Iterator[GithubDouble]:
    with GithubDouble() as double:
        yield double


@pytest.fixture(scope="session")
def private_key() -> str:
    """Make a GitHub App's private key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def hook(github: GithubDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployOpsGithubHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    hook = DeployOpsGithubHook("github_default", "acme/pipes", sleep=pauses.append)
    yield hook
    hook.close()
