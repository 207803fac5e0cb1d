"""The change type: each rule by example, on trees in memory."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.change.change_type import (
    MAX_PATHS,
    ChangeRules,
    Snapshot,
    classify_change,
    has_root,
    is_concerned,
    list_changed_dags,
    needs_image,
)
from include.deploy_ops.core.errors import ObservationError, PermanentError, PolicyError
from include.deploy_ops.core.model import ChangeDecision, ChangeType, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE, TOOL, LINK, MODULE, FOLDER = "100644", "100755", "120000", "160000", "040000"
NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE


class Forest:
    """Trees in memory, by content, that count what is read of them."""

    def __init__(self) -> None:
        self.trees: dict[str, tuple[TreeEntry, ...]] = {}
        self.reads: Counter[str] = Counter()

    def read_tree(self, sha: str) -> Sequence[TreeEntry]:
        self.reads[sha] += 1
        return self.trees[sha]

    def plant(self, files: Mapping[str, str | tuple[str, str]]) -> Snapshot:
        """Make a snapshot of path → content, or path → (mode, content)."""
        entries: list[TreeEntry] = []
        folders: dict[str, dict[str, str | tuple[str, str]]] = {}
        for path, content in files.items():
            name, _, rest = path.partition("/")
            if rest:
                folders.setdefault(name, {})[rest] = content
            else:
                mode, text = (FILE, content) if isinstance(content, str) else content
                entries.append(TreeEntry(name, mode, f"blob {text}"))
        entries += [TreeEntry(name, FOLDER, self.plant(inner).tree) for name, inner in folders.items()]
        return self.keep(*sorted(entries))

    def keep(self, *entries: TreeEntry) -> Snapshot:
        sha = f"tree {hash(entries):x}"
        self.trees[sha] = entries
        return Snapshot(f"commit of {sha}", sha)


BASE: dict[str, str | tuple[str, str]] = {
    "dags/a.py": "1",
    "dags/sub/b.py": "1",
    "Dockerfile": "1",
    "include/x.py": "1",
    "docs/x.md": "1",
}


def _decide(
    before: Mapping[str, str | tuple[str, str]],
    after: Mapping[str, str | tuple[str, str]],
    rules: ChangeRules | None = None,
    *,
    is_dag_deploy_enabled: bool = True,
) -> ChangeDecision:
    forest = Forest()
    base = forest.plant(before)
    return classify_change(
        target=forest.plant(after),
        image_base=base,
        dags_base=base,
        rules=rules or ChangeRules(".", ("docs/", "*.md")),
        read_tree=forest.read_tree,
        is_dag_deploy_enabled=is_dag_deploy_enabled,
    )


def _record(decision: ChangeDecision) -> list[tuple[str, ChangeType, str]]:
    return [(path.path, path.verdict, path.rule) for path in decision.paths]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"dags/a.py": "2"}, [("dags/a.py", DAGS, "below dags/")]),
        ({"dags/a.py": (TOOL, "1")}, [("dags/a.py", DAGS, "below dags/")]),
        ({"dags/notes.md": "1"}, [("dags/notes.md", DAGS, "below dags/")]),  # ignore never touches dags/
        ({"dags/docs/x": "1"}, [("dags/docs/x", DAGS, "below dags/")]),
        ({"dags/lib": (MODULE, "c2")}, [("dags/lib", DAGS, "below dags/")]),
        ({"include/x.py": "2"}, [("include/x.py", IMAGE, "outside dags/")]),
        ({"Dockerfile": (LINK, "1")}, [("Dockerfile", IMAGE, "outside dags/")]),
        ({"dags.py": "1"}, [("dags.py", IMAGE, "outside dags/")]),
        ({"dags2/a.py": "1"}, [("dags2/a.py", IMAGE, "outside dags/")]),
        ({"include/dags/a.py": "1"}, [("include/dags/a.py", IMAGE, "outside dags/")]),
        ({"vendor": (MODULE, "c2")}, [("vendor", IMAGE, "outside dags/")]),
        ({"include/notes.md": "2"}, [("include/notes.md", NONE, "ignored by '*.md'")]),
        ({"docs/x.md": "2", "docs/y": "1"}, [("docs/", NONE, "ignored by 'docs/'")]),
        (
            {"docs/y": "1", "dags/a.py": "2", "include/z": "1"},
            [
                ("include/z", IMAGE, "outside dags/"),
                ("dags/a.py", DAGS, "below dags/"),
                ("docs/", NONE, "ignored by 'docs/'"),
            ],
        ),
    ],
)
def test_rule_and_verdict_of_each_path(
    changes: Mapping[str, str | tuple[str, str]], expected: list[tuple[str, ChangeType, str]]
) -> None:
    decision = _decide(BASE, {**BASE, **changes})
    assert _record(decision) == expected
    assert decision.change_type is max((verdict for _, verdict, _ in expected), key=lambda v: v.rank, default=NONE)


def test_rename_is_a_removal_and_an_addition() -> None:
    after = {name: content for name, content in BASE.items() if name != "dags/a.py"} | {"include/a.py": "1"}
    assert _record(_decide(BASE, after)) == [
        ("include/a.py", IMAGE, "outside dags/"),
        ("dags/a.py", DAGS, "below dags/"),
    ]


def test_file_that_became_a_folder_is_both() -> None:
    after = {name: content for name, content in BASE.items() if name != "Dockerfile"} | {"Dockerfile/x": "1"}
    assert [path.path for path in _decide(BASE, after).paths] == ["Dockerfile", "Dockerfile/x"]


@pytest.mark.parametrize("mode", [LINK, FILE, MODULE])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_dags_that_is_no_folder_asks_for_an_image(mode: str, is_reversed: bool) -> None:
    other: dict[str, str | tuple[str, str]] = {"Dockerfile": "1", "dags": (mode, "1")}
    whole = {"Dockerfile": "1", "dags/a.py": "1"}
    decision = _decide(other, whole) if is_reversed else _decide(whole, other)
    assert decision.change_type is IMAGE
    assert _record(decision)[0] == ("dags", IMAGE, "'dags' is no folder")


def test_unchanged_link_at_dags_asks_for_nothing() -> None:
    linked: dict[str, str | tuple[str, str]] = {"Dockerfile": "1", "dags": (LINK, "1")}
    assert _decide(linked, linked).change_type is NONE


def test_each_question_has_its_own_base() -> None:
    """A failed image deploy, then a DAG-only push: the image is still the old one."""
    forest = Forest()
    image = forest.plant({"dags/a.py": "1", "Dockerfile": "1"})
    dags = forest.plant({"dags/a.py": "2", "Dockerfile": "2"})
    target = forest.plant({"dags/a.py": "2", "Dockerfile": "2"})
    decision = classify_change(
        target=target, image_base=image, dags_base=dags, rules=ChangeRules("."), read_tree=forest.read_tree
    )
    assert _record(decision) == [("Dockerfile", IMAGE, "outside dags/")]
    assert (decision.commit, decision.image_base, decision.dags_base) == (target.commit, image.commit, dags.commit)


def test_dags_that_went_back_to_the_image_are_still_deployed() -> None:
    forest = Forest()
    first, second = forest.plant({"dags/a.py": "1"}), forest.plant({"dags/a.py": "2"})
    decision = classify_change(
        target=first, image_base=first, dags_base=second, rules=ChangeRules("."), read_tree=forest.read_tree
    )
    assert decision.change_type is DAGS


@pytest.mark.parametrize("missing", ["image_base", "dags_base"])
def test_missing_base_means_an_image_and_says_why(missing: str) -> None:
    forest = Forest()
    snapshot = forest.plant(BASE)
    decision = classify_change(
        target=snapshot,
        image_base=None if missing == "image_base" else snapshot,
        dags_base=None if missing == "dags_base" else snapshot,
        rules=ChangeRules("."),
        read_tree=forest.read_tree,
        missing_base="the last deploy came from outside",
    )
    assert (decision.change_type, decision.reason) == (IMAGE, "the last deploy came from outside")
    assert (decision.image_base is None) is (missing == "image_base")
    assert (decision.dags_base is None) is (missing == "dags_base")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"dags/a.py": "2"}, IMAGE), ({"docs/x.md": "2"}, NONE), ({"include/x.py": "2"}, IMAGE), ({}, NONE)],
)
def test_without_dag_deploys_all_that_counts_asks_for_an_image(
    changes: Mapping[str, str], expected: ChangeType
) -> None:
    assert _decide(BASE, {**BASE, **changes}, is_dag_deploy_enabled=False).change_type is expected


DEEP = ChangeRules("services/etl", ("*.md",), ("shared/libs/", "Makefile"))
DEEP_BASE: dict[str, str | tuple[str, str]] = {
    "services/etl/dags/a.py": "1",
    "services/etl/Dockerfile": "1",
    "services/other/dags/a.py": "1",
    "shared/libs/x.md": "1",
    "Makefile": "1",
}


@pytest.mark.parametrize(
    ("path", "verdict", "rule"),
    [
        ("services/etl/dags/a.py", DAGS, "below dags/"),
        ("services/etl/Dockerfile", IMAGE, "outside dags/"),
        ("services/etl/x.md", NONE, "ignored by '*.md'"),
        ("services/etl2", NONE, "outside the root"),
        ("dags/", NONE, "outside the root"),
        ("services/other/", NONE, "outside the root"),
        ("shared/libs/x.md", IMAGE, "also_watch 'shared/libs'"),  # ignore never touches also_watch
        ("shared/libs2/", NONE, "outside the root"),
        ("Makefile", IMAGE, "also_watch 'Makefile'"),
        ("Makefile2", NONE, "outside the root"),
    ],
)
def test_root_and_also_watch(path: str, verdict: ChangeType, rule: str) -> None:
    changed = f"{path}dags/a.py" if path.endswith("/") else path
    assert _record(_decide(DEEP_BASE, {**DEEP_BASE, changed: "2"}, DEEP)) == [(path, verdict, rule)]


def test_what_holds_a_watched_path_changes_it() -> None:
    before: dict[str, str | tuple[str, str]] = {"services/etl/Dockerfile": "1", "shared": (MODULE, "c1")}
    decision = _decide(before, {**before, "shared": (MODULE, "c2")}, DEEP)
    assert _record(decision) == [("shared", IMAGE, "also_watch 'shared/libs'")]


def test_root_may_be_new() -> None:
    assert _decide({"a": "1", "services": "a file"}, DEEP_BASE, DEEP).change_type is IMAGE


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"services": (LINK, "x")}, "'services' is a symbolic link"),
        ({"services/etl": (MODULE, "x")}, "'services/etl' is a submodule"),
        ({"services/etl": "x"}, "'services/etl' is a file"),
        ({"services/other/x": "x"}, "'services/etl' is missing"),
    ],
)
def test_root_that_is_no_folder_is_refused(files: Mapping[str, str | tuple[str, str]], said: str) -> None:
    forest = Forest()
    target = forest.plant(files)
    with pytest.raises(PermanentError, match=said):
        classify_change(target=target, image_base=None, dags_base=None, rules=DEEP, read_tree=forest.read_tree)
    with pytest.raises(PermanentError, match=said):
        needs_image(target, target, DEEP, forest.read_tree)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (ChangeRules(".", (), ("shared",)), "'shared' lies inside the project's root '.'"),
        (ChangeRules("a/b", (), ("a/b/c",)), "'a/b/c' lies inside the project's root 'a/b'"),
        (ChangeRules("a/b", (), ("a/b/",)), "'a/b' lies inside"),
        (ChangeRules("../a"), "root: '../a' is no path"),
        (ChangeRules("a", (), ("/b",)), "also_watch: '/b' is no path"),
    ],
)
def test_rules_that_contradict_are_refused(rules: ChangeRules, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        _decide({"a/b/x": "1"}, {"a/b/x": "1"}, rules)


def test_failed_observation_passes_through() -> None:
    def fail(sha: str) -> Sequence[TreeEntry]:
        raise ObservationError(f"GET tree {sha}")

    one, two = Snapshot("1", "1"), Snapshot("2", "2")
    with pytest.raises(ObservationError, match="GET tree"):
        classify_change(target=one, image_base=two, dags_base=two, rules=ChangeRules("."), read_tree=fail)


SHA = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
# The ids that Git gives trees of one empty file: caf\xe9.md, caf\xe8.md, and one that is really called caf\ufffd.md.
LATIN_E_ACUTE, LATIN_E_GRAVE = "f5d335df9159763f758c82bc77cc11516ecb99a3", "e068d676fb73191949434cd92657eed9de555435"
REALLY_SO = "b91f4eda809b339c049c7beb390824afb95b494a"


def _decide_between(
    before: Mapping[str, Sequence[TreeEntry]], after: Mapping[str, Sequence[TreeEntry]], rules: ChangeRules
) -> ChangeDecision:
    """Decide between two repositories, each given as its trees, the root first; ids and listings need not agree."""
    base = Snapshot("1" * 40, next(iter(before)))
    return classify_change(
        target=Snapshot("2" * 40, next(iter(after))),
        image_base=base,
        dags_base=base,
        rules=rules,
        read_tree={**before, **after}.__getitem__,
    )


@pytest.mark.parametrize("name", ["caf\ufffd.md", "caf\xe9.md", "cafe\u0301.md"])
def test_listing_that_tells_a_name_otherwise_hides_no_change(name: str) -> None:
    """JSON has no way to tell a name that is no UTF-8; whatever stands for it, the same may stand for another."""
    entries = (TreeEntry(name, FILE, SHA),)
    decision = _decide_between({LATIN_E_ACUTE: entries}, {LATIN_E_GRAVE: entries}, ChangeRules(".", ("*.md",)))
    assert set(_record(decision)) == {(name, IMAGE, "its name cannot be read exactly")}


def test_name_that_is_told_exactly_is_compared_and_ignored_as_any_other() -> None:
    same = (TreeEntry("caf\ufffd.md", FILE, SHA),)
    before = {"before": (TreeEntry("dags", FOLDER, REALLY_SO),), REALLY_SO: same}
    decision = _decide_between(before, {REALLY_SO: same}, ChangeRules(".", ("caf???.md",)))
    assert _record(decision) == [
        ("dags/caf\ufffd.md", DAGS, "below dags/"),
        ("caf\ufffd.md", NONE, "ignored by 'caf???.md'"),
    ]


@pytest.mark.parametrize(
    ("path", "root", "verdict"), [("dags", ".", DAGS), ("include", ".", IMAGE), ("other", "etl", NONE)]
)
def test_folder_whose_name_is_not_told_is_judged_by_where_it_stands(path: str, root: str, verdict: ChangeType) -> None:
    folder = TreeEntry("caf\ufffd", FOLDER, "never read")
    trees = {
        side: {
            side: (TreeEntry(path, FOLDER, f"in {side}"), TreeEntry("etl", FOLDER, "etl")),
            f"in {side}": (replace(folder, sha=SHA),),
            "etl": (),
        }
        for side in ("before", "after")
    }
    decision = _decide_between(trees["before"], trees["after"], ChangeRules(root))
    assert decision.change_type is verdict


def test_name_that_stands_twice_hides_no_change() -> None:
    entries = (TreeEntry("twice.txt", FILE, SHA), TreeEntry("twice.txt", FILE, SHA))
    decision = _decide_between({"before": entries}, {"after": entries}, ChangeRules("."))
    assert _record(decision)[0] == ("twice.txt", IMAGE, "its name cannot be read exactly")


def test_only_folders_that_differ_are_read_and_each_once() -> None:
    forest = Forest()
    many: dict[str, str | tuple[str, str]] = {f"include/p{n}/x.py": str(n) for n in range(50)}
    base = forest.plant({**BASE, **many, "docs/deep/er/x": "1"})
    target = forest.plant({**BASE, **many, "docs/deep/er/x": "2", "include/p7/x.py": "new", "dags/sub/b.py": "2"})
    classify_change(
        target=target, image_base=base, dags_base=base, rules=ChangeRules(".", ("docs/",)), read_tree=forest.read_tree
    )
    assert set(forest.reads.values()) == {1}
    assert forest.reads.total() == 2 * len(["", "dags", "dags/sub", "include", "include/p7"])


def test_equal_trees_are_not_read() -> None:
    forest = Forest()
    base = forest.plant(BASE)
    rules = ChangeRules(".")
    assert not needs_image(base, base, rules, forest.read_tree)
    assert forest.reads.total() == 0


def test_deep_folders_need_no_deep_stack() -> None:
    forest = Forest()
    one, two = forest.keep(TreeEntry("x", FILE, "1")), forest.keep(TreeEntry("x", FILE, "2"))
    for _ in range(1200):  # more than Python's recursion limit
        one, two = (forest.keep(TreeEntry("d", FOLDER, each.tree)) for each in (one, two))
    assert needs_image(one, two, ChangeRules("."), forest.read_tree)


def test_long_record_is_cut_after_the_deciding_paths() -> None:
    extra = {f"dags/{n:04}.py": "1" for n in range(300)}
    decision = _decide(BASE, {**BASE, **extra, "zz": "1", "docs/y": "1"})
    assert decision.change_type is IMAGE
    assert len(decision.paths) == MAX_PATHS
    assert decision.paths[0].path == "zz"
    assert (decision.paths[-1].path, decision.paths[-1].rule) == ("…", "more changed paths are not listed")
    assert decision.paths[-1].verdict is DAGS


def test_a_modified_file_takes_one_place_of_the_record() -> None:
    before, after = ({f"{top}/{n:03}.py": text for top in ("a", "b") for n in range(MAX_PATHS // 2)} for text in "12")
    decision = _decide({**BASE, **before}, {**BASE, **after})
    assert {path.path for path in decision.paths} == before.keys()
    assert f" and {MAX_PATHS - 1} more" in decision.reason


@pytest.mark.parametrize("top", ["dags", "include"])
def test_walk_ends_where_the_record_is_full(top: str) -> None:
    """A change of every folder of a large repository costs no request for each of them."""
    forest = Forest()
    base = forest.plant(BASE)
    target = forest.plant({**BASE, **{f"{top}/p{n}/x.py": str(n) for n in range(10 * MAX_PATHS)}})
    decision = classify_change(
        target=target, image_base=base, dags_base=base, rules=ChangeRules("."), read_tree=forest.read_tree
    )
    assert decision.change_type is (DAGS if top == "dags" else IMAGE)
    assert f" and over {MAX_PATHS - 1} more" in decision.reason
    assert forest.reads.total() < MAX_PATHS + 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing differs from the image of "),
        ({"docs/y": "1", "x.md": "1"}, "nothing that counts differs from .*: 'docs/' .* and 1 more$"),
        ({"dags/a.py": "2"}, r"only DAGs differ from .*: 'dags/a.py' \(below dags/\)$"),
        ({"x": "2", "dags/a.py": "2"}, r"an image is needed, compared with .*: 'x' \(outside dags/\)$"),
    ],
)
def test_reason_is_a_sentence(changes: Mapping[str, str], said: str) -> None:
    reason = _decide(BASE, {**BASE, **changes}).reason
    assert re.search(said, reason), reason


@pytest.mark.parametrize(
    ("changes", "with_dag_deploys", "without"),
    [
        ({}, False, False),
        ({"dags/a.py": "2"}, False, True),
        ({"x.md": "2"}, False, False),
        ({"Dockerfile": "2"}, True, True),
    ],
)
def test_image_serves_another_commit(changes: Mapping[str, str], with_dag_deploys: bool, without: bool) -> None:
    forest = Forest()
    source, target = forest.plant(BASE), forest.plant({**BASE, **changes})
    rules = ChangeRules(".", ("*.md",))
    assert needs_image(source, target, rules, forest.read_tree) is with_dag_deploys
    assert needs_image(source, target, rules, forest.read_tree, is_dag_deploy_enabled=False) is without


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, frozenset[str]()),
        ({"Dockerfile": "2", "dags2/x.py": "2"}, frozenset()),
        (
            {"dags/a.py": "2", "dags/sub/b.py": (TOOL, "1"), "include/x.py": "2"},
            frozenset({"dags/a.py", "dags/sub/b.py"}),
        ),
        ({"dags/new/c.py": "1", "dags/link.py": (LINK, "a.py")}, frozenset({"dags/new/c.py", "dags/link.py"})),
    ],
)
@pytest.mark.parametrize("root", [".", "services/etl"])
def test_changed_dags_are_listed_below_the_root(
    changes: Mapping[str, str | tuple[str, str]], expected: frozenset[str], root: str
) -> None:
    forest, above = Forest(), "" if root == "." else f"{root}/"
    before, after = (
        forest.plant({f"{above}{path}": content for path, content in files.items()})
        for files in (BASE, {**BASE, **changes})
    )
    for one, other in ((before, after), (after, before)):
        assert list_changed_dags(one, other, ChangeRules(root), forest.read_tree) == expected


def test_changed_dags_that_are_too_many_or_cannot_be_told_are_any() -> None:
    forest, rules = Forest(), ChangeRules(".")
    base = forest.plant(BASE)
    many = {f"dags/{number}.py": "1" for number in range(MAX_PATHS)}
    listed = list_changed_dags(base, forest.plant({**BASE, **many}), rules, forest.read_tree)
    assert listed == many.keys()
    modified = forest.plant({**BASE, **dict.fromkeys(many, "2")})
    assert list_changed_dags(forest.plant({**BASE, **many}), modified, rules, forest.read_tree) == many.keys()
    more = forest.plant({**BASE, **many, "dags/one more.py": "1"})
    assert list_changed_dags(base, more, rules, forest.read_tree) is None


@pytest.mark.parametrize("mode", [FILE, FOLDER])
def test_changed_dags_whose_names_cannot_be_told_are_any(mode: str) -> None:
    trees = {
        "before": (),
        "after": (TreeEntry("dags", FOLDER, LATIN_E_ACUTE),),
        LATIN_E_ACUTE: (TreeEntry("caf\ufffd.md", mode, SHA),),
    }
    before, after = Snapshot("1" * 40, "before"), Snapshot("2" * 40, "after")
    assert list_changed_dags(before, after, ChangeRules("."), trees.__getitem__) is None


def test_whether_anything_of_a_project_differs_is_seen_without_looking_beside_it() -> None:
    forest = Forest()
    rules = ChangeRules("etl", also_watch=("lib",))
    base = forest.plant({"etl/dags/a.py": "1", "ml/sub/b.py": "1", "lib/x": "1"})
    beside = forest.plant({"etl/dags/a.py": "1", "ml/sub/b.py": "2", "lib/x": "1"})
    assert not is_concerned(base, beside, rules, forest.read_tree)
    assert set(forest.reads) == {base.tree, beside.tree}
    for path in ("etl/dags/a.py", "etl/new", "lib/x"):
        files = {"etl/dags/a.py": "1", "ml/sub/b.py": "1", "lib/x": "1", path: "2"}
        assert is_concerned(base, forest.plant(files), rules, forest.read_tree)
    assert is_concerned(base, forest.plant({"ml/sub/b.py": "1", "lib/x": "1"}), rules, forest.read_tree)


@pytest.mark.parametrize(("files", "is_there"), [({"a/b/x": "1"}, True), ({"a/x": "1"}, False), ({"a": "1"}, False)])
def test_whether_the_root_is_a_folder_is_told(files: dict[str, str | tuple[str, str]], is_there: bool) -> None:
    forest = Forest()
    assert has_root(forest.plant(files), ChangeRules("a/b"), forest.read_tree) is is_there
    assert has_root(forest.plant(files), ChangeRules("."), forest.read_tree)
