"""Trunk's template and its snapshot, beside production as it was inspected: what there is to propose. Reads only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.template.proposal import Files, Proposal, make_proposal, name_snapshot
from include.deploy_ops.observation.template import name_source, parse_template_text

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.scope import Scope


def read_proposal(scope: Scope, github: DeployOpsGithubHook, document: dict[str, Any], trunk_head: str) -> Proposal:
    """Return what to propose on top of trunk's head.

    :param document: production's normal form.
    :raises TemplateError: a file cannot be used, or what it would become; names file and field.
    """
    path = scope.previews.template
    files = Files(
        path,
        github.read_file(path, trunk_head),
        github.read_file(name_snapshot(path), trunk_head),
        name_source(scope),
    )
    settle, copied = partial(parse_template_text, scope), scope.previews.copy_variables
    return make_proposal(document, scope.project.template_source, files, settle, copied)
