"""What the registry's tests share: names, and the calls that a client makes to push."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, cast

import httpx
from dxf import DXF

from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox

REPOSITORY = "acme/app"
ASTRO_REPOSITORY = "astro/quiet-star-1234/airflow"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def compute_digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def open_dxf(sandbox: Sandbox, repository: str, login: tuple[str, str] | None, *more: str) -> DXF:
    """Return a client that, as Docker does, asks for a token for what the challenge names."""

    def authenticate(client: Any, response: Any) -> None:
        challenge = response.headers["WWW-Authenticate"]
        assert challenge.startswith(f'Bearer realm="{sandbox.url}/v2/token",service="{sandbox.host}"')
        scopes = challenge.partition('scope="')[2].partition('"')[0]
        client.token = sandbox.get_token(scopes, *more, login=login)

    return DXF(sandbox.host, repository, auth=authenticate, insecure=True)


def read_blob(client: DXF, digest: str) -> bytes:
    return b"".join(cast("Iterable[bytes]", client.pull_blob(digest)))


def authorize(sandbox: Sandbox, repository: str = REPOSITORY) -> dict[str, str]:
    login = ASTRO_LOGIN if repository.startswith("astro/") else CI_LOGIN
    token = sandbox.get_token(f"repository:{repository}:pull,push,delete", login=login)
    return {"Authorization": f"Bearer {token}"}


def push_blob(sandbox: Sandbox, content: bytes) -> str:
    digest = compute_digest(content)
    answer = sandbox.client.post(
        f"/v2/{REPOSITORY}/blobs/uploads/", params={"digest": digest}, content=content, headers=authorize(sandbox)
    )
    assert answer.status_code == 201, answer.text
    return digest


def make_manifest(*digests: str, media_type: str = DOCKER_MANIFEST) -> bytes:
    """Return a manifest with uneven spacing, of which a registry must not touch a byte."""
    described = [{"mediaType": "application/octet-stream", "size": 1, "digest": digest} for digest in digests]
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if media_type in (OCI_INDEX, DOCKER_LIST):
        document["manifests"] = described
    else:
        document |= {"config": described[0], "layers": described[1:]}
    return json.dumps(document, indent=5).encode() + b"\n\n"


def put_manifest(sandbox: Sandbox, reference: str, content: bytes, media_type: str | None = None) -> httpx.Response:
    headers = authorize(sandbox) | ({"Content-Type": media_type} if media_type else {})
    return sandbox.client.put(f"/v2/{REPOSITORY}/manifests/{reference}", content=content, headers=headers)


def read_code(answer: httpx.Response) -> tuple[int, str]:
    [error] = answer.json()["errors"]
    assert error.keys() == {"code", "message", "detail"}
    return answer.status_code, error["code"]
