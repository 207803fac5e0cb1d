"""When a token opens nothing any more. How they are made and what they open is in tests/sandbox/airflow."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.astro.tokens import Token
from sandbox.clock import now


@pytest.mark.parametrize(
    ("days", "age", "is_expired"), [(None, 4000, False), (1, 0, False), (1, 1, True), (30, 29, False)]
)
def test_a_token_expires_after_its_days(days: int | None, age: int, is_expired: bool) -> None:
    token = Token("x", "", "DEPLOYMENT", "id", "DEPLOYMENT_ADMIN", days, made_at=now() - timedelta(days=age))

    assert token.is_expired is is_expired
    assert ("endAt" in token.describe()) is (days is not None)
