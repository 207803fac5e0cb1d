"""Which branches concern the project: decided by trees, once for each head and merge base, and within bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.core.model import FOLDER_MODE, TreeEntry
from include.deploy_ops.core.plan.work import Difference, Hold, HoldKind, Remedy, Verb, Work
from include.deploy_ops.hooks.github.http import GithubAnswer
from include.deploy_ops.observation.concerns import ASKED_MAX, RECHECKED_MAX, UNCHANGED, UNKNOWN, ConcernCheck
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.scope import Scope
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.doubles.github import make_sha
from tests.worlds.values.examples import PLANE, make_project
from tests.worlds.values.works import make_work

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
START = {"etl/dags/a.py": "1", "etl/Dockerfile": "1", "ml/dags/b.py": "1", "lib/x.py": "1"}
TRUNK = make_sha("trunk")


@dataclass
class Github:
    """A repository whose branches all parted from one commit, unless `bases` says otherwise; it counts requests."""

    trees: dict[str, tuple[TreeEntry, ...]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    bases: dict[str, str | None] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.commit("start", START)

    def commit(self, name: str, files: Mapping[str, str]) -> str:
        self.commits[make_sha(name)] = self._plant(files)
        return make_sha(name)

    def _plant(self, files: Mapping[str, str]) -> str:
        folders: dict[str, dict[str, str]] = {}
        entries = [TreeEntry(path, "100644", make_sha(text)) for path, text in files.items() if "/" not in path]
        for path, text in files.items():
            top, _, rest = path.partition("/")
            if rest:
                folders.setdefault(top, {})[rest] = text
        entries += [TreeEntry(name, FOLDER_MODE, self._plant(below)) for name, below in folders.items()]
        tree = make_sha(entries)
        self.trees[tree] = tuple(sorted(entries))
        return tree

    def ask(self, path: str) -> GithubAnswer:
        trunk, _, head = path.removeprefix("/compare/").partition("?")[0].partition("...")
        self.asked["compare"] += 1
        if self.failure is not None:
            raise self.failure
        base = self.bases.get(head, make_sha("start"))
        if base is None:
            return GithubAnswer(path, HTTPStatus.NOT_FOUND, {"message": "No common ancestor between them."})
        sides = {"base_commit": (trunk, make_sha("tree of trunk")), "merge_base_commit": (base, self.commits[base])}
        data = {name: {"sha": sha, "commit": {"tree": {"sha": tree}}} for name, (sha, tree) in sides.items()}
        return GithubAnswer(path, HTTPStatus.OK, data)

    def get_commit(self, sha: str) -> Any:
        self.asked["commit"] += 1
        return SimpleNamespace(tree=self.commits[sha])

    def read_tree(self, sha: str) -> tuple[TreeEntry, ...]:
        self.asked[f"tree {sha}"] = 1  # as the hook, which keeps them
        return self.trees[sha]


@dataclass
class World:
    """A project in the folder `etl` of a repository that has others, and what is remembered."""

    github: Github = field(default_factory=Github)
    memory: Memory = field(default_factory=lambda: Memory(DictStore()))
    project: Any = field(default_factory=lambda: make_project(root="etl", also_watch=("lib",), ignore=("*.md",)))
    is_shared: bool = True
    trunk: str = TRUNK
    now: datetime = NOW

    def check(self, *works: Work) -> Difference:
        """Make a pass in which this is due."""
        self.github.asked.clear()
        scope = Scope(PLANE, is_dry=False, project=self.project, targets=frozenset(), shares_repository=self.is_shared)
        github: Any = self.github
        check = ConcernCheck(scope, github, self.memory, self.trunk, self.now)
        return check.hold_unconcerned(Difference(works, (), 0))

    def judge(self, head: str, verb: Verb = Verb.CREATE) -> Hold | None:
        """Return how the work at the branch's head is held; None where it is due."""
        found = self.check(make_work("dev-x", verb, head))
        assert len(found.works) + len(found.holds) == 1
        return found.holds[0] if found.holds else None

    def push(self, name: str, **changes: str) -> str:
        """Return the head of a branch that changes these files of the start, `_` for `/` and `__` for a dot."""
        files = {path.replace("__", ".").replace("_", "/"): text for path, text in changes.items()}
        return self.github.commit(name, {**START, **files})


@pytest.mark.parametrize(
    ("path", "is_due"),
    [
        ("etl_dags_a__py", True),
        ("etl_Dockerfile", True),
        ("lib_x__py", True),
        ("etl_README__md", False),  # ignored: it deploys nothing
        ("ml_dags_b__py", False),
        ("README__md", False),
    ],
)
def test_a_branch_gets_a_preview_by_what_it_changes_since_it_parted_from_trunk(path: str, is_due: bool) -> None:
    world = World()
    hold = world.judge(world.push("head", **{path: "2"}))
    assert (hold is None) is is_due
    if hold is not None:
        assert (hold.reason, hold.kind) == (UNCHANGED, HoldKind.NEEDLESS)


def test_what_trunk_changed_since_is_not_the_branchs() -> None:
    world = World()
    world.trunk = world.push("trunk that moved", etl_dags_a__py="3")
    assert world.judge(world.push("head", ml_dags_b__py="2")) is not None


def test_a_branch_at_its_merge_base_changes_nothing_and_costs_one_request() -> None:
    world = World()
    hold = world.judge(make_sha("start"))
    assert hold is not None
    assert world.github.asked == {"compare": 1}


def test_a_branch_that_shares_no_history_with_trunk_changes_everything() -> None:
    world = World()
    head = world.push("head")
    world.github.bases[head] = None
    assert world.judge(head) is None


@pytest.mark.parametrize("when", ["changed", "always", None])
@pytest.mark.parametrize("is_shared", [False, True])
def test_it_is_the_default_where_projects_share_the_repository(when: str | None, is_shared: bool) -> None:
    world = World(is_shared=is_shared)
    previews = world.project.previews.model_copy(update={"when": when})
    world.project = world.project.model_copy(update={"previews": previews})
    by_change = when == "changed" or (when is None and is_shared)
    assert (world.judge(world.push("head", ml_dags_b__py="2")) is not None) is by_change
    assert bool(world.github.asked["compare"]) is by_change


def test_it_is_asked_once_for_each_head() -> None:
    world = World()
    first, second = world.push("first", ml_dags_b__py="2"), world.push("second", etl_dags_a__py="2")
    assert world.judge(first) is not None
    tops = (world.github.commits[first], world.github.commits[make_sha("start")])
    assert world.github.asked == {"compare": 1, "commit": 2, **dict.fromkeys(map("tree {}".format, tops), 1)}
    assert world.judge(first) is not None
    assert not world.github.asked
    assert world.judge(second) is None, "a push that brings a change makes one"
    assert world.judge(second) is None
    assert not world.github.asked


def test_a_trunk_that_moved_costs_one_request_and_trees_only_where_the_merge_base_moved() -> None:
    world = World()
    head = world.push("head", ml_dags_b__py="2")
    world.judge(head)
    world.trunk = make_sha("trunk, later")
    assert world.judge(head) is not None
    assert world.github.asked == {"compare": 1}
    assert world.judge(head) is not None
    assert not world.github.asked
    world.trunk = make_sha("trunk, anew")
    # Trunk took in a commit of the branch that changed etl/, and which the branch has taken back.
    world.github.bases[head] = world.push("taken in", ml_dags_b__py="2", etl_dags_a__py="2")
    assert world.judge(head) is None


def test_other_rules_are_another_question() -> None:
    world = World()
    head = world.push("head", lib_x__py="2")
    assert world.judge(head) is None
    world.project = world.project.model_copy(update={"also_watch": ()})
    assert world.judge(head) is not None


def test_what_has_a_preview_keeps_it_and_gets_each_push() -> None:
    world = World()
    assert world.judge(world.push("head", ml_dags_b__py="2"), Verb.DEPLOY) is None
    assert not world.github.asked["compare"]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("files", [{"ml/dags/b.py": "2"}, {"etl": "a file"}])
def test_a_branch_without_the_projects_folder_is_no_failure(is_shared: bool, files: dict[str, str]) -> None:
    world = World(is_shared=is_shared)
    head = world.github.commit("head", files)
    hold = world.judge(head)
    assert hold is not None
    assert (hold.reason, hold.kind) == ("dev-x has no folder etl/", HoldKind.NEEDLESS)
    hold = world.judge(head, Verb.DEPLOY)
    assert hold is not None
    assert hold.reason == "dev-x has no folder etl/; push it again, or delete the preview"
    assert (hold.kind, hold.remedy) == (HoldKind.PERSON, Remedy.DELETE)
    world.judge(head, Verb.DEPLOY)
    assert not world.github.asked


def test_a_project_that_has_the_repository_for_itself_asks_nothing() -> None:
    world = World(is_shared=False, project=make_project())
    assert world.judge(make_sha("unknown to anybody")) is None
    assert world.judge(make_sha("unknown to anybody"), Verb.DEPLOY) is None
    assert not world.github.asked


def test_other_work_is_let_through() -> None:
    works = [make_work("dev-x", verb) for verb in (Verb.DELETE, Verb.UPDATE)]
    target = replace(make_work("main", Verb.DEPLOY), target="production")
    assert World().check(*works, target).works == (*works, target)


def test_a_pass_asks_about_so_many_first_about_what_has_a_preview_and_the_next_goes_on() -> None:
    world = World()
    count = ASKED_MAX + 3
    heads = [world.push(f"head {number}", ml_dags_b__py=f"{number}") for number in range(count)]
    works = [make_work(f"dev-{number:03}", Verb.CREATE, head) for number, head in enumerate(heads)]
    works.append(make_work("dev-live", Verb.DEPLOY, heads[0]))
    first = world.check(*works)
    assert [work.branch for work in first.works] == ["dev-live"]
    assert world.github.asked["compare"] == ASKED_MAX - 1
    late = [hold for hold in first.holds if hold.reason == UNKNOWN]
    assert {hold.kind for hold in late} == {HoldKind.WAITING}
    assert len(late) == 4
    assert {hold.reason for hold in world.check(*works).holds} == {UNCHANGED}
    assert world.github.asked["compare"] == 4


def test_after_trunk_moved_so_many_are_asked_about_again_the_oldest_answer_first() -> None:
    world = World()
    heads = [world.push(f"head {number}", ml_dags_b__py=f"{number}") for number in range(RECHECKED_MAX + 2)]
    works = [make_work(f"dev-{number}", Verb.CREATE, head) for number, head in enumerate(heads)]
    world.check(*works)
    for number in range(2):
        world.trunk, world.now = make_sha(f"trunk {number}"), world.now + timedelta(minutes=1)
        assert len(world.check(*works).holds) == len(works)
        assert world.github.asked == {"compare": RECHECKED_MAX}
    known = world.memory.concerns.read()
    assert {each.trunk for each in known.values()} == {make_sha("trunk 0"), make_sha("trunk 1")}


def test_what_was_old_at_the_first_pass_is_not_asked_about() -> None:
    world = World()
    work = make_work("dev-x", Verb.CREATE, world.push("head", ml_dags_b__py="2"))
    world.memory.backlog.write({}, {work.slug: work.head})
    assert world.check(work).works == (work,)
    assert not world.github.asked


def test_a_branch_of_which_github_says_nothing_keeps_no_other_waiting() -> None:
    world = World()
    head = world.push("head", etl_dags_a__py="2")
    world.github.failure = ObservationError("GET /compare answered HTTP 500")
    hold = world.judge(head)
    assert hold is not None
    assert (hold.kind, "HTTP 500" in hold.reason) == (HoldKind.WAITING, True)
    world.github.failure = None
    assert world.judge(head) is None


def test_an_answer_stands_while_github_gives_no_newer_one() -> None:
    world = World()
    head = world.push("head", ml_dags_b__py="2")
    world.judge(head)
    world.trunk, world.github.failure = make_sha("trunk, later"), ObservationError("GET /compare answered HTTP 500")
    hold = world.judge(head)
    assert hold is not None
    assert hold.reason == UNCHANGED


def test_a_rate_limit_ends_the_asking() -> None:
    world = World()
    works = [make_work(name, Verb.CREATE, world.push(name)) for name in ("dev-a", "dev-b", "dev-c")]
    world.github.failure = RateLimitError("GitHub wants a pause", 600)
    found = world.check(*works)
    assert world.github.asked == {"compare": 1}
    assert len(found.holds) == 3


def test_what_is_due_no_more_is_forgotten() -> None:
    world = World()
    world.check(make_work("dev-x", Verb.CREATE, world.push("head", ml_dags_b__py="2")))
    world.check(make_work("dev-y", Verb.CREATE, world.push("another", ml_dags_b__py="3")))
    assert world.memory.concerns.read().keys() == {"dev-y"}
