"""A stage whose policy maps values of the management Airflow, and what reaches the Astro CLI."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from include.deploy_ops.core.policy.keys import Environment
from include.deploy_ops.hooks.astro import cli
from include.deploy_ops.process.command import Command, CommandResult

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.worlds.stages.stage import Stage

PASSWORD = 'c4nary/p&ss"w\\ord+é='  # noqa: S105 - an example
KEY = "c4nary-key-0123456789"
EXTRA_TOKEN = "c4nary-token-in-an-extra"  # noqa: S105 - likewise
MAPPING: dict[str, Any] = {
    "connections": {"warehouse": "preview_warehouse"},
    "variables": {"api_key": {"variable": "preview_key"}, "target_schema": "dev_{schema}"},
    "environment_variables": {"STAGE": "{project}", "TOKEN": {"connection": "preview_warehouse", "field": "password"}},
}
SECRET_KEYS = ("AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_VAR_API_KEY", "TOKEN")


@dataclass
class LaidFiles:
    """The Deployment files that the Astro CLI was given, newest last, where they lay, and with which rights."""

    texts: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    rights: list[tuple[int, int]] = field(default_factory=list)

    def read_variables(self) -> dict[str, dict[str, Any]]:
        """Return the variables of the newest file."""
        body = yaml.safe_load(self.texts[-1])["deployment"]
        return {each["key"]: each for each in body.get("environment_variables", ())}

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Look at each file in the moment in which the CLI is started."""
        files = self

        class Watched(Command):
            def run(self) -> CommandResult:
                path = self.cwd / "deployment.yaml"
                if path.exists():
                    files.texts.append(path.read_text(encoding="utf-8"))
                    files.paths.append(path)
                    modes = (path.stat().st_mode, path.parent.parent.stat().st_mode)
                    files.rights.append((stat.S_IMODE(modes[0]), stat.S_IMODE(modes[1])))
                return super().run()

        monkeypatch.setattr(cli, "Command", Watched)


def set_source(monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD, key: str = KEY) -> None:
    """Let the management Airflow hold what the mapping names."""
    warehouse = {
        "conn_type": "postgres",
        "host": "warehouse.acme.example",
        "login": "preview_reader",
        "password": password,
        "extra": {"token": EXTRA_TOKEN},
    }
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_WAREHOUSE", json.dumps(warehouse))
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", key)


def map_environment(stage: Stage, mapping: dict[str, Any]) -> None:
    """Edit the policy's mapping."""
    stage.change_project(previews={"environment": Environment.model_validate(mapping)})
