"""Generated worlds: a repository and a workspace as one pass sees them, and what became of each thing in truth.

The truth is written down where a thing is made, never read back from it: so a property can say what may be touched
without asking the code that it judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import (
    Branch,
    Deploy,
    DeployKind,
    Deployment,
    DeploymentStatus,
    DeployStatus,
    PullRequest,
)
from include.deploy_ops.core.naming import DeployNote, format_mark, format_note, name_deployment
from include.deploy_ops.core.plan.work import Difference
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from tests.worlds.values.examples import (
    FINGERPRINT,
    OWNER,
    PLANE,
    REPO_ID,
    make_deployment,
    make_mark,
    make_project,
    make_pull,
    sha,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.deploy_ops.core.plan.work import Work
    from include.deploy_ops.core.policy.keys import Project

START = datetime(2026, 11, 1, tzinfo=UTC)
POLICY = "policy"
PROJECT = make_project()
TARGET = "Production"
TAKEN = "shop-dev-taken"
MERGED_INTO = ("staging", "main")
MATCHING = ("dev-a", "dev/a", "dev-b", "dev-c", "dev-é", "dev-taken", "dev-a-0a1b2c3d")
OTHER = ("develop", "feature", "staging")


@dataclass(frozen=True)
class Owned:
    """A Deployment, and the branch whose preview it is in truth; "" if it is none of this project's."""

    deployment: Deployment
    branch: str = ""


@dataclass(frozen=True)
class World:
    """All that one pass observes. `records` and the template's lists are by Deployment id."""

    heads: Mapping[str, str]
    pulls: tuple[PullRequest, ...] = ()
    astro: tuple[Owned, ...] = ()
    records: Mapping[str, tuple[Deploy, ...]] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""
    project: Project = PROJECT

    @property
    def snapshot(self) -> RepositorySnapshot:
        """The repository as it is listed."""
        return RepositorySnapshot(tuple(Branch(*pair) for pair in self.heads.items()), self.pulls)

    @property
    def targets(self) -> set[str]:
        """The names of the policy's long-lived Deployments."""
        return {target.deployment for target in self.project.targets.values()}

    def compare(self) -> Difference:
        """Return what the product makes of it."""
        deployments = tuple(each.deployment for each in self.astro)
        histories = {each.id: read_history(self.records.get(each.id, ()), OWNER) for each in deployments}
        return compare(
            self.project,
            control_plane=PLANE,
            policy=POLICY,
            targets=self.targets,
            desired=derive_previews(self.project, self.snapshot),
            observed=Observed(deployments, histories),
            template=TemplateState("" if self.problem else FINGERPRINT, self.missing, self.fixed, self.problem),
        )

    def lives(self, branch: str) -> bool:
        """Whether the branch is to have a preview: it exists, is a developer's, and was not merged as it is."""
        return branch in self.heads and branch in MATCHING and not self.is_merged(branch)

    def is_merged(self, branch: str) -> bool:
        """Whether its very head was merged into one of `merged_into`, and nothing of it is still open there."""
        own = [each for each in self.pulls if (each.head_ref, each.head_repo_id) == (branch, REPO_ID)]
        own = [each for each in own if each.base_ref in MERGED_INTO]
        has_merge = any(each.is_merged and each.head_sha == self.heads[branch] for each in own)
        return has_merge and not any(each.is_open for each in own)

    def list_own(self, branch: str) -> list[Deployment]:
        """Return the branch's previews."""
        return [each.deployment for each in self.astro if branch and each.branch == branch]

    def is_untouchable(self, branch: str) -> bool:
        """Whether nothing may be done to the branch's preview: there are two, or it bears a target's name."""
        own = self.list_own(branch)
        return len(own) > 1 or any(each.name in self.targets for each in own)

    def find_named(self, name: str) -> list[Deployment]:
        """Return the Deployments of that name."""
        return [each.deployment for each in self.astro if each.deployment.name == name]

    def shuffle(self, turn: Callable[[list[Any]], list[Any]]) -> World:
        """Return the same world, seen in another order; `turn` reorders a list."""

        def turn_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
            return dict(turn(list(mapping.items())))

        records = {key: tuple(turn(list(found))) for key, found in turn_mapping(self.records).items()}
        return replace(
            self,
            heads=turn_mapping(self.heads),
            pulls=tuple(turn(list(self.pulls))),
            astro=tuple(turn(list(self.astro))),
            records=records,
            missing=turn_mapping(self.missing),
            fixed=turn_mapping(self.fixed),
        )

    def apply(self, work: Work, at: datetime) -> World:
        """Return the world after a run that achieved what the work is for."""
        return _DONE[work.verb.value](self, work, at)


def _create(world: World, work: Work, at: datetime) -> World:
    made = make_deployment(work.branch, id=f"made-{work.branch}-{at:%d%H%M%S}", name=work.deployment_name)
    grown = replace(world, astro=(*world.astro, Owned(made, work.branch)))
    return _deploy(grown, replace(work, deployment_id=made.id), at)


def _deploy(world: World, work: Work, at: datetime) -> World:
    before = world.records.get(work.deployment_id, ())
    record = make_record(f"r{len(before)}-{work.deployment_id}", at, work.branch, work.head)
    return replace(world, records={**world.records, work.deployment_id: (*before, record)})


def _update(world: World, work: Work, _at: datetime) -> World:
    mark = format_mark(make_mark(work.branch))
    astro = tuple(
        replace(each, deployment=replace(each.deployment, description=mark))
        if each.deployment.id == work.deployment_id
        else each
        for each in world.astro
    )
    return replace(world, astro=astro, missing={**world.missing, work.deployment_id: ()})


def _delete(world: World, work: Work, _at: datetime) -> World:
    return replace(world, astro=tuple(each for each in world.astro if each.deployment.id != work.deployment_id))


_DONE = {"create": _create, "deploy": _deploy, "update": _update, "delete": _delete}


def make_record(deploy_id: str, at: datetime, branch: str, head: str, **changes: Any) -> Deploy:
    """Return our record of a successful image deploy of the branch's head."""
    note = DeployNote(branch, head, head, f"run-{deploy_id}", 1, is_forced=False)
    deploy = Deploy(deploy_id, "any", DeployStatus.DEPLOYED, DeployKind.IMAGE_AND_DAG, at, format_note(note))
    return replace(deploy, **changes)


_KINDS = [DeployKind.IMAGE_AND_DAG, DeployKind.DAG_ONLY, *DeployKind]
_STATUSES = [*[DeployStatus.DEPLOYED] * 6, DeployStatus.FAILED, DeployStatus.INITIALIZED]
_AUTHORS = ["ours", "ours", "ours", "a stranger with a commit", "a stranger", "a rollback to 0", "a rollback to gone"]
_RECORDS = st.lists(st.sampled_from([*product(_KINDS, _STATUSES, "abc", _AUTHORS)]), max_size=5)


def _write_history(branch: str, facts: list[tuple[DeployKind, DeployStatus, str, str]]) -> tuple[Deploy, ...]:
    """Return records of half a minute each; two at a time have one time, and then their ids tell the order."""
    found = []
    for number, (kind, status, digit, author) in enumerate(facts):
        at = START - timedelta(minutes=30 - number // 2)
        record = make_record(f"d{number}", at, branch, sha(digit), kind=kind, status=status)
        if "stranger" in author:
            commit = sha(digit) if "commit" in author else None
            record = replace(record, description="by hand, head=x", git_commit=commit)
        if "rollback" in author:
            record = replace(record, rollback_from_id=f"d{author.split()[-1]}")
        found.append(record)
    return tuple(found)


def histories() -> st.SearchStrategy[tuple[Deploy, ...]]:
    """Return a Deployment's records: ours, strangers', failed and unfinished ones, and rollbacks, also to nowhere."""
    return _RECORDS.map(lambda facts: _write_history("dev-a", facts))


_ENDS = [("open", "same"), ("closed", "same"), ("merged", "same"), ("merged", "same"), ("merged", "other")]
_BASES = ["staging", "main", "feature"]
_PULLS = st.lists(st.sampled_from([*product(MATCHING, _ENDS, _BASES, [REPO_ID, REPO_ID, 8, None])]), max_size=4)


def _open_pull(
    number: int, heads: Mapping[str, str], fact: tuple[str, tuple[str, str], str, int | None]
) -> PullRequest:
    branch, (state, head), base, repository = fact
    at = heads.get(branch, sha("f")) if head == "same" else sha("d")
    states = {"is_open": state == "open", "is_merged": state == "merged"}
    return make_pull(number, branch, at, base_ref=base, head_repo_id=repository, **states)


def spoil(description: str) -> list[str]:
    """Return descriptions that hold most of our mark, and are nobody's."""
    return [
        "",
        "by hand",
        description[:-1],
        description.replace("[", "("),
        description.replace("/1 ", "/2 "),
        description.replace(" template=", " Template="),
        description.replace(" template=", "  template="),
        description.replace(" branch=", " branch=main branch="),
        description.replace(" branch=", " branch=%ff"),
        description.replace("]", " More=x]"),
        description.replace(" project=shop", ""),
        f"{description} {description}",
        f"copied from {description.replace('dev', 'dev-other')}: {description}",
    ]


_FOREIGN: list[dict[str, str]] = [
    {"control_plane": "acme-prod2"},
    {"control_plane": "acme-Prod"},
    {"project": "shop_2"},
    {"project": ""},
    {"repository": "acme/shop2"},
    {"repository": "other/shop"},
]
_OWNERS = ["own"] * 2 * (len(_FOREIGN) + len(spoil(""))) + [*_FOREIGN, *range(len(spoil("")))]
_LOOKS = [*product([FINGERPRINT, FINGERPRINT, "0" * 12], ["own"] * 5 + [TARGET, TAKEN, "renamed"])]
_TEXTS = [("", ""), ("a text ", ""), ("control_plane=x project=y\n", " and more")]
_PLACES = [*MATCHING, "dev-gone", *OTHER]
_DEPLOYMENTS = st.lists(
    st.tuples(st.sampled_from([*product(_PLACES, _LOOKS, _TEXTS)]), st.sampled_from(_OWNERS), _RECORDS), max_size=6
)


def _own_deployment(number: int, fact: tuple[str, tuple[str, str], tuple[str, str]], owner: Any) -> Owned:
    """Return a preview of ours, or one that only looks like it."""
    branch, (template, name), (before, after) = fact
    mark = make_mark(branch, template, **(owner if isinstance(owner, dict) else {}))
    status = [*DeploymentStatus][number % len(DeploymentStatus)]
    made = make_deployment(branch, mark, id=f"id{number}", status=status)
    if name != "own":
        made = replace(made, name=f"{name} {number}" if name == "renamed" else name)
    if isinstance(owner, int):
        return Owned(replace(made, description=spoil(made.description)[owner]))
    made = replace(made, description=f"{before}{made.description}{after}")
    return Owned(made, branch if owner == "own" else "")


_HEADS = st.dictionaries(st.sampled_from([*MATCHING, *OTHER]), st.sampled_from([sha("a"), sha("b"), sha("c")]))
_LISTED = st.sets(st.integers(0, 5), max_size=2)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a whole world; it is small, so that its parts meet."""
    heads = {"main": sha("a"), **draw(_HEADS)}
    drawn = draw(_DEPLOYMENTS)
    astro = tuple(_own_deployment(number, fact, owner) for number, (fact, owner, _) in enumerate(drawn))
    world = World(
        heads=heads,
        pulls=tuple(_open_pull(number, heads, fact) for number, fact in enumerate(draw(_PULLS), 1)),
        astro=astro,
        records={f"id{number}": _write_history("dev-a", facts) for number, (_, _, facts) in enumerate(drawn)},
        missing={f"id{number}": ("variable STAGE",) for number in draw(_LISTED)},
        fixed={f"id{number}": ("region: x in Astro, y in the template",) for number in draw(_LISTED)},
        problem=draw(st.sampled_from(["", "", "", "the template is broken"])),
    )
    return draw(_with_target_of_a_previews_name(world)) if draw(st.integers(0, 9)) == 0 else world


def _with_target_of_a_previews_name(world: World) -> st.SearchStrategy[World]:
    """Return the world under a policy whose target is called as some branch's preview would be."""
    (target,) = world.project.targets.values()

    def rename(branch: str) -> World:
        named = target.model_copy(update={"deployment": name_deployment("shop", branch)})
        return replace(world, project=PROJECT.model_copy(update={"targets": {"production": named}}))

    return st.sampled_from(MATCHING).map(rename)
