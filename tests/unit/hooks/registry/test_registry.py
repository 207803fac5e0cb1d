"""Images are found and copied over real HTTP; each way in which a registry lets us down has its own error."""

from __future__ import annotations

import json
import os
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import (
    ImageRefusedError,
    ObservationError,
    PermanentError,
    RateLimitError,
    RetryableError,
)
from include.deploy_ops.hooks.registry.logins import ANONYMOUS
from include.deploy_ops.hooks.registry.registry import AstroRegistryHook, CopyReport, FoundImage, RegistryHook
from include.deploy_ops.hooks.registry.repository import ImageReference, ImageRepository, parse_image
from sandbox.identity import ASTRO_TOKEN, REGISTRY_PASSWORD, REGISTRY_USER
from tests.worlds.doubles.registry_server import CLI_LOGIN, OCI_INDEX, OCI_MANIFEST, RegistryServer, run_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "acme/data-platform"
TARGET = "astro/d1"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RegistryServer, RegistryServer]]:
    folder = tmp_path_factory.mktemp("registries")
    with run_registry(folder / "ci") as ci, run_registry(folder / "astro") as astro:
        yield ci, astro


@pytest.fixture
def ci(servers: tuple[RegistryServer, RegistryServer]) -> RegistryServer:
    servers[0].reset()
    return servers[0]


@pytest.fixture
def astro(servers: tuple[RegistryServer, RegistryServer]) -> RegistryServer:
    servers[1].reset()
    return servers[1]


@pytest.fixture
def private_conn(ci: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> str:
    ci.settings.registry_auth = "private"
    monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", f"docker://{REGISTRY_USER}:{REGISTRY_PASSWORD}@registry")
    return "ci_registry"


def copy(ci: RegistryServer, astro: RegistryServer, **options: object) -> CopyReport:
    hook = RegistryHook(None, timeout_s=5)
    return hook.copy_image(
        f"{ci.host}/{SOURCE}:v1",
        f"{astro.host}/{TARGET}:deploy-1",
        *CLI_LOGIN,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ghcr.io/acme/data-platform:abc", ("ghcr.io", "acme/data-platform", "abc")),
        ("127.0.0.1:8900/astro/d1:deploy-1", ("127.0.0.1:8900", "astro/d1", "deploy-1")),
        ("localhost/a:1", ("localhost", "a", "1")),
        ("localhost:5000/a", ("localhost:5000", "a", "latest")),
        ("acme/a:1", ("registry-1.docker.io", "acme/a", "1")),
        ("docker.io/acme/a:1", ("registry-1.docker.io", "acme/a", "1")),
        (f"quay.io/a/b@sha256:{'0' * 64}", ("quay.io", "a/b", f"sha256:{'0' * 64}")),
    ],
)
def test_image_names_are_read(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_image(text) == ImageReference(*expected)


@pytest.mark.parametrize(
    "text", ["", "ghcr.io/Acme/a:1", "ghcr.io/a b:1", "ghcr.io/a:{sha}", "https://ghcr.io/a:1", "-x/a"]
)
def test_what_is_no_image_name_is_named(text: str) -> None:
    with pytest.raises(PermanentError, match="is no image name; expected"):
        parse_image(text)


def test_name_prints_as_it_was_read() -> None:
    for text in ("ghcr.io/acme/a:1", f"ghcr.io/acme/a@sha256:{'a' * 64}"):
        assert str(parse_image(text)) == text


def test_image_is_found_anonymously(ci: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1", b"x" * 1000)
    found = RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")
    assert found is not None
    assert found == FoundImage(digest, "3.3-2", found.size_bytes)
    assert found.size_bytes > 1000


def test_image_without_the_label_is_found(ci: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1", label=None)
    found = RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")
    assert found is not None
    assert found.runtime_version is None


def test_image_is_found_with_the_connections_login(ci: RegistryServer, private_conn: str) -> None:
    ci.put_image(SOURCE, "v1")
    assert RegistryHook(private_conn).find_image(f"{ci.host}/{SOURCE}:v1") is not None


@pytest.mark.parametrize("name", [f"{SOURCE}:other", "no/such:v1", f"{SOURCE}@sha256:{'0' * 64}"])
def test_missing_image_is_none(name: str, ci: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    assert RegistryHook(None).find_image(f"{ci.host}/{name}") is None


def test_404_that_is_not_the_registrys_own_is_no_missing_image(ci: RegistryServer) -> None:
    ci.faults.plant({"status": 404, "body": "<html>not here</html>"})
    with pytest.raises(ImageRefusedError, match="404: <html>not here"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


def test_whether_an_image_is_there_is_asked_by_a_head_alone(ci: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    hook = RegistryHook(None)
    assert hook.has_image(f"{ci.host}/{SOURCE}:v1")
    assert not hook.has_image(f"{ci.host}/{SOURCE}:other")
    assert ci.count_requests("HEAD", "/manifests/") >= 2
    assert ci.count_requests("GET", "/manifests/") == ci.count_requests("GET", "/blobs/") == 0


@pytest.mark.parametrize(("status", "kind"), [(403, ImageRefusedError), (500, RetryableError), (429, RateLimitError)])
def test_a_head_that_is_refused_is_no_missing_image(status: int, kind: type[Exception], ci: RegistryServer) -> None:
    ci.faults.plant({"method": "HEAD", "status": status})
    with pytest.raises(kind, match=str(status)):
        RegistryHook(None).has_image(f"{ci.host}/{SOURCE}:v1")


def test_refused_pull_names_registry_and_remedy(ci: RegistryServer, private_conn: str) -> None:
    ci.put_image(SOURCE, "v1")
    with pytest.raises(ImageRefusedError, match=rf"{ci.host}/{SOURCE} anonymously.*Give a login"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")
    ci.faults.plant({"path": "manifests", "status": 403, "body": {"errors": [{"code": "DENIED"}]}})
    with pytest.raises(ImageRefusedError, match=r"as 'ci' \(HTTP 403.*DENIED"):
        RegistryHook(private_conn).find_image(f"{ci.host}/{SOURCE}:v1")


def test_wrong_password_is_refused_and_not_told(ci: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ci.settings.registry_auth = "private"
    monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", "docker://ci:not-the-password@registry")
    with pytest.raises(ImageRefusedError) as caught:
        RegistryHook("ci_registry").find_image(f"{ci.host}/{SOURCE}:v1")
    assert "not-the-password" not in str(caught.value)


def test_basic_login_is_answered(ci: RegistryServer, private_conn: str) -> None:
    ci.settings.registry_auth = "anonymous"
    ci.faults.plant({"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}})
    ci.faults.plant({"status": 418})
    with pytest.raises(ImageRefusedError, match="418"):
        RegistryHook(private_conn).find_image(f"{ci.host}/{SOURCE}:v1")


def test_login_is_not_sent_unencrypted_to_another_machine(ci: RegistryServer, private_conn: str) -> None:
    challenge = 'Bearer realm="http://192.0.2.1/token",service="x y"'
    ci.faults.plant({"status": 401, "headers": {"WWW-Authenticate": challenge}})
    with pytest.raises(ImageRefusedError, match="not encrypted"):
        RegistryHook(private_conn).find_image(f"{ci.host}/{SOURCE}:v1")


def test_missing_connection_is_named(ci: RegistryServer) -> None:
    with pytest.raises(ImageRefusedError, match="no Airflow connection 'nowhere'"):
        RegistryHook("nowhere").find_image(f"{ci.host}/{SOURCE}:v1")


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_outage_is_retryable(status: int, ci: RegistryServer) -> None:
    ci.faults.plant({"status": status})
    with pytest.raises(RetryableError, match=str(status)):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "7"}, 7),
        (503, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        (429, {}, 60),
    ],
)
def test_rate_limit_says_when(status: int, headers: dict[str, str], wait_s: float, ci: RegistryServer) -> None:
    ci.faults.plant({"status": status, "headers": headers})
    with pytest.raises(RateLimitError) as caught:
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")
    assert caught.value.retry_after_s == wait_s


def test_silence_and_a_dropped_connection_are_retryable(ci: RegistryServer) -> None:
    ci.faults.plant({"delay_s": 0.6, "drop": True})
    with pytest.raises(RetryableError, match=r"ReadTimeout"):
        RegistryHook(None, timeout_s=0.2).find_image(f"{ci.host}/{SOURCE}:v1")
    ci.faults.plant({"drop": True})
    with pytest.raises(RetryableError, match=r"Could not pull v1 from"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


@pytest.mark.parametrize(
    "body", ["no json", "[]", '{"mediaType": "x"', "[" * 100_000], ids=["no", "list", "cut", "deep"]
)
def test_malformed_manifest_is_named(body: str, ci: RegistryServer) -> None:
    ci.faults.plant({"path": "manifests", "status": 200, "body": body})
    ci.settings.registry_auth = "anonymous"
    with pytest.raises(ObservationError, match="Expected a JSON object"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


def test_manifest_with_another_digest_than_promised_is_refused(ci: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    promised = f"sha256:{'0' * 64}"
    ci.faults.plant({"path": "/token", "delay_s": 0.01})
    ci.faults.plant({"path": "manifests", "status": 200, "body": "{}", "headers": {"Docker-Content-Digest": promised}})
    with pytest.raises(ObservationError, match="promised was sha256:000"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


@pytest.mark.parametrize("fields", [{}, {"config": {}, "layers": []}, {"config": {"digest": "sha256:1", "size": 1}}])
def test_incomplete_manifest_is_named(fields: dict[str, object], ci: RegistryServer) -> None:
    ci.faults.plant({"path": "manifests", "status": 200, "body": {"mediaType": OCI_MANIFEST, **fields}})
    with pytest.raises(ObservationError, match="expected"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


def test_unknown_format_is_named(ci: RegistryServer) -> None:
    ci.faults.plant({"path": "manifests", "status": 200, "body": {"mediaType": "application/x-old"}})
    with pytest.raises(ImageRefusedError, match="application/x-old"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


def put_index(ci: RegistryServer, *platforms: dict[str, str]) -> str:
    wanted = ci.put_image(SOURCE, "amd64-alone")
    other = ci.put_image(SOURCE, "arm64-alone", b"arm")
    entries = [
        {"digest": wanted if platform["architecture"] == "amd64" else other, "size": 1, "platform": platform}
        for platform in platforms
    ]
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    ci.put_manifest(SOURCE, "v1", fields, OCI_INDEX)
    return wanted


def test_manifest_list_is_resolved_to_linux_amd64_and_copied_as_that(ci: RegistryServer, astro: RegistryServer) -> None:
    wanted = put_index(ci, {"os": "linux", "architecture": "arm64"}, {"os": "linux", "architecture": "amd64"})
    found = RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")
    assert found is not None
    assert found.digest == wanted
    assert copy(ci, astro).digest == wanted
    assert astro.registry.has_image(TARGET, "deploy-1")


def test_parameters_of_the_content_type_do_not_count(ci: RegistryServer, astro: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1")  # whose manifest does not say its type itself
    served_as = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8"}
    ci.faults.plant({"method": "GET", "path": "/manifests/", "headers": served_as, "times": None})

    assert copy(ci, astro).digest == digest
    assert astro.registry._store.get_manifest(TARGET, "deploy-1").media_type == OCI_MANIFEST


def test_manifest_list_without_our_platform_is_named(ci: RegistryServer) -> None:
    put_index(ci, {"os": "linux", "architecture": "arm64"}, {"os": "unknown", "architecture": "unknown"})
    with pytest.raises(ImageRefusedError, match="no image for linux/amd64"):
        RegistryHook(None).find_image(f"{ci.host}/{SOURCE}:v1")


def connect_astro(monkeypatch: pytest.MonkeyPatch, token: str) -> AstroRegistryHook:
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    connection = {"conn_type": "http", "host": "http://127.0.0.1:1/astro", "password": token, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))
    return AstroRegistryHook("astro_default")


def test_a_deployments_image_is_pulled_with_the_token(astro: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = astro.put_image(TARGET, "deploy-1")
    name = f"{astro.host}/{TARGET}:deploy-1"
    found = connect_astro(monkeypatch, ASTRO_TOKEN).find_image(name)
    assert found is not None
    assert found.digest == digest
    with pytest.raises(ImageRefusedError):
        RegistryHook(None).find_image(name)


def test_a_refusal_that_quotes_the_token_does_not_tell_it(
    astro: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "another-workspaces-token"  # noqa: S105 - an example
    astro.faults.plant({"status": 403, "body": f"no pull for Bearer {token} alias {token}"})
    with pytest.raises(ImageRefusedError, match=r"as 'cli' \(HTTP 403: no pull for \*\*\* alias \*\*\*\)"):
        connect_astro(monkeypatch, token).find_image(f"{astro.host}/{TARGET}:deploy-1")


def test_copy_moves_every_byte_and_keeps_the_digest(ci: RegistryServer, astro: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1", b"a" * 1000, b"b" * 2000)
    lines: list[str] = []
    report = copy(ci, astro, on_progress=lines.append)
    source = ci.registry._store.get_manifest(SOURCE, "v1")
    stored = astro.registry._store.get_manifest(TARGET, "deploy-1")
    assert stored.content == source.content
    assert report.digest == digest == stored.digest
    assert report.bytes_copied > 3000
    assert (report.bytes_mounted, report.blobs_present, len(lines)) == (0, 0, 3)
    assert report.seconds > 0


def test_private_source_is_copied(ci: RegistryServer, astro: RegistryServer, private_conn: str) -> None:
    ci.put_image(SOURCE, "v1")
    report = RegistryHook(private_conn).copy_image(
        f"{ci.host}/{SOURCE}:v1", f"{astro.host}/{TARGET}:deploy-1", *CLI_LOGIN
    )
    assert report.bytes_copied > 3000


def test_blobs_that_are_there_are_not_moved_again(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    copy(ci, astro)
    pulled = ci.count_requests("GET", "/blobs/")
    report = copy(ci, astro)
    assert (report.bytes_copied, report.blobs_present) == (0, 3)
    assert ci.count_requests("GET", "/blobs/") == pulled


def test_a_layer_that_comes_twice_moves_once(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1", b"same", b"same")
    copy(ci, astro)
    assert ci.count_requests("GET", "/blobs/") == 2


def test_within_one_registry_blobs_are_mounted(ci: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1")
    report = copy(ci, ci)
    assert report.digest == digest
    assert report.bytes_mounted > 3000
    assert (report.bytes_copied, ci.count_requests("GET", "/blobs/")) == (0, 0)


def test_refused_mount_is_copied_instead(ci: RegistryServer) -> None:
    ci.settings.registry_auth = "private"
    ci.put_image(SOURCE, "v1")
    ci.settings.registry_auth = "anonymous"
    ci.faults.plant({"method": "POST", "path": "mount=", "status": 403})
    report = copy(ci, ci)
    assert (report.bytes_mounted, report.bytes_copied > 3000) == (0, True)
    assert ci.count_requests("POST", "/blobs/uploads/") >= 4


def test_refused_push_names_the_target(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    with pytest.raises(ImageRefusedError, match=rf"{astro.host}/{TARGET} as 'ci'"):
        RegistryHook(None).copy_image(
            f"{ci.host}/{SOURCE}:v1", f"{astro.host}/{TARGET}:deploy-1", REGISTRY_USER, REGISTRY_PASSWORD
        )
    with pytest.raises(ImageRefusedError, match="HTTP 401") as caught:
        RegistryHook(None).copy_image(
            f"{ci.host}/{SOURCE}:v1", f"{astro.host}/{TARGET}:deploy-1", "cli", "Bearer wrong"
        )
    assert "Bearer wrong" not in str(caught.value)


def test_source_that_vanished_is_retryable(ci: RegistryServer, astro: RegistryServer) -> None:
    with pytest.raises(RetryableError, match="no longer in its registry"):
        copy(ci, astro)


@pytest.mark.parametrize("size", [0, 100, 300_000])
def test_copy_broken_in_the_pull_can_be_repeated(size: int, ci: RegistryServer, astro: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1", b"first", os.urandom(1_000_000))
    layer = ci.registry._store.get_manifest(SOURCE, "v1").parse()["layers"][1]["digest"]
    ci.faults.plant({"method": "GET", "path": f"blobs/{layer}", "truncate": size})
    with pytest.raises(RetryableError, match=f"Could not pull from {ci.host}"):
        copy(ci, astro)
    assert not astro.registry.has_image(TARGET, "deploy-1")
    report = copy(ci, astro)
    assert (report.digest, report.blobs_present, report.bytes_copied) == (digest, 2, 1_000_000)


@pytest.mark.parametrize("drop", [True, "after"])
@pytest.mark.parametrize("path", ["/blobs/uploads/", "/manifests/deploy-1"])
def test_copy_broken_in_the_push_can_be_repeated(
    path: str, drop: object, ci: RegistryServer, astro: RegistryServer
) -> None:
    digest = ci.put_image(SOURCE, "v1", os.urandom(1_000_000))
    astro.faults.plant({"method": "PUT", "path": path, "drop": drop})
    with pytest.raises(RetryableError, match=f"to {astro.host}"):
        copy(ci, astro)
    assert copy(ci, astro).digest == digest
    assert astro.registry.has_image(TARGET, "deploy-1")


def test_blob_that_is_not_what_its_digest_says_is_not_stored(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1", b"good")
    layer = ci.registry._store.get_manifest(SOURCE, "v1").parse()["layers"][0]["digest"]
    ci.faults.plant({"method": "GET", "path": f"blobs/{layer}", "status": 200, "body": "evil"})
    with pytest.raises(RetryableError, match="digest"):
        copy(ci, astro)
    assert not astro.registry._store.has_blob(TARGET, layer)


def test_registry_that_stores_something_else_is_caught(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")
    astro.put_image(TARGET, "deploy-1", b"another")
    astro.faults.plant({"method": "PUT", "path": "manifests/deploy-1", "status": 201})
    with pytest.raises(RetryableError, match=r"deploy-1 holds sha256:.* after copying sha256:"):
        copy(ci, astro)


def test_a_registry_that_lets_nobody_read_back_is_believed(ci: RegistryServer, astro: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1")
    astro.faults.plant({"method": "GET", "path": f"/v2/{TARGET}/manifests", "status": 403})
    lines: list[str] = []
    assert copy(ci, astro, on_progress=lines.append).digest == digest
    assert lines[-1].startswith("not read back: The registry refused")


def test_login_that_runs_out_before_a_blob_is_sent_does_not_empty_it(ci: RegistryServer, astro: RegistryServer) -> None:
    digest = ci.put_image(SOURCE, "v1", os.urandom(500_000))
    realm = f'Bearer realm="http://{astro.host}/v2/token",scope="repository:{TARGET}:pull,push"'
    astro.faults.plant(
        {"method": "PUT", "path": "blobs/uploads", "status": 401, "headers": {"WWW-Authenticate": realm}}
    )
    assert copy(ci, astro).digest == digest


def test_what_on_progress_raises_ends_the_copy(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1")

    def stop(line: str) -> None:
        raise RetryableError(f"stop at {line}")

    with pytest.raises(RetryableError, match="stop at"):
        copy(ci, astro, on_progress=stop)
    assert not astro.registry.has_image(TARGET, "deploy-1")


def test_progress_is_told_while_a_blob_moves(
    ci: RegistryServer, astro: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.deploy_ops.hooks.registry.registry._PROGRESS_INTERVAL_S", 0.0)
    ci.put_image(SOURCE, "v1", os.urandom(1 << 20))
    lines: list[str] = []
    copy(ci, astro, on_progress=lines.append)
    assert any(re.search(r": 0\.\d of 1\.0 MiB", line) for line in lines)


def test_memory_stays_flat_with_a_large_layer(ci: RegistryServer, astro: RegistryServer) -> None:
    ci.put_image(SOURCE, "v1", os.urandom(64 << 20))
    tracemalloc.start()  # counts both servers too, which stream as well
    try:
        report = copy(ci, astro)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.bytes_copied > 64 << 20
    assert peak < 16 << 20


def test_only_this_machine_is_spoken_to_without_encryption() -> None:
    for name, scheme in (
        ("localhost:5000/a:1", "http"),
        ("127.0.0.1:1/a:1", "http"),
        ("localhost.evil.com/a:1", "https"),
    ):
        repository = ImageRepository(parse_image(name), lambda: ANONYMOUS, 1)
        assert repository._dxf._base_url.startswith(f"{scheme}://")
