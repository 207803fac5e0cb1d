"""The keys of a Deployment file and the fields of Astro's answer that they become: one table, read both ways.

What the Astro CLI 1.45 sends for each key, and Astro's v1 description of a Deployment, say what stands here. It is
known that Astro and the CLI write some values in another form: those are compared as the same (`Rule.normalise`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.template.rules import name_deployment_type, name_executor, rank_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(|m|[kMGT]|[KMGT]i)")
_SCALES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGT", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGT", 1)},
}


def _keep(value: Any) -> Any:
    return value


def _raise_case(value: str) -> str:
    """Sizes, machines and clouds are sent in capitals."""
    return value.upper()


def _read_quantity(value: str) -> Any:
    """Amounts of Kubernetes: 500m is 0.5, 1024Mi is 1Gi."""
    found = _QUANTITY.fullmatch(value.strip())
    return (Decimal(found[1]) * _SCALES[found[2]]).normalize() if found else value


def _read_executor(value: str) -> str:
    return name_executor({"executor": value})


def _read_type(value: str) -> str:
    return name_deployment_type({"deployment_type": value})


def _read_cron(value: str) -> str:
    return " ".join(value.split())


def _sort_texts(value: Iterable[str]) -> list[str]:
    return sorted(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one key of a Deployment file stands in Astro's answer.

    `key` and `field` are paths below what the table is about, with dots. `kind` is the type on both sides; an answer's
    value of another one counts as not told. `normalise` returns what is compared. `types`: the deployment types that
    have it; none: all. `is_fixed`: an update by the CLI does not send it. `is_private`: its value is shown to nobody.
    `zero_is_unset`: the CLI takes 0 for a key that is not there.
    """

    key: str
    field: str
    kind: type = str
    normalise: Callable[[Any], Any] = _keep
    types: frozenset[str] = frozenset()
    is_fixed: bool = False
    is_private: bool = False
    zero_is_unset: bool = False

    def is_unset(self, value: Any) -> bool:
        """Whether the value stands for none, in a file as in an answer."""
        return value is None or value == "" or (self.zero_is_unset and value == 0)


_STANDARD, _DEDICATED, _HYBRID = (frozenset({each}) for each in ("STANDARD", "DEDICATED", "HYBRID"))

RUNTIME = "runtime_version"
"""The key of which a newer value in Astro is no difference: an image deploy raises it."""

CONFIGURATION = (
    Rule(RUNTIME, "astroRuntimeVersion", normalise=rank_runtime, is_fixed=True),
    Rule("deployment_type", "type", normalise=_read_type, is_fixed=True),
    Rule("cloud_provider", "cloudProvider", normalise=_raise_case, types=_STANDARD, is_fixed=True),
    Rule("region", "region", normalise=str.casefold, types=_STANDARD, is_fixed=True),
    Rule("cluster_name", "clusterName", types=_DEDICATED | _HYBRID, is_fixed=True),
    Rule("is_development_mode", "isDevelopmentMode", bool, is_fixed=True),
    Rule("executor", "executor", normalise=_read_executor),
    Rule("scheduler_size", "schedulerSize", normalise=_raise_case, types=_STANDARD | _DEDICATED),
    Rule("scheduler_au", "schedulerAu", int, types=_HYBRID, zero_is_unset=True),
    # Of the others it follows from high availability, whatever the file says.
    Rule("scheduler_count", "schedulerReplicas", int, types=_HYBRID, zero_is_unset=True),
    Rule("is_high_availability", "isHighAvailability", bool),
    Rule("dag_deploy_enabled", "isDagDeployEnabled", bool),
    Rule("ci_cd_enforcement", "isCicdEnforced", bool),
    Rule("default_task_pod_cpu", "defaultTaskPodCpu", normalise=_read_quantity),
    Rule("default_task_pod_memory", "defaultTaskPodMemory", normalise=_read_quantity),
    Rule("resource_quota_cpu", "resourceQuotaCpu", normalise=_read_quantity),
    Rule("resource_quota_memory", "resourceQuotaMemory", normalise=_read_quantity),
    Rule("workload_identity", "effectiveWorkloadIdentity", is_private=True),
    Rule("remote_execution.enabled", "remoteExecution.enabled", bool, types=_DEDICATED),
    Rule(
        "remote_execution.allowed_ip_address_ranges",
        "remoteExecution.allowedIpAddressRanges",
        list,
        _sort_texts,
        types=_DEDICATED,
        is_private=True,
    ),
    Rule("remote_execution.task_log_bucket", "remoteExecution.taskLogBucket", types=_DEDICATED, is_private=True),
    Rule(
        "remote_execution.task_log_url_pattern", "remoteExecution.taskLogUrlPattern", types=_DEDICATED, is_private=True
    ),
)

QUEUE = (
    Rule("worker_type", "astroMachine", normalise=_raise_case),
    Rule("min_worker_count", "minWorkerCount", int),
    Rule("max_worker_count", "maxWorkerCount", int, zero_is_unset=True),
    Rule("worker_concurrency", "workerConcurrency", int, zero_is_unset=True),
    Rule("pod_ephemeral_storage", "podEphemeralStorage", normalise=_read_quantity),
)

SCHEDULE = (
    Rule("hibernate_at", "hibernateAtCron", normalise=_read_cron),
    Rule("wake_at", "wakeAtCron", normalise=_read_cron),
    Rule("enabled", "isEnabled", bool),
    Rule("description", "description"),
)

VARIABLE = (Rule("is_secret", "isSecret", bool), Rule("value", "value", is_private=True))

_QUEUE_NAME = Rule("name", "name")
_VARIABLE_KEY = Rule("key", "key")

LISTS = {
    "worker_queues": ("workerQueues", (_QUEUE_NAME, *QUEUE)),
    "hibernation_schedules": ("scalingSpec.hibernationSpec.schedules", SCHEDULE),
    "environment_variables": ("environmentVariables", (_VARIABLE_KEY, *VARIABLE)),
}
"""The lists of objects of a Deployment file, each with its field, and the rules of an entry."""

EMAILS = ("alert_emails", "contactEmails")
"""The list of texts."""

NOT_COMPARED = {
    "configuration.name": "a Deployment that a person renamed keeps its name",
    "configuration.description": "it carries our mark, by which the template is compared",
    "configuration.workspace_name": "only Deployments of the workspace are seen",
    "configuration.default_worker_type": "an answer has the id of a node pool in its place",
    "worker_queues.pod_cpu": "the machine decides, and an update does not send it",
    "worker_queues.pod_ram": "the machine decides, and an update does not send it",
    "environment_variables.updated_at": "nothing reads it",
}
"""The keys of a Deployment file that are not compared, and why."""


def read_settings(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Astro's answer tells of a Deployment's configuration, in the form of a Deployment file's body.

    What it does not tell, or tells in another type, is left out. A secret's value is never read.
    """
    found: dict[str, Any] = {"configuration": _read_entry(CONFIGURATION, answer)}
    for key, (field, rules) in LISTS.items():
        entries = find_value(answer, field)
        if isinstance(entries, list):
            found[key] = [_read_entry(rules, each) for each in entries if isinstance(each, dict)]
    for variable in found.get("environment_variables", ()):
        if variable.get("is_secret") is not False:
            variable.pop("value", None)
    emails = answer.get(EMAILS[1])
    if isinstance(emails, list):
        found[EMAILS[0]] = [each for each in emails if isinstance(each, str)]
    return found


def _read_entry(rules: Iterable[Rule], answer: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for rule in rules:
        value = find_value(answer, rule.field)
        if _is_of(rule, value):
            *parents, last = rule.key.split(".")
            place = entry
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
    return entry


def _is_of(rule: Rule, value: Any) -> bool:
    if rule.kind is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return type(value) is rule.kind  # a boolean is no number here


def find_value(document: Mapping[str, Any], path: str) -> Any:
    """Return what lies under the path; None where nothing does."""
    if "." not in path:
        return document.get(path)
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
