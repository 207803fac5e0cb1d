"""Stand-ins of the hooks by which Airflow's providers make registries' logins, as far as their pages describe them.

Of `apache-airflow-providers-amazon` the hook for ECR, of `apache-airflow-providers-google` the base hook, and what that
takes of google-auth. Neither package is installed here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ECR_HOOK, GOOGLE_HOOK = "airflow.providers.amazon.aws.hooks.ecr", "airflow.providers.google.common.hooks.base_google"
TRANSPORT = "google.auth.transport.requests"


@dataclass
class Provider:
    """What both hooks were made with, and until when the tokens last that they give, the last one on."""

    made: list[dict[str, Any]] = field(default_factory=list)
    ends: list[datetime | None] = field(default_factory=lambda: [datetime.now(UTC) + timedelta(hours=12)])
    failure: Exception | None = None

    def give(self) -> tuple[str, datetime | None]:
        """Return the next token and its end."""
        if self.failure is not None:
            raise self.failure
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        return f"canary-token-{len(self.made)}", end


def play_providers(patch: pytest.MonkeyPatch) -> Provider:
    """Let both hooks be importable, and return what they do."""
    known = Provider()

    class EcrHook:
        """Arguments go to AwsBaseHook, by keyword; the credentials have username, password, expires_at."""

        def __init__(self, **kwargs: Any) -> None:
            known.made.append(kwargs)

        def get_temporary_credentials(self, registry_ids: list[str] | str | None = None) -> list[Any]:
            assert registry_ids is None
            token, ends_at = known.give()
            return [SimpleNamespace(username="AWS", password=token, expires_at=ends_at, proxy_endpoint="https://x")]

    class Request:
        """Of google-auth."""

    class Credentials:
        """Of google-auth: no token before it is refreshed; `expiry` is a time in UTC that does not say so."""

        token: str | None = None
        expiry: datetime | None = None

        def refresh(self, request: object) -> None:
            assert isinstance(request, Request)
            token, ends_at = known.give()
            self.token, self.expiry = token, ends_at and ends_at.replace(tzinfo=None)

    class GoogleBaseHook:
        def __init__(self, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
            known.made.append({"gcp_conn_id": gcp_conn_id, **kwargs})

        def get_credentials(self) -> Credentials:
            return Credentials()

    modules: dict[str, dict[str, Any]] = {
        ECR_HOOK: {"EcrHook": EcrHook},
        GOOGLE_HOOK: {"GoogleBaseHook": GoogleBaseHook},
        TRANSPORT: {"Request": Request},
    }
    for name, names in modules.items():
        module = ModuleType(name)
        module.__dict__.update(names)
        patch.setitem(sys.modules, name, module)
    return known
