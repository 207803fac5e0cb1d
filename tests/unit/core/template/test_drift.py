"""What counts as a difference between what was rendered and what Astro tells, and how it is told."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from include.deploy_ops.core.template.drift import Drift, Fate, describe_drift, find_drift
from include.deploy_ops.core.template.settings import CONFIGURATION

BODY: dict[str, Any] = {
    "configuration": {
        "runtime_version": "3.1-14",
        "deployment_type": "STANDARD",
        "cloud_provider": "AWS",
        "region": "us-east-1",
        "executor": "CeleryExecutor",
        "scheduler_size": "SMALL",
        "scheduler_count": 1,
        "is_high_availability": False,
        "is_development_mode": True,
        "default_task_pod_cpu": "0.5",
        "default_task_pod_memory": "1Gi",
    },
    "worker_queues": [{"name": "default", "worker_type": "A5", "min_worker_count": 0, "max_worker_count": 5}],
    "environment_variables": [
        {"key": "PASSWORD", "is_secret": True},
        {"key": "STAGE", "is_secret": False, "value": "preview"},
    ],
    "alert_emails": ["data@acme.example"],
    "hibernation_schedules": [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *", "enabled": True}],
}
SETTINGS: dict[str, Any] = {
    **BODY,
    "configuration": BODY["configuration"] | {"executor": "CELERY", "scheduler_count": 2},
    "worker_queues": [BODY["worker_queues"][0] | {"worker_concurrency": 5}],
    "hibernation_schedules": [BODY["hibernation_schedules"][0] | {"description": ""}],
}


def tell(configuration: dict[str, Any] | None = None, **parts: Any) -> list[str]:
    """Return the differences where Astro tells these parts otherwise."""
    settings = {**deepcopy(SETTINGS), **parts}
    settings["configuration"] |= configuration or {}
    return [str(each) for each in find_drift(BODY, settings)]


def test_what_was_rendered_is_no_difference() -> None:
    assert tell() == []


def test_a_difference_is_told_by_field() -> None:
    assert tell({"scheduler_size": "MEDIUM"}) == ["scheduler_size MEDIUM in Astro, SMALL here"]
    assert tell({"is_high_availability": True}) == ["is_high_availability true in Astro, false here"]


@pytest.mark.parametrize(
    "told",
    [
        {"scheduler_size": "small", "cloud_provider": "aws", "region": "US-EAST-1"},
        {"default_task_pod_cpu": "500m", "default_task_pod_memory": "1024Mi"},
        {"default_task_pod_cpu": "0.50"},
        {"deployment_type": "HOSTED_STANDARD"},
        {"runtime_version": "3.3-2"},
        {"cluster_name": "shared", "scheduler_au": 20, "scheduler_count": 9},
        {"workload_identity": "arn:default", "resource_quota_cpu": "160"},
    ],
)
def test_what_astro_writes_otherwise_or_chooses_itself_is_no_difference(told: dict[str, Any]) -> None:
    assert tell(told) == []


@pytest.mark.parametrize("key", [rule.key for rule in CONFIGURATION if "." not in rule.key])
def test_what_astro_does_not_tell_is_not_known(key: str) -> None:
    settings = deepcopy(SETTINGS)
    settings["configuration"].pop(key, None)
    assert find_drift(BODY, settings) == ()
    assert find_drift(BODY, settings | {"configuration": settings["configuration"] | {key: ""}}) == ()


@pytest.mark.parametrize("part", ["worker_queues", "environment_variables", "alert_emails", "hibernation_schedules"])
def test_a_list_that_astro_does_not_tell_is_not_known_and_one_that_the_template_lacks_not_compared(part: str) -> None:
    assert find_drift(BODY, {key: each for key, each in SETTINGS.items() if key != part}) == ()
    assert find_drift({key: each for key, each in BODY.items() if key != part}, SETTINGS) == ()


def test_what_the_template_leaves_open_is_not_compared() -> None:
    body = {**BODY, "configuration": {"deployment_type": "STANDARD", "scheduler_size": "", "region": None}}
    assert find_drift(body, SETTINGS) == ()


def test_an_older_runtime_is_told_and_not_to_be_repaired() -> None:
    (found,) = find_drift(BODY, {**SETTINGS, "configuration": SETTINGS["configuration"] | {"runtime_version": "3.1-9"}})
    assert (found.shown, found.fate) == (("runtime_version", "3.1-9", "3.1-14"), Fate.FIXED)


@pytest.mark.parametrize("key", ["cloud_provider", "region", "is_development_mode", "deployment_type"])
def test_what_an_update_does_not_send_is_not_to_be_repaired(key: str) -> None:
    other: Any = False if key == "is_development_mode" else "DEDICATED"
    settings = {**SETTINGS, "configuration": SETTINGS["configuration"] | {key: other}}
    assert [each.fate for each in find_drift(BODY, settings)] == [Fate.FIXED]


def test_queues_are_compared_by_name() -> None:
    queue = SETTINGS["worker_queues"][0]
    assert tell(worker_queues=[queue | {"worker_type": "A20"}]) == [
        "worker_queues.default.worker_type A20 in Astro, A5 here"
    ]
    assert tell(worker_queues=[queue | {"worker_type": "a5"}]) == []
    assert tell(worker_queues=[{"name": "heavy"}, queue]) == ["worker_queues.heavy present in Astro, missing here"]
    assert tell(worker_queues=[]) == ["worker_queues.default missing in Astro, present here"]


def test_a_count_of_nought_stands_for_astros_default_where_the_cli_takes_it_so() -> None:
    body = {**BODY, "worker_queues": [BODY["worker_queues"][0] | {"max_worker_count": 0}]}
    assert find_drift(body, SETTINGS) == ()
    assert tell(worker_queues=[SETTINGS["worker_queues"][0] | {"min_worker_count": 1}]) != []


def test_schedules_are_compared_in_any_order() -> None:
    schedule = SETTINGS["hibernation_schedules"][0]
    assert tell(hibernation_schedules=[schedule | {"hibernate_at": "0  20 * * *"}]) == []
    off = [schedule | {"enabled": False}]
    assert tell(hibernation_schedules=off) == [
        "hibernation_schedules 0 20 * * * to 0 6 * * * (off) in Astro, 0 20 * * * to 0 6 * * * here"
    ]
    assert len(tell(hibernation_schedules=[])) == 1


def test_values_of_variables_and_addresses_are_never_shown() -> None:
    variables = [{"key": "PASSWORD", "is_secret": True}, {"key": "STAGE", "is_secret": False, "value": "hush"}]
    (found,) = find_drift(BODY, {**SETTINGS, "environment_variables": variables})
    assert str(found) == "environment_variables.STAGE differs"
    (mail,) = find_drift(BODY, {**SETTINGS, "alert_emails": ["mira@acme.example"]})
    assert str(mail) == "alert_emails differs"
    for each in (found, mail):
        said = f"{each} {each!r} {each.shown} {describe_drift([each], 1)}"
        assert not any(word in said for word in ("hush", "preview", "acme.example"))


def test_a_variable_is_compared_by_key_and_by_value_only_where_both_are_plain() -> None:
    plain, secret = SETTINGS["environment_variables"][1], {"key": "PASSWORD", "is_secret": True}
    assert tell(environment_variables=[secret]) == ["environment_variables.STAGE missing in Astro, present here"]
    assert tell(environment_variables=[secret, {"key": "STAGE", "is_secret": True}]) == [
        "environment_variables.STAGE secret in Astro, plain here"
    ]
    assert tell(environment_variables=[plain, {"key": "PASSWORD", "is_secret": False, "value": "hush"}]) == [
        "environment_variables.PASSWORD plain in Astro, secret here"
    ]


def test_what_a_person_added_is_no_difference() -> None:
    added = {"key": "MINE", "is_secret": False, "value": "1"}
    assert tell(environment_variables=[*SETTINGS["environment_variables"], added]) == []
    assert tell(alert_emails=["DATA@acme.example", "mira@acme.example"]) == []


def test_a_value_is_shown_in_one_line_and_cut() -> None:
    (found,) = tell({"scheduler_size": "A\nB\x1b[31m" + "C" * 500})
    assert "\n" not in found
    assert "\x1b" not in found
    assert len(found) < 200


def test_many_differences_are_counted() -> None:
    found = [Drift(f"field_{number}", "a", "b") for number in range(5)]
    assert describe_drift(found, 2) == ("field_0 a in Astro, b here", "field_1 a in Astro, b here", "and 3 more")
    assert describe_drift(found, 5)[-1].startswith("field_4")
