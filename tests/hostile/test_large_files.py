"""Git LFS of a branch and of an endpoint that attack: the token stays at home, and no byte too many is written."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.checkout import placeholders
from include.deploy_ops.checkout import worktree as worktree_module
from include.deploy_ops.checkout.worktree import ContentRules, Contents, checkout
from include.deploy_ops.core.change.large_files import LargeFile
from include.deploy_ops.core.errors import DeployOpsError, ObservationError, PermanentError, RetryableError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.github import large_files
from include.deploy_ops.hooks.github.large_files import LargeFileFetcher
from tests.hostile.conftest import within
from tests.hostile.test_working_folder import ask_git, fetch
from tests.worlds.doubles.git_host import TOKEN, GitHost
from tests.worlds.doubles.hostile_server import Asked, HostileServer, answer

SECONDS_MAX = 20.0
CONTENT = b"large\n" * 100
FILE = LargeFile(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
BASIC = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{FILE.oid}\nsize {FILE.size}\n"
HUGE = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize {1 << 40}\n"


class Endpoint:
    """A Git LFS endpoint that answers by scripts: for where a file lies, and for the file."""

    def __init__(self) -> None:
        self.link: dict[str, Any] = {}
        self.batch: Callable[[], Iterable[bytes]] = lambda: answer(body=self.tell())
        self.file: Callable[[], Iterable[bytes]] = lambda: answer(body=CONTENT)
        self.server = HostileServer(lambda asked: self.batch() if self.is_batch(asked) else self.file())

    @staticmethod
    def is_batch(asked: Asked) -> bool:
        return asked.path.endswith("/info/lfs/objects/batch")

    def tell(self, **changes: Any) -> bytes:
        link = {"href": f"http://{self.server.host}/file?signature=s", **self.link}
        return json.dumps(
            {"objects": [{"oid": FILE.oid, "size": FILE.size, "actions": {"download": link}, **changes}]}
        ).encode()

    def fetch(self, path: Path, file: LargeFile = FILE) -> None:
        with within(SECONDS_MAX):
            LargeFileFetcher(lambda: TOKEN)(f"http://{self.server.host}/acme/data.git", {file: path}, SECONDS_MAX)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 2.0)
    monkeypatch.setattr(large_files, "ANSWER_TIME_MAX_S", 2.0)
    made = Endpoint()
    with made.server:
        yield made


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    with HostileServer(lambda _: answer(body=CONTENT)) as server:
        yield server


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("is_wanted", [True, False])
def test_the_branchs_own_settings_name_no_endpoint_and_run_nothing(
    server: GitHost, tmp_path: Path, canary: Path, contents: Contents, *, is_wanted: bool
) -> None:
    pointer = server.keep(CONTENT)
    config = f"""[lfs]
\turl = {server.url}/elsewhere
\tfetchurl = {server.url}/elsewhere
\tconcurrenttransfers = 1
[remote "origin"]
\tlfsurl = {server.url}/elsewhere
[lfs "customtransfer.x"]
\tpath = touch
\targs = {canary}
[lfs]
\tstandalonetransferagent = x
"""
    attributes = "* filter=lfs diff=lfs merge=lfs -text\n"
    files = {f"{where}{name}": text for where in ("", "dags/") for name, text in [(".lfsconfig", config)]}
    files |= {"dags/a.py": pointer, ".gitattributes": attributes, "dags/.gitattributes": attributes}
    rules = ContentRules(fetch_large_files=LargeFileFetcher(lambda: TOKEN) if is_wanted else None)
    commit = server.commit(files)
    with within(SECONDS_MAX):
        try:
            with checkout(
                clone_url=server.clone_url,
                token=TOKEN,
                commit=commit,
                branch="dev-x",
                root=".",
                contents=contents,
                timeout_s=SECONDS_MAX,
                rules=rules,
                scratch=tmp_path / "scratch",
            ) as worktree:
                ask_git(worktree.project)
                assert is_wanted
                assert (worktree.project / "dags/a.py").read_bytes() == CONTENT
        except PermanentError:
            assert not is_wanted
    assert not any("elsewhere" in path for path, _ in server.asked)
    assert [login for path, login in server.asked if "/large/" in path] == [None] * is_wanted


@pytest.mark.parametrize("header", [{}, {"Authorization": "RemoteAuth ticket"}, {"Cookie": "x", "Host": "evil"}])
def test_a_files_link_is_followed_without_our_token(
    endpoint: Endpoint, elsewhere: HostileServer, tmp_path: Path, header: dict[str, str]
) -> None:
    endpoint.link = {"href": f"http://{elsewhere.host}/file", "header": header}
    endpoint.fetch(tmp_path / "file")
    (asked,) = elsewhere.asked
    assert asked.headers.get("authorization") == header.get("Authorization")
    assert TOKEN not in str(asked) and BASIC not in str(asked)  # noqa: PT018 - one thing, in two spellings
    assert "cookie" not in asked.headers
    assert asked.headers["host"] == elsewhere.host


def test_a_login_of_the_workers_netrc_is_sent_nowhere(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    endpoint.fetch(tmp_path / "file")
    assert [asked.headers.get("authorization") for asked in endpoint.server.asked] == [BASIC, None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("what", ["batch", "file"])
def test_no_redirect_is_followed(
    endpoint: Endpoint, elsewhere: HostileServer, tmp_path: Path, status: int, what: str
) -> None:
    setattr(endpoint, what, lambda: answer(status, Location=f"http://{elsewhere.host}/x"))
    with pytest.raises(RetryableError, match=f"HTTP {status}"):
        endpoint.fetch(tmp_path / "file")
    assert elsewhere.asked == []


LINKS = [
    *("file:///etc/passwd", "ftp://127.0.0.1/x", "//127.0.0.1/x", "", "x", "http://", "http://[x", "gopher://x/x"),
    "http://user:password@127.0.0.1/x",
]


@pytest.mark.parametrize("href", [*LINKS, 1, None, [], {}, "http://127.0.0.1:1/x\r\nX: y", "http://127.0.0.1:99999/x"])
def test_an_odd_link_is_an_error(endpoint: Endpoint, tmp_path: Path, href: object) -> None:
    endpoint.link = {"href": href}
    with pytest.raises(RetryableError):
        endpoint.fetch(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_no_link_leads_out_of_encryption() -> None:
    told = {"oid": FILE.oid, "actions": {"download": {"href": "http://storage.example/x"}}}
    with pytest.raises(RetryableError, match="no address"):
        large_files._read_link(told, "https://github.example/acme/data.git")


@pytest.mark.parametrize("value", ["x\r\nX-Evil: y", "x\ny", "", "x" * 5000, "\x00", 1, ["x"], {"x": "y"}])
def test_an_odd_header_is_sent_nowhere(endpoint: Endpoint, tmp_path: Path, value: object) -> None:
    endpoint.link = {"header": {"Authorization": value}}
    with pytest.raises(ObservationError):
        endpoint.fetch(tmp_path / "file")
    assert len(endpoint.server.asked) == 1


BODIES = [
    *(b"", b"{}", b"[]", b"null", b"1", b'{"objects": {}}', b'{"objects": [1]}', b'{"objects": [{}]}', b"<html>"),
    *(b'{"objects": [{"oid": []}]}', b"[" * 100_000, b'{"objects": [{"oid": "x", "oid": "y"}]}'),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body[:30]))
def test_an_answer_of_another_shape_is_an_error(endpoint: Endpoint, tmp_path: Path, body: bytes) -> None:
    endpoint.batch = lambda: answer(body=body)
    with pytest.raises(ObservationError):
        endpoint.fetch(tmp_path / "file")


@pytest.mark.parametrize("error", [{"code": 404}, {"code": "x" * 10_000}, {}, 1, [], "x"])
def test_an_error_for_a_file_is_told_and_short(endpoint: Endpoint, tmp_path: Path, error: object) -> None:
    endpoint.batch = lambda: answer(body=endpoint.tell(error=error))
    with pytest.raises(RetryableError) as caught:
        endpoint.fetch(tmp_path / "file")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x", CONTENT * 1000])
def test_another_content_is_never_taken(endpoint: Endpoint, tmp_path: Path, content: bytes) -> None:
    endpoint.file = lambda: answer(body=content)
    with pytest.raises(RetryableError):
        endpoint.fetch(tmp_path / "file")
    assert (tmp_path / "file").stat().st_size <= FILE.size


def test_a_file_without_end_is_cut_at_its_size(endpoint: Endpoint, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    endpoint.file = lambda: endpoint.server.drip(head, bytes(1 << 20), 0.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RetryableError, match="longer than"):
        endpoint.fetch(tmp_path / "file")
    assert (tmp_path / "file").stat().st_size <= FILE.size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


@pytest.mark.parametrize("what", ["batch", "file"])
def test_what_drips_is_cut(endpoint: Endpoint, tmp_path: Path, what: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    setattr(endpoint, what, lambda: endpoint.server.drip(head, b" "))
    begun = time.monotonic()
    with pytest.raises(RetryableError):
        endpoint.fetch(tmp_path / "file", LargeFile(FILE.oid, 1 << 19))
    assert time.monotonic() - begun < 10


def test_a_packed_bomb_is_cut_at_the_files_size(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.file = lambda: answer(body=gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")
    with pytest.raises(RetryableError):
        endpoint.fetch(tmp_path / "file")
    assert (tmp_path / "file").stat().st_size <= FILE.size


@pytest.mark.parametrize("copies", [1, 40])
def test_pointers_that_promise_too_much_are_refused_before_anything_is_asked(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    monkeypatch.setattr(worktree_module, "BYTES_MAX", 20 << 10)
    text = HUGE if copies == 1 else server.keep(bytes(1 << 10))
    commit = server.commit({"dags/a.py": "1\n", **{f"dags/{number}.bin": text for number in range(copies)}})
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="files of Git LFS in dags have"),
        checkout(
            clone_url=server.clone_url,
            token=TOKEN,
            commit=commit,
            branch="dev-x",
            root=".",
            contents=Contents.DAGS,
            timeout_s=SECONDS_MAX,
            rules=ContentRules(fetch_large_files=LargeFileFetcher(lambda: TOKEN)),
            scratch=tmp_path / "scratch",
        ),
    ):
        pass
    assert not any("lfs" in path for path, _ in server.asked)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_nothing_is_written_through_a_link_to_a_pointer(server: GitHost, tmp_path: Path, canary: Path) -> None:
    pointer = server.keep(CONTENT)
    links = {"include/out": str(canary), "include/loop": "loop", "dags/y.bin": "x.bin"}
    commit = server.commit({"dags/a.py": "1\n", "dags/x.bin": pointer}, links=links)
    rules = ContentRules(fetch_large_files=LargeFileFetcher(lambda: TOKEN))
    canary.with_name("kept").write_text(pointer)
    with (
        within(SECONDS_MAX),
        checkout(
            clone_url=server.clone_url,
            token=TOKEN,
            commit=commit,
            branch="dev-x",
            root=".",
            contents=Contents.PROJECT,
            timeout_s=SECONDS_MAX,
            rules=rules,
            scratch=tmp_path / "scratch",
        ) as worktree,
    ):
        assert (worktree.project / "dags/y.bin").is_symlink()
        assert (worktree.project / "dags/x.bin").read_bytes() == CONTENT
    assert canary.with_name("kept").read_text() == pointer


def test_attributes_that_take_long_to_match_end_in_time(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placeholders, "ATTRIBUTES_TIME_MAX_S", 1.0)
    stars = "**/" * 20 + "*a*b" * 100 + " filter=x\n"
    files = {f"dags/{'a/' * 20}{'ab' * 100}{number}.py": "1\n" for number in range(50)}
    commit = server.commit({"dags/a.py": "1\n", ".gitattributes": stars * 500, **files})
    with (
        within(5),
        pytest.raises(DeployOpsError, match="`git check-attr --cached` did not end within 1 s"),
        fetch(server, commit, tmp_path, Contents.DAGS),
    ):
        pass
