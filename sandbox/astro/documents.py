"""Records as the API's JSON objects: every required field of the v1 schema, and each one the CLI dereferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox.astro.catalog import name_airflow, name_airflow_api
from sandbox.astro.records import Deploy, Deployment, format_time
from sandbox.identity import ORGANIZATION_ID, ORGANIZATION_NAME, WORKSPACE_ID, WORKSPACE_NAME

if TYPE_CHECKING:
    from sandbox.settings import Settings

_SUBJECT = {"id": "clsandboxtoken00000000001", "subjectType": "SERVICEKEY", "apiTokenName": "sandbox"}
_BEGINNING = "2026-01-01T00:00:00Z"
_ANSWERED = {"workloadIdentity": "effectiveWorkloadIdentity"}
"""Fields of a request that answers call otherwise."""
_ANSWERED_KINDS = {"BUNDLE": "DAG_ONLY"}
"""A bundle is known by its mount path: answers have no such type. Which one they have then is an assumption."""
_AUDIT = {"createdAt": _BEGINNING, "createdBy": _SUBJECT, "updatedAt": _BEGINNING, "updatedBy": _SUBJECT}


def describe_organization() -> dict[str, Any]:
    """Return the one Organization."""
    return {
        "id": ORGANIZATION_ID,
        "name": ORGANIZATION_NAME,
        "product": "HOSTED",
        "status": "ACTIVE",
        "allowEnhancedSupportAccess": False,
        "hasAllowedIpAddressRanges": False,
        "isBlockedEnableAiFeatures": False,
        "isScimEnabled": False,
        "shouldEnforceDedicatedClusters": False,
        "productPlans": [],
        **_AUDIT,
    }


def describe_workspace() -> dict[str, Any]:
    """Return the one Workspace."""
    return {
        "id": WORKSPACE_ID,
        "name": WORKSPACE_NAME,
        "organizationId": ORGANIZATION_ID,
        "organizationName": ORGANIZATION_NAME,
        "cicdEnforcedDefault": False,
        **_AUDIT,
    }


def describe_deployment(deployment: Deployment, settings: Settings, base_url: str) -> dict[str, Any]:
    """Return the Deployment; secrets come without a value, and STANDARD ones without a clusterId."""
    runtime = deployment.code.runtime_version or deployment.spec["astroRuntimeVersion"]
    return {
        **{_ANSWERED.get(name, name): value for name, value in deployment.spec.items()},
        "id": deployment.id,
        "namespace": deployment.namespace,
        "organizationId": ORGANIZATION_ID,
        "workspaceName": WORKSPACE_NAME,
        "astroRuntimeVersion": runtime,
        "runtimeVersion": runtime,  # deprecated, and the only one the CLI reads
        "airflowVersion": name_airflow(runtime),
        "status": deployment.status(settings),
        "environmentVariables": [_hide_secret(variable) for variable in deployment.variables],
        "createdAt": format_time(deployment.created_at),
        "updatedAt": format_time(deployment.updated_at),
        "createdBy": _SUBJECT,
        "updatedBy": _SUBJECT,
        **_describe_resources(),
        **_describe_code(deployment, settings, base_url),
        **_describe_addresses(deployment, base_url),
        **_describe_hibernation(deployment),
    }


def _describe_resources() -> dict[str, Any]:
    resources = {"schedulerCpu": "1", "schedulerMemory": "2Gi", "webServerCpu": "1", "webServerMemory": "2Gi"}
    return {**resources, "schedulerReplicas": 1, "webServerReplicas": 1}


def _describe_code(deployment: Deployment, settings: Settings, base_url: str) -> dict[str, Any]:
    tag = deployment.code.image_tag or ""
    versions = {
        "dagTarballVersion": deployment.current_dag_version(settings),
        "desiredDagTarballVersion": deployment.code.dag_version,
    }
    return {
        "imageRepository": name_repository(deployment, base_url),
        "imageTag": tag,
        "imageVersion": tag,
        **{key: version for key, version in versions.items() if version is not None},
    }


def _describe_addresses(deployment: Deployment, base_url: str) -> dict[str, Any]:
    """Return the addresses, all of them of its Airflow; those of the web server have no scheme: so the real API."""
    scheme, host = urlsplit(base_url)[:2]
    airflow = f"{host}/astro/airflow/{deployment.id[-8:]}"
    runtime = deployment.code.runtime_version or deployment.spec["astroRuntimeVersion"]
    page, api = f"{airflow}?orgId={ORGANIZATION_ID}", f"{airflow}/api/{name_airflow_api(runtime)}"
    return {
        "apiUrl": f"{scheme}://{api}",
        "uiUrl": f"{scheme}://{page}",
        "webServerUrl": page,
        "webServerAirflowApiUrl": api,
        "webServerIngressHostname": airflow,
    }


def _describe_hibernation(deployment: Deployment) -> dict[str, Any]:
    sent = deployment.spec.get("scalingSpec", {}).get("hibernationSpec") or {}
    spec: dict[str, Any] = {"schedules": sent.get("schedules") or []}
    if deployment.override is not None:
        spec["override"] = describe_override(deployment)
    status = {"isHibernating": deployment.is_hibernating}
    return {"scalingSpec": {"hibernationSpec": spec}, "scalingStatus": {"hibernationStatus": status}}


def describe_override(deployment: Deployment) -> dict[str, Any]:
    """Return the hibernation override; an empty object when there is none."""
    override = deployment.override
    if override is None:
        return {}
    document: dict[str, Any] = {"isHibernating": override.is_hibernating, "isActive": override.is_active}
    return document if override.until is None else {**document, "overrideUntil": format_time(override.until)}


def _hide_secret(variable: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variable.items() if key != "value" or not variable["isSecret"]}


def name_repository(deployment: Deployment, base_url: str) -> str:
    """Return the image repository with its registry and without a scheme: it is used as an image reference."""
    return f"{urlsplit(base_url).netloc}/{deployment.repository}"


def describe_deploy(deploy: Deploy, deployment: Deployment, base_url: str) -> dict[str, Any]:
    """Return the deploy record, upload address included."""
    upload = f"{base_url}/astro/upload/{deploy.id}?sig={deploy.signature}"
    runtime = deploy.code.runtime_version or deployment.spec["astroRuntimeVersion"]
    optional = {
        "git": deploy.git,
        "dagTarballVersion": deploy.dag_version,
        "rollbackFromId": deploy.rollback_from_id,
        "dagsUploadUrl": upload if deploy.is_dag_deploy_enabled and deploy.bundle is None else None,
        "bundleUploadUrl": upload if deploy.is_dag_deploy_enabled and deploy.bundle is not None else None,
        **(deploy.bundle or {}),
    }
    return {
        "id": deploy.id,
        "deploymentId": deploy.deployment_id,
        "type": _ANSWERED_KINDS.get(deploy.kind, deploy.kind),
        "status": deploy.status,
        "description": deploy.description,
        "imageRepository": name_repository(deployment, base_url),
        "imageTag": deploy.image_tag,
        "isDagDeployEnabled": deploy.is_dag_deploy_enabled,
        "astroRuntimeVersion": runtime,
        "airflowVersion": name_airflow(runtime),
        "createdAt": format_time(deploy.created_at),
        "updatedAt": format_time(deploy.updated_at),
        "createdBySubject": _SUBJECT,
        "updatedBySubject": _SUBJECT,
        **{key: value for key, value in optional.items() if value is not None},
    }
