"""The project's Deployment template as it stands on trunk, merged with the policy's overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.errors import TemplateError
from include.deploy_ops.template import merge_overrides, parse_template

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github import DeployOpsGithubHook
    from include.deploy_ops.operators.scope import Scope
    from include.deploy_ops.template import Template


def read_template(scope: Scope, github: DeployOpsGithubHook, trunk_head: str) -> Template:
    """Return the template at trunk's head. Raises TemplateError, naming file and field, when it cannot be used."""
    path = scope.previews.template
    source = f"{scope.project.repository}/{path} on {scope.project.trunk}"
    text = github.read_file(path, trunk_head)
    if text is None:
        raise TemplateError(
            f"{source}: there is no such file; write one with 'astro deployment inspect <production> --template', "
            f"or correct previews.template in the policy"
        )
    return merge_overrides(parse_template(text, source), scope.previews.overrides)
