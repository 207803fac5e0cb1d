"""Between the CLI and the real engine: its commands in its own environment, its push with the login in a file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import DeployOpsError, ImageRefusedError, RetryableError
from include.deploy_ops.engine.building_engine import BuildingEngine
from include.deploy_ops.engine.installed_engine import InstalledEngine
from include.deploy_ops.process.command import Command, ProcessLimits, build_environment
from include.deploy_ops.process.confinement import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "t0ken-of-astro"  # noqa: S105 - an example
REPOSITORY = "registry.example/astro/d1"
REMOTE = f"{REPOSITORY}:deploy-1"
URL = f"/v1.47/images/{REPOSITORY}/push?tag=deploy-1"
DIGEST = "sha256:" + "1" * 64
ENGINE_HOST = "tcp://engine.example:2375"

_DOUBLE = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/asked"
env > "$here/environment"
for word in "$@"; do
  case "$word" in
    --authfile=*) cp "${word#*=}" "$here/login"; stat -c %a "${word#*=}" > "$here/mode" ;;
    --digestfile=*) [ -e "$here/tells-no-digest" ] || printf '%s' "DIGEST" > "${word#*=}" ;;
  esac
done
if [ "$1" = push ] && [ -d "$DOCKER_CONFIG" ]; then
  cp "$DOCKER_CONFIG/config.json" "$here/login"; stat -c %a "$DOCKER_CONFIG/config.json" > "$here/mode"
  ls "$DOCKER_CONFIG" > "$here/config-folder"
  echo "deploy-1: digest: DIGEST size: 420"
fi
. "$here/behaviour"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a short one: pytest's own can be too long for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


class Double:
    """An executable that notes what it is asked, and behaves as a shell line says."""

    def __init__(self, folder: Path, name: str, behaviour: str = "", **environment: str) -> None:
        self.folder = folder / "real"
        self.folder.mkdir()
        path = self.folder / name
        path.write_text(_DOUBLE.replace("DIGEST", DIGEST))
        path.chmod(0o755)
        self.behave(behaviour)
        self.engine = InstalledEngine(name, str(path), "4.3.1", environment=environment)

    def behave(self, line: str) -> None:
        (self.folder / "behaviour").write_text(line + "\n")

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the last command."""
        return dict(line.partition("=")[::2] for line in self.read("environment").splitlines())


def run_command(engine: BuildingEngine, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run what the CLI would run, in the CLI's environment."""
    env = {**build_environment(engine.environment(os.environ["PATH"])), "ASTRO_API_TOKEN": TOKEN}
    return subprocess.run([engine.binary, *argv], env=env, capture_output=True, text=True, check=False, timeout=30)


def push(engine: BuildingEngine, lines: list[str] | None = None) -> str | None:
    login = {"username": "cli", "password": f"Bearer {TOKEN}", "serveraddress": "registry.example"}
    header = base64.urlsafe_b64encode(json.dumps(login).encode()).decode()
    return engine.answer_push(URL, header, (lines if lines is not None else []).append)


def test_the_commands_reach_the_engine_that_is_the_users_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", ENGINE_HOST)
    monkeypatch.setenv("DOCKER_CONFIG", "/the/user's own")
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    double = Double(folder, "docker", "echo out; echo err >&2; exit 7")
    with BuildingEngine(folder, double.engine, 30) as engine:
        assert engine.environment("")["DOCKER_HOST"] != ENGINE_HOST
        done = run_command(engine, "build", "-t", "a b", ".")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    assert double.read("asked") == "build -t a b .\n"
    seen = double.environment
    assert (seen["DOCKER_HOST"], seen["DOCKER_CONFIG"], seen["PATH"]) == (
        ENGINE_HOST,
        "/the/user's own",
        os.environ["PATH"],
    )
    assert not {"DOCKER_CERT_PATH", "ASTRO_API_TOKEN"} & seen.keys()


def test_neither_limits_nor_confinement_of_the_cli_are_the_engines(folder: Path) -> None:
    double = Double(folder, "podman", f"ulimit -v; cat '{folder}/of-the-worker'; pwd")
    (folder / "of-the-worker").write_text("seen ")
    work = folder / "work"
    work.mkdir()
    with BuildingEngine(folder, double.engine, 30) as engine:
        result = Command(
            ["sh", "-c", f"ulimit -v; cat '{folder}/of-the-worker'; podman build ."],
            cwd=work,
            env=engine.environment(os.environ["PATH"]),
            timeout_s=30,
            limits=ProcessLimits(memory_bytes=4 << 30, file_bytes=1 << 20),
            sight=Sight(writes=(work,), reads=engine.sees()),
        ).run()
    assert result.stdout == f"{(4 << 30) >> 10}\nunlimited\nseen {work}\n", result.stderr
    assert "No such file" in result.stderr


def test_the_end_of_the_cli_ends_a_build(folder: Path) -> None:
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    double = Double(folder, "podman", f"echo $$ > '{fifo}'; exec sleep 60")
    with BuildingEngine(folder, double.engine, 60) as engine:
        building = threading.Thread(target=engine.answer_command, args=(["build", "."], folder))
        building.start()
        pid = int(fifo.read_text())
    building.join(20)
    assert not building.is_alive()
    assert not Path(f"/proc/{pid}").exists()


def test_podman_elsewhere_is_reached_as_the_engine_was_found(folder: Path) -> None:
    double = Double(folder, "podman", CONTAINER_HOST=ENGINE_HOST)
    with BuildingEngine(folder, double.engine, 30) as engine:
        run_command(engine, "tag", "a", "b")
        assert double.environment["CONTAINER_HOST"] == ENGINE_HOST
        assert push(engine) is None
    assert double.environment["CONTAINER_HOST"] == ENGINE_HOST


def test_what_podman_warns_of_beside_the_label_is_left_out(folder: Path) -> None:
    double = Double(folder, "podman", "echo 3.3-2; echo 'WARN[0000] no systemd session' >&2")
    with BuildingEngine(folder, double.engine, 30) as engine:
        done = run_command(engine, "inspect", "--format", "{{ x }}", "a")
    assert (done.stdout, done.stderr, done.returncode) == ("3.3-2\n", "", 0)


@pytest.mark.parametrize("argv", [("login", "registry.example"), ("push", REMOTE), ("run", "x"), ()])
def test_nothing_else_reaches_the_engine(argv: tuple[str, ...], folder: Path) -> None:
    double = Double(folder, "podman")
    with BuildingEngine(folder, double.engine, 30) as engine:
        done = run_command(engine, *argv)
    assert done.returncode == 125
    assert "only build, tag, inspect, rmi" in done.stderr
    assert double.read("asked") == ""


def test_podman_pushes_with_the_login_in_a_private_file(folder: Path) -> None:
    double = Double(folder, "podman", "echo Copying blob")
    lines: list[str] = []
    with BuildingEngine(folder, double.engine, 30) as engine:
        assert push(engine, lines) is None
        assert (engine.failure, engine.pushed_digest) == (None, DIGEST)
        asked = double.read("asked").split()
        assert not Path(asked[1].partition("=")[2]).exists(), "the login outlived the push"
    assert (asked[0], asked[3:]) == ("push", [REMOTE])
    assert double.read("mode") == "600\n"
    login = base64.b64encode(f"cli:Bearer {TOKEN}".encode()).decode()
    assert json.loads(double.read("login")) == {"auths": {"registry.example": {"auth": login}}}
    assert lines == [f"Pushing by podman 4.3.1 to {REMOTE}", "Copying blob", f"deploy-1: digest: {DIGEST}"]


def test_podman_elsewhere_tells_no_digest(folder: Path) -> None:
    double = Double(folder, "podman")
    (double.folder / "tells-no-digest").touch()
    with BuildingEngine(folder, double.engine, 30) as engine:
        assert push(engine) is None
        assert (engine.failure, engine.pushed_digest) == (None, None)


def test_docker_pushes_with_the_users_context_and_our_login_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = folder / "own"
    (own / "contexts").mkdir(parents=True)
    settings = {"currentContext": "colima", "credsStore": "osxkeychain", "auths": {"ghcr.io": {"auth": "b3duOm93bg=="}}}
    (own / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    double = Double(folder, "docker")
    with BuildingEngine(folder, double.engine, 30) as engine:
        assert push(engine) is None
        assert engine.pushed_digest == DIGEST
    assert double.read("asked") == f"push {REMOTE}\n"
    assert double.read("mode") == "600\n"
    login = json.loads(double.read("login"))
    assert login.keys() == {"currentContext", "auths"}
    assert login["auths"].keys() == {"registry.example"}
    assert double.read("config-folder").split() == ["config.json", "contexts"]


@pytest.mark.parametrize(
    ("said", "error"),
    [("requested access to the resource is denied", ImageRefusedError), ("connection reset by peer", RetryableError)],
)
def test_a_failed_push_is_told_without_the_token_and_ends_the_cli(
    said: str, error: type[DeployOpsError], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double = Double(folder, "podman", f"echo 'Error: {said} for Bearer {TOKEN} {TOKEN}' >&2; exit 125")
    ended: list[bool] = []
    lines: list[str] = []
    with BuildingEngine(folder, double.engine, 30, on_push_failed=lambda: ended.append(True)) as engine:
        reason = push(engine, lines)
    assert type(engine.failure) is error
    assert reason is not None
    assert said not in reason  # which goes to people outside
    assert said in caplog.text
    assert TOKEN not in f"{reason}{lines}{engine.failure!r}{caplog.text}"
    assert ended == [True]
    assert engine.pushed_digest is None


def test_a_push_that_takes_too_long_is_ended(folder: Path) -> None:
    double = Double(folder, "podman", "exec sleep 60")
    with BuildingEngine(folder, double.engine, 0.5) as engine:
        assert "did not end within 0.5 s" in (push(engine) or "")


def test_the_end_of_the_cli_ends_a_push_that_says_nothing(folder: Path) -> None:
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    double = Double(folder, "podman", f"echo begun > '{fifo}'; exec sleep 60")
    reasons: list[str | None] = []
    with BuildingEngine(folder, double.engine, 60) as engine:
        pushing = threading.Thread(target=lambda: reasons.append(push(engine)))
        pushing.start()
        assert fifo.read_text() == "begun\n"
    pushing.join(20)
    assert not pushing.is_alive()
    assert "was stopped on request" in str(reasons[0])
