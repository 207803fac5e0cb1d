"""Reference template + overrides → Deployment file: parse, merge, fingerprint, render, compare; all of it as data.

Its keys stand in `keys.py`, the rules in `rules.py`. The CLI is called elsewhere, and the name and the
ownership mark come from the caller.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from include.deploy_ops.core.environment.mapping import write_mapped
from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.keys import DeploymentFile
from include.deploy_ops.core.template.rules import (
    find_override_problems,
    find_template_problems,
    is_pod_printed_as_queue,
    list_shape_problems,
    name_deployment_type,
    rank_runtime,
)
from include.deploy_ops.core.text.document import DocumentError, read_document
from include.deploy_ops.core.text.schema import Problem, describe_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from include.deploy_ops.core.environment.mapping import Mapped
    from include.deploy_ops.core.model import Deployment, Variable

_FINGERPRINT_LENGTH = 12
_VARIABLE, _ADDRESS, _MAPPED = "variable ", "alert address ", "mapped "
_PER_DEPLOYMENT = frozenset({"name", "description", "workspace_name"})


@dataclass(frozen=True, slots=True)
class Template:
    """A valid Deployment file, in its normal form.

    `source` names the file in errors. `body` is what stands below `deployment`: no nulls, no empty lists, variables
    sorted by key and queues by name (the CLI matches queues by their sorted position: a new queue's name must sort
    last, or an existing queue loses its id), no secret with a value. `mapped` are the variables among its own that the
    policy's mapping gave it (`mapping.lay_mapping`), `replaced` the keys of those that it had itself before.
    """

    source: str
    body: Mapping[str, Any]
    mapped: tuple[Mapped, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What stands below `deployment.configuration`."""
        configuration: Mapping[str, Any] = self.body["configuration"]
        return configuration

    @property
    def description(self) -> str:
        """The template's own description, "" if it has none; the caller adds the mark."""
        return str(self.configuration.get("description", ""))


def parse_template(text: str, source: str) -> Template:
    """Return the template that a Deployment file's text holds, in YAML or JSON; `source` names the file in errors.

    Raises TemplateError with all that is wrong, one line each: file, key, what was found and what to do.
    """
    try:
        document = read_document(text)
    except DocumentError as error:
        raise TemplateError(f"{source}: {error}") from None
    if not isinstance(document, dict):
        raise TemplateError(f"{source}: found {describe_value(document)}, expected a mapping with the key 'deployment'")
    return _build_template(document, source)


def merge_overrides(template: Template, overrides: Mapping[str, Any]) -> Template:
    """Return the template with the policy's `previews.overrides` laid over what stands below `deployment`.

    Mappings merge, key by key; lists and values replace; null removes. Raises TemplateError where an override has no
    place in a Deployment file, or the result contradicts itself.
    """
    problems = [each.move_below("previews", "overrides") for each in find_override_problems(overrides)]
    _raise_problems(problems, "the policy")
    merged = _merge(template.body, overrides)
    return _build_template({"deployment": merged}, f"{template.source} with previews.overrides")


def fingerprint_template(template: Template) -> str:
    """Return 12 hexadecimal digits over what is rendered for every preview alike.

    Independent of the order of keys, variables, queues and addresses, and of name, description and workspace.
    """
    configuration = {key: value for key, value in template.configuration.items() if key not in _PER_DEPLOYMENT}
    mapped = {"mapped": write_mapped(template.mapped)} if template.mapped else {}
    body = {**template.body, "configuration": configuration, **mapped}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def render_deployment(
    template: Template,
    *,
    name: str,
    description: str,
    workspace_name: str,
    observed: Deployment | None = None,
    rendered: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the document for the CLI: to create the Deployment, or to update the one that was observed.

    An update finds its Deployment by name, so the observed name is used. It replaces all variables and addresses, so
    those that a person added are listed again, and secrets that are there go without a value, which keeps it.

    :param rendered: what it got from the template before (`list_rendered`): what the template has no longer goes.
    """
    if observed is not None:
        wanted = {_fold(each) for each in list_rendered(template)}
        observed = _drop(observed, [each for each in rendered if _fold(each) not in wanted])
    body = copy.deepcopy(dict(template.body))
    body["configuration"] |= {
        "name": observed.name if observed else name,
        "description": description,
        "workspace_name": workspace_name,
    }
    lists = {
        "environment_variables": _list_variables(template, observed),
        "alert_emails": _list_emails(template, observed),
    }
    return {"deployment": body | {key: entries for key, entries in lists.items() if entries}}


def dump_deployment(document: Mapping[str, Any]) -> str:
    """Return the document as YAML with every text in quotes, since the CLI reads YAML 1.1 (`no` is false there)."""
    return yaml.dump(document, Dumper=_QuotingDumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def list_rendered(template: Template) -> tuple[str, ...]:
    """Return which variables and alert addresses a Deployment gets from the template, as "variable X".

    Those of the mapping as "mapped X": what stands under a key that goes over to the other, whose value may be a
    secret, is not kept for it.
    """
    mapped = {each.key for each in template.mapped}
    keys = [str(each["key"]) for each in _get_variables(template)]
    parts = _list_parts((key for key in keys if key not in mapped), _get_emails(template))
    return (*parts, *(f"{_MAPPED}{key}" for key in keys if key in mapped))


def find_missing(template: Template, deployment: Deployment) -> tuple[str, ...]:
    """Return the template's variables and alert addresses that the Deployment lacks: a create can stop half-way."""
    there = {_fold(each) for each in _list_observed(deployment)}
    return tuple(each for each in _list_wanted(template) if _fold(each) not in there)


def find_added(template: Template, deployment: Deployment) -> tuple[str, ...]:
    """Return the Deployment's variables and alert addresses that the template lacks: added by a person, or dropped."""
    wanted = {_fold(each) for each in _list_wanted(template)}
    return tuple(each for each in _list_observed(deployment) if _fold(each) not in wanted)


def find_fixed_differences(template: Template, deployment: Deployment) -> tuple[str, ...]:
    """Return how the Deployment differs from the template in what the CLI cannot update, one readable text each.

    A newer runtime than the template's is no difference: an image deploy raises it, and none can lower it. What the
    observation or the template leaves open is none either; only STANDARD Deployments have a region of their own.
    """
    return tuple(
        f"{key}: {found} in Astro, {wanted} in the template"
        for key, found, wanted in _pair_fixed(template.configuration, deployment)
        if found and wanted and found.casefold() != wanted.casefold()
    )


def _list_wanted(template: Template) -> tuple[str, ...]:
    """Return what a Deployment with the template shows, whatever gave it."""
    return _list_parts((each["key"] for each in _get_variables(template)), _get_emails(template))


def _list_observed(deployment: Deployment) -> tuple[str, ...]:
    return _list_parts((variable.key for variable in deployment.variables), deployment.contact_emails)


def _list_parts(keys: Iterable[str], emails: Iterable[str]) -> tuple[str, ...]:
    return (*(f"{_VARIABLE}{key}" for key in keys), *(f"{_ADDRESS}{email}" for email in emails))


def _fold(part: str) -> str:
    """Return a part as it is compared: the case of an address does not count."""
    return part.casefold() if part.startswith(_ADDRESS) else part


def _drop(deployment: Deployment, parts: Collection[str]) -> Deployment:
    """Return the Deployment without these variables and alert addresses."""
    dropped = {_fold(each.replace(_MAPPED, _VARIABLE, 1) if each.startswith(_MAPPED) else each) for each in parts}
    return replace(
        deployment,
        variables=tuple(each for each in deployment.variables if f"{_VARIABLE}{each.key}" not in dropped),
        contact_emails=tuple(each for each in deployment.contact_emails if _fold(f"{_ADDRESS}{each}") not in dropped),
    )


def _build_template(document: Mapping[str, Any], source: str) -> Template:
    try:
        file = DeploymentFile.model_validate(dict(document))
    except ValidationError as error:
        raise _fail(list_shape_problems(error, DeploymentFile), source) from None
    body = file.deployment.model_dump(mode="json", exclude_none=True)
    if is_pod_printed_as_queue(body.get("configuration", {}), body.get("worker_queues", ())):
        del body["worker_queues"]
    _raise_problems([each.move_below("deployment") for each in find_template_problems(body)], source)
    return Template(source, _normalise(body))


def _raise_problems(problems: Iterable[Problem], source: str) -> None:
    if listed := tuple(problems):
        raise _fail(listed, source)


def _fail(problems: Iterable[Problem], source: str) -> TemplateError:
    return TemplateError("\n".join(f"{source}: {each}" for each in problems))


def _normalise(body: dict[str, Any]) -> dict[str, Any]:
    variables = [_normalise_variable(each) for each in body.get("environment_variables", ())]
    lists = {
        "environment_variables": sorted(variables, key=lambda each: str(each["key"])),
        "worker_queues": sorted(body.get("worker_queues", ()), key=lambda each: str(each["name"])),
        "alert_emails": sorted(set(body.get("alert_emails", ()))),
        "hibernation_schedules": body.get("hibernation_schedules", []),
    }
    filled = {key: entries for key, entries in lists.items() if entries}
    return {"configuration": body["configuration"], **filled}


def _normalise_variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    if variable.get("is_secret"):
        return {"key": variable["key"], "is_secret": True}
    return {"key": variable["key"], "is_secret": False, "value": variable["value"]}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        is_merged = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(below or {}, value) if is_merged else value
    return merged


def _get_variables(template: Template) -> list[dict[str, Any]]:
    return list(template.body.get("environment_variables", ()))


def _get_emails(template: Template) -> list[str]:
    return list(template.body.get("alert_emails", ()))


def _list_variables(template: Template, observed: Deployment | None) -> list[dict[str, Any]]:
    there = {variable.key: variable for variable in observed.variables} if observed else {}
    wanted = {each["key"]: each for each in _get_variables(template)}
    rendered = [_render_variable(each, there.get(key)) for key, each in wanted.items()]
    kept = [_keep_variable(variable) for key, variable in sorted(there.items()) if key not in wanted]
    return rendered + kept


def _render_variable(variable: Mapping[str, Any], there: Variable | None) -> dict[str, Any]:
    """Create a secret empty; where it is there, keep what a person set, also if it was no secret before."""
    if not variable["is_secret"]:
        return dict(variable)
    if there is None:
        return {**variable, "value": ""}
    return _keep_variable(there) | {"is_secret": True}


def _keep_variable(variable: Variable) -> dict[str, Any]:
    kept: dict[str, Any] = {"key": variable.key, "is_secret": variable.is_secret}
    return kept if variable.is_secret else kept | {"value": variable.value or ""}


def _list_emails(template: Template, observed: Deployment | None) -> list[str]:
    wanted = _get_emails(template)
    known = {email.casefold() for email in wanted}
    return wanted + [email for email in (observed.contact_emails if observed else ()) if email.casefold() not in known]


def _pair_fixed(configuration: Mapping[str, Any], deployment: Deployment) -> Iterator[tuple[str, str, str]]:
    kind = name_deployment_type(configuration)
    yield "deployment_type", deployment.deployment_type, kind
    if kind == "STANDARD":
        yield "cloud_provider", deployment.cloud_provider, configuration["cloud_provider"]
        yield "region", deployment.region, configuration["region"]
    is_wanted = bool(configuration.get("is_development_mode"))
    yield "is_development_mode", str(deployment.is_development_mode).lower(), str(is_wanted).lower()
    runtime = configuration["runtime_version"]
    if rank_runtime(runtime) > rank_runtime(deployment.runtime_version):
        yield "runtime_version", deployment.runtime_version, runtime


class _QuotingDumper(yaml.SafeDumper):
    """PyYAML's safe dumper with every text in double quotes, and nothing written as a reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _quote_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_QuotingDumper.add_representer(str, _quote_text)
