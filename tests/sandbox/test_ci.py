"""The CI over a real Git repository and a real registry: what it builds, when, and how it fails."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.ci import CI
from sandbox.github import Push
from sandbox.identity import RUNTIME_LABEL, RUNTIME_VERSION
from sandbox.registry import Registry
from sandbox.settings import Settings

REPOSITORY = "acme/data-platform"
NO_COMMIT = "0" * 40
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass
class Yard:
    """A repository, a registry and the CI between them."""

    folder: Path
    settings: Settings
    registry: Registry
    ci: CI

    def commit(self, files: dict[str, str]) -> str:
        """Commit the files on the current branch and return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.run_git("add", "-A")
        self.run_git("commit", "-qm", "change")
        return self.run_git("rev-parse", "HEAD")

    def run_git(self, *arguments: str) -> str:
        """Run git in the folder and return what it prints."""
        command = ["git", "-C", str(self.folder), *arguments]
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=GIT_ENVIRONMENT)
        return run.stdout.strip()

    def list_states(self) -> list[tuple[str, str]]:
        """Return sha and state of every build."""
        return [(build["sha"], build["state"]) for build in self.ci.to_json()]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    folder = tmp_path / "repository"
    folder.mkdir()
    settings = Settings(ci_delay_s=0.05)
    registry = Registry(tmp_path / "registry", settings, "http://127.0.0.1:1")
    registry.reset()
    made = Yard(folder, settings, registry, CI(settings, lambda _: folder / ".git", registry))
    made.run_git("init", "-q", "-b", "main")
    return made


async def await_builds(yard: Yard) -> None:
    async with asyncio.timeout(5):
        while any(state == "queued" for _, state in yard.list_states()):  # noqa: ASYNC110 - builds tell nobody
            await asyncio.sleep(0.01)


def build(yard: Yard, *pushes: Push) -> None:
    """Let the CI see the pushes and wait until it has dealt with them."""

    async def run() -> None:
        yard.ci.start()
        for push in pushes:
            yard.ci.queue_build(push)
        await await_builds(yard)

    asyncio.run(run())


def push(sha: str, branch: str = "dev-x") -> Push:
    return Push(REPOSITORY, branch, NO_COMMIT, sha)


def test_the_image_is_the_project_without_its_dags(yard: Yard) -> None:
    sha = yard.commit(
        {"Dockerfile": "FROM quay.io/astro/runtime:3.1-4\n", "include/x.py": "x", "dags/a.py": "a", "my/dags/b": "b"}
    )

    build(yard, push(sha))

    assert yard.list_states() == [(sha, "done")]
    assert yard.registry.has_image(REPOSITORY, sha)
    files = dict(yard.registry.read_files(REPOSITORY, sha))
    assert sorted(files) == [f"usr/local/airflow/{name}" for name in ("Dockerfile", "include/x.py", "my/dags/b")]
    assert files["usr/local/airflow/include/x.py"] == hashlib.sha256(b"x").hexdigest()
    assert yard.registry.read_labels(REPOSITORY, sha) == {
        RUNTIME_LABEL: "3.1-4",
        "org.opencontainers.image.revision": sha,
    }


@pytest.mark.parametrize(
    ("dockerfile", "version"),
    [
        ("FROM --platform=linux/amd64 registry.example:5000/runtime:3.2-1\n", "3.2-1"),
        ("# FROM x:1\nfrom astrocrpublic.azurecr.io/runtime:3.0-7-base AS base\nRUN x\n", "3.0-7"),
        ("FROM node:20 AS ui\nFROM runtime:3.1-9\nFROM ui\n", "3.1-9"),
        ("FROM registry.example:5000/runtime\n", RUNTIME_VERSION),
        ("", RUNTIME_VERSION),
    ],
)
def test_the_runtime_is_the_one_of_the_commit(yard: Yard, dockerfile: str, version: str) -> None:
    sha = yard.commit({"Dockerfile": dockerfile})

    build(yard, push(sha))

    assert yard.registry.read_labels(REPOSITORY, sha)[RUNTIME_LABEL] == version


def test_without_a_dockerfile_the_runtime_is_the_sandboxs(yard: Yard) -> None:
    sha = yard.commit({"README.md": "hello"})

    build(yard, push(sha))

    assert yard.registry.read_labels(REPOSITORY, sha)[RUNTIME_LABEL] == RUNTIME_VERSION


def test_nothing_is_there_before_the_delay_is_over(yard: Yard) -> None:
    sha = yard.commit({"README.md": "hello"})

    async def run() -> None:
        yard.ci.start()
        yard.ci.queue_build(push(sha))
        assert yard.list_states() == [(sha, "queued")]
        assert not yard.registry.has_image(REPOSITORY, sha)
        await await_builds(yard)

    asyncio.run(run())
    assert yard.registry.has_image(REPOSITORY, sha)


def test_a_failing_ci_leaves_no_image_and_is_remembered(yard: Yard) -> None:
    sha = yard.commit({"README.md": "hello"})
    yard.settings.ci_fails = True

    build(yard, push(sha))

    assert yard.ci.to_json() == [
        {
            "repository": REPOSITORY,
            "sha": sha,
            "branch": "dev-x",
            "state": "failed",
            "reason": "settings.ci_fails is on",
        }
    ]
    assert not yard.registry.has_image(REPOSITORY, sha)
    yard.settings.ci_fails = False
    build(yard, push(sha))
    assert yard.list_states() == [(sha, "failed"), (sha, "done")]


def test_a_deletion_builds_nothing(yard: Yard) -> None:
    build(yard, Push(REPOSITORY, "dev-x", "a" * 40, NO_COMMIT))

    assert yard.ci.to_json() == []


def test_what_git_refuses_is_a_failed_build_that_says_why(yard: Yard) -> None:
    yard.commit({"README.md": "hello"})

    build(yard, push("a" * 40))

    [failed] = yard.ci.to_json()
    assert failed["state"] == "failed"
    assert "fatal: not a tree object" in failed["reason"]


def test_reset_builds_the_seeded_heads_and_drops_what_waits(yard: Yard) -> None:
    seeded = yard.commit({"README.md": "seed"})
    yard.run_git("branch", "staging")

    async def run() -> str:
        yard.ci.start()
        sha = yard.commit({"README.md": "later"})
        yard.ci.queue_build(push(sha))
        yard.run_git("reset", "-q", "--hard", seeded)
        yard.ci.reset()
        yard.ci.build_heads(REPOSITORY)
        await asyncio.sleep(yard.settings.ci_delay_s * 3)
        return sha

    dropped = asyncio.run(run())
    assert [(one["branch"], one["sha"], one["state"]) for one in yard.ci.to_json()] == [
        ("main", seeded, "done"),
        ("staging", seeded, "done"),
    ]
    assert yard.registry.has_image(REPOSITORY, seeded)
    assert not yard.registry.has_image(REPOSITORY, dropped)
