"""Which engine is taken: the first that answers, and why none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.deploy_ops.engine.installed_engine import EngineMissingError, find_engine


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only folder in the worker's PATH, empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def install(path: Path, name: str, behaviour: str) -> None:
    path.joinpath(name).write_text(f"#!/bin/sh\n{behaviour}\n")
    path.joinpath(name).chmod(0o755)


def test_without_any_the_text_says_so() -> None:
    with pytest.raises(EngineMissingError, match=r"^no docker or podman on this worker's PATH$"):
        find_engine()


def test_docker_comes_first_as_for_the_cli(path: Path) -> None:
    install(path, "docker", 'echo "28.2.2"')
    install(path, "podman", 'echo "4.3.1"')
    found = find_engine()
    assert (found.name, found.path, str(found)) == ("docker", str(path / "docker"), "docker 28.2.2")


def test_a_docker_without_its_daemon_gives_way_to_podman(path: Path) -> None:
    install(path, "docker", "echo; echo 'Cannot connect to the Docker daemon.' >&2; exit 1")
    install(path, "podman", 'echo "4.3.1"')
    assert str(find_engine()) == "podman 4.3.1"


def test_each_that_does_not_answer_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(path, "docker", "echo 'first' >&2; echo 'Cannot connect.' >&2; exit 1")
    install(path, "podman", "exit 0")
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine:2375")
    with pytest.raises(EngineMissingError) as caught:
        find_engine()
    assert str(caught.value) == (
        f"docker: {path}/docker at tcp://engine:2375 does not answer (Cannot connect); "
        f"podman: {path}/podman at tcp://engine:2375 does not answer (exit code 0)"
    )


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({"DOCKER_HOST": "tcp://one"}, "tcp://one"),
        ({"CONTAINER_HOST": "tcp://two"}, "tcp://two"),
        ({"DOCKER_HOST": "tcp://one", "CONTAINER_HOST": "tcp://two"}, "tcp://two"),
        ({}, ""),
    ],
)
def test_podman_goes_where_docker_host_points_unless_it_has_its_own(
    given: dict[str, str], host: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(path, "podman", 'echo "4.3.1 $CONTAINER_HOST"')
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = find_engine()
    assert (found.host, found.version) == (host, f"4.3.1 {host}".strip())
