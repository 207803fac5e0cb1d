"""A Deployment file: read as YAML 1.1 or JSON, and checked as the real CLI checks it, which is not much.

Unknown keys are dropped without a word. It asks Astro nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.cli.errors import CliError

_EXECUTORS = {
    "celery": "CELERY",
    "celeryexecutor": "CELERY",
    "kubernetes": "KUBERNETES",
    "kubernetesexecutor": "KUBERNETES",
    "astro": "ASTRO",
    "astroexecutor": "ASTRO",
}
_STANDARD = frozenset({"STANDARD", "HOSTED_STANDARD", "HOSTED_SHARED"})
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")


@dataclass(frozen=True)
class DeploymentFile:
    """What a file says; texts are texts already, lists are lists of mappings."""

    configuration: dict[str, Any]
    variables: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    emails: list[str]
    schedules: list[dict[str, Any]]
    is_json: bool

    def text(self, key: str) -> str:
        """Return a text of the configuration, empty when it has none."""
        return as_text(self.configuration.get(key))

    def is_on(self, key: str) -> bool:
        """Return whether the configuration says true."""
        return self.configuration.get(key) is True

    @property
    def executor(self) -> str:
        """The API's name of the executor."""
        return _EXECUTORS[self.text("executor").lower()]


def read_file(path: str, *, is_update: bool) -> DeploymentFile:
    """Return the file's content.

    :raises CliError: if it cannot be read or parsed, or lacks what the CLI asks for.
    """
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise CliError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    if not text:
        raise CliError(f"{path} has no content")
    file = _shape(_parse(text), is_json=_is_json(text))
    _check(file, is_update=is_update)
    return file


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise CliError(f"error converting YAML to JSON: yaml: line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise CliError(f"error converting YAML to JSON: yaml: {error}") from error


def _shape(data: Any, *, is_json: bool) -> DeploymentFile:
    deployment = _expect(_expect(data, dict, "file").get("deployment"), dict, "deployment")

    def read_list(key: str) -> list[Any]:
        return list(_expect(deployment.get(key), list, f"deployment.{key}"))

    def read_mappings(key: str) -> list[dict[str, Any]]:
        return [_expect(item, dict, f"deployment.{key}") for item in read_list(key)]

    return DeploymentFile(
        configuration=_expect(deployment.get("configuration"), dict, "deployment.configuration"),
        variables=read_mappings("environment_variables"),
        queues=sorted(read_mappings("worker_queues"), key=lambda queue: as_text(queue.get("name"))),
        emails=[as_text(email) for email in read_list("alert_emails")],
        schedules=read_mappings("hibernation_schedules"),
        is_json=is_json,
    )


def _expect(value: Any, kind: type, where: str) -> Any:
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise CliError(f"error unmarshaling JSON: cannot unmarshal {type(value).__name__} into {where}")
    return value


def as_text(value: Any) -> str:
    """Return what lands in a text field: an unquoted `yes` has become `true`, 12.10 has become `12.1`."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(file: DeploymentFile, *, is_update: bool) -> None:
    for key in ("name", "executor"):
        if not file.text(key):
            raise CliError(f"missing required field: deployment.configuration.{key}")
    if file.text("executor").lower() not in _EXECUTORS:
        known = "CeleryExecutor, KubernetesExecutor, or AstroExecutor"
        raise CliError(f"executor {file.text('executor')} is not valid. It can be {known}")
    if file.text("deployment_type").upper() not in _STANDARD:
        raise CliError(f"the stand-in knows STANDARD Deployments only, not {file.text('deployment_type')!r}")
    for email in file.emails:
        if not _EMAIL.fullmatch(email):
            raise CliError(f"invalid email: {email}")
    _check_variables(file.variables, is_update=is_update)
    _check_queues(file.queues)


def _check_variables(variables: list[dict[str, Any]], *, is_update: bool) -> None:
    for index, variable in enumerate(variables):
        where = f"missing required field: deployment.environment_variables[{index}]"
        if not as_text(variable.get("key")):
            raise CliError(f"{where}.key")
        may_lack_value = is_update and variable.get("is_secret") is True
        if variable.get("value") is None and not may_lack_value:
            raise CliError(f"{where}.value")


def _check_queues(queues: list[dict[str, Any]]) -> None:
    for index, queue in enumerate(queues):
        for key in ("name", "worker_type"):
            if not as_text(queue.get(key)):
                raise CliError(f"missing required field: deployment.worker_queues[{index}].{key}")
    if queues and all(as_text(queue["name"]) != "default" for queue in queues):
        raise CliError("missing required field: default queue is missing under deployment.worker_queues")
