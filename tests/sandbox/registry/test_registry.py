"""The registry by python-dxf, a client that was not written for it; and its manifests and tags by httpx."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dxf import DXF, exceptions

from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox
from tests.sandbox.registry.calls import (
    ASTRO_REPOSITORY,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    REPOSITORY,
    authorize,
    compute_digest,
    make_manifest,
    open_dxf,
    push_blob,
    put_manifest,
    read_blob,
    read_code,
)


def test_dxf_pushes_and_pulls_an_image_byte_for_byte(sandbox: Sandbox, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_bytes(os.urandom(300_000))
    client = open_dxf(sandbox, REPOSITORY, CI_LOGIN)

    digest = client.push_blob(str(layer))
    manifest = client.set_alias("v1", digest)

    reader = open_dxf(sandbox, REPOSITORY, None)
    assert reader.get_manifest("v1") == manifest
    assert reader.get_digest("v1") == digest
    assert reader.list_aliases() == ["v1"]
    assert reader.blob_size(digest) == 300_000
    assert read_blob(reader, digest) == layer.read_bytes()


def test_dxf_pushes_a_stream_of_unknown_length(sandbox: Sandbox) -> None:
    client = open_dxf(sandbox, REPOSITORY, CI_LOGIN)
    content = os.urandom(200_000)

    def stream() -> Iterator[bytes]:
        yield content[:70_000]
        yield content[70_000:]

    with pytest.raises(exceptions.DXFUnauthorizedError):  # a refused stream cannot be sent twice: log in first
        DXF(sandbox.host, REPOSITORY, insecure=True).push_blob(data=stream(), digest=compute_digest(content))
    client.push_blob(data=stream(), digest=compute_digest(content))

    assert client.blob_size(compute_digest(content)) == 200_000


def test_dxf_mounts_a_blob_of_another_deployment(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"layer")
    source = open_dxf(sandbox, ASTRO_REPOSITORY, ASTRO_LOGIN)
    digest = source.push_blob(str(tmp_path / "layer"))
    target = open_dxf(sandbox, "astro/other-5678/airflow", ASTRO_LOGIN)

    assert target.mount_blob(ASTRO_REPOSITORY, digest) == digest
    assert read_blob(target, digest) == b"layer"


def test_a_mount_of_what_is_not_there_becomes_an_upload(sandbox: Sandbox) -> None:
    client = open_dxf(sandbox, ASTRO_REPOSITORY, ASTRO_LOGIN)

    with pytest.raises(exceptions.DXFMountFailed):
        client.mount_blob("astro/empty-1/airflow", compute_digest(b"nowhere"))


def test_a_mount_needs_the_right_to_pull_the_source(sandbox: Sandbox) -> None:
    digest = push_blob(sandbox, b"private")
    sandbox.client.post("/sandbox/settings", json={"registry_auth": "private"})
    target = open_dxf(sandbox, ASTRO_REPOSITORY, ASTRO_LOGIN)

    with pytest.raises(exceptions.DXFMountFailed):
        target.mount_blob(REPOSITORY, digest)
    sandbox.client.post("/sandbox/settings", json={"registry_auth": "anonymous"})
    assert target.mount_blob(REPOSITORY, digest) == digest


def test_dxf_resolves_a_manifest_list_to_its_platform(sandbox: Sandbox) -> None:
    client = open_dxf(sandbox, REPOSITORY, CI_LOGIN)
    manifests = {}
    for architecture in ("arm64", "amd64"):
        blob = push_blob(sandbox, architecture.encode())
        content = make_manifest(blob, blob)
        digest = put_manifest(sandbox, compute_digest(content), content).headers["docker-content-digest"]
        manifests[architecture] = (digest, content)
    index = {
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST,
        "manifests": [
            {"mediaType": DOCKER_MANIFEST, "digest": digest, "platform": {"os": "linux", "architecture": architecture}}
            for architecture, (digest, _) in manifests.items()
        ],
    }
    assert put_manifest(sandbox, "multi", json.dumps(index).encode(), DOCKER_LIST).status_code == 201

    assert client.get_manifest("multi", platform="linux/amd64") == manifests["amd64"][1].decode()


@pytest.mark.parametrize(
    "media_type", [DOCKER_MANIFEST, "application/vnd.oci.image.manifest.v1+json", DOCKER_LIST, OCI_INDEX]
)
def test_a_manifest_keeps_its_bytes_and_its_type(sandbox: Sandbox, media_type: str) -> None:
    blob = push_blob(sandbox, b"config")
    inner = make_manifest(blob)
    assert put_manifest(sandbox, "inner", inner, DOCKER_MANIFEST).status_code == 201
    content = make_manifest(
        compute_digest(inner) if media_type in (DOCKER_LIST, OCI_INDEX) else blob, media_type=media_type
    )

    put = put_manifest(sandbox, "v1", content, media_type)

    assert put.status_code == 201
    assert put.headers["docker-content-digest"] == compute_digest(content)
    for reference in ("v1", compute_digest(content)):
        got = sandbox.client.get(f"/v2/{REPOSITORY}/manifests/{reference}", headers=authorize(sandbox))
        assert got.content == content
        assert got.headers["content-type"] == media_type
        head = sandbox.client.head(f"/v2/{REPOSITORY}/manifests/{reference}", headers=authorize(sandbox))
        assert head.headers["content-length"] == str(len(content))
        assert head.headers["docker-content-digest"] == compute_digest(content)


def test_what_a_manifest_refers_to_must_be_there(sandbox: Sandbox) -> None:
    there, missing = push_blob(sandbox, b"there"), compute_digest(b"missing")

    for content, media_type in [
        (make_manifest(there, missing), DOCKER_MANIFEST),
        (make_manifest(there, media_type=OCI_INDEX), OCI_INDEX),  # a blob is no manifest
    ]:
        assert read_code(put_manifest(sandbox, "v1", content, media_type)) == (400, "MANIFEST_BLOB_UNKNOWN")
    got = sandbox.client.get(f"/v2/{REPOSITORY}/manifests/v1", headers=authorize(sandbox))
    assert read_code(got) == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (b"{", DOCKER_MANIFEST, "MANIFEST_INVALID"),
        (b"[]", DOCKER_MANIFEST, "MANIFEST_INVALID"),
        (b"{}", DOCKER_MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2}', "text/plain", "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2}', None, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2}', OCI_INDEX, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "layers": [], "config": {"digest": "sha256:1"}}', DOCKER_MANIFEST, "MANIFEST_INVALID"),
        (make_manifest("sha256:" + "0" * 64, media_type=OCI_INDEX), DOCKER_LIST, "MANIFEST_INVALID"),
        (b" " * (4 << 20) + b"{}", DOCKER_MANIFEST, "SIZE_INVALID"),
    ],
)
def test_a_malformed_manifest_is_refused(sandbox: Sandbox, content: bytes, media_type: str | None, code: str) -> None:
    assert read_code(put_manifest(sandbox, "v1", content, media_type)) == (400, code)


def test_a_manifest_put_under_a_digest_must_have_it(sandbox: Sandbox) -> None:
    content = make_manifest(push_blob(sandbox, b"config"))

    assert read_code(put_manifest(sandbox, compute_digest(b"x"), content)) == (400, "DIGEST_INVALID")
    assert put_manifest(sandbox, compute_digest(content), content).status_code == 201


def test_deleting_a_tag_leaves_the_manifest_and_deleting_the_manifest_takes_its_tags(sandbox: Sandbox) -> None:
    content = make_manifest(push_blob(sandbox, b"config"))
    headers = authorize(sandbox)
    for tag in ("a", "b", "c"):
        put_manifest(sandbox, tag, content)

    def delete(reference: str) -> int:
        return sandbox.client.delete(f"/v2/{REPOSITORY}/manifests/{reference}", headers=headers).status_code

    def list_tags() -> Any:
        return sandbox.client.get(f"/v2/{REPOSITORY}/tags/list", headers=headers).json()["tags"]

    assert delete("a") == 202
    assert list_tags() == ["b", "c"]
    assert delete(compute_digest(content)) == 202
    assert list_tags() == []
    assert delete("b") == 404


def test_tags_come_in_pages(sandbox: Sandbox) -> None:
    content = make_manifest(push_blob(sandbox, b"config"))
    headers = authorize(sandbox)
    for tag in ("v3", "v1", "v2"):
        put_manifest(sandbox, tag, content)
    url = f"/v2/{REPOSITORY}/tags/list"

    first = sandbox.client.get(url, params={"n": 2}, headers=headers)
    assert first.json() == {"name": REPOSITORY, "tags": ["v1", "v2"]}
    rest = sandbox.client.get(first.links["next"]["url"], headers=headers)
    assert rest.json()["tags"] == ["v3"]
    assert "next" not in rest.links
    assert sandbox.client.get(url, params={"n": 0}, headers=headers).json()["tags"] == []
    assert read_code(sandbox.client.get(url, params={"n": "x"}, headers=headers)) == (400, "PAGINATION_NUMBER_INVALID")
    unknown = sandbox.client.get("/v2/acme/nothing/tags/list", headers=authorize(sandbox, "acme/nothing"))
    assert read_code(unknown) == (404, "NAME_UNKNOWN")


def test_names_are_held_to_the_specification(sandbox: Sandbox) -> None:
    assert read_code(sandbox.client.get("/v2/Acme/App/tags/list")) == (400, "NAME_INVALID")
    content = make_manifest(push_blob(sandbox, b"config"))
    assert read_code(put_manifest(sandbox, ".hidden", content)) == (400, "TAG_INVALID")
