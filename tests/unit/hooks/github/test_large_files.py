"""Files of Git LFS, fetched from an endpoint that speaks its batch API; attacks on it stand in tests/hostile."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from include.deploy_ops.core.change.large_files import LargeFile
from include.deploy_ops.core.errors import RateLimitError, RetryableError
from include.deploy_ops.hooks.github.large_files import LargeFileFetcher
from tests.worlds.doubles.hostile_server import Asked, HostileServer, answer

TOKEN = "ghp_made-up"  # noqa: S105 - made up


class Endpoint:
    """An endpoint that has what it was given."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.server = HostileServer(self.answer)

    @property
    def clone_url(self) -> str:
        return f"http://{self.server.host}/acme/data.git"

    def keep(self, content: bytes) -> LargeFile:
        oid = hashlib.sha256(content).hexdigest()
        self.contents[oid] = content
        return LargeFile(oid, len(content))

    def answer(self, asked: Asked) -> Iterable[bytes]:
        if asked.method == "GET":
            return answer(body=self.contents[asked.path.rpartition("/")[2]])
        return answer(body=json.dumps({"objects": [self.tell(each["oid"]) for each in self.read(asked)]}).encode())

    def tell(self, oid: str) -> dict[str, object]:
        if oid not in self.contents:
            return {"oid": oid, "error": {"code": 404, "message": "Object does not exist"}}
        href = f"http://{self.server.host}/objects/{oid}"
        return {"oid": oid, "size": 1, "actions": {"download": {"href": href, "expires_in": 60}}}

    @staticmethod
    def read(asked: Asked) -> list[dict[str, str]]:
        objects: list[dict[str, str]] = json.loads(asked.body)["objects"]
        return objects


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Endpoint()
    with made.server:
        yield made


def fetch(endpoint: Endpoint, folder: Path, *files: LargeFile, timeout_s: float = 20) -> None:
    LargeFileFetcher(lambda: TOKEN)(endpoint.clone_url, {file: folder / file.oid for file in files}, timeout_s)


def test_files_are_asked_for_a_hundred_at_once_and_written_whole(endpoint: Endpoint, tmp_path: Path) -> None:
    files = [endpoint.keep(f"content {number}".encode() * number) for number in range(101)]
    fetch(endpoint, tmp_path, *files)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == endpoint.contents
    posts = [asked for asked in endpoint.server.asked if asked.method == "POST"]
    assert [len(endpoint.read(asked)) for asked in posts] == [100, 1]


def test_the_endpoint_is_the_clone_urls_own_and_gets_the_token_as_git_does(endpoint: Endpoint, tmp_path: Path) -> None:
    fetch(endpoint, tmp_path, endpoint.keep(b"x"))
    asked = endpoint.server.asked[0]
    assert asked.path == "/acme/data.git/info/lfs/objects/batch"
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(f'x-access-token:{TOKEN}'.encode()).decode()}"
    assert asked.headers["content-type"] == asked.headers["accept"] == "application/vnd.git-lfs+json"
    assert json.loads(asked.body)["operation"] == "download"


def test_a_file_that_was_never_pushed_comes_again(endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match=r"no file 1{64} for us \(code 404\); push it by `git lfs push`"):
        fetch(endpoint, tmp_path, LargeFile("1" * 64, 9))


@pytest.mark.parametrize(("status", "said"), [(401, "HTTP 401"), (404, "has Git LFS"), (500, "HTTP 500")])
def test_a_refusal_says_what_to_check(endpoint: Endpoint, tmp_path: Path, status: int, said: str) -> None:
    endpoint.server.script = lambda _: answer(status)
    with pytest.raises(RetryableError, match=said):
        fetch(endpoint, tmp_path, endpoint.keep(b"x"))


def test_a_pause_is_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.server.script = lambda _: answer(429, Retry_After="7")
    with pytest.raises(RateLimitError) as caught:
        fetch(endpoint, tmp_path, endpoint.keep(b"x"))
    assert caught.value.retry_after_s == 7


def test_time_that_is_over_ends_it(endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="not there within 0 s"):
        fetch(endpoint, tmp_path, endpoint.keep(b"x"), timeout_s=0)
