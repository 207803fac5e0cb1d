"""What a policy that is only asked about may not say otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from include.deploy_ops.core.policy.keys import Notice, Verify
from include.deploy_ops.core.policy.reach import find_moved_keys
from tests.worlds.values.examples import make_project

PROJECT = make_project()


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({}, ()),
        ({"previews": {"branches": ("fix*",), "max_live": 1, "delete_after": None}, "ignore": ("*.md",)}, ()),
        ({"repository": "acme/other"}, ("repository",)),
        ({"github_conn_id": "a", "astro_conn_id": "b"}, ("github_conn_id", "astro_conn_id")),
        ({"registry_conn_id": "a", "login_hosts": {"a": ("b",)}}, ("registry_conn_id", "login_hosts")),
        ({"image": ("build",)}, ("image",)),
        ({"notify": (Notice(notifier="evil.module.Notifier"),)}, ("notify",)),
        ({"previews": {"verify": Verify(airflow_conn_id="a")}}, ("previews.verify.airflow_conn_id",)),
        ({"previews": {"verify": Verify()}}, ()),
    ],
)
def test_by_whom_and_of_what_is_read_stays_as_it_is(changes: dict[str, Any], moved: tuple[str, ...]) -> None:
    other = make_project(**changes)
    assert find_moved_keys(PROJECT, other) == moved
    assert set(find_moved_keys(other, PROJECT)) == set(moved)


def test_a_target_may_not_be_asked_by_another_connection() -> None:
    target = PROJECT.targets["production"]
    asked = target.model_copy(update={"verify": Verify(airflow_conn_id="a")})
    other = PROJECT.model_copy(update={"targets": {"production": asked}})
    assert find_moved_keys(PROJECT, other) == ("targets.production.verify.airflow_conn_id",)
