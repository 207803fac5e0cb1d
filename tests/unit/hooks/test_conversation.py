"""What is said of a service's answer."""

from __future__ import annotations

import pytest

from include.deploy_ops.hooks.conversation import Reply


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "HTTP 403"), (b"x" * 300, f"HTTP 403 '{'x' * 300}'"), (b"x" * 301, f"HTTP 403 '{'x' * 300}…'")],
)
def test_where_an_answer_is_cut_is_shown(body: bytes, said: str) -> None:
    assert str(Reply(403, body=body)) == said
