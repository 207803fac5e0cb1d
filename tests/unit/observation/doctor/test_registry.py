"""The doctor's look at registries, on the sandbox: each fault turns its check, what its advice says turns it back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.observation import images
from include.deploy_ops.observation.doctor.registry import examine_registry
from include.deploy_ops.observation.doctor.trunk import TrunkReader
from sandbox.identity import REGISTRY_PASSWORD, REGISTRY_USER, RUNTIME_LABEL
from tests.sandbox.conftest import CI_LOGIN
from tests.worlds.stages.stage import WRITES, Stage

NAME = "acme/data-platform"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
REQUESTS_MAX = 8
"""To the registry, of a look that finds the image at once: one or two manifests and a config, each with a login."""


@dataclass
class World:
    """The stage, a clock, and what people do about images."""

    stage: Stage
    monkeypatch: pytest.MonkeyPatch
    now: datetime

    def examine(self) -> dict[str, Check]:
        """Return the checks by the first word of their name."""
        scope = self.stage.scope
        project = scope.project
        github = DeployOpsGithubHook(project.github_conn_id, project.repository)
        registry = RegistryHook(project.registry_conn_id, login_hosts=project.login_hosts)
        checks = examine_registry(scope, TrunkReader(scope, github), registry, self.now)
        github.close()
        assert {check.area for check in checks} == {Area.REGISTRY}
        return {check.name.partition(" ")[0]: check for check in checks}

    @property
    def trunk(self) -> str:
        return self.stage.author.git("ls-remote", "origin", "refs/heads/main").partition("\t")[0]

    def push(self, files: dict[str, str]) -> None:
        """Commit to trunk, and wait for the CI."""
        self.stage.author.start_branch("main", "origin/main")
        self.stage.push_more("main", files)

    def send(self, method: str, path: str, status: int, **options: Any) -> Any:
        token = self.stage.sandbox.get_token(f"repository:{NAME}:pull,push,delete", login=CI_LOGIN)
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        answer = self.stage.sandbox.client.request(method, f"/v2/{NAME}/{path}", headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer

    def remove_image(self) -> None:
        """Delete trunk's image, as a registry's retention would."""
        found = self.send("GET", f"manifests/{self.trunk}", 200)
        self.send("DELETE", f"manifests/{found.headers['docker-content-digest']}", 202)

    def push_image(self, **config: Any) -> None:
        """Push an image of trunk, as a CI would; `config` replaces parts of what Astro needs."""
        labels = {"config": {"Labels": {RUNTIME_LABEL: "3.3-2"}}}
        made = {"os": "linux", "architecture": "amd64", **labels, **config}
        blob = json.dumps(made).encode()
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        place = self.send("POST", "blobs/uploads/", 202).headers["location"].partition(f"/v2/{NAME}/")[2]
        join = "&" if "?" in place else "?"
        self.send("PUT", f"{place}{join}digest={digest}", 201, content=blob)
        told = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(blob)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": told, "layers": []}
        headers = {"Content-Type": MANIFEST_TYPE}
        self.send("PUT", f"manifests/{self.trunk}", 201, content=json.dumps(manifest), headers=headers)

    def close_registry(self) -> None:
        """Let nobody pull without a login."""
        self.set_auth("private")

    def set_auth(self, auth: str) -> None:
        assert self.stage.sandbox.client.post("/sandbox/settings", json={"registry_auth": auth}).is_success

    def log_in(self) -> None:
        """Name a connection with a login in the policy."""
        login = {"conn_type": "http", "login": REGISTRY_USER, "password": REGISTRY_PASSWORD}
        self.monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", json.dumps(login))
        self.stage.change_project(registry_conn_id="ci_registry")

    def plant(self, status: int) -> None:
        self.stage.sandbox.plant(face="registry", path=re.escape(NAME), status=status, times=None)

    def clear(self) -> None:
        assert self.stage.sandbox.client.delete("/sandbox/faults").is_success


@pytest.fixture
def world(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a stage a day after trunk's last commit, whose image the CI has built."""
    stage.await_ci()
    yield World(stage, monkeypatch, datetime.now(UTC) + timedelta(days=1))
    assert stage.sandbox.client.post("/sandbox/settings", json={"registry_auth": "anonymous"}).is_success


Act = Callable[[World], object]


FAULTS: tuple[tuple[Act, str, Status, str, Act], ...] = (
    (World.remove_image, "image", Status.FAIL, "push it under exactly this name", World.push_image),
    (World.close_registry, "image", Status.FAIL, "the login comes from `registry_conn_id`", World.log_in),
    (lambda world: world.plant(503), "image", Status.NOT_KNOWN, "HTTP 401 or 403", World.clear),
    (
        lambda world: world.push_image(config={}),
        "label",
        Status.FAIL,
        "build it FROM Astro Runtime",
        World.push_image,
    ),
    (
        lambda world: world.push_image(architecture="arm64"),
        "platform",
        Status.FAIL,
        "`docker build --platform linux/amd64`",
        World.push_image,
    ),
)


def test_every_check_is_turned_by_one_of_the_faults(world: World) -> None:
    assert set(world.examine()) == {check for _, check, *_ in FAULTS}


@pytest.mark.parametrize(("break_it", "check", "status", "advice", "mend_it"), FAULTS)
def test_each_fault_turns_its_check_and_its_advice_turns_it_back(
    break_it: Act, check: str, status: Status, advice: str, mend_it: Act, world: World
) -> None:
    assert {each.status for each in world.examine().values()} == {Status.OK}
    break_it(world)
    found = world.examine()[check]
    assert (found.status, advice in found.advice) == (status, True), found
    mend_it(world)
    assert {each.status for each in world.examine().values()} == {Status.OK}


def test_an_image_that_the_ci_may_still_build_is_a_warning(world: World) -> None:
    world.remove_image()
    world.now = datetime.now(UTC)
    world.push({"requirements.txt": "# more\n"})
    world.remove_image()
    assert world.examine()["image"].status is Status.WARN


def test_an_image_of_a_commit_that_serves_trunk_is_found(world: World) -> None:
    before = world.trunk
    world.push({"dags/more.py": "# more\n"})
    world.remove_image()
    assert world.examine()["image"].found.startswith(f"there is one of {before[:12]}, which serves")
    world.push({"requirements.txt": "# more\n"})
    world.remove_image()
    assert world.examine()["image"].status is Status.FAIL


def test_where_no_image_is_named_no_registry_is_asked(world: World) -> None:
    world.stage.change_project(image=("reuse", "build"))
    world.stage.forget_requests()
    assert [check.status for check in world.examine().values()] == [Status.OK]
    assert world.stage.list_requests("registry") == world.stage.list_requests("github") == []


def test_a_look_pulls_little_and_writes_nothing(world: World) -> None:
    world.stage.forget_requests()
    world.examine()
    assert 0 < len(world.stage.list_requests("registry")) <= REQUESTS_MAX
    for face in ("registry", "github"):
        assert world.stage.list_requests(face, WRITES) == []


def test_an_image_is_looked_for_as_far_back_as_the_image_step_looks(world: World) -> None:
    back, before = 5, world.trunk
    world.monkeypatch.setattr(images, "ANCESTORS_MAX", back)
    for number in range(back):
        world.push({f"dags/more_{number}.py": "# more\n"})
        world.remove_image()
    assert world.examine()["image"].found.startswith(f"there is one of {before[:12]}, which serves")
    world.push({"dags/last.py": "# more\n"})
    world.remove_image()
    world.stage.forget_requests()
    assert world.examine()["image"].status is Status.FAIL
    asked = {each for each in world.stage.list_requests("registry") if "/manifests/" in each}
    assert len(asked) == 1 + back


def test_what_github_does_not_tell_hides_the_images_and_says_so(world: World) -> None:
    world.stage.sandbox.plant(face="github", path="/git/ref/heads/main", status=502, times=None)
    found = world.examine()
    assert [check.status for check in found.values()] == [Status.NOT_KNOWN]
    assert "HTTP 502" in found["image"].found
