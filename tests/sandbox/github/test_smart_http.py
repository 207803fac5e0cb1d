"""git itself as the client: clone, fetch, push, and who may."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import threading
import time
from typing import Any

import httpx
import psutil
import pytest

from sandbox.github.git import ZERO
from tests.sandbox.github.conftest import REPOSITORY, Hub


def test_a_clone_holds_the_seed_and_its_head(hub: Hub) -> None:
    hub.clone()
    assert hub.git("rev-parse", "HEAD") == hub.read_heads()["main"]
    assert "astrocrpublic.azurecr.io/runtime:3.3-2" in (hub.folder / "Dockerfile").read_text()
    assert hub.git("status", "--porcelain") == ""


def test_a_push_moves_the_branch_and_is_told_once(hub: Hub) -> None:
    first = hub.push_file("dev-foo", "dags/a.py", "a = 1\n")
    second = hub.push_file("dev-foo", "dags/a.py", "a = 2\n")
    hub.git("push", "--quiet", "--delete", "origin", "dev-foo")
    moves = [(push.repository, push.branch, push.before, push.after) for push in hub.pushes]
    assert moves == [
        (REPOSITORY, "dev-foo", ZERO, first),
        (REPOSITORY, "dev-foo", first, second),
        (REPOSITORY, "dev-foo", second, ZERO),
    ]


def test_one_push_of_two_branches_tells_both_and_a_tag_none(hub: Hub) -> None:
    hub.clone()
    hub.git("push", "--quiet", "origin", "HEAD:refs/heads/dev-b", "HEAD:refs/heads/dev-a", "HEAD:refs/tags/v1")
    assert [push.branch for push in hub.pushes] == ["dev-a", "dev-b"]


def test_a_force_push_leaves_the_old_commit_fetchable_by_id(hub: Hub) -> None:
    old = hub.push_file("dev-foo", "dags/a.py", "a = 1\n")
    hub.git("reset", "--quiet", "--hard", "origin/main")
    hub.git("push", "--quiet", "--force", "origin", "dev-foo")
    target = hub.folder / "one"
    hub.git("init", "--quiet", str(target))
    hub.git("-C", str(target), "fetch", "--quiet", "--depth", "1", "--filter=blob:none", hub.clone_url, old)
    assert hub.git("-C", str(target), "rev-parse", "FETCH_HEAD") == old


def test_a_push_larger_than_gits_buffer_arrives_whole(hub: Hub) -> None:
    """Above http.postBuffer (1 MiB) git sends chunks, and probes with an empty request first."""
    hub.clone()
    content = "".join(f"{n * 2654435761 % 2**32:08x}\n" for n in range(400_000))
    sha = hub.push_file("dev-big", "include/big.txt", content)
    assert hub.read_heads()["dev-big"] == sha
    assert hub.git("ls-remote", hub.clone_url, "refs/heads/dev-big").startswith(sha)


def test_a_compressed_request_is_understood(hub: Hub) -> None:
    body = b"0014command=ls-refs\n0001" + b"001bref-prefix refs/heads/\n" + b"0000"
    answer = hub.api.post(
        f"{hub.html}.git/git-upload-pack",
        content=gzip.compress(body),
        headers={
            "content-encoding": "gzip",
            "content-type": "application/x-git-upload-pack-request",
            "git-protocol": "version=2",
        },
    )
    assert answer.status_code == 200
    assert "refs/heads/staging" in answer.text


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_the_token_nothing_is_cloned(hub: Hub, password: str) -> None:
    bare = f"{hub.html}.git"
    answer = httpx.get(f"{bare}/info/refs?service=git-upload-pack", auth=("x", password) if password else None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "uthentication failed" in hub.git("clone", bare.replace("://", f"://x:{password}@"), ".", is_checked=False)


def test_without_the_token_nothing_is_pushed(hub: Hub) -> None:
    answer = httpx.post(f"{hub.html}.git/git-receive-pack", content=b"0000")
    assert answer.status_code == 401


def test_a_bearer_token_clones_too(hub: Hub) -> None:
    header = f"http.extraHeader=Authorization: {hub.api.headers['authorization']}"
    hub.git("-c", header, "clone", "--quiet", f"{hub.html}.git", ".")
    assert (hub.folder / "Dockerfile").exists()


def test_an_unknown_repository_is_not_found(hub: Hub) -> None:
    answer = hub.api.get(f"{hub.url}/github/acme/other.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 404


def test_the_dumb_protocol_is_not_served(hub: Hub) -> None:
    assert hub.api.get(f"{hub.html}.git/info/refs").status_code == 404
    assert hub.api.get(f"{hub.html}.git/objects/info/packs").status_code == 404


def test_githubs_own_refs_cannot_be_pushed(hub: Hub) -> None:
    hub.clone()
    assert "deny updating a hidden ref" in hub.git("push", "origin", "HEAD:refs/pull/1/head", is_checked=False)


def test_a_client_that_goes_away_leaves_no_backend_behind(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a push: the connection closes in the middle of the body, and the server goes on."""
    backends: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def start_and_tell(*arguments: str, **options: Any) -> asyncio.subprocess.Process:
        backends.append(await start(*arguments, **options))
        return backends[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_tell)
    host, _, port = hub.url.removeprefix("http://").partition(":")
    head = (
        f"POST /github/{REPOSITORY}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        f"Authorization: {hub.api.headers['authorization']}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"0032")
        # The answer's head comes as soon as the backend runs, before the body is complete.
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        os.killpg(backends[0].pid, 0)
    wait_until_gone(backends[0].pid)
    hub.push_file("dev-foo", "dags/a.py", "a = 1\n")
    assert [push.branch for push in hub.pushes] == ["dev-foo"]


def wait_until_gone(group: int) -> None:
    """Wait until no process of the group is left but zombies, which only wait to be reaped; fail after ten seconds."""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        if not any(is_alive_in(group, process) for process in psutil.process_iter()):
            return
        time.sleep(0.02)
    pytest.fail(f"process group {group} still runs")


def is_alive_in(group: int, process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_two_pushes_at_once_are_each_told_once(hub: Hub) -> None:
    hub.clone()
    names = [f"dev-{n}" for n in range(6)]
    for name in names:
        hub.git("branch", name)
    threads = [threading.Thread(target=hub.git, args=("push", "--quiet", "origin", name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(push.branch for push in hub.pushes) == names
