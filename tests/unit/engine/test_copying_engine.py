"""The engine answers what the Astro CLI asks, over its socket and through its `podman`, and refuses all else."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.engine.copying_engine import CopyingEngine
from include.deploy_ops.engine.push import PushTarget, parse_push
from include.deploy_ops.engine.socket_server import EngineClosedError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "ghcr.io/acme/data-platform:abc"
LOCAL = "ns-1/airflow:latest"
REPOSITORY = "127.0.0.1:5000/astro/d1"
REMOTE = f"{REPOSITORY}:deploy-1"
TEMPLATE = '{{ index .Config.Labels "io.astronomer.docker.runtime.version" }}'
PASSWORD = "Bearer t0ken-of-astro"  # noqa: S105 - an example
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a short one: pytest's own can be too long for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def copy_nothing(target: PushTarget) -> str:
    target.report("layer one")
    return DIGEST


def run_podman(engine: CopyingEngine, *argv: str) -> subprocess.CompletedProcess[str]:
    env = engine.environment(os.environ["PATH"])
    return subprocess.run(["podman", *argv], env=env, capture_output=True, text=True, check=False, timeout=30)


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = host.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def request(
    engine: CopyingEngine, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, str]:
    connection = _Connection(engine.environment("")["DOCKER_HOST"])
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def push(engine: CopyingEngine, path: str = f"/v1.47/images/{REPOSITORY}/push?tag=deploy-1") -> list[dict[str, Any]]:
    login = {"username": "cli", "password": PASSWORD, "serveraddress": "127.0.0.1:5000"}
    header = base64.urlsafe_b64encode(json.dumps(login).encode()).decode()
    response, body = request(engine, "POST", path, {"X-Registry-Auth": header})
    assert response.status == 200
    return [json.loads(line) for line in body.splitlines()]


def tag_both(engine: CopyingEngine) -> None:
    assert run_podman(engine, "tag", IMAGE, LOCAL).returncode == 0
    assert run_podman(engine, "tag", LOCAL, REMOTE).returncode == 0


def test_deploy_of_the_cli_from_tag_to_rmi(folder: Path) -> None:
    targets: list[PushTarget] = []

    def copy(target: PushTarget) -> str:
        targets.append(target)
        return copy_nothing(target)

    with CopyingEngine(folder, IMAGE, "3.3-2", copy) as engine:
        assert run_podman(engine, "tag", IMAGE, LOCAL).returncode == 0
        inspected = run_podman(engine, "inspect", "--format", TEMPLATE, LOCAL)
        assert (inspected.stdout, inspected.stderr, inspected.returncode) == ("3.3-2\n", "", 0)
        assert run_podman(engine, "tag", LOCAL, REMOTE).returncode == 0
        lines = push(engine)
        assert run_podman(engine, "rmi", REMOTE).returncode == 0
    assert targets == [PushTarget(REPOSITORY, "deploy-1", "cli", PASSWORD)]
    assert [line["status"] for line in lines] == [
        f"Copying {IMAGE} to {REMOTE}",
        "layer one",
        f"deploy-1: digest: {DIGEST}",
    ]
    assert (engine.failure, engine.pushed_digest) == (None, DIGEST)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("path", ["/_ping", "/v1.47/_ping"])
def test_ping_names_the_api_version(method: str, path: str, folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        response, body = request(engine, method, path)
    assert (response.status, response.headers["Api-Version"]) == (200, "1.47")
    assert body == ("OK" if method == "GET" else "")


@pytest.mark.parametrize("version", ["1.24", "1.47", "1.51"])
def test_push_in_any_version_of_the_api(version: str, folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        tag_both(engine)
        assert push(engine, f"/v{version}/images/{REPOSITORY}/push?tag=deploy-1")[-1]["status"].endswith(DIGEST)


def test_push_is_answered_once_its_body_is_there(folder: Path) -> None:
    """The CLI sends head and body apart, and logs in by command when the connection closes between them."""
    head = f"POST /v1.47/images/{REPOSITORY}/push?tag=deploy-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        tag_both(engine)
        connection = _Connection(engine.environment("")["DOCKER_HOST"])
        connection.connect()
        with connection.sock as client, client.makefile("rb") as stream:
            client.sendall(head.encode())
            client.settimeout(0.2)  # an answer that did not wait would be here before
            with pytest.raises(TimeoutError):
                client.recv(1, socket.MSG_PEEK)
            client.settimeout(20)
            client.sendall(b"{}\n")
            assert DIGEST in stream.read().decode()


def test_no_bash_starts_that_would_show_the_token(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        bash = shutil.which("bash", path=engine.environment(os.environ["PATH"])["PATH"])
        assert bash is not None
        with pytest.raises(FileNotFoundError):
            subprocess.run([bash, "-c", f'echo "{PASSWORD}" | podman login'], check=False)


def test_requests_of_another_kind_are_not_known(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        for method, path in (("GET", "/v1.47/info"), ("POST", "/v1.47/containers/create"), ("POST", "/build")):
            response, body = request(engine, method, path)
            assert (response.status, path in json.loads(body)["message"]) == (404, True)


def test_failed_copy_reaches_the_cli_and_fails_all_that_follows(folder: Path) -> None:
    reason = RetryableError("the registry is away")

    def fail(target: PushTarget) -> str:
        raise reason

    with CopyingEngine(folder, IMAGE, "3.3-2", fail) as engine:
        tag_both(engine)
        last = push(engine)[-1]
        assert last == {"error": str(reason), "errorDetail": {"message": str(reason)}}
        login = run_podman(engine, "login", "127.0.0.1:5000", "-u", "cli", "--password-stdin")
        assert (login.returncode, login.stderr) == (125, "Error: the registry is away\n")
        assert run_podman(engine, "push", REMOTE).returncode == 125
        assert run_podman(engine, "rmi", REMOTE).returncode == 125
    assert engine.failure is reason
    assert engine.pushed_digest is None


def test_caller_hears_of_a_failed_push_before_the_cli(folder: Path) -> None:
    heard: list[str] = []

    def fail(target: PushTarget) -> str:
        raise RetryableError("away")

    def hear() -> None:
        heard.append(str(engine.failure))
        time.sleep(0.1)  # an answer that did not wait would be here before
        heard.append("done")

    with CopyingEngine(folder, IMAGE, "3.3-2", fail, on_push_failed=hear) as engine:
        tag_both(engine)
        push(engine)
        assert heard == ["away", "done"]


def test_unexpected_error_of_the_copy_is_told_without_the_password(folder: Path) -> None:
    def fail(target: PushTarget) -> str:
        raise ValueError(f"bad {target.password}")

    with CopyingEngine(folder, IMAGE, "3.3-2", fail) as engine:
        tag_both(engine)
        told = json.dumps(push(engine))
    assert "ValueError: bad ***" in told
    assert isinstance(engine.failure, RetryableError)
    assert PASSWORD not in told + str(engine.failure)


def test_push_of_what_was_not_tagged_is_refused(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        assert f"the image {REMOTE}, but this engine has only {IMAGE}" in push(engine)[-1]["error"]
    assert isinstance(engine.failure, PermanentError)


def test_cleaning_up_without_a_push_is_refused(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        tag_both(engine)
        assert run_podman(engine, "rmi", REMOTE).returncode == 125
    assert "without having pushed" in str(engine.failure)


@pytest.mark.parametrize(
    "argv",
    [
        ("build", "-t", LOCAL, "."),
        ("create", LOCAL),
        ("push", REMOTE),
        ("login", "127.0.0.1:5000", "-u", "cli"),
        ("inspect", "--format", "{{json .RepoDigests}}", IMAGE),
        (),
    ],
)
def test_unknown_commands_are_refused_by_name(argv: tuple[str, ...], folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        answer = run_podman(engine, *argv)
    assert answer.returncode == 125
    assert f"asked for `podman {' '.join(argv[:1])}" in answer.stderr
    assert isinstance(engine.failure, RetryableError)


def test_another_image_is_refused(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        answer = run_podman(engine, "tag", "ghcr.io/acme/other:1", LOCAL)
    assert (answer.returncode, "ghcr.io/acme/other:1" in answer.stderr) == (125, True)


def test_arguments_arrive_as_they_are(folder: Path) -> None:
    odd = "a b'c\"$(id)\n-ü"
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        run_podman(engine, "tag", odd, LOCAL)
    assert odd in str(engine.failure)


def test_environment_shows_this_engine_and_none_of_the_users_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        env = engine.environment("/usr/bin:/bin")
        first, _, rest = env["PATH"].partition(":")
        assert rest == "/usr/bin:/bin"
        assert sorted(os.listdir(first)) == ["bash", "podman"]  # noqa: PTH208
        assert list(Path(env["DOCKER_CONFIG"]).iterdir()) == []
        assert (env["DOCKER_TLS_VERIFY"], env["DOCKER_CERT_PATH"]) == ("", "")
        assert Path(first).parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(PermanentError, match="not running"):
        engine.environment("")


def test_nothing_stays_behind(folder: Path) -> None:
    before = threading.active_count()
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        tag_both(engine)
        push(engine)
    assert list(folder.iterdir()) == []
    assert threading.active_count() == before


def test_too_long_a_folder_is_named_and_leaves_nothing(folder: Path) -> None:
    long = folder / ("x" * 90)
    long.mkdir()
    with (
        pytest.raises(RetryableError, match=r"bytes; the system allows 107"),
        CopyingEngine(long, IMAGE, "1", copy_nothing),
    ):
        pass
    assert list(long.iterdir()) == []


def test_end_of_the_engine_ends_a_push_under_way(folder: Path) -> None:
    is_copying, answers = threading.Event(), list[object]()

    def copy_for_ever(target: PushTarget) -> str:
        is_copying.set()
        while True:
            target.report("still copying")
            time.sleep(0.005)

    engine = CopyingEngine(folder, IMAGE, "3.3-2", copy_for_ever)
    with engine:
        tag_both(engine)
        client = threading.Thread(target=lambda: answers.append(push(engine)))
        client.start()
        assert is_copying.wait(5)
    client.join(5)
    assert not client.is_alive()
    assert isinstance(engine.failure, EngineClosedError)


def test_cli_that_goes_away_ends_its_push(folder: Path) -> None:
    ended = threading.Event()

    def copy_for_ever(target: PushTarget) -> str:
        try:
            while True:
                target.report("still copying")
                time.sleep(0.005)
        finally:
            ended.set()

    with CopyingEngine(folder, IMAGE, "3.3-2", copy_for_ever) as engine:
        tag_both(engine)
        connection = _Connection(engine.environment("")["DOCKER_HOST"])
        connection.request("POST", f"/v1.47/images/{REPOSITORY}/push?tag=deploy-1")
        connection.getresponse().readline()
        connection.close()
        assert ended.wait(5)


def test_silent_client_does_not_hold_up_the_end(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        client = socket.socket(socket.AF_UNIX)
        client.connect(engine.environment("")["DOCKER_HOST"].removeprefix("unix://"))
        request(engine, "GET", "/_ping")  # by now the silent one has been accepted
        started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 5


def test_shim_without_an_engine_says_so(folder: Path) -> None:
    with CopyingEngine(folder, IMAGE, "3.3-2", copy_nothing) as engine:
        podman = folder / "podman"
        podman.write_bytes(Path(engine.environment("")["PATH"].rstrip(":"), "podman").read_bytes())
        podman.chmod(0o700)
    answer = subprocess.run([podman, "tag", IMAGE, LOCAL], capture_output=True, text=True, check=False)
    assert answer.returncode == 125
    assert "gave no answer" in answer.stderr


@pytest.mark.parametrize(
    "header", ["!!!", base64.urlsafe_b64encode(b"[1]").decode(), base64.urlsafe_b64encode(b"x").decode()]
)
def test_malformed_login_is_refused_without_being_told(header: str) -> None:
    with pytest.raises(PermanentError, match="X-Registry-Auth") as caught:
        parse_push("/v1.47/images/a/push?tag=1", header, print)
    assert header not in str(caught.value)


@pytest.mark.parametrize("url", ["/v1.47/images/a/push", "/v1.47/images/a/push?tag=1&tag=2", "/v1.47/images/a"])
def test_push_without_one_tag_is_refused(url: str) -> None:
    with pytest.raises(PermanentError, match="one repository and one tag"):
        parse_push(url, None, print)


def test_password_does_not_print() -> None:
    target = PushTarget(REPOSITORY, "1", "cli", PASSWORD)
    assert PASSWORD not in f"{target!r}{target}"


def test_a_target_made_by_hand_reports_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    PushTarget(REPOSITORY, "1").report("x")
    assert capsys.readouterr().out == ""
