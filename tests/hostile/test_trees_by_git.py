"""A Git host that hangs, floods or lies while a commit's trees are fetched: ended in bounded time, bytes and memory."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import psutil
import pytest

from include.deploy_ops.checkout import trees
from include.deploy_ops.checkout.trees import fetch_trees
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.process.command import ProcessLimits
from tests.hostile.conftest import within
from tests.worlds.doubles.git_host import TOKEN
from tests.worlds.doubles.hostile_server import Asked, HostileServer

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "a" * 40
GRACE_S = 8.0
SENT_MAX = 256 << 20
PATHS = {"/acme/data.git/info/refs", "/acme/data.git/git-upload-pack"}
CAPABILITIES = b"".join(
    b"%04x%b" % (len(line) + 5, line + b"\n") for line in (b"version 2", b"ls-refs", b"fetch=shallow filter")
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-%b\r\nConnection: close\r\n\r\n"
TREE, BLOB = 2, 3
NOBODY = HostileServer(lambda _: [])

Answers = dict[str, Callable[[], Iterable[bytes]]]
"""By method, what is answered instead of what is right."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def pack_line(data: bytes) -> bytes:
    return b"%04x%b" % (len(data) + 4, data)


def advertise() -> bytes:
    return HEAD % b"advertisement" + pack_line(b"# service=git-upload-pack\n") + b"0000" + CAPABILITIES + b"0000"


def begin_pack(objects: int) -> bytes:
    return HEAD % b"result" + pack_line(b"packfile\n") + send(b"PACK" + (2).to_bytes(4) + objects.to_bytes(4))


def send(data: bytes) -> bytes:
    return pack_line(b"\x01" + data)


def head_object(kind: int, size: int) -> bytes:
    """Return the start of an object in a pack, which says its kind and how large it will be."""
    said = [kind << 4 | size & 15]
    size >>= 4
    while size:
        said[-1] |= 128
        said.append(size & 127)
        size >>= 7
    return bytes(said)


def store(data: bytes) -> bytes:
    """Return a block of zlib's format that holds the data as it is, and is not the last one."""
    return b"\0" + len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little") + data


def list_silences(server: HostileServer) -> dict[str, Answers]:
    """Return answers that only time ends."""
    return {
        "nothing": {"GET": lambda: server.drip(b"", b"", 0.1)},
        "byte by byte": {"GET": lambda: server.drip(HEAD % b"advertisement", b"0", 0.1)},
        "a pack that stops": {"POST": lambda: server.drip(begin_pack(1), b"", 0.1)},
    }


def list_floods(server: HostileServer) -> dict[str, Answers]:
    """Return answers that would go on for as long as anybody reads them."""
    noise = random.Random(1).randbytes(60_000)  # noqa: S311 - what no compression makes smaller
    small = b"".join(head_object(BLOB, 4) + zlib.compress(b"%04d" % number) for number in range(999))
    blob, tree = (head_object(kind, 1 << 40) for kind in (BLOB, TREE))
    return {
        "an advertisement": {"GET": lambda: server.drip(advertise()[:-4], pack_line(b"x" * 60_000), 0)},
        "many lines": {"POST": lambda: server.drip(begin_pack(1), pack_line(b"\x02" + b"w\n" * 30_000), 0)},
        "one line": {"POST": lambda: server.drip(begin_pack(1), pack_line(b"\x02" + b"w" * 60_000), 0)},
        "a file": {"POST": lambda: server.drip(begin_pack(1) + send(blob + b"\x78\x01"), send(store(noise)), 0)},
        "a tree": {"POST": lambda: server.drip(begin_pack(1) + send(tree + b"\x78\x01"), send(store(noise)), 0)},
        "objects": {"POST": lambda: server.drip(begin_pack(1 << 18), send(small), 0)},
    }


def refuse(attack: Answers, server: HostileServer, scratch: Path, time_max_s: float) -> str:
    """Fetch from a server that attacks; return what the error says, and see that nothing is left of it."""

    def answer(asked: Asked) -> Iterable[bytes]:
        return attack[asked.method]() if asked.method in attack else [advertise()]

    server.script = answer
    with within(time_max_s + GRACE_S), pytest.raises(RetryableError) as caught:
        fetch_trees(f"http://{server.host}/acme/data.git", TOKEN, [COMMIT], time_max_s, scratch)
    assert {asked.path.partition("?")[0] for asked in server.asked} <= PATHS
    assert list(scratch.iterdir()) == []
    assert [each for each in psutil.Process().children(recursive=True) if "git" in each.name()] == []
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", list_silences(NOBODY))
def test_a_host_that_hangs_is_left_in_time(name: str, tmp_path: Path) -> None:
    with HostileServer(lambda _: []) as server:
        said = refuse(list_silences(server)[name], server, tmp_path / "scratch", 1.5)
    assert "did not end within" in said


@pytest.mark.parametrize("name", list_floods(NOBODY))
def test_a_host_that_floods_is_left_before_it_filled_disk_or_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_LIMITS", ProcessLimits(memory_bytes=192 << 20, file_bytes=4 << 20))
    with HostileServer(lambda _: []) as server:
        said = refuse(list_floods(server)[name], server, tmp_path / "scratch", 60.0)
        assert server.bytes_sent < SENT_MAX
    assert "did not end within" not in said
