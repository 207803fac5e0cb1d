"""Previews as cleanup sees them, whose last activity the test says itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from include.deploy_ops.core.cleanup.expiry import AgeLimits, Subject
from include.deploy_ops.core.history import DeployHistory
from tests.worlds.values.examples import make_deployment, sha

NOW = datetime(2026, 11, 20, 5, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = AgeLimits(2 * DAY, 14 * DAY, DAY, "keep-preview")


def make_subject(branch: str = "dev-a", idle: timedelta = timedelta(), now: datetime = NOW, **changes: Any) -> Subject:
    """Return a preview in development mode that was created, committed to and deployed to so long ago."""
    at = now - idle
    names = ("status", "override", "is_development_mode", "created_at", "id", "problem")
    looks = {name: changes.pop(name) for name in names if name in changes}
    deployment = make_deployment(branch, **{"created_at": at, **looks})
    history = DeployHistory(newest_id="d1", head=sha("a"), active_at=at)
    return replace(Subject(deployment, branch, sha("a"), "ada", at, history), **changes)
