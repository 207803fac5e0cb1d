"""How it stands with trunk's Deployment template: beside Astro's options, and by what previews find in it → checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, leave_open, make_check, name_some, tell
from include.deploy_ops.core.environment.mapping import is_about_secrets
from include.deploy_ops.core.errors import ObservationError, RetryableError, TemplateError
from include.deploy_ops.core.template.mapping import describe_uninherited, find_unfilled, find_uninherited
from include.deploy_ops.core.template.options import check_against_options
from include.deploy_ops.core.template.rules import find_sleep_problems, name_deployment_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.deploy_ops.core.doctor.astro_facts import Cluster
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.keys import Previews, Project
    from include.deploy_ops.core.template.template import Template

_VALID, _OFFERED, _PLACE = "template", "what Astro offers", "where it would be"
_SECRETS, _BACKEND, _SLEEP = "empty secrets", "secrets backend", "hibernation"
_MADE = "CREATED"


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """All that is judged. `clusters`: those that are called as the template says, where it names one.

    `deployments` are those of the workspace: where one of them stands, another can stand, which Astro tells nowhere.
    """

    template: Fact[Template]
    options: Fact[Mapping[str, Any]]
    deployments: Fact[tuple[Deployment, ...]]
    clusters: Fact[tuple[Cluster, ...]]
    workspace_id: str = ""


def judge_template(facts: TemplateFacts, project: Project, previews: Previews) -> tuple[Check, ...]:
    """Return the checks of the area, in the table's order."""
    template = facts.template
    place = f"{previews.template} on {project.trunk}"
    if isinstance(template, Unread):
        return tuple(_leave_all_open(template, place))
    return (
        make_check(Area.TEMPLATE, _VALID, Status.OK, f"{place}: {_describe(template)}"),
        _judge_offered(template, facts.options, place),
        _judge_place(template, facts, place),
        _judge_secrets(template, place),
        _judge_backend(template, previews),
        _judge_sleep(template, previews, place),
    )


def _leave_all_open(template: Unread, place: str) -> Iterator[Check]:
    """Yield what is known without a template: that it is wrong, or that nobody could read it."""
    if template.cause is Cause.WRONG:
        advice = f"correct what is named here in {place}, and push it: until then no preview is made or updated"
        yield make_check(Area.TEMPLATE, _VALID, Status.FAIL, template.why, advice)
    else:
        yield leave_open(Area.TEMPLATE, _VALID, template, "a template that is wrong shows in the task plan")
    for name in (_OFFERED, _PLACE, _SECRETS, _BACKEND, _SLEEP):
        missing = Unread("there is no template to look at", Cause.ABSENT)
        yield leave_open(Area.TEMPLATE, name, missing, "what is wrong with it shows in the task render_template")


def _describe(template: Template) -> str:
    configuration = template.configuration
    kind = name_deployment_type(configuration)
    replaced = f"; previews.environment replaces {name_some(template.replaced)}" if template.replaced else ""
    return f"{kind}, {configuration['executor']}, {configuration['runtime_version']}{replaced}"


def _judge_offered(template: Template, options: Fact[Mapping[str, Any]], place: str) -> Check:
    refusal = "what Astro does not offer shows in the task render_template"
    if isinstance(options, Unread):
        return leave_open(Area.TEMPLATE, _OFFERED, options, refusal)
    try:
        check_against_options(template, options)
    except ObservationError as error:
        return leave_open(Area.TEMPLATE, _OFFERED, Unread(tell(error)), refusal)
    except RetryableError as error:
        advice = f"wait until Astro offers it, or write an older runtime into {place}"
        return make_check(Area.TEMPLATE, _OFFERED, Status.WARN, tell(error), advice)
    except TemplateError as error:
        advice = f"write one of what is known there into {place}"
        return make_check(Area.TEMPLATE, _OFFERED, Status.FAIL, tell(error), advice)
    return make_check(Area.TEMPLATE, _OFFERED, Status.OK, "executor, runtime, sizes and queues are among it")


def _judge_place(template: Template, facts: TemplateFacts, place: str) -> Check:
    if name_deployment_type(template.configuration) == "STANDARD":
        return _judge_region(template.configuration, facts.deployments, place)
    return _judge_cluster(str(template.configuration["cluster_name"]), facts, place)


def _judge_region(configuration: Mapping[str, Any], deployments: Fact[tuple[Deployment, ...]], place: str) -> Check:
    """Judge cloud and region by what is there already: Astro lists them for clusters alone."""
    cloud, region = str(configuration["cloud_provider"]).upper(), str(configuration["region"])
    refusal = f"a region that Astro does not have fails in the task create: correct region in {place} then"
    if isinstance(deployments, Unread):
        return leave_open(Area.TEMPLATE, _PLACE, deployments, refusal)
    there = [
        each.name
        for each in deployments
        if (each.deployment_type, each.cloud_provider.upper(), each.region) == ("STANDARD", cloud, region)
    ]
    if there:
        return make_check(Area.TEMPLATE, _PLACE, Status.OK, f"{cloud} {region}, as {name_some(there[:1])} is")
    found = f"{cloud} {region}, where the workspace has no Deployment yet"
    return make_check(Area.TEMPLATE, _PLACE, Status.NOT_KNOWN, found, refusal)


def _judge_cluster(name: str, facts: TemplateFacts, place: str) -> Check:
    clusters = facts.clusters
    if isinstance(clusters, Unread):
        refusal = "a cluster that is not there fails in the task create"
        return leave_open(Area.TEMPLATE, _PLACE, clusters, refusal)
    if not clusters:
        advice = f"correct cluster_name in {place}: names count letter by letter"
        return make_check(Area.TEMPLATE, _PLACE, Status.FAIL, f"the organization has no cluster '{name}'", advice)
    one = clusters[0]
    if one.workspaces and facts.workspace_id not in one.workspaces:
        advice = "have the organization's owner authorize the workspace for it, or name another cluster"
        return make_check(Area.TEMPLATE, _PLACE, Status.FAIL, f"cluster '{name}' is not for the workspace", advice)
    if one.status != _MADE:
        advice = "see in Astro what ails it; creates wait or fail until then"
        return make_check(Area.TEMPLATE, _PLACE, Status.WARN, f"cluster '{name}' is {one.status}", advice)
    return make_check(Area.TEMPLATE, _PLACE, Status.OK, f"cluster '{name}', {one.kind}")


def _judge_secrets(template: Template, place: str) -> Check:
    empty = find_unfilled(template)
    if not empty:
        return make_check(Area.TEMPLATE, _SECRETS, Status.OK, "none that nothing fills")
    advice = (
        f"let previews.environment fill each of them (docs/policy.md), remove it from {place}, or set it by hand in "
        f"each new preview"
    )
    return make_check(Area.TEMPLATE, _SECRETS, Status.WARN, f"{name_some(empty)}: empty in each new preview", advice)


def _judge_backend(template: Template, previews: Previews) -> Check:
    """Judge what leads code of a preview to other secrets than it is given; creates are held for what nobody named."""
    if keys := find_uninherited(template, previews.inherit):
        advice = "remove it, or name it in previews.inherit, as said here: until then no preview is made"
        return make_check(Area.TEMPLATE, _BACKEND, Status.FAIL, describe_uninherited(template.source, keys), advice)
    inherited = [key for key in find_uninherited(template, ()) if is_about_secrets(key)]
    if inherited and template.mapped:
        found = f"{name_some(inherited)}: what it has comes before what previews.environment maps under the same id"
        advice = f"remove {name_some(inherited)} from the template, or map nothing that the backend has, too"
        return make_check(Area.TEMPLATE, _BACKEND, Status.WARN, found, advice)
    told = f"{name_some(inherited)}, by previews.inherit" if inherited else "none"
    return make_check(Area.TEMPLATE, _BACKEND, Status.OK, told)


def _judge_sleep(template: Template, previews: Previews, place: str) -> Check:
    """Judge whether previews can sleep where the policy wants it."""
    if previews.hibernate_after is None:
        return make_check(Area.TEMPLATE, _SLEEP, Status.OK, "the policy wants none")
    if not template.configuration.get("is_development_mode"):
        advice = f"write is_development_mode: true into {place}, or remove previews.hibernate_after"
        found = "never: only Deployments in development mode hibernate"
        return make_check(Area.TEMPLATE, _SLEEP, Status.WARN, found, advice)
    if problems := [str(each) for each in find_sleep_problems(template.configuration)]:
        advice = f"correct it in {place}, or remove previews.hibernate_after"
        return make_check(Area.TEMPLATE, _SLEEP, Status.WARN, "; ".join(problems), advice)
    return make_check(Area.TEMPLATE, _SLEEP, Status.OK, "they can")
