"""What the distribution specification lets a registry refuse: the status, the code, the body, and that nothing stays.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md and, for the codes that it left out,
https://distribution.github.io/distribution/spec/api/#errors-2
"""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.contract.registry.layouts import compute_digest
from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox
from tests.sandbox.registry.calls import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, authorize, make_manifest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MISSING = compute_digest(b"missing")
SHARED = compute_digest(b"shared")
NO_UPLOAD = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """Give the server as freshly seeded; what a test does there, it does in repositories of its own."""
    assert sandbox_process.client.post("/sandbox/reset").status_code == 204
    return sandbox_process


@pytest.fixture
def repository() -> str:
    """Name a repository that nobody knows yet."""
    return f"acme/{uuid.uuid4()}"


def read_errors(answer: httpx.Response) -> list[tuple[str, Any]]:
    """Return code and detail of each error, once the body has the specification's shape."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    body = answer.json()
    assert body.keys() == {"errors"}
    assert body["errors"]
    for error in body["errors"]:
        assert error.keys() == {"code", "message", "detail"}
        assert isinstance(error["message"], str)
        assert error["message"]
    return [(error["code"], error["detail"]) for error in body["errors"]]


def read_refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of the body's only error."""
    [(code, _)] = read_errors(answer)
    return answer.status_code, code


def push_blob(sandbox: Sandbox, repository: str, content: bytes) -> str:
    digest, url = compute_digest(content), f"/v2/{repository}/blobs/uploads/"
    headers = authorize(sandbox, repository)
    answer = sandbox.client.post(url, params={"digest": digest}, content=content, headers=headers)
    assert answer.status_code == 201
    return digest


def put_manifest(
    sandbox: Sandbox, repository: str, reference: str, content: bytes, media_type: str = DOCKER_MANIFEST
) -> httpx.Response:
    headers = authorize(sandbox, repository) | {"Content-Type": media_type}
    return sandbox.client.put(f"/v2/{repository}/manifests/{reference}", content=content, headers=headers)


def begin_upload(sandbox: Sandbox, repository: str) -> str:
    answer = sandbox.client.post(f"/v2/{repository}/blobs/uploads/", headers=authorize(sandbox, repository))
    assert answer.status_code == 202
    return answer.headers["location"]


def get_status(sandbox: Sandbox, repository: str, path: str) -> int:
    return sandbox.client.get(f"/v2/{repository}/{path}", headers=authorize(sandbox, repository)).status_code


def ask_to_mount(sandbox: Sandbox, repository: str, parameters: dict[str, str]) -> httpx.Response:
    scopes = [f"repository:{repository}:pull,push", f"repository:{parameters.get('from')}:pull"]
    headers = {"Authorization": f"Bearer {sandbox.get_token(*scopes, login=CI_LOGIN)}"}
    return sandbox.client.post(f"/v2/{repository}/blobs/uploads/", params=parameters, headers=headers)


@pytest.mark.parametrize("way", ["post", "put", "patch and put"])
def test_a_blob_with_a_wrong_digest_is_nowhere(sandbox: Sandbox, repository: str, way: str) -> None:
    headers, promised = authorize(sandbox, repository), {"digest": compute_digest(b"promised")}
    location = f"/v2/{repository}/blobs/uploads/" if way == "post" else begin_upload(sandbox, repository)
    content = b"sent"
    if way == "patch and put":
        assert sandbox.client.patch(location, content=content, headers=headers).status_code == 202
        content = b""

    method = "POST" if way == "post" else "PUT"
    answer = sandbox.client.request(method, location, content=content, params=promised, headers=headers)

    assert answer.status_code == 400
    assert read_errors(answer) == [("DIGEST_INVALID", promised)]
    for digest in (compute_digest(b"sent"), promised["digest"]):
        assert get_status(sandbox, repository, f"blobs/{digest}") == 404
    if way != "post":
        assert read_refusal(sandbox.client.get(location, headers=headers)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("digest", [None, "", "junk", "sha256:12", "md5:0cc175b9c0f1b6a831c399e269772661"])
def test_a_blob_needs_a_digest_that_can_be_checked(sandbox: Sandbox, repository: str, digest: str | None) -> None:
    parameters = {} if digest is None else {"digest": digest}

    answer = sandbox.client.put(
        begin_upload(sandbox, repository), content=b"sent", params=parameters, headers=authorize(sandbox, repository)
    )

    assert read_refusal(answer) == (400, "DIGEST_INVALID")
    assert get_status(sandbox, repository, f"blobs/{compute_digest(b'sent')}") == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_unknown_upload_is_told(sandbox: Sandbox, repository: str, method: str) -> None:
    elsewhere = begin_upload(sandbox, "acme/other").replace("acme/other", repository)

    for path in (f"/v2/{repository}/blobs/uploads/{NO_UPLOAD}", elsewhere):
        parameters = {"digest": compute_digest(b"x")}
        content = b"x" if method in {"PATCH", "PUT"} else None
        answer = sandbox.client.request(
            method, path, params=parameters, content=content, headers=authorize(sandbox, repository)
        )
        assert read_refusal(answer) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert get_status(sandbox, repository, f"blobs/{compute_digest(b'x')}") == 404


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"blobs/{MISSING}", "BLOB_UNKNOWN"),
        ("manifests/none", "MANIFEST_UNKNOWN"),
        (f"manifests/{MISSING}", "MANIFEST_UNKNOWN"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_missing_is_told_with_its_own_code(
    sandbox: Sandbox, repository: str, path: str, code: str, is_known: bool
) -> None:
    if is_known:
        put_manifest(sandbox, repository, "v1", make_manifest(push_blob(sandbox, repository, b"config")))
    url, headers = f"/v2/{repository}/{path}", authorize(sandbox, repository)

    assert read_refusal(sandbox.client.get(url, headers=headers)) == (404, code)
    assert read_refusal(sandbox.client.delete(url, headers=headers)) == (404, code)
    head = sandbox.client.head(url, headers=headers)
    assert (head.status_code, head.content) == (404, b"")


def test_a_blob_of_another_repository_is_missing_here(sandbox: Sandbox, repository: str) -> None:
    digest = push_blob(sandbox, repository, b"elsewhere")

    assert get_status(sandbox, repository, f"blobs/{digest}") == 200
    assert get_status(sandbox, "acme/other", f"blobs/{digest}") == 404


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, OCI_MANIFEST, DOCKER_LIST, OCI_INDEX])
def test_a_manifest_of_missing_parts_is_refused_with_each_of_them(
    sandbox: Sandbox, repository: str, media_type: str
) -> None:
    absent = [compute_digest(b"one"), compute_digest(b"two")]
    content = make_manifest(*absent, absent[0], media_type=media_type)

    answer = put_manifest(sandbox, repository, "v1", content, media_type)

    assert answer.status_code == 400
    assert read_errors(answer) == [("MANIFEST_BLOB_UNKNOWN", {"digest": digest}) for digest in absent]
    assert get_status(sandbox, repository, "manifests/v1") == 404
    assert get_status(sandbox, repository, f"manifests/{compute_digest(content)}") == 404
    tags = sandbox.client.get(f"/v2/{repository}/tags/list", headers=authorize(sandbox, repository))
    assert read_refusal(tags) == (404, "NAME_UNKNOWN")


def test_a_manifest_that_has_another_digest_than_its_address_is_nowhere(sandbox: Sandbox, repository: str) -> None:
    content = make_manifest(push_blob(sandbox, repository, b"config"))

    answer = put_manifest(sandbox, repository, MISSING, content)

    assert answer.status_code == 400
    assert read_errors(answer) == [("DIGEST_INVALID", {"digest": MISSING})]
    for digest in (MISSING, compute_digest(content)):
        assert get_status(sandbox, repository, f"manifests/{digest}") == 404


def test_parameters_of_a_media_type_do_not_count(sandbox: Sandbox, repository: str) -> None:
    content = make_manifest(push_blob(sandbox, repository, b"config"))

    assert put_manifest(sandbox, repository, "v1", content, f"{DOCKER_MANIFEST}; charset=utf-8").status_code == 201
    got = sandbox.client.get(f"/v2/{repository}/manifests/v1", headers=authorize(sandbox, repository))
    assert got.headers["content-type"] == DOCKER_MANIFEST


@pytest.mark.parametrize("name", ["Acme/app", "acme/app-", "-acme/app", "acme/a..b", "acme/a___b", "a" * 256])
def test_a_name_that_cannot_be_is_refused(sandbox: Sandbox, name: str) -> None:
    for method, path in (("GET", "tags/list"), ("POST", "blobs/uploads/"), ("GET", "manifests/v1")):
        answer = sandbox.client.request(method, f"/v2/{name}/{path}")
        assert answer.status_code == 400
        assert read_errors(answer) == [("NAME_INVALID", {"name": name})]


def test_the_longest_name_is_a_name(sandbox: Sandbox) -> None:
    begin_upload(sandbox, "a" * 255)


def test_tags_of_an_unknown_name_are_refused(sandbox: Sandbox) -> None:
    answer = sandbox.client.get("/v2/acme/none/tags/list", headers=authorize(sandbox, "acme/none"))

    assert answer.status_code == 404
    assert read_errors(answer) == [("NAME_UNKNOWN", {"name": "acme/none"})]


@pytest.mark.parametrize("tag", [".hidden", "a" * 129, "md5:0cc175b9c0f1b6a831c399e269772661"])
def test_a_tag_that_cannot_be_is_refused(sandbox: Sandbox, repository: str, tag: str) -> None:
    content = make_manifest(push_blob(sandbox, repository, b"config"))

    assert read_refusal(put_manifest(sandbox, repository, tag, content)) == (400, "TAG_INVALID")


@pytest.mark.parametrize("content_range", ["7-11", "5-9", "0-4", "x-y", "bytes 7-11/12"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on(
    sandbox: Sandbox, repository: str, method: str, content_range: str
) -> None:
    headers, location = authorize(sandbox, repository), begin_upload(sandbox, repository)
    whole = {"digest": compute_digest(b"hello world")}
    assert sandbox.client.patch(location, content=b"hello ", headers=headers).status_code == 202

    out_of_order = headers | {"Content-Range": content_range}
    parameters = whole if method == "PUT" else {}
    answer = sandbox.client.request(method, location, content=b"world", params=parameters, headers=out_of_order)

    assert read_refusal(answer) == (416, "RANGE_INVALID")
    assert answer.headers["range"] == "0-5"
    assert answer.headers["location"] == location
    in_order = headers | {"Content-Range": "6-10"}
    assert sandbox.client.put(location, content=b"world", params=whole, headers=in_order).status_code == 201


def test_a_mount_shows_the_blob_and_says_where(sandbox: Sandbox, repository: str) -> None:
    digest, target = push_blob(sandbox, repository, b"shared"), f"{repository}/more"

    answer = ask_to_mount(sandbox, target, {"mount": digest, "from": repository})

    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["docker-content-digest"] == digest
    assert answer.headers["location"] == f"{sandbox.url}/v2/{target}/blobs/{digest}"
    assert sandbox.client.get(answer.headers["location"], headers=authorize(sandbox, target)).content == b"shared"


@pytest.mark.parametrize(
    ("mount", "source"),
    [
        (MISSING, "acme/shared"),
        (SHARED, "acme/none"),
        (SHARED, "Not/A/Name"),
        (SHARED, ""),
        (SHARED, None),
        ("junk", "acme/shared"),
    ],
)
def test_a_mount_that_cannot_be_becomes_an_upload(
    sandbox: Sandbox, repository: str, mount: str, source: str | None
) -> None:
    assert push_blob(sandbox, "acme/shared", b"shared") == SHARED

    answer = ask_to_mount(sandbox, repository, {"mount": mount} | ({} if source is None else {"from": source}))

    assert answer.status_code == 202
    assert answer.headers["range"] == "0-0"
    assert get_status(sandbox, repository, f"blobs/{SHARED}") == 404
    headers = authorize(sandbox, repository)
    put = sandbox.client.put(answer.headers["location"], content=b"shared", params={"digest": SHARED}, headers=headers)
    assert put.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "actions"),
    [
        ("GET", "tags/list", "pull"),
        ("GET", "manifests/v1", "pull"),
        ("PUT", "manifests/v1", "pull,push"),
        ("DELETE", "manifests/v1", "delete"),
        ("GET", f"blobs/{MISSING}", "pull"),
        ("DELETE", f"blobs/{MISSING}", "delete"),
        ("POST", "blobs/uploads/", "pull,push"),
        ("GET", f"blobs/uploads/{NO_UPLOAD}", "pull,push"),
        ("PATCH", f"blobs/uploads/{NO_UPLOAD}", "pull,push"),
        ("PUT", f"blobs/uploads/{NO_UPLOAD}", "pull,push"),
        ("DELETE", f"blobs/uploads/{NO_UPLOAD}", "pull,push"),
    ],
)
def test_who_did_not_log_in_is_told_where_and_for_what(
    sandbox: Sandbox, repository: str, method: str, path: str, actions: str
) -> None:
    url, scope = f"/v2/{repository}/{path}", f"repository:{repository}:{actions}"
    challenge = f'Bearer realm="{sandbox.url}/v2/token",service="{sandbox.host}",scope="{scope}"'

    for headers, error in (
        ({}, ""),
        ({"Authorization": "Bearer of-nobody"}, ',error="invalid_token"'),
        ({"Authorization": f"Bearer {sandbox.get_token(login=CI_LOGIN)}"}, ',error="insufficient_scope"'),
    ):
        answer = sandbox.client.request(method, url, headers=headers)
        assert answer.status_code == 401
        assert read_errors(answer) == [("UNAUTHORIZED", [scope])]
        assert answer.headers["www-authenticate"] == challenge + error


@pytest.mark.parametrize(
    ("owner", "login", "method", "path"),
    [
        ("acme", ASTRO_LOGIN, "POST", "blobs/uploads/"),
        ("acme", ASTRO_LOGIN, "PUT", "manifests/v1"),
        ("astro", CI_LOGIN, "GET", "tags/list"),
        ("astro", CI_LOGIN, "POST", "blobs/uploads/"),
    ],
)
def test_who_is_known_and_may_not_is_denied(
    sandbox: Sandbox, owner: str, login: tuple[str, str], method: str, path: str
) -> None:
    repository = f"{owner}/quiet-star-1234/airflow"
    token = sandbox.get_token(f"repository:{repository}:pull,push", login=login)
    headers = {"Authorization": f"Bearer {token}"}

    answer = sandbox.client.request(method, f"/v2/{repository}/{path}", headers=headers)

    assert read_refusal(answer) == (403, "DENIED")
    assert "www-authenticate" not in answer.headers
