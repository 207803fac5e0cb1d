"""The policy's mapping within a template: laid over its variables, filled for one branch, and its secrets at the end.

Values of secrets come last, into the document that the Astro CLI is given: nothing before has them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from include.deploy_ops.core.environment.mapping import WORKLOAD_IDENTITY, fill_texts, is_about_secrets
from include.deploy_ops.core.environment.sources import Pattern
from include.deploy_ops.core.template.template import Template, dump_deployment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from include.deploy_ops.core.environment.mapping import Mapped


def lay_mapping(template: Template, mapped: Iterable[Mapped]) -> Template:
    """Return the template with what the mapping gives, which wins over its own variables; texts are not filled yet."""
    laid = tuple(mapped)
    if not laid:
        return template
    own = {each["key"]: each for each in _list_variables(template)}
    replaced = tuple(each.key for each in laid if each.key in own)
    own |= {each.key: _write_variable(each) for each in laid}
    variables = [each for _, each in sorted(own.items())]
    return replace(template, body={**template.body, "environment_variables": variables}, mapped=laid, replaced=replaced)


def _write_variable(mapped: Mapped) -> dict[str, Any]:
    if isinstance(mapped.source, Pattern):
        return {"key": mapped.key, "is_secret": False, "value": mapped.source.text}
    return {"key": mapped.key, "is_secret": True}


def fill_mapping(template: Template, fields: Mapping[str, str]) -> Template:
    """Return the template with the mapping's texts as they are for one branch."""
    filled = fill_texts(template.mapped, fields)
    own = [
        {**each, "value": filled[each["key"]]} if each["key"] in filled else each for each in _list_variables(template)
    ]
    return replace(template, body={**template.body, "environment_variables": own}) if filled else template


def lay_values(document: str, values: Mapping[str, str]) -> str:
    """Return a rendered Deployment file with the values of its mapped secrets. It is for nobody's eyes.

    :raises ValueError: it has no such variable, or one that is no secret; the text names it.
    """
    file = yaml.safe_load(document)
    variables = {each["key"]: each for each in file["deployment"].get("environment_variables", ())}
    for key, value in values.items():
        if not variables.get(key, {}).get("is_secret"):
            raise ValueError(f"the Deployment file has no secret variable {key}")
        variables[key]["value"] = value
    return dump_deployment(file)


def find_unfilled(template: Template) -> tuple[str, ...]:
    """Return the secret variables that the mapping does not fill: empty unless a person sets them in Astro."""
    mapped = {each.key for each in template.mapped}
    return tuple(each["key"] for each in _list_variables(template) if each["is_secret"] and each["key"] not in mapped)


def find_uninherited(template: Template, inherit: Collection[str]) -> tuple[str, ...]:
    """Return the template's keys by which a preview's code would reach production's secrets, and nobody agreed to."""
    keys = [each["key"] for each in _list_variables(template) if is_about_secrets(each["key"])]
    if template.configuration.get(WORKLOAD_IDENTITY):
        keys.append(WORKLOAD_IDENTITY)
    return tuple(key for key in keys if key not in inherit)


def describe_uninherited(source: str, keys: Collection[str]) -> str:
    """Return why a template with such keys makes no preview, and what to do."""
    return (
        f"{source}: {', '.join(keys)} would lead whoever pushes a branch to the secrets that the template's Deployment "
        f"reads; remove it from the template, or by previews.overrides, or name it in previews.inherit"
    )


def _list_variables(template: Template) -> list[dict[str, Any]]:
    return list(template.body.get("environment_variables", ()))
