"""The deploy branch's derived tree: what is laid, what is kept and told, and which pull requests take part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from include.deploy_ops.core.model import PullRequest, TreeEntry
from include.deploy_ops.core.policy.keys import Project, Promotion
from include.deploy_ops.core.promotion.contribution import Contribution
from include.deploy_ops.core.promotion.derived_tree import (
    derive_tree,
    fingerprint_promotion,
    select_pulls,
)
from tests.worlds.values.git_store import FILE, FOLDER, LINK, MODULE, TOOL, GitStore
from tests.worlds.values.promotions import COMMIT, Pull, State, contribute, derive, snapshot

BASE: State = {
    "Dockerfile": (FILE, "FROM astro\n"),
    "dags/a.py": (FILE, "a\n"),
    "dags/b.py": (FILE, "b\n"),
    "dags/team/c.py": (FILE, "c\n"),
    "dags/team/d.py": (FILE, "d\n"),
    "include/x.py": (FILE, "x\n"),
}
KEPT = "the branch that it goes into {} it too since they parted, and keeps its version"
STANDS = "'{}' stands there in the branch that it goes into"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitStore]:
    with GitStore(tmp_path_factory.mktemp("promotion") / "bare.git") as git:
        yield git


def edit(state: State, **leaves: str | tuple[str, str] | None) -> State:
    """Return the state with files changed; `a__py` is dags/a.py, None removes, a pair is mode and content."""
    after = dict(state)
    for name, leaf in leaves.items():
        path = "dags/" + name.replace("__", ".").replace("_in_", "/")
        after.pop(path, None)
        if leaf is not None:
            after[path] = leaf if isinstance(leaf, tuple) else (FILE, leaf)
    return after


def pull(number: int = 1, base: State = BASE, **leaves: str | tuple[str, str] | None) -> Pull:
    """Return a pull request that changes these."""
    return Pull(number, base, edit(base, **leaves))


def test_edits_additions_removals_modes_links_and_submodules_are_laid(git: GitStore) -> None:
    changes: dict[str, Any] = {
        "a__py": "better\n",
        "b__py": None,
        "new_in_n__py": "n\n",
        "team_in_c__py": (TOOL, "c\n"),
        "team_in_d__py": (LINK, "c.py"),
        "lib": (MODULE, "one"),
    }
    into = edit(BASE, other__py="of a colleague\n")
    derived = derive(git, into, [pull(**changes)])
    assert derived.tree == git.write_tree(edit(into, **changes))
    assert [(each.path, each.number, each.entry is None) for each in derived.laid] == [
        ("dags/a.py", 1, False),
        ("dags/b.py", 1, True),
        ("dags/lib", 1, False),
        ("dags/new/n.py", 1, False),
        ("dags/team/c.py", 1, False),
        ("dags/team/d.py", 1, False),
    ]
    assert (derived.conflicts, derived.overlaps) == ((), ())
    assert derived.pulls == ((1, COMMIT),)


def test_what_lies_outside_dags_is_never_laid(git: GitStore) -> None:
    head = edit(BASE, a__py="better\n") | {"Dockerfile": (FILE, "FROM other\n"), "dags.py": (FILE, "no\n")}
    assert derive(git, BASE, [Pull(1, BASE, head)]).tree == git.write_tree(edit(BASE, a__py="better\n"))


def test_without_pull_requests_it_is_the_tree_of_into(git: GitStore) -> None:
    derived = derive(git, BASE, [])
    assert (derived.tree, derived.edits, derived.is_stored) == (derived.into.tree, (), True)


@pytest.mark.parametrize("root", ["etl", "etl/inner"])
def test_another_root_has_its_own_dags(git: GitStore, root: str) -> None:
    into = {f"{root}/{path}": leaf for path, leaf in BASE.items()} | BASE
    head = dict(into) | {f"{root}/dags/a.py": (FILE, "better\n"), "dags/a.py": (FILE, "not here\n")}
    derived = derive(git, into, [Pull(1, into, head)], root=root)
    assert derived.tree == git.write_tree(into | {f"{root}/dags/a.py": (FILE, "better\n")})


def test_dags_may_be_missing_on_either_side(git: GitStore) -> None:
    bare: State = {"Dockerfile": BASE["Dockerfile"]}
    first = {**bare, "dags/a.py": BASE["dags/a.py"]}
    assert derive(git, bare, [Pull(1, bare, first)]).tree == git.write_tree(first)
    assert derive(git, first, [Pull(1, first, bare)]).tree == git.write_tree(bare)
    assert derive(git, bare, [Pull(1, bare, bare)]).tree == git.write_tree(bare)


def test_into_keeps_what_it_changed_since_and_it_is_told(git: GitStore) -> None:
    into = edit(BASE, a__py="of into\n", b__py=None, new__py="of into\n")
    derived = derive(git, into, [pull(a__py="x\n", b__py="x\n", new__py="x\n", team_in_c__py="laid\n")])
    assert derived.tree == git.write_tree(edit(into, team_in_c__py="laid\n"))
    assert [(each.path, each.number, each.reason) for each in derived.conflicts] == [
        ("dags/a.py", 1, KEPT.format("changed")),
        ("dags/b.py", 1, KEPT.format("removed")),
        ("dags/new.py", 1, KEPT.format("added")),
    ]


def test_the_same_change_on_both_sides_is_no_conflict(git: GitStore) -> None:
    into = edit(BASE, a__py="same\n", b__py=None)
    derived = derive(git, into, [pull(a__py="same\n", b__py=None)])
    assert (derived.tree, derived.conflicts, derived.laid) == (derived.into.tree, (), ())


def test_the_later_number_wins_and_both_are_told(git: GitStore) -> None:
    pulls = [pull(10, a__py="ten\n"), pull(9, a__py="nine\n", b__py="only nine\n"), pull(2, a__py=None)]
    derived = derive(git, BASE, pulls)
    assert derived.tree == git.write_tree(edit(BASE, a__py="ten\n", b__py="only nine\n"))
    assert [(each.path, each.numbers) for each in derived.overlaps] == [("dags/a.py", (2, 9, 10))]
    assert [number for number, _ in derived.pulls] == [2, 9, 10]
    assert [(each.path, each.number) for each in derived.laid] == [("dags/a.py", 10), ("dags/b.py", 9)]


def test_two_that_change_a_path_alike_do_not_contest_it(git: GitStore) -> None:
    assert derive(git, BASE, [pull(1, a__py="same\n"), pull(2, a__py="same\n")]).overlaps == ()


def test_a_later_pull_request_that_takes_a_change_back_leaves_into_as_it_is(git: GitStore) -> None:
    older = edit(BASE, a__py="old\n")
    derived = derive(git, BASE, [pull(1, a__py="one\n"), Pull(2, older, BASE)])
    assert derived.tree == derived.into.tree
    assert [each.numbers for each in derived.overlaps] == [(1, 2)]
    assert derived.laid == ()


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_folder_that_becomes_a_file_and_the_other_way_round(git: GitStore, is_whole: bool) -> None:
    copy_mode = "all" if is_whole else "changes"
    folded = edit(BASE, team_in_c__py=None, team_in_d__py=None, team="now a file\n")
    there = derive(git, BASE, [Pull(1, BASE, folded)], copy_mode=copy_mode)
    back = derive(git, folded, [Pull(1, folded, BASE)], copy_mode=copy_mode)
    assert (there.tree, back.tree) == (git.write_tree(folded), git.write_tree(BASE))
    assert there.conflicts == back.conflicts == ()


def test_of_a_path_that_changes_its_kind_only_the_new_side_is_sent(git: GitStore) -> None:
    """Git would refuse both sides at once, or keep the one that it reads last."""
    into = edit(BASE, b__py="of into\n")  # so that no whole folder of the head's can be named
    folded = edit(BASE, team_in_c__py=None, team_in_d__py=None, team="now a file\n")
    assert [path for path, _ in derive(git, into, [Pull(1, BASE, folded)]).edits] == ["dags/team"]
    opened = derive(git, into, [pull(1, a__py=None, a__py_in_x="x\n"), pull(2, a__py=None, a__py_in_y="y\n")])
    assert [path for path, _ in opened.edits] == ["dags/a.py/x", "dags/a.py/y"]
    assert opened.tree == git.write_tree(edit(into, a__py=None, a__py_in_x="x\n", a__py_in_y="y\n"))


def test_a_file_does_not_displace_what_into_put_into_the_folder(git: GitStore) -> None:
    into = edit(BASE, team_in_e__py="of into\n")
    derived = derive(git, into, [pull(team_in_c__py=None, team_in_d__py=None, team="a file\n")])
    assert derived.tree == git.write_tree(edit(into, team_in_c__py=None, team_in_d__py=None))
    assert [(each.path, each.reason) for each in derived.conflicts] == [("dags/team", STANDS.format("dags/team/e.py"))]


def test_a_folder_does_not_displace_the_file_of_into(git: GitStore) -> None:
    into = edit(BASE, new="a file of into\n")
    derived = derive(git, into, [pull(new_in_n__py="n\n")])
    assert derived.tree == derived.into.tree
    assert [(each.path, each.reason) for each in derived.conflicts] == [("dags/new/n.py", STANDS.format("dags/new"))]


@pytest.mark.parametrize("is_file_later", [False, True])
def test_a_file_and_a_folder_of_one_name_contest_it(git: GitStore, is_file_later: bool) -> None:
    numbers = (2, 1) if is_file_later else (1, 2)
    pulls = [pull(numbers[0], new="a file\n"), pull(numbers[1], new_in_n__py="n\n", new_in_m__py="m\n")]
    derived = derive(git, BASE, pulls)
    won = {"new": "a file\n"} if is_file_later else {"new_in_n__py": "n\n", "new_in_m__py": "m\n"}
    assert derived.tree == git.write_tree(edit(BASE, **won))
    lost = {"dags/new/n.py", "dags/new/m.py"} if is_file_later else {"dags/new"}
    assert {each.path for each in derived.overlaps} == lost


@pytest.mark.parametrize("leaf", [(LINK, "elsewhere"), (FILE, "no folder"), (MODULE, "one")])
@pytest.mark.parametrize("copy_mode", ["changes", "all"])
def test_a_head_whose_dags_are_no_folder_lays_nothing(git: GitStore, leaf: tuple[str, str], copy_mode: str) -> None:
    head: State = {"Dockerfile": BASE["Dockerfile"], "dags": leaf}
    derived = derive(git, BASE, [Pull(3, BASE, head)], copy_mode=copy_mode)
    assert derived.tree == derived.into.tree
    (conflict,) = derived.conflicts
    assert (conflict.path, conflict.number) == ("dags/", 3)
    kind = {LINK: "a symbolic link", FILE: "a file", MODULE: "a submodule"}[leaf[0]]
    assert conflict.reason == f"'dags' is {kind} at its head, so nothing below it is laid"


def test_a_root_that_is_a_link_at_the_head_removes_nothing(git: GitStore) -> None:
    into = {f"etl/{path}": leaf for path, leaf in BASE.items()}
    derived = derive(git, into, [Pull(1, into, {"etl": (LINK, "other")})], root="etl")
    assert derived.tree == derived.into.tree
    assert derived.conflicts[0].reason.startswith("'etl' is a symbolic link")


def test_a_head_without_a_common_history_lays_nothing(git: GitStore) -> None:
    head = Contribution(1, snapshot(git, edit(BASE, a__py="x\n")), None)
    derived = derive_tree(snapshot(git, BASE), [head], root=".", copy_mode="changes", read_tree=git.read_tree)
    assert derived.tree == derived.into.tree
    assert derived.conflicts[0].reason == "it shares no history with the branch that it goes into"


def test_a_name_that_json_cannot_say_is_left_out(git: GitStore) -> None:
    derived = derive(git, BASE, [Pull(1, BASE, edit(BASE, a__py="x\n") | {"dags/caf\udce9.py": (FILE, "x\n")})])
    assert derived.tree == git.write_tree(edit(BASE, a__py="x\n"))
    assert "no UTF-8" in derived.conflicts[0].reason


def test_where_a_name_cannot_be_read_exactly_only_git_can_tell_the_tree(git: GitStore) -> None:
    """The source told U+FFFD for a byte, so that the entries do not hash to the tree's id."""
    into = edit(BASE, **{"caf\udce9": "x\n"})

    def read_as_json(sha: str) -> Sequence[TreeEntry]:
        return [TreeEntry(e.name.replace("\udce9", "\ufffd"), e.mode, e.sha) for e in git.read_tree(sha)]

    derived = derive_tree(
        snapshot(git, into),
        [contribute(git, pull(base=into, a__py="x\n"))],
        root=".",
        copy_mode="changes",
        read_tree=read_as_json,
    )
    assert (derived.tree, derived.is_stored) == (None, False)
    assert [path for path, _ in derived.edits] == ["dags/a.py"]


def test_copy_all_lays_the_whole_folder_and_can_revert_colleagues(git: GitStore) -> None:
    into = edit(BASE, a__py="of a colleague\n", other__py="of another\n")
    head = edit(BASE, b__py="mine\n")
    derived = derive(git, into, [Pull(1, BASE, head)], copy_mode="all")
    assert derived.tree == git.write_tree(head)
    assert derived.conflicts == ()
    assert [each.path for each in derived.laid] == ["dags"]


def test_of_two_whole_folders_the_later_number_wins(git: GitStore) -> None:
    derived = derive(git, BASE, [pull(2, b__py="two\n"), pull(1, a__py="one\n")], copy_mode="all")
    assert derived.tree == git.write_tree(edit(BASE, b__py="two\n"))
    assert [(each.path, each.numbers) for each in derived.overlaps] == [("dags", (1, 2))]


def test_copy_all_of_a_head_without_dags_lays_nothing(git: GitStore) -> None:
    derived = derive(git, BASE, [Pull(1, BASE, {"Dockerfile": BASE["Dockerfile"]})], copy_mode="all")
    assert derived.tree == derived.into.tree
    assert derived.conflicts[0].reason == "its head has no such folder, so nothing is copied"


def test_a_whole_folder_that_the_repository_holds_is_one_entry(git: GitStore) -> None:
    derived = derive(git, BASE, [pull(a__py="better\n", b__py=None, team_in_c__py="better\n")])
    assert [(path, entry and entry.mode) for path, entry in derived.edits] == [("dags", FOLDER)]
    assert derived.is_stored  # the head differs in nothing else


def test_only_folders_that_differ_are_read(git: GitStore) -> None:
    wide: State = {f"dags/part_{n}/load_{m}.py": (FILE, f"{n} {m}\n") for n in range(20) for m in range(3)}
    wide |= {f"include/part_{n}/x.py": (FILE, f"{n}\n") for n in range(20)}
    head = dict(wide) | {"dags/part_7/load_1.py": (FILE, "better\n")}
    into = dict(wide) | {"dags/part_3/load_1.py": (FILE, "of into\n")}
    asked: list[str] = []

    def read_tree(sha: str) -> Sequence[TreeEntry]:
        asked.append(sha)
        return git.read_tree(sha)

    derived = derive_tree(
        snapshot(git, into), [contribute(git, Pull(1, wide, head))], root=".", copy_mode="changes", read_tree=read_tree
    )
    assert derived.tree == git.write_tree(into | {"dags/part_7/load_1.py": (FILE, "better\n")})
    assert len(asked) == len(set(asked)) == 8  # three roots, three dags, part_7 before and after


# Which pull requests take part

PROMOTION = Promotion.model_validate({"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"})


def request(number: int = 1, **changes: object) -> PullRequest:
    fields: dict[str, object] = {
        "number": number,
        "head_ref": f"dev-{number}",
        "head_sha": f"{number:040x}",
        "head_repo_id": 7,
        "base_ref": "staging",
        "base_repo_id": 7,
        "is_open": True,
        "is_merged": False,
        "updated_at": "2026-01-01T00:00:00Z",
    }
    return PullRequest(**(fields | changes))  # type: ignore[arg-type]


def test_open_pull_requests_of_matching_branches_take_part_by_number() -> None:
    assert [pull.number for pull in select_pulls([request(10), request(9)], PROMOTION)] == [9, 10]


@pytest.mark.parametrize(
    "changes",
    [
        {"head_repo_id": 8},
        {"head_repo_id": None},
        {"is_open": False},
        {"is_open": False, "is_merged": True},
        {"base_ref": "main"},
        {"head_ref": "feature"},
        {"is_draft": True},
    ],
)
def test_no_other_takes_part(changes: dict[str, object]) -> None:
    assert select_pulls([request(**changes)], PROMOTION) == ()  # type: ignore[arg-type]


def test_drafts_take_part_where_the_policy_says_so_and_nothing_is_promoted_anew_where_it_does_not() -> None:
    draft, wanted = request(1, is_draft=True), PROMOTION.model_copy(update={"drafts": True})
    assert select_pulls([draft], wanted) == (draft,)
    prints = [fingerprint_promotion(make_project(promotion=each), [], "a", "b") for each in (PROMOTION, wanted)]
    assert len(set(prints)) == 2


def make_project(**changes: object) -> Project:
    fields = {"name": "shop", "repository": "acme/shop", "image": ["build"], "promotion": PROMOTION, **changes}
    return Project.model_validate(fields)


def test_the_fingerprint_moves_with_what_a_promotion_looks_at_and_with_nothing_else() -> None:
    pulls = [request(1), request(2)]
    known = fingerprint_promotion(make_project(), pulls, "a" * 40, "b" * 40)
    same = [request(2, title="x", updated_at="2026-02-02T00:00:00Z"), request(1), request(3, base_ref="main")]
    assert fingerprint_promotion(make_project(trunk="master"), same, "a" * 40, "b" * 40) == known
    moved = {
        fingerprint_promotion(make_project(), pulls[:1], "a" * 40, "b" * 40),
        fingerprint_promotion(make_project(), [request(1), request(2, head_sha="c" * 40)], "a" * 40, "b" * 40),
        fingerprint_promotion(make_project(), pulls, "c" * 40, "b" * 40),
        fingerprint_promotion(make_project(), pulls, "a" * 40, ""),
        fingerprint_promotion(make_project(root="etl"), pulls, "a" * 40, "b" * 40),
        fingerprint_promotion(
            make_project(promotion=PROMOTION.model_copy(update={"copy_mode": "all"})), pulls, "a" * 40, "b" * 40
        ),
    }
    assert len(moved) == 6
    assert known not in moved
