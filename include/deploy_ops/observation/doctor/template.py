"""Reads what the doctor judges of trunk's Deployment template: a bounded number of requests, each a GET."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.doctor.template import TemplateFacts, judge_template
from include.deploy_ops.core.template.rules import name_deployment_type
from include.deploy_ops.observation.doctor.astro import AstroReader

if TYPE_CHECKING:
    from include.deploy_ops.core.doctor.astro_facts import Cluster
    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.observation.doctor.trunk import TrunkReader
    from include.deploy_ops.run.scope import Scope

ASTRO_REQUESTS_MAX = 2
"""What one examination asks of Astro: its options, and its Deployments or a cluster."""


def examine_template(scope: Scope, astro: AstroApiHook, trunk: TrunkReader) -> tuple[Check, ...]:
    """Return the checks of the area Template for one project; none where it has no previews."""
    previews = scope.project.previews
    template = trunk.template
    if previews is None or template is None:
        return ()
    return judge_template(_read_facts(AstroReader(scope, astro), template), scope.project, previews)


def _read_facts(reader: AstroReader, template: Fact[Template]) -> TemplateFacts:
    """Ask Astro for what such a template needs; for none, nothing."""
    if isinstance(template, Unread):
        unasked = Unread("there is no template to look at", Cause.ABSENT)
        return TemplateFacts(template, unasked, unasked, unasked)
    place = reader.read_place()
    return TemplateFacts(
        template,
        reader.read_options(template),
        reader.read_deployments() if name_deployment_type(template.configuration) == "STANDARD" else (),
        _read_clusters(reader, template),
        "" if isinstance(place, Unread) else place.workspace_id,
    )


def _read_clusters(reader: AstroReader, template: Template) -> Fact[tuple[Cluster, ...]]:
    name = str(template.configuration.get("cluster_name") or "")
    if name_deployment_type(template.configuration) == "STANDARD" or not name:
        return ()
    return reader.ask(lambda: reader.astro.find_clusters(name))
