"""A cloud's connection gives a login by the provider's own hook; stand-ins of it keep to what its pages describe."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.errors import ImageRefusedError, RetryableError
from include.deploy_ops.hooks.registry.logins import RENEWED_BEFORE, Login, Logins, read_registry_connection
from include.deploy_ops.hooks.registry.registry import RegistryHook
from tests.worlds.doubles.cloud_providers import ECR_HOOK, GOOGLE_HOOK, Provider, play_providers

AMAZON = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
GOOGLE = "europe-west3-docker.pkg.dev"
SECRET = "canary-secret"  # noqa: S105 - an example


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    return play_providers(monkeypatch)


def connect(monkeypatch: pytest.MonkeyPatch, conn_type: str, **fields: object) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps({"conn_type": conn_type, **fields}))


def take(logins: Logins, host: str) -> Login:
    return logins.take(read_registry_connection("ci"), host)


CLOUDS = pytest.mark.parametrize(
    ("conn_type", "host", "username", "made"),
    [
        ("aws", AMAZON, "AWS", {"aws_conn_id": "ci", "region_name": "eu-central-1"}),
        ("google_cloud_platform", GOOGLE, "oauth2accesstoken", {"gcp_conn_id": "ci"}),
    ],
    ids=["aws", "google"],
)


@CLOUDS
def test_a_clouds_connection_gives_the_login_of_its_providers_hook(
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    conn_type: str,
    host: str,
    username: str,
    made: dict[str, Any],
) -> None:
    connect(monkeypatch, conn_type, login="AKIA-key", password=SECRET)  # which is no registry's login
    login = take(Logins(), host)
    assert (login.username, login.password, login.ends_at) == (username, "canary-token-1", provider.ends[0])
    assert provider.made == [made]
    assert "canary" not in repr(login)


@CLOUDS
def test_it_is_kept_until_shortly_before_its_end(
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    conn_type: str,
    host: str,
    username: str,
    made: dict[str, Any],
) -> None:
    del username, made
    connect(monkeypatch, conn_type)
    soon, later = datetime.now(UTC) + RENEWED_BEFORE / 2, datetime.now(UTC) + timedelta(hours=1)
    provider.ends = [soon, later]
    logins = Logins()
    assert [take(logins, host).password for _ in range(4)] == [
        "canary-token-1",
        *["canary-token-2"] * 3,
    ]
    assert len(provider.made) == 2


def test_a_token_whose_end_nobody_tells_is_not_believed_for_long(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "google_cloud_platform")
    provider.ends = [None]
    ends_at = take(Logins(), GOOGLE).ends_at
    assert ends_at is not None
    assert ends_at <= datetime.now(UTC) + timedelta(minutes=15)


def test_a_connection_that_was_repaired_has_another_login(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Logins()
    connect(monkeypatch, "aws", login="AKIA-old")
    before = take(logins, AMAZON)
    connect(monkeypatch, "aws", login="AKIA-new")
    assert take(logins, AMAZON) != before
    assert len(provider.made) == 2


def test_each_region_of_amazons_has_its_own(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "aws", extra={"region_name": "us-east-1"})
    logins = Logins()
    for region in ("eu-central-1", "us-gov-west-1", "eu-central-1"):
        take(logins, f"123456789012.dkr.ecr.{region}.amazonaws.com")
    assert [each["region_name"] for each in provider.made] == ["eu-central-1", "us-gov-west-1"]


@pytest.mark.parametrize(
    ("conn_type", "hosts"),
    [
        (
            "aws",
            [
                AMAZON,
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "123456789012.dkr-ecr.eu-west-1.on.aws",
            ],
        ),
        ("google_cloud_platform", [GOOGLE, "gcr.io", "eu.gcr.io"]),
    ],
)
def test_its_hosts_get_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, conn_type: str, hosts: list[str]
) -> None:
    connect(monkeypatch, conn_type)
    assert [take(Logins(), host).password for host in hosts] == [f"canary-token-{n + 1}" for n in range(len(hosts))]
    assert len(provider.made) == len(hosts)


@pytest.mark.parametrize(
    ("conn_type", "host"),
    [
        ("aws", "ghcr.io"),
        ("aws", GOOGLE),
        ("aws", f"{AMAZON}.evil.com"),
        ("aws", "123456789012.dkr.ecr.evil.com"),
        ("aws", "123456789012.dkr.ecr.x.evil.com.amazonaws.com"),
        ("aws", "127.0.0.1:5000"),
        ("google_cloud_platform", "ghcr.io"),
        ("google_cloud_platform", AMAZON),
        ("google_cloud_platform", "evil-docker.pkg.dev.evil.com"),
        ("google_cloud_platform", "evilgcr.io"),
        ("google_cloud_platform", "gcr.io.evil.com"),
    ],
)
def test_a_clouds_token_is_made_for_no_other_host(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, conn_type: str, host: str
) -> None:
    connect(monkeypatch, conn_type)
    with pytest.raises(ImageRefusedError, match=r"whose login is for .* alone; it was not sent to .*registry_conn_id"):
        take(Logins(), host)
    assert provider.made == []


@pytest.mark.parametrize(
    ("conn_type", "host", "package"),
    [
        ("aws", AMAZON, "apache-airflow-providers-amazon"),
        ("google_cloud_platform", GOOGLE, "apache-airflow-providers-google"),
    ],
)
def test_without_its_provider_the_error_names_the_package(
    monkeypatch: pytest.MonkeyPatch, conn_type: str, host: str, package: str
) -> None:
    for name in (ECR_HOOK, GOOGLE_HOOK):
        monkeypatch.setitem(sys.modules, name, None)  # as import says that there is none
    connect(monkeypatch, conn_type)
    with pytest.raises(ImageRefusedError, match=rf"'ci' is of type {conn_type}.*add {package} to requirements\.in"):
        RegistryHook("ci").find_image(f"{host}/acme/a:1")


@CLOUDS
def test_what_the_provider_says_of_a_failure_is_told_without_secrets(
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    conn_type: str,
    host: str,
    username: str,
    made: dict[str, Any],
) -> None:
    del username, made
    connect(monkeypatch, conn_type, password=SECRET, extra={"keyfile_dict": "canary-keyfile"})
    provider.failure = ValueError(f"AccessDenied for {SECRET} and canary-keyfile")
    with pytest.raises(
        RetryableError,
        match=r"'ci' is of type .*, and got no login to .*: ValueError: AccessDenied for \*\*\* and \*\*\*",
    ):
        take(Logins(), host)


@pytest.mark.parametrize("conn_type", ["docker", "http", "generic", "azure_container_registry", "azure"])
def test_any_other_connection_gives_its_own_login(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, conn_type: str
) -> None:
    connect(monkeypatch, conn_type, login="acme-bot", password=SECRET)
    assert take(Logins(), "acme.azurecr.io") == Login("acme-bot", SECRET)
    assert provider.made == []


def test_a_connection_that_holds_none_pulls_anonymously(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "docker", host="ghcr.io")
    assert take(Logins(), "ghcr.io") == Login()
