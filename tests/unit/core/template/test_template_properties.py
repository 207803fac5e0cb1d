"""Generated templates and overrides: what is rendered is valid to us and to the CLI, and says what was asked for."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.model import Deployment, Variable
from include.deploy_ops.core.template.rules import name_deployment_type
from include.deploy_ops.core.template.template import (
    Template,
    dump_deployment,
    find_fixed_differences,
    find_missing,
    fingerprint_template,
    merge_overrides,
    parse_template,
    render_deployment,
)
from sandbox.cli.deployment_file import DeploymentFile, as_text, read_file
from tests.unit.core.template.test_template import mutated_documents
from tests.worlds.values.examples import make_deployment

SOURCE = "deployments/preview.yaml"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "",
        "no",
        "N",
        "12.10",
        "0x1",
        "1:30",
        "~",
        "null",
        "*a",
        "- x",
        "a: b",
        "#",
        "=",
        "<<",
        '"',
        "\r\n",
        "\0",
        "%YAML",
    ]
)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True) | st.sampled_from(
    ["N", "no", "y", "NULL", "é", "-"]
)
EMAILS = st.builds("{}@{}".format, st.sampled_from(["a", "A", "on-call", "é"]), st.sampled_from(["x.io", "X.io", "y"]))
VARIABLES = st.lists(
    st.fixed_dictionaries({"key": KEYS, "value": TEXTS}, optional={"is_secret": st.just(False)})
    | st.fixed_dictionaries({"key": KEYS, "is_secret": st.just(True)}, optional={"value": st.just("")}),
    max_size=4,
    unique_by=lambda variable: str(variable["key"]),
)
QUEUE = st.fixed_dictionaries(
    {"worker_type": st.sampled_from(["A5", "a10"])},
    optional={"min_worker_count": st.integers(0, 2), "max_worker_count": st.integers(2, 9)},
)
QUEUES = st.dictionaries(KEYS, QUEUE, max_size=2).flatmap(
    lambda others: QUEUE.map(
        lambda default: [{"name": name, **queue} for name, queue in {**others, "default": default}.items()]
    )
)
SCHEDULES = st.lists(
    st.just({"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"})
    | st.just({"hibernate_at": "1 2 3 4 5", "wake_at": "* * * * *", "enabled": True}),
    max_size=2,
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "description": TEXTS,
    "workspace_name": TEXTS,
    "dag_deploy_enabled": st.booleans(),
    "ci_cd_enforcement": st.booleans(),
    "scheduler_size": st.sampled_from(["SMALL", "small", ""]),
    "is_high_availability": st.just(value=False),
    "scheduler_count": st.integers(0, 3),
    "default_task_pod_cpu": TEXTS,
    "workload_identity": TEXTS,
    "remote_execution": st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "task_log_bucket": TEXTS}),
}
CONFIGURATIONS = st.fixed_dictionaries(
    {
        "executor": st.sampled_from(["CELERY", "CeleryExecutor", "ASTRO", "AstroExecutor"]),
        "deployment_type": st.sampled_from(["STANDARD", "standard", "HOSTED_SHARED"]),
        "runtime_version": st.sampled_from(["3.1-14", "3.3-2"]),
        "cloud_provider": st.sampled_from(["AWS", "gcp"]),
        "region": st.sampled_from(["us-east-1", "EU"]),
        "is_development_mode": st.just(value=True),
    },
    optional={key: st.none() | values for key, values in OPTIONAL.items()},
)
LISTS = {
    "environment_variables": VARIABLES,
    "worker_queues": st.just([]) | QUEUES,
    "alert_emails": st.lists(EMAILS, max_size=3),
    "hibernation_schedules": SCHEDULES,
}
BODIES = st.fixed_dictionaries(
    {"configuration": CONFIGURATIONS}, optional={key: st.none() | lists for key, lists in LISTS.items()}
)
OURS = ("name", "workspace_name")
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "configuration": st.fixed_dictionaries(
            {},
            optional={
                "executor": st.sampled_from(["CELERY", "ASTRO"]),
                "region": st.just("elsewhere"),
                **{key: st.none() | values for key, values in OPTIONAL.items() if key not in OURS},
            },
        ),
        **{key: st.none() | lists for key, lists in LISTS.items()},
    },
)


def parse(body: dict[str, Any]) -> Template:
    return parse_template(json.dumps({"deployment": body}), SOURCE)


def render(template: Template, observed: Deployment | None = None, **names: str) -> dict[str, Any]:
    named = {"name": "shop-dev-x", "description": "mark", "workspace_name": "W"} | names
    return render_deployment(template, observed=observed, **named)


def read_as_cli(document: dict[str, Any], folder: pytest.TempPathFactory, *, is_update: bool) -> DeploymentFile:
    """Return what the stand-in CLI, a second reading of what the real one does, makes of our file."""
    path = folder.getbasetemp() / "deployment.yaml"
    path.write_text(dump_deployment(document))
    return read_file(str(path), is_update=is_update)


def create(file: DeploymentFile) -> Deployment:
    """Return the Deployment that Astro would have after the CLI's create with this file."""
    variables = (
        Variable(as_text(each["key"]), is_secret=each.get("is_secret") is True, value=as_text(each["value"]))
        for each in file.variables
    )
    return make_deployment(
        "dev-x",
        runtime_version=file.text("runtime_version"),
        is_development_mode=file.is_on("is_development_mode"),
        cloud_provider=file.text("cloud_provider").upper(),
        region=file.text("region"),
        executor=file.executor,
        variables=tuple(replace(each, value=None) if each.is_secret else each for each in variables),
        contact_emails=tuple(file.emails),
    )


@given(BODIES)
def test_a_created_deployment_is_what_the_template_says_and_lacks_nothing(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]
) -> None:
    template = parse(body)
    document = render(template)
    file = read_as_cli(document, tmp_path_factory, is_update=False)
    assert parse_template(dump_deployment(document), SOURCE).body == document["deployment"] | _strip_secrets(document)
    wanted = {key: value for key, value in body["configuration"].items() if value is not None}
    assert file.configuration == wanted | {"name": "shop-dev-x", "description": "mark", "workspace_name": "W"}
    assert {each["key"]: each["value"] for each in file.variables} == {
        each["key"]: each.get("value", "") for each in body.get("environment_variables") or ()
    }
    assert sorted(file.emails) == sorted(set(body.get("alert_emails") or ()))
    assert file.queues == sorted(body.get("worker_queues") or (), key=lambda queue: str(queue["name"]))
    made = create(file)
    assert (find_missing(template, made), find_fixed_differences(template, made)) == ((), ())
    again = read_as_cli(render(template, made), tmp_path_factory, is_update=True)
    assert not any(each.get("value") for each in again.variables if each["is_secret"])
    assert {each["key"] for each in again.variables} == {each["key"] for each in file.variables}


def _strip_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document's variables as a template holds them: secrets without even an empty value."""
    variables = document["deployment"].get("environment_variables")
    if variables is None:
        return {}
    kept = [{key: each[key] for key in each if key != "value" or not each["is_secret"]} for each in variables]
    return {"environment_variables": kept}


def _lay_over(body: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return by the readable rule: what is null goes, mappings merge, all else replaces."""
    laid = dict(body)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(laid.get(key), dict):
            laid[key] = _lay_over(laid[key], value)
        else:
            laid[key] = value
    return {key: value for key, value in laid.items() if value is not None}


@given(BODIES, OVERRIDES)
def test_every_override_lands_where_it_should_and_nothing_else_moves(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any], overrides: dict[str, Any]
) -> None:
    before, kept = deepcopy(body), deepcopy(overrides)
    template = parse(body)
    merged = merge_overrides(template, overrides)
    assert (merged.body, body, overrides) == (parse(_lay_over(body, overrides)).body, before, kept)
    assert merge_overrides(merged, overrides).body == merged.body
    assert merge_overrides(template, {}).body == template.body
    read_as_cli(render(merged), tmp_path_factory, is_update=False)


@given(BODIES, OVERRIDES)
def test_the_fingerprint_moves_exactly_when_what_is_rendered_for_all_does(
    body: dict[str, Any], overrides: dict[str, Any]
) -> None:
    one, other = parse(body), merge_overrides(parse(body), overrides)
    is_same = render(one) == render(other)
    assert (fingerprint_template(one) == fingerprint_template(other)) == is_same


@given(BODIES, st.randoms(use_true_random=False))
def test_the_order_in_a_template_does_not_matter(body: dict[str, Any], random: Any) -> None:
    turned = {
        key: random.sample(value, len(value)) if isinstance(value, list) and key != "hibernation_schedules" else value
        for key, value in random.sample(list(body.items()), len(body))
    }
    configuration = list(body["configuration"].items())
    turned["configuration"] = dict(random.sample(configuration, len(configuration)))
    assert parse(turned) == parse(body)
    assert fingerprint_template(parse(turned)) == fingerprint_template(parse(body))


SET_BY_HAND = st.lists(st.builds(Variable, KEYS, st.booleans(), TEXTS), max_size=4, unique_by=lambda each: each.key)


@given(BODIES, SET_BY_HAND, st.lists(EMAILS, max_size=3, unique_by=str.casefold), KEYS)
def test_an_update_drops_nothing_that_people_set_and_never_touches_a_secret(
    tmp_path_factory: pytest.TempPathFactory,
    body: dict[str, Any],
    by_hand: list[Variable],
    emails: list[str],
    name: str,
) -> None:
    there = {each.key: replace(each, value=None) if each.is_secret else each for each in by_hand}
    observed = make_deployment("dev-x", name=name, variables=tuple(there.values()), contact_emails=tuple(emails))
    template = parse(body)
    file = read_as_cli(render(template, observed), tmp_path_factory, is_update=True)
    assert file.text("name") == name
    sent = {each["key"]: each for each in file.variables}
    wanted = {each["key"]: each for each in body.get("environment_variables") or ()}
    assert sent.keys() == there.keys() | wanted.keys()
    for key, each in there.items():
        if each.is_secret and (key not in wanted or wanted[key].get("is_secret")):
            assert "value" not in sent[key]
        elif key not in wanted:
            assert sent[key] == {"key": key, "is_secret": False, "value": each.value}
    assert {each.casefold() for each in file.emails} >= {each.casefold() for each in emails}


@given(BODIES, st.sampled_from(["hunter2", "é\n", "0"]))
@settings(max_examples=30)
def test_a_secret_with_a_value_is_refused_without_saying_it(body: dict[str, Any], secret: str) -> None:
    body["environment_variables"] = [{"key": "P", "is_secret": True, "value": secret}]
    with pytest.raises(TemplateError) as caught:
        parse(body)
    assert "'P' is a secret with its value in Git" in str(caught.value)
    assert f"'{secret}'" not in str(caught.value)


@given(mutated_documents(), st.text("ab<>@. \t,é", max_size=6))
@settings(max_examples=200)
def test_what_we_take_the_cli_takes_too(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], email: str
) -> None:
    if isinstance(document.get("deployment"), dict):
        document["deployment"] = document["deployment"] | ({"alert_emails": [email]} if email else {})
    try:
        template = parse_template(json.dumps(document), SOURCE)
    except TemplateError:
        return
    assume(name_deployment_type(template.configuration) == "STANDARD")
    read_as_cli(render(template), tmp_path_factory, is_update=False)
