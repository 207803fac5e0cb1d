"""What `astro deployment inspect --output=json` says of a Deployment of each kind, in the shapes of the CLI 1.45.

A hosted STANDARD one with Celery was recorded of Astro; the others as the CLI's code prints what a played API answers
(`tests/unit/core/template/round_trips.json`).
"""

from __future__ import annotations

import copy
from typing import Any

PRODUCTION_VALUE = "the-value-that-is-productions-own"
CONNECTION_VALUE = "postgres://loader:hunter2@warehouse.acme.example/prod"

_VARIABLES = [
    {"is_secret": False, "key": "STAGE", "updated_at": "2026-11-01T08:00:00Z", "value": PRODUCTION_VALUE},
    {"is_secret": True, "key": "API_TOKEN", "updated_at": "2026-11-01T08:00:00Z", "value": None},
    {
        "is_secret": False,
        "key": "AIRFLOW_CONN_WAREHOUSE",
        "updated_at": "2026-11-01T08:00:00Z",
        "value": CONNECTION_VALUE,
    },
    {"is_secret": False, "key": "SMTP_PASSWORD", "updated_at": "2026-11-01T08:00:00Z", "value": "plain, and yet"},
    {
        "is_secret": False,
        "key": "BROKER",
        "updated_at": "2026-11-01T08:00:00Z",
        "value": "amqp://me:pw@mq.acme.example",
    },
    {
        "is_secret": False,
        "key": "AIRFLOW__SECRETS__BACKEND",
        "updated_at": "2026-11-01T08:00:00Z",
        "value": "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend",
    },
]
_CONFIGURATION: dict[str, Any] = {
    "name": "Production",
    "description": "what the shop runs on",
    "runtime_version": "3.3-2",
    "dag_deploy_enabled": True,
    "ci_cd_enforcement": False,
    "scheduler_size": "MEDIUM",
    "is_high_availability": False,
    "is_development_mode": False,
    "executor": "CELERY",
    "scheduler_count": 1,
    "workspace_name": "Data Platform",
    "deployment_type": "STANDARD",
    "cloud_provider": "AWS",
    "region": "us-east-1",
    "default_task_pod_cpu": "0.25",
    "default_task_pod_memory": "0.5Gi",
    "resource_quota_cpu": "10",
    "resource_quota_memory": "20Gi",
    "workload_identity": "",
}
_QUEUE = {
    "name": "default",
    "max_worker_count": 10,
    "min_worker_count": 0,
    "worker_concurrency": 5,
    "worker_type": "A5",
}
_POD = {"name": "default", "min_worker_count": 0, "worker_type": "", "pod_cpu": "1", "pod_ram": "2Gi"}
_METADATA = {
    "deployment_id": "cm0production",
    "workspace_id": "clws",
    "cluster_id": "N/A",
    "release_name": "N/A",
    "airflow_version": "3.3.2",
    "current_tag": "deploy-2026-11-01T08-00-00",
    "status": "HEALTHY",
    "created_at": "2026-01-01T08:00:00Z",
    "updated_at": "2026-11-01T08:00:00Z",
    "deployment_url": "cloud.astronomer.io/clws/deployments/cm0production",
    "webserver_url": "org.astronomer.run/d98e9e9a?orgId=o",
    "airflow_api_url": "org.astronomer.run/d98e9e9a/api/v2",
}
_ELSEWHERE = {"cluster_name": "Cluster of ours", "cloud_provider": "", "region": ""}
_REMOTE = {
    "enabled": True,
    "allowed_ip_address_ranges": ["10.0.0.0/8"],
    "task_log_bucket": "s3://logs",
    "task_log_url_pattern": "https://logs.acme.example/{{ti_key}}",
}
_KINDS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "standard, Celery": (
        {},
        [_QUEUE, {**_QUEUE, "name": "heavy", "worker_type": "A20", "pod_ephemeral_storage": "5Gi"}],
    ),
    "standard, Kubernetes": ({"executor": "KUBERNETES"}, [_POD]),
    "standard, Astro": ({"executor": "ASTRO"}, [_QUEUE]),
    "standard, image alone": ({"dag_deploy_enabled": False}, [_QUEUE]),
    "standard, silent of DAG deploys": ({"dag_deploy_enabled": None}, [_QUEUE]),
    "dedicated, Celery": ({"deployment_type": "DEDICATED", **_ELSEWHERE}, [_QUEUE]),
    "dedicated, Kubernetes": ({"deployment_type": "DEDICATED", "executor": "KUBERNETES", **_ELSEWHERE}, [_POD]),
    "dedicated, remote execution": (
        {
            "deployment_type": "DEDICATED",
            "executor": "ASTRO",
            **_ELSEWHERE,
            "remote_execution": _REMOTE,
            **dict.fromkeys(("default_task_pod_cpu", "default_task_pod_memory"), None),
            **dict.fromkeys(("resource_quota_cpu", "resource_quota_memory"), None),
        },
        [],
    ),
    "hybrid, Celery": (
        {
            "deployment_type": "HYBRID",
            **_ELSEWHERE,
            "scheduler_size": None,
            "scheduler_au": 10,
            "scheduler_count": 2,
        },
        [{**_QUEUE, "worker_type": "m5.xlarge"}],
    ),
}
KINDS = tuple(_KINDS)


def make_inspected(kind: str = KINDS[0], **changes: Any) -> dict[str, Any]:
    """Return the document about a Deployment of a kind; `changes` are of its configuration, None leaves a key out."""
    configuration, queues = _KINDS[kind]
    merged = {key: value for key, value in (_CONFIGURATION | configuration | changes).items() if value is not None}
    deployment = {
        "environment_variables": _VARIABLES,
        "configuration": merged,
        "worker_queues": queues,
        "metadata": _METADATA,
        "alert_emails": ["on-call@acme.example"],
    }
    return {"deployment": copy.deepcopy(deployment)}
