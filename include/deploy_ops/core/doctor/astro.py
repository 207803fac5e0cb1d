"""How it stands with Astro: the token, the organization, the workspace and its Deployments → checks with advice."""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, leave_open, make_check, name_some
from include.deploy_ops.core.doctor.new_deployments import judge_new_deployments
from include.deploy_ops.core.doctor.runtimes import judge_runtimes
from include.deploy_ops.core.model import DeploymentStatus
from include.deploy_ops.core.policy.values import REUSE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from include.deploy_ops.core.doctor.astro_facts import AstroFacts, Organization, Place, Role
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.keys import Project, Target

NOTICE = timedelta(days=14)
"""How long before its end a token, or a trial, is a warning: time enough for whoever may make another."""

_NEEDED = "WORKSPACE_OPERATOR"
_OWNERS = frozenset({"WORKSPACE_OWNER", "ORGANIZATION_OWNER"})
_TOO_LITTLE = frozenset({"WORKSPACE_AUTHOR", "WORKSPACE_MEMBER", "WORKSPACE_ACCESSOR"})
_OFFERED = "Workspace Settings > Access Management > API Tokens"
_NOBODY = frozenset({Cause.SILENCE, Cause.UNUSABLE})
_ACTIVE = frozenset({"", "ACTIVE"})


def judge_astro(facts: AstroFacts, project: Project, control_plane: str, now: datetime) -> tuple[Check, ...]:
    """Return the checks of the area, in the table's order."""
    return (
        _judge_connection(facts.place, project),
        _judge_token(facts, project),
        _judge_expiry(facts, project, now),
        _judge_role(facts, project),
        _judge_organization(facts, project, now),
        _judge_workspace(facts, project),
        *(each for name, target in project.targets.items() for each in _judge_target(facts, name, target)),
        *judge_runtimes(facts, project),
        *judge_new_deployments(facts, project, control_plane),
        *_judge_pull(facts, project),
    )


def _check(name: str, status: Status, found: str, advice: str = "") -> Check:
    return make_check(Area.ASTRO, name, status, found, advice)


def _advise_token(project: Project) -> str:
    return (
        f"in Astro, under {_OFFERED}, make a token with the role Workspace Operator, and put it whole into the "
        f"password of the Airflow connection '{project.astro_conn_id}'; what that voids: docs/operating.md, Rotate the "
        f"Astro token"
    )


def _judge_connection(place: Fact[Place], project: Project) -> Check:
    name = "connection"
    if isinstance(place, Unread):
        advice = f"make or correct the Airflow connection '{project.astro_conn_id}': docs/install.md"
        return _check(name, Status.FAIL, place.why, f"{advice}, Connect the real thing")
    if place.forbidden:
        return _check(name, Status.FAIL, place.forbidden, "name another connection, or have the workspace added there")
    return _check(
        name, Status.OK, f"{place.conn_id}: organization {place.organization_id}, workspace {place.workspace_id}"
    )


def _judge_token(facts: AstroFacts, project: Project) -> Check:
    """Judge whether the token is one, and whether Astro takes it."""
    name = "token"
    asked = (facts.organization, facts.workspace, facts.deployments)
    if isinstance(facts.claims, Unread) and facts.claims.cause is Cause.WRONG:
        return _check(name, Status.FAIL, facts.claims.why, _advise_token(project))
    unread = [each for each in asked if isinstance(each, Unread)]
    if refused := next((each for each in unread if each.cause is Cause.TOKEN), None):
        return _check(name, Status.FAIL, refused.why, _advise_token(project))
    if len(unread) == len(asked) and all(each.cause in _NOBODY for each in unread):
        return leave_open(Area.ASTRO, name, unread[0], "one that Astro does not take shows as HTTP 401 in each pass")
    return _check(name, Status.OK, "Astro takes it")


def _judge_expiry(facts: AstroFacts, project: Project, now: datetime) -> Check:
    name, refusal = "token's end", "one that has ended shows as HTTP 401 in each pass"
    claims, record = facts.claims, facts.record
    told = [] if isinstance(claims, Unread) else [claims.expires_at]
    told += [] if isinstance(record, Unread) else [record.ends_at]
    ends = [each for each in told if each is not None]
    if not ends:
        unread = record if isinstance(record, Unread) else claims
        if isinstance(unread, Unread):
            return leave_open(Area.ASTRO, name, unread, refusal)
        return _check(name, Status.OK, "it has none")
    left = min(ends) - now
    found = f"{min(ends):%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        return _check(name, Status.FAIL, f"it ended {found}", _advise_token(project))
    if left <= NOTICE:
        return _check(name, Status.WARN, f"it ends {found}, in {left.days} days", _advise_token(project))
    return _check(name, Status.OK, f"it ends {found}")


def _judge_role(facts: AstroFacts, project: Project) -> Check:
    name = "token's role"
    refusal = (
        "one that is too small shows as HTTP 403 in the tasks create, deploy, hibernate and delete, which come again: "
        "make a token with the role Workspace Operator then"
    )
    if isinstance(facts.place, Unread):
        return leave_open(Area.ASTRO, name, facts.place, refusal)
    if isinstance(facts.record, Unread):
        return leave_open(Area.ASTRO, name, facts.record, refusal)
    roles = _find_roles(facts.record.roles, facts.place)
    return _weigh_roles(name, roles, refusal, project)


def _find_roles(roles: Sequence[Role], place: Place) -> list[str]:
    """Return the names of the roles that count in the workspace."""
    return [each.name for each in roles if each.entity_id in {place.workspace_id, place.organization_id}]


def _weigh_roles(name: str, roles: Sequence[str], refusal: str, project: Project) -> Check:
    told = name_some(roles) or "none in this workspace"
    if any(each in _OWNERS for each in roles):
        return _check(name, Status.WARN, f"{told}: more than it needs", _advise_token(project))
    if _NEEDED in roles:
        return _check(name, Status.OK, told)
    own = [each for each in roles if each not in _TOO_LITTLE and not each.startswith("ORGANIZATION_")]
    if own:
        found = f"{told}: a role of the organization's own"
        return _check(name, Status.NOT_KNOWN, found, f"let it have all that Workspace Operator has; {refusal}")
    return _check(name, Status.FAIL, f"{told}: too little to create Deployments", _advise_token(project))


def _judge_organization(facts: AstroFacts, project: Project, now: datetime) -> Check:
    name, found = "organization", facts.organization
    correct = f"correct organization_id in the extra of '{project.astro_conn_id}', or put a token of it there"
    if other := _find_other(facts, "organizations"):
        return _check(name, Status.FAIL, f"the token is of {other}, and the Astro CLI works there", correct)
    if isinstance(found, Unread):
        if found.cause is Cause.ABSENT:
            return _check(name, Status.FAIL, found.why, correct)
        return leave_open(Area.ASTRO, name, found, "a wrong organization_id shows as HTTP 403 or 404 in each pass")
    return _weigh_organization(name, found, now)


def _weigh_organization(name: str, found: Organization, now: datetime) -> Check:
    if found.status not in _ACTIVE:
        advice = "have its owner make it active again: Astro runs nothing there"
        return _check(name, Status.FAIL, f"{found.name} is {found.status}", advice)
    if found.trial_ends_at is not None and found.trial_ends_at - now <= NOTICE:
        told = f"{found.name}: its trial ends {found.trial_ends_at:%Y-%m-%d}"
        return _check(name, Status.WARN, told, "have its owner choose a plan before that")
    return _check(name, Status.OK, found.name)


def _judge_workspace(facts: AstroFacts, project: Project) -> Check:
    name, found = "workspace", facts.workspace
    correct = f"correct workspace_id in the extra of '{project.astro_conn_id}', or put a token of it there"
    if other := _find_other(facts, "workspaces"):
        return _check(name, Status.FAIL, f"the token is of {other}, and the Astro CLI works there", correct)
    if isinstance(found, Unread):
        if found.cause is Cause.ABSENT:
            return _check(name, Status.FAIL, found.why, correct)
        return leave_open(Area.ASTRO, name, found, "a wrong workspace_id shows in the task plan: no such workspace")
    return _check(name, Status.OK, found)


def _find_other(facts: AstroFacts, kind: Literal["organizations", "workspaces"]) -> str:
    """Return which organization or workspace the token says that it is of, if that is not the connection's."""
    if isinstance(facts.claims, Unread) or isinstance(facts.place, Unread):
        return ""
    if kind == "organizations":
        claimed, wanted = facts.claims.organizations, facts.place.organization_id
    else:
        claimed, wanted = facts.claims.workspaces, facts.place.workspace_id
    return "" if wanted in claimed else name_some(claimed)


def _judge_target(facts: AstroFacts, name: str, target: Target) -> Iterator[Check]:
    place, dags = f"target {name}", f"DAG deploys of {name}"
    listed = facts.deployments
    if isinstance(listed, Unread):
        yield leave_open(Area.ASTRO, place, listed, "a target that is not there is held by the pass")
        yield leave_open(Area.ASTRO, dags, listed, "without them each push is an image deploy")
        return
    found = [each for each in listed if each.name == target.deployment]
    yield _weigh_target(place, found) if found else _explain_absence(place, target, listed, facts.elsewhere)
    if len(found) == 1 and not found[0].problem:
        yield _weigh_dag_deploys(dags, found[0], target)
    else:
        yield leave_open(Area.ASTRO, dags, Unread("not one Deployment to look at", Cause.ABSENT), f"see {place}")


def _weigh_target(place: str, found: Sequence[Deployment]) -> Check:
    if len(found) > 1:
        ids = name_some(each.id for each in found)
        return _check(place, Status.FAIL, f"{len(found)} are called so: {ids}", "rename all but one of them in Astro")
    one = found[0]
    if one.problem:
        return leave_open(Area.ASTRO, place, Unread(one.doubt), "it is held while nobody can read it")
    told = f"'{one.name}' ({one.id}) is {one.status.name}"
    if one.status is DeploymentStatus.UNHEALTHY:
        why = f": {one.status_reason}" if one.status_reason else ""
        return _check(place, Status.WARN, f"{told}{why}", f"see what ails it: {one.astro_url}")
    return _check(place, Status.OK, told)


def _explain_absence(
    place: str, target: Target, listed: Sequence[Deployment], elsewhere: Fact[tuple[Deployment, ...]]
) -> Check:
    name = target.deployment
    others = () if isinstance(elsewhere, Unread) else [each for each in elsewhere if each.name == name]
    if others:
        ids = name_some(each.workspace_id for each in others)
        advice = "give the project a connection (astro_conn_id) that leads there, or correct the target's deployment"
        return _check(place, Status.FAIL, f"'{name}' is in another workspace: {ids}", advice)
    near = difflib.get_close_matches(name, [each.name for each in listed], n=3)
    hint = f"; there is {name_some(map(repr, near))}" if near else ""
    advice = "make it in Astro, or correct the target's deployment in the policy: names count letter by letter"
    return _check(place, Status.FAIL, f"the workspace has no Deployment '{name}'{hint}", advice)


def _weigh_dag_deploys(name: str, deployment: Deployment, target: Target) -> Check:
    if deployment.is_dag_deploy_enabled:
        return _check(name, Status.OK, "on")
    is_asked = target.deploy_type == "dags"
    found = "off, and deploy_type is dags" if is_asked else "off: each push is an image deploy"
    advice = f"astro deployment update {deployment.id} --dag-deploy enable, then deploy image and DAGs once by the form"
    return _check(name, Status.FAIL if is_asked else Status.WARN, found, advice)


def _judge_pull(facts: AstroFacts, project: Project) -> Iterator[Check]:
    """Judge whether images of Deployments can be copied, where the policy wants that."""
    if REUSE not in project.image:
        return
    name, pull = "pull of deployed images", facts.pull
    others = [each for each in project.image if each != REUSE]
    instead = f"{name_some(others)} serves in its place" if others else 'name another source: image: ["<name>:{sha}"]'
    if pull is None:
        unread = Unread("no Deployment of the project runs an image yet", Cause.ABSENT)
        yield leave_open(Area.ASTRO, name, unread, f"a refusal shows in the task image; {instead}")
    elif isinstance(pull, Unread) and pull.cause is Cause.RIGHT:
        status = Status.WARN if others else Status.FAIL
        yield _check(name, status, pull.why, f"take reuse out of the project's image list; {instead}")
    elif isinstance(pull, Unread):
        yield leave_open(Area.ASTRO, name, pull, f"a refusal shows in the task image; {instead}")
    elif not pull.is_there:
        found = f"the registry has no {pull.image}, which {pull.deployment} runs"
        yield _check(name, Status.WARN, found, f"deploy an image to {pull.deployment}; until then {instead}")
    else:
        yield _check(name, Status.OK, f"a HEAD of {pull.deployment}'s image is answered")
