"""The document that `deployment inspect`, `create` and `update` print. It asks Astro nothing."""

from __future__ import annotations

import json
from typing import Any

import yaml

_INDENT = 4


def build_document(deployment: dict[str, Any], *, is_template: bool = False) -> dict[str, Any]:
    """Return the document of a Deployment as the API describes it; a template has neither name nor metadata."""
    schedules = _read_hibernation(deployment).get("schedules") or []
    variables = [_read_variable(item) for item in deployment.get("environmentVariables") or []]
    if is_template:
        variables = [variable for variable in variables if not variable["is_secret"]]
    parts = {
        "environment_variables": variables,
        "configuration": _read_configuration(deployment, is_template=is_template),
        "worker_queues": [_read_queue(queue) for queue in deployment.get("workerQueues") or []],
        "metadata": None if is_template else _read_metadata(deployment),
        "alert_emails": deployment.get("contactEmails"),
        "hibernation_schedules": [_read_schedule(schedule) for schedule in schedules],
    }
    kept = {key: part for key, part in parts.items() if part or key == "worker_queues"}
    return {"deployment": kept}


def _read_variable(variable: dict[str, Any]) -> dict[str, Any]:
    return {
        "is_secret": variable["isSecret"],
        "key": variable["key"],
        "updated_at": _cut_to_seconds(variable["updatedAt"]),
        "value": variable.get("value"),
    }


def _cut_to_seconds(moment: str) -> str:
    return f"{moment.partition('.')[0].removesuffix('Z')}Z"


def _trim(moment: str) -> str:
    """Return the time as Go prints it: a fraction without zeros at its end, and none that is nothing."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def _read_configuration(deployment: dict[str, Any], *, is_template: bool) -> dict[str, Any]:
    return {
        "name": "" if is_template else deployment["name"],
        "description": deployment.get("description", ""),
        "runtime_version": deployment["runtimeVersion"],
        "dag_deploy_enabled": deployment["isDagDeployEnabled"],
        "ci_cd_enforcement": deployment["isCicdEnforced"],
        "scheduler_size": deployment["schedulerSize"],
        "is_high_availability": deployment["isHighAvailability"],
        "is_development_mode": deployment["isDevelopmentMode"],
        "executor": deployment["executor"],
        "scheduler_count": deployment["schedulerReplicas"],
        "workspace_name": deployment["workspaceName"],
        "deployment_type": deployment["type"],
        "cloud_provider": deployment["cloudProvider"],
        "region": deployment["region"],
        "default_task_pod_cpu": deployment["defaultTaskPodCpu"],
        "default_task_pod_memory": deployment["defaultTaskPodMemory"],
        "resource_quota_cpu": deployment["resourceQuotaCpu"],
        "resource_quota_memory": deployment["resourceQuotaMemory"],
        "workload_identity": "",
    }


def _read_queue(queue: dict[str, Any]) -> dict[str, Any]:
    document = {
        "name": queue["name"],
        "max_worker_count": queue["maxWorkerCount"],
        "min_worker_count": queue["minWorkerCount"],
        "worker_concurrency": queue["workerConcurrency"],
        "worker_type": queue["astroMachine"],
        "pod_ephemeral_storage": queue.get("podEphemeralStorage"),
    }
    return {key: value for key, value in document.items() if value is not None}


def _read_metadata(deployment: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        "deployment_id": deployment["id"],
        "workspace_id": deployment["workspaceId"],
        "cluster_id": "N/A",
        "release_name": "N/A",
        "airflow_version": deployment["airflowVersion"],
        "current_tag": deployment["imageTag"],
        "status": deployment["status"],
        "created_at": _Moment(_trim(deployment["createdAt"])),
        "updated_at": _Moment(_trim(deployment["updatedAt"])),
        "deployment_url": name_page(deployment),
        "webserver_url": deployment["webServerUrl"],
        "airflow_api_url": deployment["webServerAirflowApiUrl"],
    }
    override = _read_hibernation(deployment).get("override") or {}
    if override.get("isActive"):
        shown = {"is_hibernating": override["isHibernating"], "override_until": override.get("overrideUntil")}
        metadata["hibernation_override"] = {key: value for key, value in shown.items() if value}
    return metadata


def _read_hibernation(deployment: dict[str, Any]) -> dict[str, Any]:
    return (deployment.get("scalingSpec") or {}).get("hibernationSpec") or {}


def _read_schedule(schedule: dict[str, Any]) -> dict[str, Any]:
    document = {
        "hibernate_at": schedule["hibernateAtCron"],
        "wake_at": schedule["wakeAtCron"],
        "description": schedule.get("description"),
        "enabled": schedule["isEnabled"],
    }
    return {key: value for key, value in document.items() if value}


def name_page(deployment: dict[str, Any]) -> str:
    """Return where the real CLI thinks the Deployment's page is in the context `localhost`."""
    return f"localhost:5000/{deployment['workspaceId']}/deployments/{deployment['id']}"


class _Moment(str):
    """A time that YAML shows without quotes."""

    __slots__ = ()


def format_document(document: dict[str, Any], *, is_json: bool) -> str:
    """Return the document's text, indented by four; YAML ends in a line feed, JSON does not."""
    if is_json:
        return json.dumps(document, indent=_INDENT, ensure_ascii=False)
    return "\n".join(_format_mapping(document, 0)) + "\n"


def _format_mapping(mapping: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in mapping.items():
        head = f"{' ' * depth}{key}:"
        if isinstance(value, dict) and value:
            lines += [head, *_format_mapping(value, depth + _INDENT)]
        elif isinstance(value, list) and value:
            lines += [head, *_format_list(value, depth + _INDENT)]
        else:
            lines.append(f"{head} {_format_scalar(value)}")
    return lines


def _format_list(items: list[Any], depth: int) -> list[str]:
    lines = []
    for item in items:
        if isinstance(item, dict):
            first, *rest = _format_mapping(item, depth + 2)
            lines += [f"{' ' * depth}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{' ' * depth}- {_format_scalar(item)}")
    return lines


def _format_scalar(value: Any) -> str:
    """Quote a text exactly where YAML would read something else from it."""
    if isinstance(value, str) and not isinstance(value, _Moment):
        plain = yaml.safe_dump(value, width=10**6, allow_unicode=True).removesuffix("\n").removesuffix("\n...")
        return plain if plain == value else json.dumps(value, ensure_ascii=False)
    return str(value) if isinstance(value, _Moment) else json.dumps(value)


def find_key(document: dict[str, Any], key: str) -> str:
    """Return the text of a key such as `metadata.status`, of two levels at most.

    :raises KeyError: if the document has none, or a null.
    """
    value: Any = document["deployment"]
    for part in key.lower().split("."):
        value = value[part] if isinstance(value, dict) else None
    if value is None:
        raise KeyError(key)
    return str(value).lower() if isinstance(value, bool) else str(value)
