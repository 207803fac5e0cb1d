"""A Deployment as `astro deployment inspect` describes it → what of that belongs into a template, in one fixed order.

Left out: what is one Deployment's own (name, description, workspace, ids, alert addresses, cloud identity, where remote
execution calls from and logs to), and every value that is or may be a secret. The document's keys are those of the
Astro CLI 1.45 (inspect.go). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from include.deploy_ops.core.environment.mapping import WORKLOAD_IDENTITY, is_about_secrets
from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.template.keys import Configuration, HibernationSchedule, RemoteExecution, WorkerQueue
from include.deploy_ops.core.template.rules import name_deployment_type, name_executor
from include.deploy_ops.core.template.secrecy import holds_secret, is_connection, is_named_like_secret

OWN_KEYS = frozenset({"name", "description", "workspace_name", WORKLOAD_IDENTITY})
"""Of the configuration: what is one Deployment's own, and what would lead previews to its cloud identity."""

REMOTE, REMOTE_SHARED = "remote_execution", frozenset({"enabled"})
"""Of remote execution: whether it is on. Addresses and places of logs are one Deployment's own, and shown to nobody."""

COUNTED = "scheduler_count"
"""Of a hosted Deployment what is there, by size and availability; nothing that a create is told."""

_ADDED_BY_CREATE = {"dag_deploy_enabled": False}
"""What `create` takes for on where a file says nothing of it (fromfile.go); `inspect` says it, also where it is off."""


@dataclass(frozen=True, slots=True)
class CopyRules:
    """Which values come along.

    `copied`: keys of plain variables whose values do. `inherited`: keys by which previews may reach secrets. Whether a
    value is a secret by its shape `looks_secret` says.
    """

    copied: Collection[str] = ()
    inherited: Collection[str] = ()
    looks_secret: Callable[[str], bool] = holds_secret


def make_normal_form(document: Mapping[str, Any], rules: CopyRules) -> dict[str, Any]:
    """Return the template document of an inspected Deployment; the same for its own result.

    :raises ObservationError: it is no such document. The text quotes nothing of it, which may be secret.
    """
    deployment = _expect(document.get("deployment"), dict, "deployment")
    configuration = _read_configuration(_expect(deployment.get("configuration"), dict, "configuration"))
    variables = _read_list(deployment, "environment_variables")
    parts = {
        "environment_variables": [
            _read_variable(each, rules) for each in _sort(variables, "key") if _may_stand(each["key"], rules)
        ],
        "configuration": configuration,
        "worker_queues": _read_queues(_read_list(deployment, "worker_queues"), configuration),
        "hibernation_schedules": _read_schedules(_read_list(deployment, "hibernation_schedules"), configuration),
    }
    return {"deployment": {key: part for key, part in parts.items() if part or key == "configuration"}}


def _read_configuration(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: each for key, each in _take(found, Configuration).items() if key not in OWN_KEYS}
    remote = _take(kept.pop(REMOTE, None) or {}, RemoteExecution)
    if shared := {key: each for key, each in remote.items() if key in REMOTE_SHARED}:
        kept[REMOTE] = shared
    if name_deployment_type(kept) != "HYBRID":
        kept.pop(COUNTED, None)
    return kept | {key: value for key, value in _ADDED_BY_CREATE.items() if key not in kept}


def _read_queues(found: list[dict[str, Any]], configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the queues; none for Kubernetes, whose pods `inspect` prints as one, and `create` refuses there."""
    if name_executor(configuration) == "KUBERNETES":
        return []
    return [_take(each, WorkerQueue) for each in _sort(found, "name")]


def _read_schedules(found: list[dict[str, Any]], configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_take(each, HibernationSchedule) for each in found] if configuration.get("is_development_mode") else []


def _may_stand(key: str, rules: CopyRules) -> bool:
    """Whether the variable may stand in a template at all; one that leads to a secrets backend where that is agreed."""
    return not is_about_secrets(key) or key in rules.inherited


def _read_variable(found: Mapping[str, Any], rules: CopyRules) -> dict[str, Any]:
    key, value = found["key"], found.get("value")
    text = value if isinstance(value, str) else ""
    is_secret = bool(found.get("is_secret")) or is_connection(key) or rules.looks_secret(text) or holds_secret(text)
    is_copied = key in rules.copied and not is_secret and not is_named_like_secret(key)
    # What is named like a secret is one from here on: whoever fills it in, in Astro, finds it hidden.
    is_hidden = is_secret or (is_named_like_secret(key) and not is_about_secrets(key))
    return {"key": key, "value": text if is_copied else "", "is_secret": is_hidden}


def _take(found: Any, model: Any) -> dict[str, Any]:
    """Return what the model has keys for, in its order, without what is not set."""
    mapping = _expect(found, dict, model.__name__)
    return {key: mapping[key] for key in model.model_fields if mapping.get(key) not in (None, "", [], {})}


def _read_list(deployment: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [_expect(each, dict, key) for each in _expect(deployment.get(key) or [], list, key)]


def _sort(found: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    for each in found:
        _expect(each.get(key), str, key)
    return sorted(found, key=lambda each: str(each[key]))


def _expect(found: Any, kind: type, where: str) -> Any:
    if not isinstance(found, kind):
        raise ObservationError(
            f"the Astro CLI describes the Deployment with a '{where}' that is no {kind.__name__}; nothing is concluded"
            " from it"
        )
    return found
