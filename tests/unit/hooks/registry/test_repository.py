"""The registries that people use, each with the answers by which it asks for a login, as its pages describe them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from include.deploy_ops.core.errors import ImageRefusedError, RateLimitError
from include.deploy_ops.hooks.registry.login_hosts import LoginPlaces
from include.deploy_ops.hooks.registry.logins import Login
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.hooks.registry.repository import ImageRepository, parse_image
from tests.worlds.doubles.cloud_providers import play_providers
from tests.worlds.doubles.hostile_server import Asked, answer
from tests.worlds.doubles.named_hosts import serve_hosts
from tests.worlds.doubles.registry_server import CLI_LOGIN, OCI_INDEX, OCI_MANIFEST, run_registry

PASSWORD, TOKEN = "canary-password", "canary-token"
LABEL = {"io.astronomer.docker.runtime.version": "3.3-2"}
CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": LABEL}}).encode()
GZIP, ZSTD = (f"application/vnd.oci.image.layer.v1.tar+{packing}" for packing in ("gzip", "zstd"))


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(content: bytes, media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def write_manifest(config: bytes = CONFIG, layer_type: str = GZIP) -> bytes:
    layers = [describe(b"layer", layer_type)]
    fields = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers}
    return json.dumps({**fields, "config": describe(config, "application/vnd.oci.image.config.v1+json")}).encode()


@dataclass(frozen=True)
class Described:
    """One registry: how it asks for a login, where tokens are, which field holds one, and where its blobs lie."""

    name: str
    host: str
    login: str
    realm: str = ""
    service: str = ""
    fields: tuple[str, ...] = ("token",)
    storage: str = ""
    image: str = ""

    @property
    def reference(self) -> str:
        return f"{self.image or f'{self.host}/acme/data-platform'}:v1"

    def __str__(self) -> str:
        return self.name


AMAZON = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
REGISTRIES = [
    Described("ECR", AMAZON, "AWS", storage="prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com"),
    Described(
        "Artifact Registry",
        "europe-west3-docker.pkg.dev",
        "oauth2accesstoken",
        "https://europe-west3-docker.pkg.dev/v2/token",
        "europe-west3-docker.pkg.dev",
        storage="europe-west3-docker.pkg.dev",
        image="europe-west3-docker.pkg.dev/acme-prod/images/data-platform",
    ),
    Described(
        "ACR with a service principal",
        "acme.azurecr.io",
        "11111111-2222-3333-4444-555555555555",
        "https://acme.azurecr.io/oauth2/token",
        "acme.azurecr.io",
        ("access_token",),
        "weumanaged1.blob.core.windows.net",
    ),
    Described(
        "ACR with a token of the registry",
        "acme.azurecr.io",
        "deploy-ops-pull",
        "https://acme.azurecr.io/oauth2/token",
        "acme.azurecr.io",
        ("access_token",),
        "weumanaged1.blob.core.windows.net",
    ),
    Described(
        "GHCR",
        "ghcr.io",
        "acme-bot",
        "https://ghcr.io/token",
        "ghcr.io",
        storage="pkg-containers.githubusercontent.com",
    ),
    Described(
        "Docker Hub",
        "registry-1.docker.io",
        "acmebot",
        "https://auth.docker.io/token",
        "registry.docker.io",
        ("token", "access_token"),
        "production.cloudfront.docker.com",
        image="acme/data-platform",
    ),
    Described("Quay", "quay.io", "acme+deploy_ops", "https://quay.io/v2/auth", "quay.io", storage="cdn01.quay.io"),
]
BY_NAME = {each.name: each for each in REGISTRIES}


@dataclass
class Played:
    """A registry that holds manifests and blobs, by what names them, and asks for a login as it is described."""

    described: Described
    contents: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    refused: dict[str, list[bytes]] = field(default_factory=dict)

    def put(self, content: bytes, name: str = "", media_type: str = OCI_MANIFEST) -> str:
        """Hold a content under its digest, and under a tag as well."""
        for each in (digest(content), name):
            self.contents[each], self.types[each] = content, media_type
        return digest(content)

    def answer(self, host: str, asked: Asked) -> Iterable[bytes]:
        path, known = urlsplit(asked.path).path, self.described
        if (said := next((said for part, said in self.refused.items() if part in f"{host}{path}"), None)) is not None:
            return said
        if known.realm and (host, path) == (urlsplit(known.realm).hostname, urlsplit(known.realm).path):
            return self._give_token(asked)
        if path.startswith("/signed/"):
            return answer(body=self.contents[path.removeprefix("/signed/")])
        if asked.headers.get("authorization") != (f"Bearer {TOKEN}" if known.realm else basic(known.login)):
            return answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate=self.challenge(path))
        return self._give(path)

    def _give(self, path: str) -> Iterable[bytes]:
        name = path.rpartition("/")[2]
        if name not in self.contents:
            return answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        if "/blobs/" in path:
            place = f"https://{self.described.storage}/signed/{name}?X-Amz-Signature=canary"
            return answer(307, b"", Location=place)
        return answer(body=self.contents[name], Content_Type=self.types[name])

    def challenge(self, path: str) -> str:
        known = self.described
        if not known.realm:
            return f'Basic realm="https://{known.host}/",service="ecr.amazonaws.com"'
        repository = path.removeprefix("/v2/").rpartition("/manifests/")[0] or "acme/data-platform"
        return f'Bearer realm="{known.realm}",service="{known.service}",scope="repository:{repository}:pull"'

    def _give_token(self, asked: Asked) -> Iterable[bytes]:
        if asked.headers.get("authorization") != basic(self.described.login):
            return answer(401, b'{"details":"incorrect username or password"}')
        return answer(body=json.dumps({**dict.fromkeys(self.described.fields, TOKEN), "expires_in": 300}).encode())


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(f'{login}:{PASSWORD}'.encode()).decode()}"


@dataclass
class World:
    """The played registry, the hook that asks it, and what it was asked."""

    played: Played
    asked: list[Asked]
    hook: RegistryHook

    def list_told(self) -> list[tuple[str, str]]:
        """Return who was told what, once each, in order."""
        return list(dict.fromkeys((each.headers["host"], each.headers.get("authorization", "")) for each in self.asked))


@pytest.fixture(params=REGISTRIES, ids=str)
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    known: Described = request.param
    played = Played(known)
    played.put(write_manifest(), "v1")
    for blob in (CONFIG, b"layer"):
        played.put(blob)
    # With its own login: of a cloud's connection `test_logins.py` tells.
    connection = {"conn_type": "docker", "login": known.login, "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps(connection))
    with serve_hosts(played.answer, monkeypatch) as asked:
        yield World(played, asked, RegistryHook("ci", timeout_s=3))


def test_an_image_is_found_and_nobody_else_is_told_the_login(world: World) -> None:
    known = world.played.described
    found = world.hook.find_image(known.reference)
    assert found is not None
    assert (found.digest, found.runtime_version) == (digest(write_manifest()), "3.3-2")
    told = dict.fromkeys(world.list_told())
    home = known.host
    if not known.realm:
        expected = [(home, ""), (home, basic(known.login)), (known.storage, "")]
    else:
        token_host = str(urlsplit(known.realm).hostname)
        # The storage of Artifact Registry is on its own host, which has given the token.
        storage = (known.storage, f"Bearer {TOKEN}" if known.storage == home else "")
        expected = [(home, ""), (token_host, basic(known.login)), (home, f"Bearer {TOKEN}"), storage]
    assert list(told) == list(dict.fromkeys(expected))


def test_its_token_is_asked_for_by_service_and_scope(world: World) -> None:
    known = world.played.described
    world.hook.find_image(known.reference)
    paths = [
        each.path for each in world.asked if known.realm and each.path.startswith(f"{urlsplit(known.realm).path}?")
    ]
    repository = parse_image(known.reference).repository
    expected = {"scope": [f"repository:{repository}:pull"], "service": [known.service]}
    assert [parse_qs(urlsplit(path).query) for path in paths] == ([expected] if known.realm else [])


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN"])
def test_a_tag_that_it_does_not_know_is_no_image(world: World, code: str) -> None:
    said = answer(404, json.dumps({"errors": [{"code": code, "message": "not found", "detail": {}}]}).encode())
    del world.played.contents["v1"]
    assert world.hook.find_image(world.played.described.reference) is None
    world.played.refused = {"/manifests/": said}
    assert world.hook.find_image(world.played.described.reference) is None


def test_a_wrong_password_names_the_login_and_not_the_password(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    known = world.played.described
    connection = {"conn_type": "docker", "login": known.login, "password": "another-canary"}
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps(connection))
    with pytest.raises(ImageRefusedError) as caught:
        RegistryHook("ci", timeout_s=3).find_image(known.reference)
    assert f"as {known.login!r}" in str(caught.value)
    assert "another-canary" not in str(caught.value)


def test_it_may_say_that_it_is_asked_too_often(world: World) -> None:
    world.played.refused = {"/manifests/": answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}')}
    with pytest.raises(RateLimitError, match="TOOMANYREQUESTS") as caught:
        world.hook.find_image(world.played.described.reference)
    assert caught.value.retry_after_s == 60


def only(*registries: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", [BY_NAME[name] for name in registries], indirect=True, ids=str)


@only("Docker Hub")
@pytest.mark.parametrize(
    ("headers", "wait_s", "told"),
    [
        ({"RateLimit_Limit": "100;w=21600", "RateLimit_Remaining": "0;w=21600"}, 60, "It allows 100 pulls in 6 hours."),
        ({"RateLimit_Limit": "200;w=21600", "Retry_After": "120"}, 120, "It allows 200 pulls in 6 hours."),
        ({"RateLimit_Limit": "many", "Retry_After": "99999"}, 3600, "You have reached"),
        ({}, 60, "You have reached"),
    ],
)
def test_docker_hubs_limit_is_told_and_waited_for(
    world: World, headers: dict[str, str], wait_s: float, told: str
) -> None:
    said = {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}
    world.played.refused = {"/manifests/": answer(429, json.dumps(said).encode(), **headers)}
    with pytest.raises(RateLimitError) as caught:
        world.hook.find_image("acme/data-platform:v1")
    assert caught.value.retry_after_s == wait_s
    assert told in str(caught.value)
    assert "With a login" not in str(caught.value)


@only("Docker Hub")
def test_who_pulls_anonymously_learns_what_helps(world: World) -> None:
    world.played.refused = {"/manifests/": answer(429, b"toomanyrequests", RateLimit_Limit="10;w=3600")}
    with pytest.raises(RateLimitError, match=r"10 pulls in 1 hours\. With a login \(registry_conn_id in the policy\)"):
        RegistryHook(None, timeout_s=3).find_image("acme/data-platform:v1")


@only("Docker Hub", "GHCR", "Quay")
@pytest.mark.parametrize("status", [401, 403, 429])
def test_the_token_service_may_refuse_as_well(world: World, status: int) -> None:
    realm = urlsplit(world.played.described.realm)
    world.played.refused = {f"{realm.hostname}{realm.path}": answer(status, b'{"errors":[{"code":"DENIED"}]}')}
    with pytest.raises(RateLimitError if status == 429 else ImageRefusedError, match=f"HTTP {status}.*DENIED"):
        world.hook.find_image(world.played.described.reference)
    assert not any("Bearer" in told for _, told in world.list_told())


@only("ECR")
def test_an_ended_token_of_amazons_is_a_refusal(world: World) -> None:
    said = {"errors": [{"code": "DENIED", "message": "Your authorization token has expired. Reauthenticate and try."}]}
    world.played.refused = {"/manifests/": answer(403, json.dumps(said).encode())}
    with pytest.raises(ImageRefusedError, match="has expired"):
        world.hook.find_image(world.played.described.reference)


@pytest.mark.parametrize("known", [BY_NAME["ECR"], BY_NAME["GHCR"]], ids=str)
def test_a_login_that_was_renewed_is_used_for_what_follows(known: Described, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a copy that takes longer than a token lives; one who was told the login need not say 401 first."""
    played, logins = Played(known), [Login("before", PASSWORD), Login("before", PASSWORD), Login(known.login, PASSWORD)]
    played.put(write_manifest(), "v1")
    with serve_hosts(played.answer, monkeypatch) as asked:
        played.refused = {"/v2/": answer(401, WWW_Authenticate=played.challenge("/v2/"))}
        image = parse_image(known.reference)
        with ImageRepository(
            image, lambda: logins.pop(0) if len(logins) > 1 else logins[0], 3, LoginPlaces(known.host)
        ) as repository:
            with pytest.raises(ImageRefusedError, match="as 'before'"):
                repository.read_manifest("v1")
            played.refused, before = {}, len(asked)
            assert repository.read_manifest("v1") is not None
    told = [each.headers.get("authorization", "") for each in asked[before:]]
    assert basic("before") not in told
    assert basic(known.login) in told


def test_a_copy_goes_on_where_amazons_token_ends_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its steps takes the login that holds then; Astro's registry is another one, with its own."""
    provider = play_providers(monkeypatch)
    provider.ends = [*[datetime.now(UTC)] * 3, datetime.now(UTC) + timedelta(hours=12)]
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps({"conn_type": "aws"}))
    played = Played(replace(BY_NAME["ECR"], login="AWS"))
    wanted = played.put(write_manifest(layer_type=ZSTD), "v1")
    for blob in (CONFIG, b"layer"):
        played.put(blob)
    used: list[str] = []

    def answer_anybody(host: str, asked: Asked) -> Iterable[bytes]:
        told = asked.headers.get("authorization", "")
        if host == AMAZON and told:
            used.append(base64.b64decode(told.removeprefix("Basic ")).decode())
            asked.headers["authorization"] = basic("AWS")
        return played.answer(host, asked)

    with run_registry(tmp_path / "astro") as astro, serve_hosts(answer_anybody, monkeypatch):
        target = f"{astro.host}/astro/d1:deploy-1"
        report = RegistryHook("ci", timeout_s=3).copy_image(BY_NAME["ECR"].reference, target, *CLI_LOGIN)
        assert astro.registry.has_image("astro/d1", "deploy-1")
    assert report.digest == wanted
    assert list(dict.fromkeys(used)) == [f"AWS:canary-token-{number}" for number in (2, 3, 4)]


# What a name may stand for, of which one manifest is for linux/amd64.
@dataclass(frozen=True)
class Listed:
    """An index's entry: platform, and whose manifest it is."""

    platform: dict[str, Any] | None
    name: str
    annotations: dict[str, str] = field(default_factory=dict)
    artifact_type: str = ""

    def describe(self, manifest: bytes) -> dict[str, object]:
        told = {"platform": self.platform, "artifactType": self.artifact_type}
        more = {key: value for key, value in told.items() if value}
        return describe(manifest, OCI_MANIFEST, annotations=self.annotations, **more)


AMD64, ARM64 = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}
INDEXES = {
    "one platform, with what BuildKit attests": (
        [Listed(AMD64, "ours"), Listed(UNKNOWN, "attested", ATTESTATION)],
        "ours",
    ),
    "attestations first": (
        [Listed(UNKNOWN, "attested", ATTESTATION), Listed(UNKNOWN, "attested", ATTESTATION), Listed(AMD64, "ours")],
        "ours",
    ),
    "several platforms": (
        [Listed(ARM64, "arm"), Listed(AMD64, "ours"), Listed({**AMD64, "os": "windows"}, "win")],
        "ours",
    ),
    "a plain one behind a later level": ([Listed({**AMD64, "variant": "v3"}, "v3"), Listed(AMD64, "ours")], "ours"),
    "levels alone": ([Listed({**AMD64, "variant": each}, each) for each in ("v4", "v2", "v3")], "v2"),
    "one level alone": ([Listed({**AMD64, "variant": "v2"}, "ours"), Listed(ARM64, "arm")], "ours"),
    "an empty variant": ([Listed({**AMD64, "variant": ""}, "ours")], "ours"),
    "a variant that nobody knows": ([Listed({**AMD64, "variant": "v9"}, "v9")], None),
    "no platform of ours": ([Listed(ARM64, "arm"), Listed(UNKNOWN, "attested", ATTESTATION)], None),
    "one that does not say for which": ([Listed(None, "ours")], "ours"),
    "one that does not say for which, beside others": ([Listed(ARM64, "arm"), Listed(None, "ours")], "ours"),
    "one that says for which comes first": ([Listed(None, "untold"), Listed(AMD64, "ours")], "ours"),
    "several that do not say for which": ([Listed(None, "untold"), Listed(None, "another")], None),
    "a signature": ([Listed(None, "signature", artifact_type="application/vnd.example.signature")], None),
}


@only("GHCR")
@pytest.mark.parametrize("entries", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("media_type", [OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"])
def test_of_an_index_the_image_for_our_platform_is_taken(
    world: World, entries: tuple[list[Listed], str | None], media_type: str
) -> None:
    listed, wanted = entries
    manifests = {each.name: write_manifest(CONFIG, f"{GZIP};{each.name}") for each in listed}
    for content in manifests.values():
        world.played.put(content)
    fields = [each.describe(manifests[each.name]) for each in listed]
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": fields}
    world.played.put(json.dumps(index).encode(), "v1", media_type)
    if wanted is None:
        with pytest.raises(ImageRefusedError, match=r"no image for linux/amd64; build it for that too"):
            world.hook.find_image(world.played.described.reference)
        return
    found = world.hook.find_image(world.played.described.reference)
    assert found is not None
    assert found.digest == digest(manifests[wanted])


@only("GHCR")
def test_an_entry_that_does_not_say_for_which_machine_is_believed_by_its_config(world: World) -> None:
    config = json.dumps({**ARM64, "config": {"Labels": LABEL}}).encode()
    manifest = write_manifest(config)
    for content in (config, manifest):
        world.played.put(content)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [Listed(None, "untold").describe(manifest)]}
    world.played.put(json.dumps(index).encode(), "v1", OCI_INDEX)
    with pytest.raises(ImageRefusedError, match=r"is for linux/arm64; build it for linux/amd64"):
        world.hook.find_image(world.played.described.reference)


@only("GHCR")
@pytest.mark.parametrize("layer_type", [GZIP, ZSTD, "application/vnd.docker.image.rootfs.diff.tar.gzip"])
def test_how_layers_are_packed_is_not_ours_to_judge(world: World, layer_type: str) -> None:
    content = write_manifest(layer_type=layer_type)
    world.played.put(content, "v1")
    found = world.hook.find_image(world.played.described.reference)
    assert found is not None
    assert found.digest == digest(content)


@only("GHCR")
@pytest.mark.parametrize(
    ("platform", "is_ours"),
    [
        ({"os": "linux", "architecture": "amd64"}, True),
        ({}, True),
        ({"os": "linux", "architecture": "arm64"}, False),
        ({"os": "windows", "architecture": "amd64"}, False),
        ({"os": "linux", "architecture": ["amd64"]}, False),
    ],
)
def test_an_image_that_is_for_another_machine_is_refused(world: World, platform: dict[str, Any], is_ours: bool) -> None:
    config = json.dumps({**platform, "config": {"Labels": LABEL}}).encode()
    world.played.put(config)
    world.played.put(write_manifest(config), "v1")
    if is_ours:
        assert world.hook.find_image(world.played.described.reference) is not None
        return
    with pytest.raises(ImageRefusedError, match=r"ghcr\.io/acme/data-platform:v1 is for .*; build it for linux/amd64"):
        world.hook.find_image(world.played.described.reference)


@pytest.mark.parametrize("form", ["{name}@{digest}", "{name}:v1@{digest}", "{name}:moved@{digest}"])
def test_a_digest_counts_whatever_its_tag_says(world: World, form: str) -> None:
    content = write_manifest()
    world.played.put(write_manifest(layer_type=ZSTD), "moved")
    name = world.played.described.reference.removesuffix(":v1")
    found = world.hook.find_image(form.format(name=name, digest=digest(content)))
    assert found is not None
    assert found.digest == digest(content)
    assert not any(each.path.endswith(("/moved", "/v1")) for each in world.asked)


@only("ECR", "Docker Hub")
def test_a_digest_that_is_gone_is_no_image(world: World) -> None:
    name = world.played.described.reference.removesuffix(":v1")
    assert world.hook.find_image(f"{name}:v1@sha256:{'0' * 64}") is None


@only("Docker Hub")
def test_an_image_without_an_owner_is_docker_hubs_library(world: World) -> None:
    assert world.hook.find_image("airflow:v1") is not None
    assert {urlsplit(each.path).path for each in world.asked if "manifests" in each.path} == {
        "/v2/library/airflow/manifests/v1"
    }
