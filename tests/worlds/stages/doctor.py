"""A project on the sandbox that the doctor looks at, and what people do to it: spoil something, or follow an advice."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.hooks.astro.api import AstroApiHook
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.observation.doctor.astro import examine_astro
from include.deploy_ops.observation.doctor.template import examine_template
from include.deploy_ops.observation.doctor.trunk import TrunkReader
from include.deploy_ops.observation.images import open_astro_registry
from tests.worlds.stages.stage import WRITES
from tests.worlds.values.doctor import find_check

if TYPE_CHECKING:
    import pytest

    from include.deploy_ops.core.doctor.check import Check
    from tests.worlds.stages.stage import Stage

ASTRO = "AIRFLOW_CONN_ASTRO_DEFAULT"
_TEMPLATE = "deployments/preview.yaml"


@dataclass
class Doctored:
    """The project, and who changes its surroundings."""

    stage: Stage
    monkeypatch: pytest.MonkeyPatch

    # What the doctor says

    @property
    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)

    def examine_astro(self) -> tuple[Check, ...]:
        """Return the checks of Astro, read anew."""
        scope = self.stage.scope
        with AstroApiHook(scope.project.astro_conn_id) as astro:
            return examine_astro(
                scope,
                astro,
                self._open_trunk(),
                deployed=open_astro_registry(scope),
                built=RegistryHook(scope.project.registry_conn_id),
                now=self.now,
                memory=self.stage.memory,
            )

    def examine_template(self) -> tuple[Check, ...]:
        """Return the checks of the template, read anew."""
        scope = self.stage.scope
        with AstroApiHook(scope.project.astro_conn_id) as astro:
            return examine_template(scope, astro, self._open_trunk())

    def find(self, name: str) -> Check:
        """Return one check of either area."""
        return find_check((*self.examine_astro(), *self.examine_template()), name)

    def _open_trunk(self) -> TrunkReader:
        project = self.stage.scope.project
        return TrunkReader(self.stage.scope, DeployOpsGithubHook(project.github_conn_id, project.repository))

    def list_requests(self, face: str) -> list[str]:
        """Return all requests to one face, HEADs, too."""
        return self.stage.list_requests(face, ("GET", "HEAD", *WRITES))

    # What people do

    def connect(self, extra: dict[str, str] | None = None, **fields: str) -> None:
        """Edit the Airflow connection to Astro."""
        known = json.loads(os.environ[ASTRO])
        edited = {**known, **fields, "extra": {**known["extra"], **(extra or {})}}
        self.monkeypatch.setenv(ASTRO, json.dumps(edited))

    def answer(self, path: str, body: Any, status: int = 200, face: str = "astro", **fault: Any) -> None:
        """Let a service answer otherwise from now on."""
        self.stage.sandbox.plant(face=face, path=path, status=status, body=body, times=None, **fault)

    def refuse(self, path: str, status: int = 403, face: str = "astro", **fault: Any) -> None:
        """Let a service refuse from now on, in Astro's form."""
        self.answer(path, {"message": "no", "requestId": "r", "statusCode": status}, status, face, **fault)

    def heal(self) -> None:
        """Let all services answer as they do."""
        assert self.stage.sandbox.client.delete("/sandbox/faults").is_success

    def edit_target(self, **changes: Any) -> None:
        """Edit the target's Deployment in Astro, by whatever name it goes."""
        (found,) = [each for each in self.stage.list_deployments() if each["name"].startswith("Produ")]
        self.stage.edit_deployment(found["id"], **changes)

    def link(self, *, is_linked: bool) -> None:
        """Let an object of the workspace's environment be linked to all Deployments, or to some."""
        body = {"kind": "CONNECTION", "key": "warehouse", "is_linked": is_linked}
        assert self.stage.sandbox.client.post("/sandbox/environment-objects", json=body).is_success

    def edit_template(self, old: str, new: str) -> None:
        """Commit another text of trunk's template."""
        author = self.stage.author
        author.start_branch("main")
        path = author.folder / _TEMPLATE
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        self.stage.push_more("main", {})

    def allow(self, **previews: Any) -> None:
        """Edit the policy's previews."""
        self.stage.change_project(previews=previews)
