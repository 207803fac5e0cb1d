"""The project's Deployment template as it stands on trunk, merged with the policy's overrides and mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.mapping import lay_mapping
from include.deploy_ops.core.template.template import Template, merge_overrides, parse_template

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.scope import Scope


def read_template(scope: Scope, github: DeployOpsGithubHook, trunk_head: str) -> Template:
    """Return the template at trunk's head. Raises TemplateError, naming file and field, when it cannot be used."""
    return parse_template_text(scope, read_template_text(scope, github, trunk_head))


def read_template_text(scope: Scope, github: DeployOpsGithubHook, trunk_head: str) -> str:
    """Return the template's text at trunk's head. Raises TemplateError when there is no such file."""
    text = github.read_file(scope.previews.template, trunk_head)
    if text is None:
        raise TemplateError(
            f"{_name_source(scope)}: there is no such file; write one with 'astro deployment inspect <production> "
            f"--template', or correct previews.template in the policy"
        )
    return text


def parse_template_text(scope: Scope, text: str) -> Template:
    """Return the template that the text says. Raises TemplateError, naming file and field, when it cannot be used."""
    merged = merge_overrides(parse_template(text, _name_source(scope)), scope.previews.overrides)
    return lay_mapping(merged, scope.previews.environment.mapped)


def _name_source(scope: Scope) -> str:
    return f"{scope.project.repository}/{scope.previews.template} on {scope.project.trunk}"
