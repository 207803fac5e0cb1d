"""Desired previews vs what Astro has → the difference: pieces of work and holds.

Pure: no clock, no network, no memory. What was tried before, and what a pass may do at once, is `schedule.py`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.history import DeployHistory
from include.deploy_ops.naming import digest_work, name_deployment, name_work, parse_mark, slug_branch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from include.deploy_ops.desired import DesiredPreviews
    from include.deploy_ops.model import Branch, Deployment, Mark
    from include.deploy_ops.policy import Project


PREVIEW_DAG = "preview"
PROMOTION_DAG = "promotion"
REQUEST_DAG = "request"


class Verb(Enum):
    """What a run does to its environment, most urgent first; the last three are only done for a person."""

    DELETE = "delete"
    CREATE = "create"
    DEPLOY = "deploy"
    MERGE = "merge"
    REQUEST = "request"
    PROMOTE = "promote"
    UPDATE = "update"
    HIBERNATE = "hibernate"
    ADOPT = "adopt"
    RESUME = "resume"
    KEEP = "keep"

    @property
    def rank(self) -> int:
        """Order in a pass: deletes free room, updates are never urgent."""
        return list(Verb).index(self)


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work that would bring one environment closer to Git.

    `name` is the run id without its attempt. `deployment_id` is empty for a create; `observed` is the id of the newest
    successful deploy record, empty when there is none. Of a target: `target` is its name in the policy, `commit` what
    is deployed where that is not `head` itself, `pull` and `base` the pull request and its base's head. `due_at`: it
    waits until then, since people were told so; only what nobody uses has one. `is_released`: a person approved it.
    """

    verb: Verb
    branch: str
    head: str
    slug: str
    deployment_name: str
    deployment_id: str
    observed: str
    digest: str
    reason: str
    target: str = ""
    commit: str = ""
    pull: int = 0
    base: str = ""
    due_at: datetime | None = None
    is_released: bool = False

    @property
    def is_expiry(self) -> bool:
        """Whether it is done because nobody uses the preview, whose branch lives."""
        return self.due_at is not None

    @property
    def rank(self) -> int:
        """Order in a pass: what a branch asks for comes before the end of what nobody uses."""
        return Verb.HIBERNATE.rank if self.is_expiry else self.verb.rank

    @property
    def name(self) -> str:
        """The run id without its attempt."""
        return name_work(self.slug, self.verb.value, self.head, self.digest)

    @property
    def environment(self) -> str:
        """What people call the environment: the target's name, or the branch's."""
        return self.target or self.branch

    @property
    def deployed_commit(self) -> str:
        """The commit whose files are deployed."""
        return self.commit or self.head

    @property
    def home_dag(self) -> str:
        """The project's DAG whose runs claim the environment, by its id without the project."""
        if self.verb is Verb.PROMOTE:
            return PROMOTION_DAG
        return self.target or PREVIEW_DAG

    @property
    def dag(self) -> str:
        """The project's DAG that does it. A request has its own, and claims nothing: a person may take days."""
        return f"{self.home_dag}.{REQUEST_DAG}" if self.verb is Verb.REQUEST else self.home_dag

    def __str__(self) -> str:
        return f"{self.verb.value} {self.environment} at {self.head[:12]}: {self.reason}"


class HoldKind(Enum):
    """Why something is held, for those who sort and colour; the reason says it in words."""

    PERSON = "person"  # until a person mends or decides something
    FLIGHT = "flight"  # a run of the environment is at work
    FROZEN = "frozen"  # its DAG is paused, or nothing may be written
    FAILED = "failed"  # until what failed moves
    FAILING = "failing"  # it comes again by itself
    WAITING = "waiting"  # it comes by itself: room, a turn, a time that was told
    ENDED = "ended"  # nobody wants it at this head any more


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that would be done, or would be looked at, and is not; with the reason and what ends it.

    `environment` is a branch's or a target's name. `is_brief` means that it ends by itself within seconds, of which
    nobody tells us.
    """

    environment: str
    what: str
    reason: str
    is_brief: bool = False
    kind: HoldKind = HoldKind.PERSON

    def __str__(self) -> str:
        return f"{self.what} {self.environment} held: {self.reason}"


@dataclass(frozen=True, slots=True)
class TemplateState:
    """What the planner needs of the rendered template.

    `missing` and `fixed` give, per Deployment id, what it lacks of the template and what the CLI cannot update.
    `problem` holds every create and update when the template cannot be read.
    """

    fingerprint: str
    missing: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, tuple[str, ...]]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """One pass's view of Astro: every Deployment of the workspace, and the history of ours."""

    deployments: tuple[Deployment, ...]
    histories: Mapping[str, DeployHistory]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is due, and what is held, in a fixed order.

    `live` counts this project's previews in any status; `missing` lists the wanted branches that have none.
    """

    works: tuple[Work, ...]
    holds: tuple[Hold, ...]
    live: int
    missing: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pass:
    project: Project
    control_plane: str
    policy: str
    desired: DesiredPreviews
    observed: Observed
    template: TemplateState


def is_own(mark: Mark | None, control_plane: str, project: Project) -> bool:
    """Whether the mark is this control plane's for this project. Anything else is never touched."""
    return mark is not None and (mark.control_plane, mark.project, mark.repository) == (
        control_plane,
        project.name,
        project.repository,
    )


def find_previews(
    deployments: Iterable[Deployment], control_plane: str, project: Project
) -> dict[str, list[tuple[Deployment, Mark]]]:
    """Return our previews of the project by branch; more than one for a branch is a fault that the planner holds."""
    found: dict[str, list[tuple[Deployment, Mark]]] = defaultdict(list)
    for deployment in sorted(deployments, key=lambda each: each.id):
        mark = parse_mark(deployment.description)
        if mark is not None and is_own(mark, control_plane, project):
            found[mark.branch].append((deployment, mark))
    return dict(found)


def compare(
    project: Project,
    *,
    control_plane: str,
    policy: str,
    targets: Collection[str],
    desired: DesiredPreviews,
    observed: Observed,
    template: TemplateState,
) -> Difference:
    """Return the difference between what should be and what is, as work and holds.

    `policy` is the fingerprint of the project's policy, `targets` names the long-lived Deployments of every project.
    The order of observations does not matter.
    """
    view = _Pass(project, control_plane, policy, desired, observed, template)
    previews = find_previews(observed.deployments, control_plane, project)
    taken = {each.name: each for each in sorted(observed.deployments, key=lambda each: each.id)}
    found: list[Work | Hold] = []
    for branch in sorted(desired.wanted.keys() | previews.keys()):
        own = previews.get(branch, [])
        if len(own) > 1:
            found.append(_hold_twins(branch, own))
        elif own and own[0][0].name in targets:
            found.append(_hold_target(branch, own[0][0].name))
        elif branch not in desired.wanted:
            found.append(_end_preview(view, branch, *own[0]))
        elif own:
            found.extend(_keep_preview(view, branch, *own[0]))
        elif (name := name_deployment(project.name, branch)) in targets:
            found.append(_hold_target(branch, name))
        else:
            found.append(_begin_preview(view, branch, taken))
    works = sorted((each for each in found if isinstance(each, Work)), key=lambda work: (work.verb.rank, work.branch))
    holds = tuple(each for each in found if isinstance(each, Hold))
    missing = tuple(branch for name, branch in sorted(desired.wanted.items()) if name not in previews)
    return Difference(tuple(works), holds, sum(map(len, previews.values())), missing)


def _hold_target(branch: str, name: str) -> Hold:
    return Hold(branch, "anything", f"'{name}' is a target of the policy; targets are never previews")


def _hold_twins(branch: str, own: Sequence[tuple[Deployment, Mark]]) -> Hold:
    names = " and ".join(f"'{deployment.name}' ({deployment.id})" for deployment, _ in own)
    return Hold(branch, "anything", f"{names} carry the same mark; delete the one that is not wanted, in Astro")


def _end_preview(view: _Pass, branch: str, deployment: Deployment, mark: Mark) -> Work | Hold:
    if branch in view.desired.ended:
        reason = view.desired.ended[branch]
    elif branch in view.desired.existing:
        return Hold(
            branch, "anything", "the branch matches the policy no longer; its preview stays until the branch goes"
        )
    else:
        reason = "the branch is gone"
    head = _head_of(view, deployment)
    return _work(view, Verb.DELETE, branch, head, deployment, mark, reason)


def _head_of(view: _Pass, deployment: Deployment) -> str:
    history = view.observed.histories.get(deployment.id, DeployHistory())
    return history.head or "0" * 40


def _begin_preview(view: _Pass, branch: str, taken: Mapping[str, Deployment]) -> Work | Hold:
    name = name_deployment(view.project.name, branch)
    if name in taken:
        return Hold(branch, Verb.CREATE.value, describe_taken(taken[name], view.control_plane, view.project))
    if view.template.problem:
        return Hold(branch, Verb.CREATE.value, view.template.problem)
    head = view.desired.wanted[branch].head
    return _work(view, Verb.CREATE, branch, head, None, None, "the branch has no Deployment")


def describe_taken(deployment: Deployment, control_plane: str, project: Project) -> str:
    """Return why a new preview cannot have its name: somebody's Deployment bears it, or another branch's preview."""
    mark = parse_mark(deployment.description)
    bears = f"'{deployment.name}' ({deployment.id})"
    if mark is not None and is_own(mark, control_plane, project):
        return f"{bears} is the preview of '{mark.branch}'; rename it in Astro"
    return f"a Deployment named {bears} exists without our mark; rename or delete it in Astro, or adopt it by the form"


def _keep_preview(view: _Pass, branch: str, deployment: Deployment, mark: Mark) -> list[Work | Hold]:
    found: list[Work | Hold] = []
    head = view.desired.wanted[branch].head
    history = view.observed.histories.get(deployment.id, DeployHistory())
    if history.head != head:
        reason = f"{history.head[:12]} is deployed" if history.head else "nothing of ours is deployed"
        found.append(_work(view, Verb.DEPLOY, branch, head, deployment, mark, reason))
    elif history.overridden_by:
        found.append(Hold(branch, Verb.DEPLOY.value, f"overridden by {history.overridden_by}, until the branch moves"))
    found.extend(_keep_configuration(view, branch, head, deployment, mark))
    return found


def _keep_configuration(
    view: _Pass, branch: str, head: str, deployment: Deployment, mark: Mark
) -> Iterable[Work | Hold]:
    template = view.template
    if template.problem:
        yield Hold(branch, Verb.UPDATE.value, template.problem)
        return
    missing = template.missing.get(deployment.id, ())
    if mark.template == template.fingerprint and not missing:
        return
    if fixed := template.fixed.get(deployment.id, ()):
        yield Hold(branch, Verb.UPDATE.value, f"recreate it, Astro cannot change these: {'; '.join(fixed)}")
        return
    reason = f"it lacks {', '.join(missing)}" if missing else "the template changed"
    yield _work(view, Verb.UPDATE, branch, head, deployment, mark, reason)


def _work(
    view: _Pass, verb: Verb, branch: str, head: str, deployment: Deployment | None, mark: Mark | None, reason: str
) -> Work:
    deployment_id = deployment.id if deployment else ""
    observed = view.observed.histories.get(deployment_id, DeployHistory()).newest_id
    digest = digest_work(
        {
            "project": view.project.name,
            "branch": branch,
            "verb": verb.value,
            "head": head,
            "deployment": deployment_id,
            "deploy": observed,
            "mark": mark.template if mark else "",
            "template": view.template.fingerprint,
            "policy": view.policy,
        }
    )
    return Work(
        verb=verb,
        branch=branch,
        head=head,
        slug=slug_branch(branch),
        deployment_name=deployment.name if deployment else name_deployment(view.project.name, branch),
        deployment_id=deployment_id,
        observed=observed,
        digest=digest,
        reason=reason,
    )
