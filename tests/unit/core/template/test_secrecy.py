"""Which variables are never copied: by their names, and by what their values hold."""

from __future__ import annotations

import time

import pytest

from include.deploy_ops.core.template.secrecy import check_copied, holds_secret, is_named_like_secret

SECRET_NAMES = (
    *("AIRFLOW_CONN_WAREHOUSE", "API_TOKEN", "SMTP_PASSWORD", "SENTRY_DSN", "SIGNING_KEY", "SIGNING_KEYS", "REDIS_PWD"),
    *("DB_PASS", "PASS", "PGPASS", "DBPASS", "MYSQL_PASS", "GH_PAT", "STRIPE_SK", "STRIPE_PK", "BASIC_AUTH"),
    *("SLACK_HOOK", "SLACK_WEBHOOK", "TEAMS_WEBHOOK_URL", "db_pass"),
)
PLAIN_NAMES = ("STAGE", "LOG_LEVEL", "AIRFLOW__CORE__PARALLELISM", "COMPASS", "PATH", "TASK", "KEYBOARD", "DBT_TARGET")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_what_is_named_like_a_secret_is_never_copied(name: str) -> None:
    assert is_named_like_secret(name)
    with pytest.raises(ValueError, match="the key of a plain variable"):
        check_copied(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_another_name_says_nothing(name: str) -> None:
    assert not is_named_like_secret(name)
    assert check_copied(name) == name


@pytest.mark.parametrize(
    "value",
    [
        "postgres://loader:hunter2@warehouse.acme.example/prod",
        "postgres://loader:hun/ter?2#@warehouse.acme.example/prod",
        "postgres://loader:hun@ter@warehouse.acme.example/prod",
        "jdbc:oracle:thin:scott/tiger@//db.acme.example:1521/prod",
        "scott/tiger@prod",
        "loader:hunter2@db.acme.example",
        "host=db dsn loader:hunter2@db.acme.example",
        "https://hooks.slack.com/services/T0/B0/abc",
        "https://acme.webhook.office.com/webhookb2/1",
        "https://discord.com/api/webhooks/1/abc",
        "https://store.acme.example/c?sv=1&sig=abc",
        "https://api.acme.example/v1?key=abc",
        "Server=db;Pwd=hunter2",
        "host=db pass=hunter2",
        '{"password": "hunter2"}',
    ],
)
def test_a_value_that_may_hold_a_secret_is_one(value: str) -> None:
    assert holds_secret(value)


@pytest.mark.parametrize(
    "value",
    ["", "production", "https://acme.example/path?page=1", "data@acme.example", "a@b.example, c@d.example", "10:30"],
)
def test_another_value_is_plain(value: str) -> None:
    assert not holds_secret(value)


@pytest.mark.parametrize("part", ["a/", "a:", "@", "://", "PASS", "?key"])
def test_a_long_value_is_judged_at_once(part: str) -> None:
    began = time.process_time()
    holds_secret(part * 50_000)
    assert time.process_time() - began < 1
