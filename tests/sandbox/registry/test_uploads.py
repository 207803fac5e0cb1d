"""Blobs on their way into the registry and out again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import CI_LOGIN, Sandbox, SandboxProcess
from tests.sandbox.registry.calls import REPOSITORY, authorize, compute_digest, push_blob, read_code


def test_chunks_must_follow_each_other(sandbox: Sandbox) -> None:
    headers = authorize(sandbox)
    begun = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers)
    assert begun.status_code == 202
    location = begun.headers["location"]

    first = sandbox.client.patch(location, content=b"hello ", headers=headers | {"Content-Range": "0-5"})
    assert (first.status_code, first.headers["range"]) == (202, "0-5")
    gap = sandbox.client.patch(location, content=b"world", headers=headers | {"Content-Range": "7-11"})
    assert read_code(gap) == (416, "RANGE_INVALID")
    assert gap.headers["range"] == "0-5"
    wrong_size = sandbox.client.patch(location, content=b"world", headers=headers | {"Content-Range": "6-11"})
    assert read_code(wrong_size) == (400, "SIZE_INVALID")
    status = sandbox.client.get(location, headers=headers)
    assert (status.status_code, status.headers["range"]) == (204, "0-5")
    last = sandbox.client.put(
        location,
        content=b"world",
        params={"digest": compute_digest(b"hello world")},
        headers=headers | {"Content-Range": "6-10"},
    )
    assert last.status_code == 201
    assert sandbox.client.get(last.headers["location"], headers=headers).content == b"hello world"
    assert read_code(sandbox.client.get(location, headers=headers)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("digest", [compute_digest(b"other"), "md5:0cc175b9c0f1b6a831c399e269772661", None])
def test_a_blob_that_is_not_what_was_promised_is_refused_and_forgotten(sandbox: Sandbox, digest: str | None) -> None:
    headers = authorize(sandbox)
    location = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers).headers["location"]

    params = {"digest": digest} if digest else {}
    answer = sandbox.client.put(location, content=b"this", params=params, headers=headers)

    assert read_code(answer) == (400, "DIGEST_INVALID")
    blob = f"/v2/{REPOSITORY}/blobs/{compute_digest(b'this')}"
    assert read_code(sandbox.client.get(blob, headers=headers)) == (404, "BLOB_UNKNOWN")
    assert sandbox.client.get(location, headers=headers).status_code == 404


def test_an_upload_can_be_cancelled_and_belongs_to_its_repository(sandbox: Sandbox) -> None:
    headers = authorize(sandbox)
    location = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers).headers["location"]

    stranger = location.replace(REPOSITORY, "acme/other")
    assert sandbox.client.delete(stranger, headers=authorize(sandbox, "acme/other")).status_code == 404
    assert sandbox.client.delete(location, headers=headers).status_code == 204
    assert sandbox.client.delete(location, headers=headers).status_code == 404


def test_an_upload_that_breaks_off_can_be_continued(sandbox: Sandbox) -> None:
    headers = authorize(sandbox)
    location = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers).headers["location"]

    def break_off() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        sandbox.client.patch(location, content=break_off(), headers=headers)
    received = int(sandbox.client.get(location, headers=headers).headers["range"].partition("-")[2]) + 1
    rest = b"x" * (150_000 - received)
    params = {"digest": compute_digest(b"x" * 150_000)}

    assert received == 100_000
    assert sandbox.client.put(location, content=rest, params=params, headers=headers).status_code == 201


def test_a_blob_is_served_whole_or_in_part(sandbox: Sandbox) -> None:
    digest = push_blob(sandbox, b"0123456789")
    headers = authorize(sandbox)
    url = f"/v2/{REPOSITORY}/blobs/{digest}"

    head = sandbox.client.head(url, headers=headers)
    assert (head.headers["content-length"], head.content) == ("10", b"")
    assert head.headers["docker-content-digest"] == digest
    part = sandbox.client.get(url, headers=headers | {"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert sandbox.client.get(url, headers=headers | {"Range": "bytes=10-"}).status_code == 416


def test_a_deleted_blob_is_gone_here_and_stays_where_it_was_mounted(sandbox: Sandbox) -> None:
    digest = push_blob(sandbox, b"shared")
    headers = authorize(sandbox)
    other = authorize(sandbox, "acme/other")
    mount = {"mount": digest, "from": REPOSITORY}
    token = sandbox.get_token(f"repository:acme/other:pull,push repository:{REPOSITORY}:pull", login=CI_LOGIN)
    mounted = sandbox.client.post(
        "/v2/acme/other/blobs/uploads/", params=mount, headers={"Authorization": f"Bearer {token}"}
    )
    assert mounted.status_code == 201

    assert sandbox.client.delete(f"/v2/{REPOSITORY}/blobs/{digest}", headers=headers).status_code == 202

    assert sandbox.client.get(f"/v2/{REPOSITORY}/blobs/{digest}", headers=headers).status_code == 404
    assert sandbox.client.get(f"/v2/acme/other/blobs/{digest}", headers=other).content == b"shared"


def test_memory_stays_flat_while_a_large_blob_passes(sandbox: SandboxProcess) -> None:
    size, piece = 64 << 20, bytes(1 << 20)
    digest = hashlib.sha256()

    def stream() -> Iterator[bytes]:
        for _ in range(size // len(piece)):
            digest.update(piece)
            yield piece

    headers = authorize(sandbox)
    location = sandbox.client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers).headers["location"]
    Path(f"/proc/{sandbox.process.pid}/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before = read_peak_kib(sandbox.process.pid)
    assert sandbox.client.patch(location, content=stream(), headers=headers).status_code == 202
    name = f"sha256:{digest.hexdigest()}"
    assert sandbox.client.put(location, params={"digest": name}, headers=headers).status_code == 201
    with sandbox.client.stream("GET", f"/v2/{REPOSITORY}/blobs/{name}", headers=headers) as answer:
        assert sum(len(part) for part in answer.iter_bytes()) == size

    assert read_peak_kib(sandbox.process.pid) - before < 16 << 10


def read_peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])
