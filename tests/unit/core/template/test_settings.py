"""The table of keys and fields: no key is forgotten, and each way of reading it is the other one backwards."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from include.deploy_ops.core.template.keys import (
    Configuration,
    DeploymentBody,
    EnvironmentVariable,
    HibernationSchedule,
    RemoteExecution,
    WorkerQueue,
)
from include.deploy_ops.core.template.settings import (
    CONFIGURATION,
    EMAILS,
    LISTS,
    NOT_COMPARED,
    QUEUE,
    SCHEDULE,
    VARIABLE,
    Rule,
    find_value,
    read_settings,
)

MODELS: dict[str, type[BaseModel]] = {
    "worker_queues": WorkerQueue,
    "hibernation_schedules": HibernationSchedule,
    "environment_variables": EnvironmentVariable,
}


def list_keys() -> set[str]:
    """Return every key of a Deployment file, but the names of entries."""
    keys = {f"configuration.{key}" for key in Configuration.model_fields if key != "remote_execution"}
    keys |= {f"configuration.remote_execution.{key}" for key in RemoteExecution.model_fields}
    return keys | {f"{part}.{key}" for part, model in MODELS.items() for key in model.model_fields}


def list_rules() -> dict[str, tuple[Rule, ...]]:
    return {"configuration": CONFIGURATION, **{part: rules for part, (_, rules) in LISTS.items()}}


def test_every_key_is_compared_or_it_is_said_why_not() -> None:
    compared = [f"{part}.{rule.key}" for part, rules in list_rules().items() for rule in rules]
    assert sorted([*compared, *NOT_COMPARED]) == sorted(list_keys())
    assert {*list_rules(), EMAILS[0]} == set(DeploymentBody.model_fields)


@pytest.mark.parametrize("part", list_rules())
def test_no_field_answers_for_two_keys(part: str) -> None:
    fields = [rule.field for rule in list_rules()[part]]
    assert len(set(fields)) == len(fields)


def make_value(rule: Rule) -> Any:
    """Return a value that tells of which rule it is."""
    return {bool: True, int: len(rule.key), list: [rule.key]}.get(rule.kind, rule.key)


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def write_answer() -> dict[str, Any]:
    """Return an answer that tells everything."""
    answer: dict[str, Any] = {EMAILS[1]: ["on-call@acme.example"]}
    for rule in CONFIGURATION:
        put(answer, rule.field, make_value(rule))
    for field, rules in LISTS.values():
        entry: dict[str, Any] = {}
        for rule in rules:
            put(entry, rule.field, False if rule.key == "is_secret" else make_value(rule))
        put(answer, field, [entry])
    return answer


def test_what_the_table_writes_it_reads() -> None:
    settings = read_settings(write_answer())
    for rule in CONFIGURATION:
        assert find_value(settings["configuration"], rule.key) == make_value(rule)
    for part, (_, rules) in LISTS.items():
        (entry,) = settings[part]
        assert entry.keys() == {rule.key for rule in rules}
    assert settings[EMAILS[0]] == ["on-call@acme.example"]
    DeploymentBody.model_validate({EMAILS[0]: settings[EMAILS[0]]})  # it has the form of a file's body


def test_what_is_not_told_is_not_known() -> None:
    assert read_settings({}) == {"configuration": {}}
    nothing = {"environmentVariables": None, "workerQueues": None, "scalingSpec": None, "contactEmails": None}
    assert read_settings({**nothing, "schedulerSize": None}) == {"configuration": {}}


@pytest.mark.parametrize("wrong", [7, True, 1.5, ["SMALL"], {"a": 1}])
def test_a_value_of_another_type_is_not_known(wrong: Any) -> None:
    assert read_settings({"schedulerSize": wrong})["configuration"] == {}
    assert read_settings({"remoteExecution": wrong})["configuration"] == {}


def test_a_number_is_no_flag_and_a_flag_no_number() -> None:
    found = read_settings({"isHighAvailability": 1, "schedulerReplicas": True})
    assert found["configuration"] == {}


def test_the_value_of_a_secret_is_never_read() -> None:
    told = [{"key": "A", "isSecret": True, "value": "hush"}, {"key": "B", "value": "hush"}]
    told.append({"key": "C", "isSecret": False, "value": "plain"})
    settings = read_settings({"environmentVariables": told})
    assert "hush" not in str(settings)
    assert settings["environment_variables"][2] == {"key": "C", "is_secret": False, "value": "plain"}


def test_the_rules_of_entries_have_no_fixed_key() -> None:
    assert not any(rule.is_fixed for rule in (*QUEUE, *SCHEDULE, *VARIABLE))
