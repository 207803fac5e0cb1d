"""The keys of a Deployment file and their types, as the Astro CLI 1.45 writes and reads them.

No key is required here, so that the same models take a template and overrides of it; what a whole template needs, and
what must hold between keys, is in `rules.py`. Source: the CLI's `deployment inspect` and its file format; lengths are
those of Astro's API.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from include.deploy_ops.core.text.schema import StrictModel


def _accept_any_case(*known: str) -> AfterValidator:
    """Take one of the texts in any case, as the CLI does; nothing stands for an absent key, as `inspect` prints it."""

    def check(text: str) -> str:
        if text and text.upper() not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return text

    return AfterValidator(check)


def _check_email(text: str) -> str:
    name, _, host = text.partition("@")
    if not name or not host or any(character.isspace() or character in "<>" for character in text) or "@" in host:
        raise ValueError("an email address, such as data@example.com")
    return text


def _check_cron(text: str) -> str:
    if len(text.split()) != 5:  # noqa: PLR2004  # minute, hour, day, month, weekday
        raise ValueError("a cron expression of five fields, such as 0 20 * * 1-5")
    return text


def _check_key(text: str) -> str:
    if not text or "=" in text or any(character.isspace() for character in text):
        raise ValueError("the name of an environment variable")
    return text


_Cron = Annotated[str, AfterValidator(_check_cron)]
_Amount = Annotated[int, Field(ge=0)]
_Executor = Literal["CELERY", "CeleryExecutor", "KUBERNETES", "KubernetesExecutor", "ASTRO", "AstroExecutor"]
_DeploymentType = Annotated[
    str, _accept_any_case("STANDARD", "DEDICATED", "HYBRID", "HOSTED_STANDARD", "HOSTED_SHARED", "HOSTED_DEDICATED")
]


class RemoteExecution(StrictModel):
    """Where tasks run when they run in one's own cluster."""

    enabled: bool | None = None
    allowed_ip_address_ranges: Annotated[tuple[str, ...], Strict(strict=False)] | None = None
    task_log_bucket: str | None = None
    task_log_url_pattern: str | None = None


class Configuration(StrictModel):
    """`deployment.configuration`. The executor's spelling is exact: a create in another case sends none."""

    name: str | None = None
    description: str | None = None
    runtime_version: str | None = None
    dag_deploy_enabled: bool | None = None
    ci_cd_enforcement: bool | None = None
    scheduler_size: Annotated[str, _accept_any_case("SMALL", "MEDIUM", "LARGE", "EXTRA_LARGE")] | None = None
    is_high_availability: bool | None = None
    is_development_mode: bool | None = None
    executor: _Executor | None = None
    scheduler_au: _Amount | None = None
    scheduler_count: _Amount | None = None
    cluster_name: str | None = None
    workspace_name: str | None = None
    deployment_type: _DeploymentType | None = None
    cloud_provider: Annotated[str, _accept_any_case("AWS", "AZURE", "GCP")] | None = None
    region: str | None = None
    default_task_pod_cpu: str | None = None
    default_task_pod_memory: str | None = None
    resource_quota_cpu: str | None = None
    resource_quota_memory: str | None = None
    default_worker_type: str | None = None
    workload_identity: str | None = None
    remote_execution: RemoteExecution | None = None


class EnvironmentVariable(StrictModel):
    """One of `deployment.environment_variables`. `updated_at` is what `inspect` prints; nothing reads it."""

    key: Annotated[str, AfterValidator(_check_key)]
    value: str | None = None
    is_secret: bool | None = None
    updated_at: str | None = None


class WorkerQueue(StrictModel):
    """One of `deployment.worker_queues`."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    max_worker_count: _Amount | None = None
    min_worker_count: _Amount | None = None
    worker_concurrency: _Amount | None = None
    worker_type: str | None = None
    pod_cpu: str | None = None
    pod_ram: str | None = None
    pod_ephemeral_storage: str | None = None


class HibernationSchedule(StrictModel):
    """One of `deployment.hibernation_schedules`."""

    hibernate_at: _Cron
    wake_at: _Cron
    description: Annotated[str, Field(max_length=200)] | None = None
    enabled: bool | None = None


class DeploymentBody(StrictModel):
    """What stands below `deployment`."""

    environment_variables: Annotated[tuple[EnvironmentVariable, ...], Strict(strict=False)] | None = None
    configuration: Configuration | None = None
    worker_queues: Annotated[tuple[WorkerQueue, ...], Strict(strict=False)] | None = None
    alert_emails: Annotated[tuple[Annotated[str, AfterValidator(_check_email)], ...], Strict(strict=False)] | None = (
        None
    )
    hibernation_schedules: (
        Annotated[tuple[HibernationSchedule, ...], Strict(strict=False), Field(max_length=10)] | None
    ) = None


class DeploymentFile(StrictModel):
    """The whole file."""

    deployment: DeploymentBody


def _list_advice() -> dict[str, str]:
    """Say for every key of the upper levels where it belongs, for when it is found somewhere else."""
    advice = {key: f"it belongs at deployment.{key}" for key in DeploymentBody.model_fields}
    advice |= {key: f"it belongs at deployment.configuration.{key}" for key in Configuration.model_fields}
    return advice | {
        "metadata": "it describes one Deployment; take templates with `astro deployment inspect --template`"
    }


ADVICE = _list_advice()
"""What to do about a key that is known elsewhere; the CLI ignores a misplaced key in silence."""
