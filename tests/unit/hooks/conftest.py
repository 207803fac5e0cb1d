"""A scripted GitHub and a hook that is connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.hooks.github import DeployOpsGithubHook
from tests.unit.github_double import (
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


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def hook(github: GithubDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployOpsGithubHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    hook = DeployOpsGithubHook("github_default", "acme/pipes", sleep=pauses.append)
    yield hook
    hook.close()
