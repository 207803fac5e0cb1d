"""What a Deployment file needs as a whole, and what overrides of it may not touch.

The rules are the Astro CLI's own (1.45), checked before it is called, since it half-creates Deployments and takes what
it does not know in silence. What Astro offers (machines, versions) is in `options.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from include.deploy_ops.core.template.keys import ADVICE, DeploymentBody
from include.deploy_ops.core.text.schema import Problem, describe_value, list_problems

_SHOWN_MAX = 8
_OURS = ("name", "workspace_name")
_DEPLOYMENT_TYPES = {"HOSTED_STANDARD": "STANDARD", "HOSTED_SHARED": "STANDARD", "HOSTED_DEDICATED": "DEDICATED"}
_EXECUTORS = {"CeleryExecutor": "CELERY", "KubernetesExecutor": "KUBERNETES", "AstroExecutor": "ASTRO"}
_AIRFLOW_3_RUNTIME = re.compile(r"\d+\.\d+-\d+")
_EXPLAINED = "; the CLI would ignore it in silence"


def name_deployment_type(configuration: Mapping[str, Any]) -> str:
    """Return Astro's name of the deployment type: STANDARD, DEDICATED or HYBRID; "" if there is none."""
    written = (configuration.get("deployment_type") or "").upper()
    return _DEPLOYMENT_TYPES.get(written, written)


def name_executor(configuration: Mapping[str, Any]) -> str:
    """Return Astro's name of the executor: CELERY, KUBERNETES or ASTRO; "" if there is none."""
    written = configuration.get("executor") or ""
    return _EXECUTORS.get(written, written)


def is_airflow_3_runtime(version: str) -> bool:
    """Whether a runtime version is named as those of Airflow 3 are: 3.1-14, while older ones are called 13.1.0."""
    return _AIRFLOW_3_RUNTIME.match(version) is not None


def rank_runtime(version: str) -> tuple[bool, tuple[int, ...]]:
    """Order runtime versions: 3.1-14, of Airflow 3, comes after 13.1.0, of Airflow 2."""
    return is_airflow_3_runtime(version), tuple(int(digits) for digits in re.findall(r"\d{1,9}", version))


def is_pod_printed_as_queue(configuration: Mapping[str, Any], queues: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are no queues: `inspect` prints a Kubernetes Deployment's pods as one, without counts of workers.

    The CLI refuses what it has printed there (inspect.go, fromfile.go).
    """
    if name_executor(configuration) != "KUBERNETES" or [each["name"] for each in queues] != ["default"]:
        return False
    return not any(queues[0].get(key) for key in ("max_worker_count", "min_worker_count", "worker_concurrency"))


def list_shape_problems(error: ValidationError, model: type[BaseModel]) -> tuple[Problem, ...]:
    """Return what the models refused, and of unknown keys that the CLI would not have said so."""
    return tuple(
        Problem(each.location, each.message + _EXPLAINED) if each.message.startswith("unknown key") else each
        for each in list_problems(error, model, ADVICE)
    )


def find_override_problems(overrides: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return what is wrong with overrides by themselves; locations begin below them."""
    try:
        DeploymentBody.model_validate(dict(overrides))
    except ValidationError as error:
        return list_shape_problems(error, DeploymentBody)
    configuration = overrides.get("configuration") or {}
    ours = (
        Problem(("configuration", key), "every preview gets its own; remove it")
        for key in _OURS
        if key in configuration
    )
    return (*ours, *_check_secrets(overrides.get("environment_variables") or ()))


def find_template_problems(body: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return what a whole template lacks and what contradicts itself; locations begin below `deployment`."""
    configuration = body.get("configuration", {})
    queues, variables = body.get("worker_queues", ()), body.get("environment_variables", ())
    return (
        *_check_required(configuration),
        *_check_executor(configuration),
        *_check_queues(queues, name_executor(configuration)),
        *_check_variables(variables),
        *_check_schedules(body.get("hibernation_schedules", ()), configuration),
    )


def _check_required(configuration: Mapping[str, Any]) -> Iterator[Problem]:
    needed = ["executor", "deployment_type", "runtime_version"]
    kind = name_deployment_type(configuration)
    needed += ["cloud_provider", "region"] if kind == "STANDARD" else ["cluster_name"] if kind else []
    for key in needed:
        if not configuration.get(key):
            because = f" of type {kind}" if kind and key not in needed[:3] else ""
            yield Problem(("configuration", key), f"it is missing, and every Deployment{because} needs it; add it")


def _check_executor(configuration: Mapping[str, Any]) -> Iterator[Problem]:
    runtime = configuration.get("runtime_version", "")
    if name_executor(configuration) == "ASTRO" and runtime and not is_airflow_3_runtime(runtime):
        found = f"runtime_version is {describe_value(runtime)}"
        message = f"the Astro executor needs Airflow 3, but {found}; write CELERY, or a runtime 3.x-y"
        yield Problem(("configuration", "executor"), message)


def _check_queues(queues: Sequence[Mapping[str, Any]], executor: str) -> Iterator[Problem]:
    if queues and executor == "KUBERNETES":
        message = "the Kubernetes executor has no queues; remove them; default_task_pod_* size its pods"
        yield Problem(("worker_queues",), message)
        return
    names = [queue["name"] for queue in queues]
    if names and "default" not in names:
        shown = ", ".join(map(describe_value, names[:_SHOWN_MAX]))
        yield Problem(("worker_queues",), f"found {shown}, expected a queue 'default' among them")
    for index, queue in enumerate(queues):
        if queue["name"] in names[:index]:
            yield Problem(
                ("worker_queues", index, "name"),
                f"{describe_value(queue['name'])} stands in the list before; rename one",
            )
        yield from (each.move_below("worker_queues", index) for each in _check_queue(queue))


def _check_queue(queue: Mapping[str, Any]) -> Iterator[Problem]:
    if not queue.get("worker_type"):
        yield Problem(("worker_type",), "it is missing; add it, such as A5")
    low, high = queue.get("min_worker_count"), queue.get("max_worker_count")
    if low is not None and high is not None and low > high:
        yield Problem(("min_worker_count",), f"found {low}, expected at most max_worker_count, {high}")
    if queue.get("worker_concurrency") == 0:
        yield Problem(("worker_concurrency",), "found 0, expected at least 1")


def _check_variables(variables: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    keys = [variable["key"] for variable in variables]
    for index, variable in enumerate(variables):
        at = ("environment_variables", index)
        if variable["key"] in keys[:index]:
            yield Problem((*at, "key"), f"{describe_value(variable['key'])} stands in the list before; remove one")
        if not variable.get("is_secret") and variable.get("value") is None:
            yield Problem(
                (*at, "value"), f'it is missing for {describe_value(variable["key"])}; add it, "" for an empty one'
            )
    yield from _check_secrets(variables)


def _check_secrets(variables: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for index, variable in enumerate(variables):
        if variable.get("is_secret") and variable.get("value"):
            name = describe_value(variable["key"])
            message = f'{name} is a secret with its value in Git; write "", revoke it, and set it in Astro'
            yield Problem(("environment_variables", index, "value"), message)


def _check_schedules(schedules: Sequence[object], configuration: Mapping[str, Any]) -> Iterator[Problem]:
    if schedules and not configuration.get("is_development_mode"):
        message = (
            "only a development Deployment hibernates; set configuration.is_development_mode: true, or remove them"
        )
        yield Problem(("hibernation_schedules",), message)
    if schedules:
        yield from find_sleep_problems(configuration)


def find_sleep_problems(configuration: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what keeps a development Deployment from hibernating; Astro documents both."""
    if configuration.get("is_high_availability"):
        message = "a Deployment with high availability does not hibernate; set false, or let it never hibernate"
        yield Problem(("configuration", "is_high_availability"), message)
    size = configuration.get("scheduler_size")
    if size and size.upper() != "SMALL":
        message = f"found {describe_value(size)}, and only a SMALL scheduler hibernates; write SMALL, or let it never"
        yield Problem(("configuration", "scheduler_size"), message)
