"""The derived tree against its restatement over plain paths, and against real merges: generated pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.promotion import derived_tree
from sandbox.github.git import Git
from sandbox.github.objects import TreeEntry as SandboxEntry
from sandbox.github.objects import edit_tree
from tests.worlds.values.git_store import GitStore
from tests.worlds.values.histories import BASE, KINDS, change_state
from tests.worlds.values.promotions import Pull, Restatement, derive, is_below, is_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn

    from tests.worlds.values.git_store import Leaf
    from tests.worlds.values.promotions import State

ROOTS = (".", "etl", "etl/inner")
KINDS_OF_CHANGE = st.lists(st.sampled_from(KINDS), min_size=1, max_size=4)
MANY = settings(max_examples=60, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=25, suppress_health_check=list(HealthCheck))  # these start Git for each


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitStore]:
    with GitStore(tmp_path_factory.mktemp("promotions") / "bare.git") as git:
        yield git


@st.composite
def worlds(draw: DrawFn) -> tuple[State, list[Pull]]:
    """Generate a line of states that `into` went through, and pull requests that left it anywhere on it."""
    line: list[State] = [dict(BASE)]
    for _ in range(draw(st.integers(0, 2))):
        line.append(change_state(draw, line[-1], draw(KINDS_OF_CHANGE)))
    pulls: list[Pull] = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        base = draw(st.sampled_from(line))
        start = draw(st.sampled_from([base, *(pull.head for pull in pulls if pull.base == base)]))
        pulls.append(Pull(number, base, change_state(draw, dict(start), draw(KINDS_OF_CHANGE))))
    return line[-1], pulls


@st.composite
def sides(draw: DrawFn) -> State:
    """Generate what one side of a merge made of BASE."""
    return change_state(draw, dict(BASE), draw(KINDS_OF_CHANGE))


def restate(into: State, pulls: list[Pull], root: str) -> Restatement:
    restated = Restatement(into, root)
    for pull in pulls:
        restated.add(pull)
    return restated


@MANY
@given(world=worlds(), root=st.sampled_from(ROOTS), data=st.data())
def test_the_tree_is_as_restated_in_any_order(
    git: GitStore, world: tuple[State, list[Pull]], root: str, data: st.DataObject
) -> None:
    into, pulls = world
    restated = restate(into, pulls, root)
    derived = derive(git, into, data.draw(st.permutations(pulls)), root=root)
    assert derived == derive(git, into, pulls, root=root)
    assert {(each.path, each.number) for each in derived.conflicts} == restated.conflicts
    assert {each.path for each in derived.overlaps} == restated.lost
    assert derived.tree == git.write_tree(restated.state)
    assert {each.path for each in derived.laid} == {
        path for path, leaf in restated.laid.items() if into.get(path) != leaf
    }


@FEW
@given(world=worlds(), root=st.sampled_from(ROOTS), copy_mode=st.sampled_from(["changes", "all"]))
def test_git_makes_the_tree_of_the_edits_and_nothing_is_left_to_do(
    git: GitStore, world: tuple[State, list[Pull]], root: str, copy_mode: str
) -> None:
    into, pulls = world
    derived = derive(git, into, pulls, root=root, copy_mode=copy_mode)
    edits = {path: SandboxEntry(entry.name, entry.mode, entry.sha) if entry else None for path, entry in derived.edits}
    if all(map(is_text, into)):  # the sandbox, like GitHub, writes JSON
        assert edit_tree(Git(git.git_dir), derived.into.tree, edits) == derived.tree
    again = derive(git, into, pulls, root=root, copy_mode=copy_mode)
    assert again == derived
    if not pulls:
        assert derived.tree == derived.into.tree
        assert derived.is_stored


@MANY
@given(world=worlds(), root=st.sampled_from(ROOTS), copy_mode=st.sampled_from(["changes", "all"]), data=st.data())
def test_what_was_found_before_gives_the_same_tree_whatever_became_of_into(
    git: GitStore,
    world: tuple[State, list[Pull]],
    root: str,
    copy_mode: str,
    data: st.DataObject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    into, pulls = world
    before = data.draw(st.sampled_from([into, dict(BASE), *(pull.head for pull in pulls)]))
    known = dict(derive(git, before, pulls, root=root, copy_mode=copy_mode).parts)
    wanted = derive(git, into, pulls, root=root, copy_mode=copy_mode)
    monkeypatch.setattr(derived_tree, "READ_BELOW_FROM", data.draw(st.sampled_from([1, 99])))
    found = derive(git, into, pulls, root=root, copy_mode=copy_mode, known=known)
    told = ("tree", "laid", "conflicts", "overlaps", "pulls", "parts")
    assert {name: getattr(found, name) for name in told} == {name: getattr(wanted, name) for name in told}


@FEW
@given(sides=st.tuples(sides(), sides()), root=st.sampled_from(ROOTS))
def test_one_pull_request_without_conflicts_is_what_git_merges(
    git: GitStore, sides: tuple[State, State], root: str
) -> None:
    into, head = sides
    derived = derive(git, into, [Pull(1, BASE, head)], root=root)
    tree = git.write_tree(restate(into, [Pull(1, BASE, head)], root).state)
    assert derived.tree == tree
    dags = "dags" if root == "." else f"{root}/dags"
    merged, conflicted = merge(git, into, head)
    # Git before 2.50 follows renames whatever it is told: then it finds a conflict in what one side alone has.
    assume(all(sum(path in state for state in (BASE, into, head)) > 1 for path in conflicted))
    if not derived.conflicts:
        assert not [path for path in conflicted if is_below(path, dags)]
        assert git.git("ls-tree", tree, "--", dags) == git.git("ls-tree", merged, "--", dags)
    assert all(is_below(change.path, dags) for change in git.diff(derived.into.tree, tree))


def merge(git: GitStore, into: State, head: State) -> tuple[str, list[str]]:
    """Merge as Git does, without following renames where it can; return the tree and the paths in conflict."""
    base = write_commit(git, BASE)
    ours, theirs = (write_commit(git, state, base) for state in (into, head))
    settings = ("-c", "merge.renames=false", "-c", "merge.directoryRenames=false")
    arguments = ("merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", ours, theirs)
    tree, *paths = git.git(*settings, *arguments, also_ok=(1,)).split("\0")
    return tree, [path.partition("~")[0] for path in paths if path]


def write_commit(git: GitStore, state: dict[str, Leaf], *parents: str) -> str:
    return git.write_commit(git.write_tree(state), *parents)
