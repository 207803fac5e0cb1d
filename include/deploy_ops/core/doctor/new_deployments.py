"""What awaits each preview that will be made: how it gets DAGs, whether there is room, what links itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Unread, leave_open, make_check, name_some
from include.deploy_ops.core.environment.mapping import is_about_secrets, name_key
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.template.rules import name_deployment_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.deploy_ops.core.doctor.astro_facts import AstroFacts, LinkedObject
    from include.deploy_ops.core.policy.keys import Previews, Project

_DAGS, _ROOM, _LINKS = "DAG deploys of previews", "room for previews", "objects that link themselves"
_PARTS = {"CONNECTION": "connections", "AIRFLOW_VARIABLE": "variables", "ENVIRONMENT_VARIABLE": "environment_variables"}
"""Kinds of environment objects that code of a preview can read, and what a mapping calls the same."""


def judge_new_deployments(facts: AstroFacts, project: Project, control_plane: str) -> Iterator[Check]:
    """Yield the checks of what is to be made; none where the project has no previews."""
    if project.previews is not None:
        yield _judge_dag_deploys(facts, project, project.previews)
        yield _judge_room(facts, project, project.previews, control_plane)
        yield _judge_links(facts, project.previews)


def _judge_dag_deploys(facts: AstroFacts, project: Project, previews: Previews) -> Check:
    template = facts.template
    if isinstance(template, Unread):
        return leave_open(Area.ASTRO, _DAGS, template, "without them each push is an image deploy")
    is_on = template.configuration.get("dag_deploy_enabled") if template is not None else None
    if is_on is False:
        advice = f"write dag_deploy_enabled: true into configuration of {previews.template} on {project.trunk}"
        return make_check(Area.ASTRO, _DAGS, Status.WARN, "off: each push is an image deploy", advice)
    return make_check(
        Area.ASTRO, _DAGS, Status.OK, "on" if is_on else "on, as Astro has them where the template is silent"
    )


def _judge_room(facts: AstroFacts, project: Project, previews: Previews, control_plane: str) -> Check:
    refusal = "a create beyond Astro's limit fails in the task create, with Astro's own words"
    if _is_standard_refused(facts):
        advice = f"write deployment_type: DEDICATED and a cluster_name into {previews.template} on {project.trunk}"
        return make_check(Area.ASTRO, _ROOM, Status.FAIL, "the organization takes dedicated clusters alone", advice)
    if isinstance(facts.deployments, Unread):
        return leave_open(Area.ASTRO, _ROOM, facts.deployments, refusal)
    live = find_previews(facts.deployments, control_plane, project)
    count = sum(map(len, live.values()))
    if count >= previews.max_live:
        found = f"{count} previews live, max_live is {previews.max_live}: new ones wait"
        return make_check(
            Area.ASTRO, _ROOM, Status.WARN, found, "raise previews.max_live, or delete previews by their form"
        )
    if refused := next(((branch, why) for branch, why in facts.refused.items() if branch not in live), None):
        advice = "do what it says; where it is a limit, have it raised in Astro, or delete previews by their form"
        return make_check(Area.ASTRO, _ROOM, Status.FAIL, f"{refused[0]} has no preview: {refused[1]}", advice)
    seen = "" if isinstance(facts.count, Unread) else f", {facts.count} in the organization"
    found = (
        f"{len(facts.deployments)} Deployments in the workspace{seen} as the token sees it, and "
        f"{previews.max_live - count} may come by max_live"
    )
    if count:
        told = f"{found}; Astro made {count} previews, and its API tells no limit"
        return make_check(Area.ASTRO, _ROOM, Status.OK, told)
    found = f"{found}; Astro's API tells no limit, and no preview was made yet"
    return make_check(Area.ASTRO, _ROOM, Status.NOT_KNOWN, found, f"compare with the limit of your plan; {refusal}")


def _is_standard_refused(facts: AstroFacts) -> bool:
    """Whether the template asks for what the organization does not take."""
    template, organization = facts.template, facts.organization
    if template is None or isinstance(template, Unread) or isinstance(organization, Unread):
        return False
    return organization.takes_dedicated_only and name_deployment_type(template.configuration) == "STANDARD"


def _judge_links(facts: AstroFacts, previews: Previews) -> Check:
    linked = facts.linked
    if isinstance(linked, Unread):
        refusal = "in Astro, Environment Manager shows which objects are linked to all Deployments: previews, too"
        return leave_open(Area.ASTRO, _LINKS, linked, refusal)
    readable = [each for each in linked if each.kind in _PARTS]
    if not readable:
        return make_check(Area.ASTRO, _LINKS, Status.OK, "none that a preview's code can read")
    told = name_some(f"{_PARTS[each.kind]}.{each.key}" for each in readable)
    advice = "in Astro's Environment Manager, let each of them be linked to the Deployments that need it, not to all"
    if shadows := _find_shadows(readable, previews):
        found = f"{told}; {name_some(shadows)} would stand beside or before what previews.environment maps"
        return make_check(Area.ASTRO, _LINKS, Status.FAIL, found, advice)
    return make_check(Area.ASTRO, _LINKS, Status.WARN, f"whoever pushes a branch can read {told}", advice)


def _find_shadows(linked: Sequence[LinkedObject], previews: Previews) -> list[str]:
    """Return the objects by which a preview reads other values than the mapping gives."""
    mapped = {each.key.upper() for each in previews.environment.mapped}
    if not mapped:
        return []
    keys = [(each.key, name_key(_PARTS[each.kind], each.key).upper()) for each in linked]
    return [name for name, key in keys if key in mapped or is_about_secrets(key)]
