"""Requests to create and update a Deployment, or make a token: checked, completed with defaults. It stores nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.astro.answers import ApiError
from sandbox.astro.catalog import (
    CLOUD_PROVIDERS,
    CONCURRENCY,
    EXECUTORS,
    POD_DEFAULTS,
    RUNTIMES,
    SCHEDULER_SIZES,
    default_queue,
)
from sandbox.astro.records import format_time, make_id
from sandbox.clock import now
from sandbox.identity import WORKSPACE_ID


@dataclass(frozen=True)
class _Field:
    """What a field of a request must be; a required text must not be empty.

    :param items: what a list's items must be.
    :param floor: the least number, or the least length of a list.
    :param ceiling: the greatest number.
    """

    kind: type
    is_required: bool = False
    choices: frozenset[str] | None = None
    length_max: int | None = None
    items: type | None = None
    floor: int | None = None
    ceiling: int | None = None


_COMMON = {
    "name": _Field(str, is_required=True, length_max=500),
    "workspaceId": _Field(str, is_required=True, choices=frozenset({WORKSPACE_ID})),
    "type": _Field(str, is_required=True, choices=frozenset({"STANDARD"})),
    "description": _Field(str, length_max=1000),
    "executor": _Field(str, is_required=True, choices=EXECUTORS),
    "schedulerSize": _Field(str, is_required=True, choices=SCHEDULER_SIZES),
    "isCicdEnforced": _Field(bool, is_required=True),
    "isDagDeployEnabled": _Field(bool, is_required=True),
    "isHighAvailability": _Field(bool, is_required=True),
    "isDevelopmentMode": _Field(bool),
    "contactEmails": _Field(list, items=str),
    "workerQueues": _Field(list, floor=1),
    "scalingSpec": _Field(dict),
    "workloadIdentity": _Field(str),
    **{name: _Field(str) for name in POD_DEFAULTS},
}
_CREATE = {
    **_COMMON,
    "cloudProvider": _Field(str, is_required=True, choices=CLOUD_PROVIDERS),
    "region": _Field(str, is_required=True),
    "astroRuntimeVersion": _Field(str, is_required=True, choices=frozenset(RUNTIMES)),
}
_QUEUE = {
    "name": _Field(str, is_required=True, length_max=63),
    "astroMachine": _Field(str, is_required=True, choices=frozenset(CONCURRENCY)),
    "minWorkerCount": _Field(int, is_required=True, floor=0),
    "maxWorkerCount": _Field(int, is_required=True, floor=1),
    "workerConcurrency": _Field(int, is_required=True, floor=1),
    "isDefault": _Field(bool, is_required=True),
    "id": _Field(str),
    "podEphemeralStorage": _Field(str),
}
_VARIABLE = {
    "key": _Field(str, is_required=True),
    "isSecret": _Field(bool, is_required=True),
    "value": _Field(str),
}
_SCALING = {"hibernationSpec": _Field(dict)}
_HIBERNATION = {"schedules": _Field(list, length_max=10)}
_SCHEDULE = {
    "hibernateAtCron": _Field(str, is_required=True),
    "wakeAtCron": _Field(str, is_required=True),
    "isEnabled": _Field(bool, is_required=True),
    "description": _Field(str, length_max=200),
}
_GIT = {
    "provider": _Field(str, is_required=True, choices=frozenset({"GITHUB", "GENERIC"})),
    "commitSha": _Field(str, is_required=True),
    **{
        name: _Field(str)
        for name in (
            *("account", "authorName", "authorUrl", "authorUsername", "beforeCommitSha"),
            *("branch", "commitUrl", "path", "remoteUrl", "repo"),
        )
    },
}
_TOKEN = {
    "name": _Field(str, is_required=True),
    "scope": _Field(str, is_required=True, choices=frozenset({"DEPLOYMENT", "WORKSPACE", "ORGANIZATION"})),
    "role": _Field(str, is_required=True),
    "kind": _Field(str, choices=frozenset({"STANDARD", "DIRECT_ACCESS"})),
    "description": _Field(str),
    "entityId": _Field(str),
    "tokenExpiryPeriodInDays": _Field(int, floor=1, ceiling=3650),
}


def read_create(body: dict[str, Any]) -> dict[str, Any]:
    """Return the new Deployment's spec; its variables are read apart.

    :raises ApiError: 400, naming the field.
    """
    spec = _read_spec(body, _CREATE)
    spec = {"isDevelopmentMode": False, "description": "", "contactEmails": [], **POD_DEFAULTS, **spec}
    return {**spec, "workerQueues": _read_queues(spec.get("workerQueues"), spec["executor"])}


def read_update(body: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Return the whole spec after an update: what the request leaves out stays, an e-mail list of null is emptied.

    Variables are read apart. Runtime version, cloud, region and development mode are not an update's to change.

    :raises ApiError: 400, naming the field.
    """
    spec = {**current, **_read_spec(body, _COMMON), "isDevelopmentMode": current["isDevelopmentMode"]}
    if body.get("contactEmails", ...) is None:
        spec["contactEmails"] = []
    return {**spec, "workerQueues": _read_queues(spec["workerQueues"], spec["executor"])}


def read_variables(body: dict[str, Any], current: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all variables after the request: its list replaces the current one, a secret without a value keeps it.

    :raises ApiError: 400, naming the variable.
    """
    sent = body.get("environmentVariables")
    if not isinstance(sent, list):
        raise ApiError(400, "Invalid request: environmentVariables is required, and must be a list")
    known = {variable["key"]: variable for variable in current}
    variables = [_read_variable(item, known) for item in sent]
    if len({variable["key"] for variable in variables}) != len(variables):
        raise ApiError(400, "Invalid request: environmentVariables has one key twice")
    return variables


def read_git(git: Any) -> dict[str, Any] | None:
    """Return what a deploy tells of its commit, None where it tells nothing.

    :raises ApiError: 400, naming the field.
    """
    return None if git is None else _check(git, _GIT, "git")


def read_token(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a new token is to be; what it is for is named unless that is the Organization.

    :raises ApiError: 400, naming the field.
    """
    spec = {"kind": "STANDARD", "description": "", **_check(body, _TOKEN)}
    if spec["scope"] != "ORGANIZATION" and not spec.get("entityId"):
        raise ApiError(400, f"Invalid request: entityId is required for scope {spec['scope']}")
    return spec


def _read_spec(body: dict[str, Any], fields: dict[str, _Field]) -> dict[str, Any]:
    spec = _check(body, fields)
    scaling = _check(spec.get("scalingSpec", {}), _SCALING, "scalingSpec")
    hibernation = _check(scaling.get("hibernationSpec", {}), _HIBERNATION, "hibernationSpec")
    if "schedules" in hibernation:
        hibernation["schedules"] = [_check(schedule, _SCHEDULE, "schedules") for schedule in hibernation["schedules"]]
    return {**spec, "scalingSpec": {"hibernationSpec": hibernation}} if "scalingSpec" in spec else spec


def _read_variable(item: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    variable = _check(item, _VARIABLE, "environmentVariables")
    old = known.get(variable["key"])
    if "value" not in variable:
        if not (variable["isSecret"] and old is not None and old["isSecret"]):
            raise ApiError(400, f"Invalid request: environmentVariables {variable['key']} has no value")
        variable["value"] = old["value"]
    is_same = old is not None and (old["value"], old["isSecret"]) == (variable["value"], variable["isSecret"])
    return {**variable, "updatedAt": old["updatedAt"] if old and is_same else format_time(now())}


def _read_queues(sent: list[Any] | None, executor: str) -> list[dict[str, Any]]:
    if executor == "KUBERNETES":
        return []
    queues = [_check(queue, _QUEUE, "workerQueues") for queue in sent or [default_queue()]]
    names = [queue["name"] for queue in queues]
    if len(set(names)) != len(names) or "default" not in names:
        raise ApiError(400, "Invalid request: workerQueues needs a queue named default, and every name once")
    return [_complete_queue(queue) for queue in queues]


def _complete_queue(queue: dict[str, Any]) -> dict[str, Any]:
    return {
        **queue,
        "id": queue.get("id") or make_id(),
        "isDefault": queue["name"] == "default",
        "podCpu": "1",
        "podMemory": "2Gi",
    }


def _check(body: Any, fields: dict[str, _Field], where: str = "") -> dict[str, Any]:
    """Return the known fields of `body` that are not null."""
    if not isinstance(body, dict):
        raise ApiError(400, f"Invalid request: {where or 'the body'} must hold JSON objects")
    for name, field in fields.items():
        _check_field(f"{where}.{name}".lstrip("."), body.get(name), field)
    return {name: body[name] for name in fields if body.get(name) is not None}


def _check_field(name: str, value: Any, field: _Field) -> None:
    if value is None or (value == "" and field.kind is str):
        if field.is_required:
            raise ApiError(400, f"Invalid request: {name} is required")
    elif type(value) is not field.kind:  # a bool is no int here
        raise ApiError(400, f"Invalid request: {name} must be of type {field.kind.__name__}, not {value!r}")
    elif field.choices is not None and value not in field.choices:
        raise ApiError(400, f"Invalid request: {name} must be one of {', '.join(sorted(field.choices))}, not {value!r}")
    else:
        _check_bounds(name, value, field)


def _check_bounds(name: str, value: Any, field: _Field) -> None:
    size = len(value) if isinstance(value, str | list) else value
    unit = " characters" if field.kind is str else " items" if field.kind is list else ""
    if field.length_max is not None and size > field.length_max:
        raise ApiError(400, f"Invalid request: {name} must have at most {field.length_max}{unit}")
    if field.floor is not None and size < field.floor:
        raise ApiError(400, f"Invalid request: {name} must have at least {field.floor}{unit}")
    if field.ceiling is not None and size > field.ceiling:
        raise ApiError(400, f"Invalid request: {name} must be at most {field.ceiling}")
    if field.items is not None and any(type(item) is not field.items for item in value):
        raise ApiError(400, f"Invalid request: {name} must have items of type {field.items.__name__}")
