"""A template's fields, apart from how its file is written: what a comparison of two templates compares. Pure.

A field is named by where it stands: ("configuration", "scheduler_size"), ("worker_queues", "default",
"max_worker_count"), ("environment_variables", "STAGE"), ("hibernation_schedules",). A variable is one field, since its
value without the word whether it is a secret means nothing; the schedules are one, since nothing tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from include.deploy_ops.core.template.normal_form import COUNTED, OWN_KEYS, REMOTE, REMOTE_SHARED
from include.deploy_ops.core.template.rules import name_deployment_type, name_executor

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = dict[str, Any]

VARIABLES, QUEUES, SCHEDULES, CONFIGURATION = (
    "environment_variables",
    "worker_queues",
    "hibernation_schedules",
    "configuration",
)
LISTED = {VARIABLES: "key", QUEUES: "name"}
"""The lists whose entries have a name, and the key that holds it."""

_ANY_CASE = ("scheduler_size", "cloud_provider")


class Gap(Enum):
    """What stands where there is no value."""

    ABSENT = "not there"
    UNKNOWN = "nobody knows"


def has_shape(document: Any) -> bool:
    """Whether it is laid out as a Deployment file, so that its fields can be read; what they may be is not asked."""
    deployment = document.get("deployment") if isinstance(document, Mapping) else None
    if not isinstance(deployment, Mapping):
        return False
    configuration = deployment.get(CONFIGURATION) or {}
    return (
        isinstance(configuration, Mapping)
        and isinstance(configuration.get(REMOTE) or {}, Mapping)
        and all(isinstance(configuration.get(key) or "", str) for key in (*_ANY_CASE, "executor", "deployment_type"))
        and all(_has_entries(deployment.get(part) or [], LISTED.get(part)) for part in (VARIABLES, QUEUES, SCHEDULES))
    )


def _has_entries(found: Any, name_key: str | None) -> bool:
    return isinstance(found, list) and all(
        isinstance(each, Mapping)
        and isinstance(each.get("value") or "", str)
        and (name_key is None or isinstance(each.get(name_key), str))
        for each in found
    )


def read_fields(document: Mapping[str, Any]) -> Fields:
    """Return the fields of a Deployment file that is valid or has its shape; what is one Deployment's own has none."""
    deployment = document["deployment"]
    fields: Fields = {
        CONFIGURATION: _fold(deployment.get(CONFIGURATION) or {}),
        VARIABLES: {each["key"]: _read_variable(each) for each in deployment.get(VARIABLES) or ()},
        QUEUES: {each["name"]: _read_queue(each) for each in deployment.get(QUEUES) or ()},
    }
    schedules = [_strip(each) for each in deployment.get(SCHEDULES) or ()]
    return {**fields, SCHEDULES: schedules} if schedules else fields


def write_document(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Deployment file that has these fields and no others."""
    parts = {
        VARIABLES: [{"key": key, **each} for key, each in fields[VARIABLES].items()],
        CONFIGURATION: fields[CONFIGURATION],
        QUEUES: [{"name": name, **each} for name, each in fields[QUEUES].items()],
        SCHEDULES: fields.get(SCHEDULES, []),
    }
    return {"deployment": {key: part for key, part in parts.items() if part or key == CONFIGURATION}}


def find_field(fields: Mapping[str, Any], path: Iterable[str]) -> Any:
    """Return what stands there, ABSENT where nothing does."""
    found: Any = fields
    for key in path:
        found = found.get(key, Gap.ABSENT) if isinstance(found, Mapping) else Gap.ABSENT
    return found


def _fold(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration in Astro's own spelling; two that the CLI reads alike are equal."""
    kept = {key: each for key, each in _strip(configuration).items() if key not in OWN_KEYS}
    kept |= {key: kept[key].upper() for key in _ANY_CASE if key in kept}
    if "executor" in kept:
        kept["executor"] = name_executor(kept)
    if "deployment_type" in kept:
        kept["deployment_type"] = name_deployment_type(kept)
    if kept.get("deployment_type") != "HYBRID":
        kept.pop(COUNTED, None)
    remote = _strip(kept.pop(REMOTE, {}))
    if shared := {key: each for key, each in remote.items() if key in REMOTE_SHARED}:
        kept[REMOTE] = shared
    return kept


def _read_variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": variable.get("value") or "", "is_secret": bool(variable.get("is_secret"))}


def _read_queue(queue: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in _strip(queue).items() if key != "name"}


def _strip(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in mapping.items() if each not in (None, "")}
