"""A registry that names other hosts, for tokens, uploads or blobs: none of them is told the login or the token."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.errors import DeployOpsError, ImageRefusedError, ObservationError, RetryableError
from include.deploy_ops.hooks.registry.login_hosts import LoginPlaces, find_places
from include.deploy_ops.hooks.registry.logins import Login
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.hooks.registry.repository import (
    DowngradeError,
    ImageRepository,
    _refuse_downgrade,
    parse_image,
)
from tests.worlds.doubles.hostile_server import Asked, HostileServer, answer

LOGIN, PASSWORD, TOKEN = "ci", "canary-password", "canary-registry-token"
BASIC = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
BLOB = b'{"config": {}}'
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
IMAGE = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"digest": DIGEST, "size": len(BLOB)},
    "layers": [],
}


class Registry:
    """A registry that gives one image to whoever has its token, and can be told to answer otherwise."""

    def __init__(self) -> None:
        self.realm = ""
        self.answers: dict[tuple[str, str], list[bytes]] = {}
        self.server = HostileServer(self.answer)

    def answer(self, asked: Asked) -> Iterable[bytes]:
        for (method, part), said in self.answers.items():
            if asked.method == method and part in asked.path:
                return said
        if "/token" in asked.path:
            return answer(body=json.dumps({"token": TOKEN}).encode())
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            realm = self.realm or f"http://{self.server.host}/token"
            return answer(401, WWW_Authenticate=f'Bearer realm="{realm}",service="x"')
        return answer(body=BLOB if "/blobs/" in asked.path else json.dumps(IMAGE).encode())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps({"conn_type": "docker", "login": LOGIN, "password": PASSWORD}))
    made = Registry()
    with made.server:
        yield made


@pytest.fixture
def other() -> Iterator[HostileServer]:
    with HostileServer(lambda _: answer(body=json.dumps({"token": TOKEN}).encode())) as made:
        yield made
    for asked in made.asked:
        told = f"{asked.path}{asked.headers}{asked.body!r}"
        assert "authorization" not in asked.headers
        assert not any(secret in told for secret in (PASSWORD, BASIC, TOKEN))


def find(registry: Registry, conn_id: str | None = "ci", login_hosts: Mapping[str, list[str]] | None = None) -> object:
    return RegistryHook(conn_id, timeout_s=3, login_hosts=login_hosts).find_image(f"{registry.server.host}/acme/a:1")


def test_the_registry_itself_gets_the_login(registry: Registry) -> None:
    assert find(registry) is not None
    assert [asked.headers.get("authorization") for asked in registry.server.asked][:3] == [
        None,
        f"Basic {BASIC}",
        f"Bearer {TOKEN}",
    ]


@pytest.mark.parametrize("form", ["http://{other}/token", "http://{home}@{other}/token", "http://{other}/token#{home}"])
def test_a_token_service_elsewhere_is_not_even_asked(registry: Registry, other: HostileServer, form: str) -> None:
    registry.realm = form.format(other=other.host, home=registry.server.host)
    with pytest.raises(ImageRefusedError, match=r"not sent to .*name it in the policy: login_hosts"):
        find(registry)
    assert other.asked == []


def test_without_a_login_it_is_asked_and_told_nothing(registry: Registry, other: HostileServer) -> None:
    registry.realm = f"http://{other.host}/token"
    assert find(registry, None) is not None
    assert [asked.path.partition("?")[0] for asked in other.asked] == ["/token"]


def test_a_host_of_the_policy_gets_the_login(registry: Registry) -> None:
    with HostileServer(lambda _: answer(body=json.dumps({"token": TOKEN}).encode())) as named:
        registry.realm = f"http://{named.host}/token"
        assert find(registry, login_hosts={registry.server.host: [named.host]}) is not None
    assert [asked.headers["authorization"] for asked in named.asked] == [f"Basic {BASIC}"]


def test_a_host_of_another_registry_does_not(registry: Registry, other: HostileServer) -> None:
    registry.realm = f"http://{other.host}/token"
    with pytest.raises(ImageRefusedError):
        find(registry, login_hosts={"registry.example.com": [other.host]})
    assert other.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("part", ["/token", "/manifests/", "/blobs/"])
def test_a_redirect_takes_no_login_along(registry: Registry, other: HostileServer, part: str, status: int) -> None:
    registry.answers["GET", part] = answer(status, Location=f"http://{other.host}{part}1")
    with pytest.raises((DeployOpsError, AssertionError)):
        assert find(registry) is None
    assert len(other.asked) <= 1


def test_a_blob_may_lie_elsewhere(registry: Registry) -> None:
    with HostileServer(lambda _: answer(body=BLOB)) as storage:
        registry.answers["GET", "/blobs/"] = answer(307, Location=f"http://{storage.host}/b?signature=s")
        assert find(registry) is not None
    assert ["authorization" in asked.headers for asked in storage.asked] == [False]


@pytest.mark.parametrize(
    "scheme", ["Basic realm=x", 'Bearer realm="http://{other}/token"', 'Bearer realm="http://{home}/token"']
)
def test_a_storage_host_that_asks_for_a_login_gets_none(registry: Registry, scheme: str) -> None:
    storage = HostileServer(lambda _: answer(401, WWW_Authenticate=said))
    with storage:
        said = scheme.format(other=storage.host, home=registry.server.host)
        registry.answers["GET", "/blobs/"] = answer(307, Location=f"http://{storage.host}/b")
        with pytest.raises(ImageRefusedError):
            find(registry)
    assert ["authorization" in asked.headers for asked in storage.asked] == [False]


class Pieces:
    """A blob of one piece, with a length in bytes."""

    def __len__(self) -> int:
        return len(BLOB)

    def __iter__(self) -> Iterator[bytes]:
        return iter([BLOB])


def push(registry: Registry) -> None:
    image = parse_image(f"{registry.server.host}/acme/a:1")
    with ImageRepository(image, lambda: Login(LOGIN, PASSWORD), 3) as repository:
        repository.push_blob(DIGEST, Pieces())


@pytest.mark.parametrize("status", [201, 401])
def test_an_upload_elsewhere_carries_no_login(registry: Registry, status: int) -> None:
    registry.answers["POST", "/uploads/"] = []
    with HostileServer(lambda _: answer(status, WWW_Authenticate="Basic realm=x")) as storage:
        registry.answers["POST", "/uploads/"] = answer(202, Location=f"http://{storage.host}/put?a=1")
        registry.answers["PUT", "/"] = answer(201)
        if status == 201:
            push(registry)
        else:
            with pytest.raises(ImageRefusedError):
                push(registry)
    assert [(asked.method, "authorization" in asked.headers) for asked in storage.asked] == [("PUT", False)]


@pytest.mark.parametrize("place", ["", "file:///etc/passwd", "http://[::", "ftp://127.0.0.1/x"])
def test_an_upload_to_nowhere_is_an_error(registry: Registry, place: str) -> None:
    registry.answers["POST", "/uploads/"] = answer(202, Location=place)
    with pytest.raises(ObservationError):
        push(registry)


def test_what_lies_in_netrc_goes_nowhere(
    registry: Registry, other: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login root password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    registry.realm = f"http://{other.host}/token"
    assert find(registry, None) is not None
    assert all("Basic" not in asked.headers.get("authorization", "") for asked in registry.server.asked)


TOKENS = ["a b", "a\r\nHost: evil", "\u202e", "é", "", "\x00", 7, None, ["x"], {"a": 1}]


@pytest.mark.parametrize("token", TOKENS, ids=repr)
def test_a_token_that_no_header_takes_is_none(registry: Registry, token: Any) -> None:
    registry.answers["GET", "/token"] = answer(body=json.dumps({"token": token}).encode())
    with pytest.raises(ObservationError, match="without a token"):
        find(registry)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500])
@pytest.mark.parametrize("part", ["/token", "/manifests/", "/blobs/"])
def test_what_an_answer_repeats_of_a_login_is_not_told(registry: Registry, part: str, status: int) -> None:
    said = f"{PASSWORD} {BASIC} Bearer {TOKEN}"
    registry.answers["GET", part] = answer(status, said.encode(), Location=said, WWW_Authenticate=f"Basic {said}")
    with pytest.raises((DeployOpsError, AssertionError)) as caught:
        assert find(registry) is None
    told = str(caught.value)
    is_issued = part != "/token" and any("/token" in asked.path for asked in registry.server.asked)
    known = (PASSWORD, BASIC, TOKEN) if is_issued else (PASSWORD, BASIC)
    assert [secret for secret in known if secret in told] == []


@pytest.mark.parametrize("key", ["mediaType", "config", "layers", "manifests"])
def test_what_a_manifest_repeats_of_a_login_is_not_told(registry: Registry, key: str) -> None:
    said = json.dumps({**IMAGE, key: f"{PASSWORD} {TOKEN}"}).encode()
    registry.answers["GET", "/manifests/"] = answer(body=said)
    registry.answers = {("GET", "/token"): answer(body=json.dumps({"token": TOKEN}).encode()), **registry.answers}
    repository = f"{registry.server.host}/acme/a:1"
    try:
        RegistryHook("ci", timeout_s=3).find_image(repository)
    except DeployOpsError as error:
        assert PASSWORD not in str(error)  # noqa: PT017 - a manifest may also be taken as it is


HOME = LoginPlaces("registry.example.com")
ALIKE = [
    "http://registry.example.com/token",  # not encrypted
    "https://registry.example.com.evil.com/token",
    "https://evil.com/registry.example.com",
    "https://registry.example.com@evil.com/token",
    "https://registry.example.com:pw@evil.com/token",
    "https://evil.com#@registry.example.com/",
    "https://registry.example.com:8443/token",
    "https://registry.example.com./token",
    "https://registry.example.com\\@evil.com/",
    "https://registry.example\u3002com/",
    "https://r\u0435gistry.example.com/",
    "https://auth.registry.example.com/token",
    "https://example.com/token",
    "https:///registry.example.com",
    "ftp://registry.example.com/",
    "//registry.example.com/token",
    "registry.example.com/token",
    "",
]


@pytest.mark.parametrize("url", ALIKE)
def test_what_looks_like_the_registry_is_not_it(url: str) -> None:
    assert not HOME.has(url)


@pytest.mark.parametrize(
    ("registry_host", "url", "is_its"),
    [
        ("registry.example.com", "https://registry.example.com/token?a=b", True),
        ("registry.example.com", "https://REGISTRY.example.com:443/token", True),
        ("registry-1.docker.io", "https://auth.docker.io/token", True),
        ("registry-1.docker.io", "https://auth.docker.io.evil.com/token", False),
        ("registry-1.docker.io", "https://evil.docker.io/token", False),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("registry.gitlab.com", "https://evil.gitlab.com/jwt/auth", False),
        ("images.astronomer.cloud", "https://api.astronomer.io/token", True),
        ("images.astronomer.cloud", "https://astronomer.io.evil.com/token", False),
        ("images.astronomer.cloud", "https://evilastronomer.io/token", False),
        ("images.astronomer.cloud", "http://api.astronomer.io/token", False),
        ("ghcr.io", "https://auth.docker.io/token", False),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/token", True),
        ("127.0.0.1:5000", "http://127.0.0.1:5001/token", False),
        ("127.0.0.1:5000", "http://127.0.0.1:5000@evil.com/token", False),
    ],
)
def test_the_known_hosts_are_exact(registry_host: str, url: str, is_its: bool) -> None:
    assert LoginPlaces(registry_host).has(url) is is_its


def test_docker_hub_is_named_as_people_name_it() -> None:
    places = find_places(parse_image("acme/a:1").host, {"docker.io": ["mirror.example.com"]})
    assert places.has("https://mirror.example.com/token")


@pytest.mark.parametrize("to", ["http://registry.example.com/x", "http://169.254.169.254/latest", "file:///x"])
def test_no_redirect_leads_out_of_encryption(to: str) -> None:
    response: Any = SimpleNamespace(url="https://registry.example.com/v2/", headers={"Location": to}, is_redirect=True)
    with pytest.raises(DowngradeError):
        _refuse_downgrade(response)
    assert issubclass(DowngradeError, OSError)
    assert not issubclass(DowngradeError, RetryableError)  # the repository makes one of it
