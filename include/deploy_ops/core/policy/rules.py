"""What keys of a policy must be to one another: within one project, and between projects.

Each value alone was checked before; here nothing is read and nothing is repaired.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.policy.keys import (
    Approvers,
    Previews,
    Project,
    Promotion,
    Requires,
    Target,
    WindowRules,
    is_matched,
)
from include.deploy_ops.core.policy.sources import find_environment_problems, fold_id
from include.deploy_ops.core.policy.values import BUILD
from include.deploy_ops.core.policy.windows import Hours
from include.deploy_ops.core.template.rules import find_override_problems
from include.deploy_ops.core.text.schema import Location, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping


RESERVED_NAMES = frozenset(
    {"control", "preview", "promotion", "cleanup", "feedback", "commands", "orphans", "doctor", "template", "what_if"}
)
"""A target's DAG is called <project>.<target>; these are other DAGs of the project, or of a project `deploy_ops`."""

_OTHERS_MAX = 3


def find_project_problems(project: Project) -> tuple[Problem, ...]:
    """Return what is wrong between the keys of one project; locations begin below the project."""
    found = [*_check_image(project.image), *_check_also_watch(project)]
    if project.previews is not None:
        found += [each.move_below("previews") for each in _check_previews(project.previews, project)]
    if project.promotion is not None:
        found += [each.move_below("promotion") for each in _check_promotion(project.promotion, project)]
    for name, target in project.targets.items():
        found += [each.move_below("targets", name) for each in _check_target(name, target)]
        if target.template is not None:
            found += [each.move_below("targets", name) for each in _check_template(target.template, project)]
    if project.feedback.commands and project.previews is None:
        message = "words on pull requests are about previews, of which the project has none; leave it out"
        found.append(Problem(("feedback", "commands"), message))
    found += [*_check_releases(project), *_check_people(project.people), *_check_verify(project)]
    found += [*_check_requires(project)]
    return tuple(found)


def _check_image(sources: tuple[str, ...]) -> Iterator[Problem]:
    for index, source in enumerate(sources):
        if source in sources[:index]:
            yield Problem(("image", index), f"'{source}' stands in the list before; remove one")


def _check_also_watch(project: Project) -> Iterator[Problem]:
    for index, path in enumerate(project.also_watch):
        if is_below(path, project.root):
            where = f"lies inside the root '{project.root}', which is watched anyway; remove it"
            yield Problem(("also_watch", index), f"'{path}' {where}")
        elif is_below(project.root, path):
            yield Problem(
                ("also_watch", index), f"'{path}' holds the root '{project.root}' itself; name folders beside the root"
            )


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder or lies in it, by whole segments; everything lies in "."."""
    return folder == "." or f"{path}/".startswith(f"{folder}/")


def _check_previews(previews: Previews, project: Project) -> Iterator[Problem]:
    if not previews.build and set(project.image) == {BUILD}:
        message = (
            "previews have no image: the project's 'image' list has 'build' alone, by which whoever pushes a branch "
            "owns the worker's container engine; name another source there, or add 'build: true' here"
        )
        yield Problem(("build",), message)
    for index, pattern in enumerate(previews.branches):
        for branch in sorted(project.named_branches):
            if is_matched(branch, (pattern,)) and not is_matched(branch, previews.exclude):
                message = (
                    f"'{pattern}' matches '{branch}', which the project names elsewhere; add it to previews.exclude"
                )
                yield Problem(("branches", index), message)
    yield from _check_template(previews.template, project)
    if previews.hibernate_after and previews.delete_after and previews.hibernate_after >= previews.delete_after:
        message = f"{previews.hibernate_after} is not before delete_after, {previews.delete_after}; make it shorter"
        yield Problem(("hibernate_after",), message)
    if previews.delete_after and previews.delete_notice >= previews.delete_after:
        message = f"{previews.delete_notice} is not shorter than delete_after, {previews.delete_after}; make it shorter"
        yield Problem(("delete_notice",), message)
    if sorted(previews.activity) not in (["deploys"], ["deploys", "runs"]):
        message = f"{list(previews.activity)}: pushes and deploys count always; write [deploys], or [deploys, runs]"
        yield Problem(("activity",), message)
    yield from _check_copies(previews)
    yield from (each.move_below("overrides") for each in find_override_problems(previews.overrides))
    yield from (each.move_below("environment") for each in find_environment_problems(previews.environment))
    if previews.environment.pools and previews.verify is None:
        message = "the verify step lays them, and nothing is verified; add previews.verify"
        yield Problem(("environment", "pools"), message)


def _check_template(template: str, project: Project) -> Iterator[Problem]:
    dags = "dags" if project.root == "." else f"{project.root}/dags"
    if is_below(template, dags):
        message = f"'{template}' lies in {dags}/, which is deployed as code; move it, such as to deployments/"
        yield Problem(("template",), message)


def _check_copies(previews: Previews) -> Iterator[Problem]:
    if previews.copy_variables and previews.template_from is None:
        yield Problem(("copy_variables",), "nothing is copied from anywhere; add template_from, or remove it")
    for index, key in enumerate(previews.copy_variables):
        if key in previews.copy_variables[:index]:
            yield Problem(("copy_variables", index), f"'{key}' stands in the list before; remove one")


def _check_promotion(promotion: Promotion, project: Project) -> Iterator[Problem]:
    named = {promotion.into, promotion.deploy_branch, project.trunk}
    for index, pattern in enumerate(promotion.sources):
        for branch in sorted(named):
            if is_matched(branch, (pattern,)):
                yield Problem(
                    ("from", index), f"'{pattern}' matches '{branch}'; expected patterns of people's branches"
                )
    if promotion.deploy_branch in {promotion.into, project.trunk}:
        message = (
            f"'{promotion.deploy_branch}' is written by us alone, so it cannot be 'into' or the trunk; name another"
        )
        yield Problem(("deploy_branch",), message)


def _check_target(name: str, target: Target) -> Iterator[Problem]:
    if name in RESERVED_NAMES:
        yield Problem((), f"the name '{name}' belongs to another DAG of the project; choose another name")
    if (target.branch is None) == (target.pull_request is None):
        found = "neither" if target.branch is None else "both"
        yield Problem((), f"found {found}, expected either 'branch' or 'pull_request'")
    if target.pull_request is not None and target.pull_request.source == target.pull_request.into:
        yield Problem(("pull_request", "into"), f"'{target.pull_request.into}' is 'from' too; name the base branch")
    if target.pull_request is None and target.on != "pull_request":
        yield Problem(
            ("on",), "it chooses what of a pull request is deployed, but there is no 'pull_request'; remove it"
        )
    if target.merge and (target.pull_request is None or target.on == "push"):
        yield Problem(("merge",), "only a target that deploys an open pull request can merge it; remove it")
    if target.merge and target.deploy_type == "dags":
        yield Problem(
            ("deploy_type",), "'dags' would merge what never ran as an image; choose another, or remove 'merge'"
        )

    if target.approvers is not None:
        yield from (each.move_below("approvers") for each in _check_approvers(target.approvers, target))


def _check_approvers(approvers: Approvers, target: Target) -> Iterator[Problem]:
    if target.approval == "none":
        yield Problem((), "nobody is asked about this target; remove it, or set approval: required")
    if not approvers.users and not approvers.not_requester:
        yield Problem((), "it says nothing about who may approve; name users, or set not_requester: true")
    if approvers.not_requester and target.forced == "skip":
        message = "forced: skip lets who asks deploy without anybody's yes; remove one of the two"
        yield Problem(("not_requester",), message)
    for index, user in enumerate(approvers.users):
        if user in approvers.users[:index]:
            yield Problem(("users", index), f"'{user}' stands in the list before; remove one")


def _check_people(people: Mapping[str, str]) -> Iterator[Problem]:
    """GitHub's logins are the same in any case."""
    seen: dict[str, str] = {}
    for login in people:
        first = seen.setdefault(login.casefold(), login)
        if first != login:
            yield Problem(("people", login), f"it is the same account as '{first}'; remove one")


def _check_verify(project: Project) -> Iterator[Problem]:
    for name in ("", *project.targets):
        location = ("targets", name, "verify") if name else ("previews", "verify")
        verify = project.find_verify(name)
        wanted = verify and verify.compare_with
        if wanted and (wanted == name or wanted not in project.targets):
            found = "the target itself" if wanted == name else "no target of the project"
            yield Problem((*location, "compare_with"), f"'{wanted}' is {found}; name another target, or remove it")
        if verify and verify.rolls_back and not name:
            message = "a preview shows its branch's newest commit, broken or not; 'rollback' is for targets: remove it"
            yield Problem((*location, "on_failure"), message)


_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Whether hours leave anything open is the same in each week; which days are denied is not asked."""


def _check_requires(project: Project) -> Iterator[Problem]:
    for name, target in project.targets.items():
        location = ("targets", name, "requires")
        requires = target.requires
        if requires is None:
            if target.forced == "gates":
                yield Problem(
                    ("targets", name, "forced"), "there are no gates to wait for; add 'requires', or remove it"
                )
            continue
        if target.approval == "required" and target.forced == "skip":
            message = "forced: skip lets one deploy past the gates without anybody's yes; remove it"
            yield Problem(("targets", name, "forced"), message)
        if requires == Requires():
            yield Problem(location, "it requires nothing; remove it, or name checks, verified, soak or windows")
        if requires.soak is not None and requires.verified is None:
            yield Problem((*location, "soak"), "nothing says where it soaks; add 'verified' with a target's name")
        if requires.verified is not None and (why := _refuse_proof(project, name, requires.verified)):
            yield Problem((*location, "verified"), f"'{requires.verified}' {why}")
        if requires.windows is not None and not _opens(requires.windows):
            yield Problem((*location, "windows"), "no hour is left in which a deploy may begin; deny less")


def _refuse_proof(project: Project, name: str, wanted: str) -> str:
    """Return why a target's proof cannot be waited for; empty where it can."""
    if wanted not in project.targets or wanted == name:
        return f"is {'the target itself' if wanted == name else 'no target of the project'}; name another target"
    if project.targets[wanted].verify is None:
        return f"is never verified; add targets.{wanted}.verify"
    seen, each = {name}, wanted
    while (rules := project.targets[each].requires) is not None and rules.verified in project.targets:
        if rules.verified in seen:
            return "waits for it in turn; remove one of the two"
        seen.add(each)
        each = rules.verified
    return ""


def _opens(rules: WindowRules) -> bool:
    hours = tuple(each for each in rules.windows.deny if isinstance(each, Hours))
    return replace(rules.windows, deny=hours).find_opening(_ANY_DAY) is not None


def _check_releases(project: Project) -> Iterator[Problem]:
    """Who merges a pull request closes it for all who follow it."""
    following = defaultdict(list)
    for name, target in project.targets.items():
        following[target.pull_request].append(name)
    for release, names in following.items():
        for name in names if release is not None and len(names) > 1 else ():
            if project.targets[name].merge:
                others = ", ".join(other for other in names if other != name)
                message = f"the merge would end the release for {others}, too; let nobody merge it, or follow 'into'"
                yield Problem(("targets", name, "merge"), message)


def find_clashes(
    names: Mapping[int, str],
    projects: Mapping[int, Project],
    raw_projects: Iterable[Any],
    tell_place: Callable[[int, int, Location], str],
) -> tuple[tuple[int, Problem], ...]:
    """Return what no two projects may share, for every project that shares it, as (position, problem).

    `names` holds every name that stands in a file, `raw_projects` every project, also those that are wrong otherwise.

    :param tell_place: the position of who is told, another's, and where it lies there → how that place is called.
    """
    shared: dict[tuple[str, Hashable], list[tuple[int, Location]]] = defaultdict(list)
    for index, name in names.items():
        shared["project may have this name", name].append((index, ("name",)))
    for index, project in projects.items():
        for what, value, location in _list_claims(project):
            shared[what, value].append((index, location))
    clashes = [found for (what, _), places in shared.items() for found in _tell_clash(what, places, tell_place)]
    return (*clashes, *_find_reaching(projects, raw_projects))


def _find_reaching(projects: Mapping[int, Project], raw_projects: Iterable[Any]) -> Iterator[tuple[int, Problem]]:
    """Yield the previews whose Airflow would be shown a token that reaches more: who pushes reads each request."""
    reaching = {fold_id(conn_id): what for raw in raw_projects for conn_id, what in _list_reaching(raw)}
    for index, project in projects.items():
        verify = project.find_verify("")
        what = verify and reaching.get(fold_id(verify.airflow_conn_id or ""))
        if verify and what:
            message = (
                f"'{verify.airflow_conn_id}' is {what}: whoever pushes a branch reads what its preview is asked with, "
                "so name a connection that reaches previews alone, or remove it"
            )
            yield index, Problem(("previews", "verify", "airflow_conn_id"), message)


def _list_reaching(raw: Any) -> Iterator[tuple[str, str]]:
    """Yield the connections that reach more than previews, each with what it is; also of a project that is wrong."""
    project = _take_mapping(raw)
    of_project = f"of project '{project.get('name')}'"
    for name, target in _take_mapping(project.get("targets")).items():
        conn_id = _take_mapping(_take_mapping(target).get("verify")).get("airflow_conn_id")
        if isinstance(conn_id, str):
            yield conn_id, f"the connection of target '{name}' {of_project}"
    for key in ("github_conn_id", "astro_conn_id", "registry_conn_id"):
        if isinstance(conn_id := project.get(key, Project.model_fields[key].default), str):
            yield conn_id, f"the {key} {of_project}"


def _take_mapping(raw: Any) -> Mapping[Any, Any]:
    return raw if isinstance(raw, dict) else {}


@dataclass(frozen=True, slots=True)
class Rival:
    """Another project's target whose Deployment is named as that of `target` here, through another connection.

    Whether both mean one Deployment is known where the connections' workspaces are.
    """

    target: str
    project: str
    their_target: str
    conn_id: str

    def __str__(self) -> str:
        return f"target '{self.their_target}' of project '{self.project}' (connection '{self.conn_id}')"


def find_rivals(project: Project, others: Iterable[Project]) -> tuple[Rival, ...]:
    """Return the rivals of the project's targets among the other projects."""
    return tuple(
        Rival(name, other.name, their_name, other.astro_conn_id)
        for name, target in project.targets.items()
        for other in others
        if other.name != project.name and other.astro_conn_id != project.astro_conn_id
        for their_name, theirs in other.targets.items()
        if theirs.deployment == target.deployment
    )


def _list_claims(project: Project) -> Iterator[tuple[str, Hashable, Location]]:
    repository = project.repository.casefold()  # GitHub's names are the same in any case
    yield "project may have this root of this repository", (repository, project.root), ("root",)
    if project.promotion is not None:
        claim = (repository, project.promotion.deploy_branch)
        yield "project of a repository may have this deploy branch", claim, ("promotion", "deploy_branch")
    for name, target in project.targets.items():
        claim = (project.astro_conn_id, target.deployment)
        yield "target may have this Deployment", claim, ("targets", name, "deployment")


def _tell_clash(
    what: str, places: list[tuple[int, Location]], tell_place: Callable[[int, int, Location], str]
) -> Iterator[tuple[int, Problem]]:
    for place in places if len(places) > 1 else ():
        others = itertools.islice((other for other in places if other != place), _OTHERS_MAX)
        paths = ", ".join(tell_place(place[0], index, location) for index, location in others)
        more = f" and {len(places) - 1 - _OTHERS_MAX} more places" if len(places) - 1 > _OTHERS_MAX else ""
        yield place[0], Problem(place[1], f"only one {what}; found it at {paths}{more} too")
