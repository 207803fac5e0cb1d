"""`deployment create` and `deployment update` from a Deployment file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.cli.deployment_file import DeploymentFile, as_text, read_file
from sandbox.cli.document import build_document, format_document
from sandbox.cli.errors import CliError
from sandbox.cli.flags import read_wait
from sandbox.cli.lookup import find_deployment, get_deployment, list_deployments, wait_until_healthy
from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from sandbox.cli.flags import Line
    from sandbox.cli.session import Session

_NO_WORKSPACE = "failed to find a valid Workspace: "
_FORBIDDEN = "--deployment-file cannot be used with other arguments. See --help for usage"
_FIRST_WAIT_S = 180.0
_WAIT_DEFAULT = "600s"
_SIZES = frozenset({"SMALL", "MEDIUM", "LARGE", "EXTRA_LARGE"})
_CLOUDS = frozenset({"AWS", "GCP", "AZURE"})


def run_create(session: Session, line: Line) -> None:
    """Create a Deployment from a file: the Deployment first, its variables and e-mails by a second call."""
    wait_s = read_wait(line, _WAIT_DEFAULT)
    file = _open_file(session, line, frozenset({"deployment-file", "wait", "wait-time"}), is_update=False)
    workspace = _find_workspace(session, file)
    name = file.text("name")
    if any(item["name"] == name for item in list_deployments(session, workspace)):
        hint = f"use deployment update --deployment-file {line.get('deployment-file')} instead"
        raise CliError(f"deployment: {name} already exists: {hint}")
    queues = _request_queues(session, file, [])
    created = session.api.post(
        f"{session.path}/deployments", _request_creation(file, workspace, queues, _get_defaults(session, file))
    )
    if wait_s is not None:
        wait_until_healthy(session, created["id"], _FIRST_WAIT_S, wait_s)
    found = _find_named(list_deployments(session, workspace), name)
    if file.variables or file.emails:
        _update(session, file, workspace, get_deployment(session, found["id"]))
    get_deployment(session, found["id"])
    _say_document(session, workspace, found["id"], is_json=file.is_json)


def run_update(session: Session, line: Line) -> None:
    """Update the Deployment that the file names; an id on the command line is ignored."""
    file = _open_file(session, line, frozenset({"deployment-file"}), is_update=True)
    workspace = _find_workspace(session, file)
    name = file.text("name")
    list_deployments(session, workspace)  # the real CLI lists twice, and believes the second list
    found = _find_named(
        list_deployments(session, workspace),
        name,
        f": use deployment create --deployment-file {line.get('deployment-file')} instead",
    )
    existing = get_deployment(session, found["id"])
    _update(session, file, existing["workspaceId"], existing)
    get_deployment(session, found["id"])
    _say_document(session, existing["workspaceId"], found["id"], is_json=file.is_json)


def _open_file(session: Session, line: Line, allowed: frozenset[str], *, is_update: bool) -> DeploymentFile:
    session.resolve_workspace("", _NO_WORKSPACE)
    if not line.get("deployment-file"):
        raise CliError("the stand-in creates and updates from --deployment-file only")
    if not line.values.keys() <= allowed:
        raise CliError(_FORBIDDEN)
    return read_file(line.get("deployment-file"), is_update=is_update)


def _find_workspace(session: Session, file: DeploymentFile) -> str:
    """Return the id of the file's workspace; an unknown name is empty, and no error."""
    path = f"{session.path}/workspaces"
    workspaces = session.api.list_all(path, "workspaces", 1000, sorts="name:asc")
    named = (str(item["id"]) for item in workspaces if item["name"] == file.text("workspace_name"))
    return next(named, "")


def _find_named(deployments: list[dict[str, Any]], name: str, hint: str = "") -> dict[str, Any]:
    named = [item for item in deployments if item["name"] == name]
    if len(named) > 1:
        raise CliError(
            "you currently have two deployments with the name specified in the your worksapce. "
            "Make sure your deployments have unique names"
        )
    if not named:
        raise CliError(f"deployment: {name} does not exist{hint}")
    return named[0]


def _get_defaults(session: Session, file: DeploymentFile) -> dict[str, Any]:
    cloud = _one_of(file.text("cloud_provider"), _CLOUDS)
    options = session.api.get(f"{session.path}/deployment-options", cloudProvider=cloud, deploymentType="STANDARD")
    quotas: dict[str, Any] = options["resourceQuotas"]
    return quotas


def _request_creation(
    file: DeploymentFile, workspace: str, queues: list[dict[str, Any]], quotas: dict[str, Any]
) -> dict[str, Any]:
    pod, quota = quotas["defaultPodSize"], quotas["resourceQuota"]
    body = {
        "astroRuntimeVersion": file.text("runtime_version"),
        "cloudProvider": _one_of(file.text("cloud_provider"), _CLOUDS),
        "region": file.text("region"),
        "isDevelopmentMode": file.is_on("is_development_mode"),
        "defaultTaskPodCpu": pod["cpu"]["default"],
        "defaultTaskPodMemory": pod["memory"]["default"],
        "resourceQuotaCpu": quota["cpu"]["default"],
        "resourceQuotaMemory": quota["memory"]["default"],
        **_request_common(file, workspace, queues, is_development=file.is_on("is_development_mode")),
    }
    return {key: value for key, value in body.items() if key != "schedulerSize" or value}


def _request_common(
    file: DeploymentFile, workspace: str, queues: list[dict[str, Any]], *, is_development: bool
) -> dict[str, Any]:
    sizes = {
        "defaultTaskPodCpu": file.text("default_task_pod_cpu"),
        "defaultTaskPodMemory": file.text("default_task_pod_memory"),
        "resourceQuotaCpu": file.text("resource_quota_cpu"),
        "resourceQuotaMemory": file.text("resource_quota_memory"),
        "workloadIdentity": file.text("workload_identity"),
    }
    body: dict[str, Any] = {
        "name": file.text("name"),
        "description": file.text("description"),
        "type": "STANDARD",
        "workspaceId": workspace,
        "executor": file.executor,
        "schedulerSize": _one_of(file.text("scheduler_size"), _SIZES),
        "isCicdEnforced": file.is_on("ci_cd_enforcement"),
        "isDagDeployEnabled": file.configuration.get("dag_deploy_enabled", True) is True,
        "isHighAvailability": file.is_on("is_high_availability"),
        **{key: text for key, text in sizes.items() if text},
    }
    if queues:
        body["workerQueues"] = queues
    if is_development:
        schedules = [_request_schedule(schedule) for schedule in file.schedules]
        body["scalingSpec"] = {"hibernationSpec": {"schedules": schedules}}
    return body


def _update(session: Session, file: DeploymentFile, workspace: str, existing: dict[str, Any]) -> None:
    """Send the whole Deployment: what the file does not list of variables and e-mails is gone."""
    if existing.get("clusterId"):
        raise CliError("changing an existing deployment's cluster is not permitted")
    queues = _request_queues(session, file, existing.get("workerQueues") or [])
    is_development = bool(existing["isDevelopmentMode"])
    body = {
        **_request_common(file, workspace, queues, is_development=is_development),
        "contactEmails": file.emails or None,
        "environmentVariables": [_request_variable(variable) for variable in file.variables],
    }
    session.api.post(f"{session.path}/deployments/{existing['id']}", body)


def _request_variable(variable: dict[str, Any]) -> dict[str, Any]:
    request = {"key": as_text(variable["key"]), "isSecret": variable.get("is_secret") is True}
    return request if variable.get("value") is None else {**request, "value": as_text(variable["value"])}


def _request_schedule(schedule: dict[str, Any]) -> dict[str, Any]:
    return {
        "hibernateAtCron": as_text(schedule.get("hibernate_at")),
        "wakeAtCron": as_text(schedule.get("wake_at")),
        "description": as_text(schedule.get("description")),
        "isEnabled": schedule.get("enabled") is True,
    }


def _request_queues(session: Session, file: DeploymentFile, existing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the queues' requests. Ids are kept by position among the names' order, machines leak to later queues."""
    if not file.queues:
        return []
    options = session.api.get(f"{session.path}/deployment-options")
    if file.executor == "KUBERNETES":
        raise CliError(
            "don't use 'worker_queues' to update default queue with KubernetesExecutor, "
            "use 'default_task_pod_cpu' and 'default_task_pod_memory' instead"
        )
    known = sorted(existing, key=lambda queue: str(queue["name"]))
    machine: dict[str, Any] = {"concurrency": {"default": 0, "ceiling": 0}}
    requests = []
    for index, queue in enumerate(file.queues):
        machines = {str(item["name"]).upper(): item for item in options["workerMachines"]}
        machine = machines.get(as_text(queue["worker_type"]).upper(), machine)
        request = _request_queue(queue, options["workerQueues"], machine)
        is_known = index < len(known) and known[index]["name"] == request["name"]
        requests.append({**request, "id": known[index]["id"] if is_known else ""})
    return requests


def _request_queue(queue: dict[str, Any], limits: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    name = as_text(queue["name"])
    request: dict[str, Any] = {
        "name": name,
        "isDefault": name == "default",
        "astroMachine": as_text(queue["worker_type"]).upper(),
        "minWorkerCount": int(queue.get("min_worker_count") or 0),
        "maxWorkerCount": int(queue.get("max_worker_count") or limits["maxWorkers"]["default"]),
        "workerConcurrency": int(queue.get("worker_concurrency") or machine["concurrency"]["default"]),
    }
    _check_limit("min worker count", request["minWorkerCount"], limits["minWorkers"])
    _check_limit("max worker count", request["maxWorkerCount"], limits["maxWorkers"])
    _check_limit("worker concurrency", request["workerConcurrency"], {**machine["concurrency"], "floor": 1})
    storage = as_text(queue.get("pod_ephemeral_storage"))
    return {**request, "podEphemeralStorage": storage} if storage else request


def _check_limit(what: str, value: int, limit: dict[str, Any]) -> None:
    floor, ceiling = int(limit["floor"]), int(limit["ceiling"])
    if not floor <= value <= ceiling:
        raise CliError(f"worker queue option is invalid: {what} must be between {floor} and {ceiling}")


def _one_of(text: str, known: frozenset[str]) -> str:
    """Return the API's word for a text in any case, empty for an unknown one."""
    return text.upper() if text.upper() in known else ""


def _say_document(session: Session, workspace: str, deployment_id: str, *, is_json: bool) -> None:
    deployment = find_deployment(session, workspace, deployment_id, "", is_quiet=True)
    if deployment is not None:
        say(format_document(build_document(deployment), is_json=is_json))
