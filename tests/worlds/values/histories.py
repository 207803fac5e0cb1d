"""Generated histories of an Astro project: one kind of change after the other, each with a proof that it took place.

A state is path → leaf, as `git_store` writes it. `KINDS` is the list of what people do to a repository that a change
type could get wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.worlds.values.git_store import ABSENT, EMPTY_TREE, FILE, FOLDER, LINK, MODULE, TOOL, Leaf, RawChange

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

State = dict[str, Leaf]
LEAVES = (FILE, TOOL, LINK, MODULE)

BASE: State = {
    "Dockerfile": (FILE, "FROM astro\n"),
    "README.md": (FILE, "read me\n"),
    "run.sh": (TOOL, "run\n"),
    "current": (LINK, "include"),
    "vendor": (MODULE, "one"),
    "docs/guide.md": (FILE, "guide\n"),
    "docs/img/logo": (FILE, "logo\n"),
    "dags/load.py": (FILE, "load\n"),
    "dags/team/report.py": (FILE, "report\n"),
    "dags/notes.md": (FILE, "notes\n"),
    "dags/latest.py": (LINK, "load.py"),
    "dags/lib": (MODULE, "two"),
    "include/x.py": (FILE, "x\n"),
    "include/sql/q.sql": (FILE, "q\n"),
    "shared/lib/deep.py": (FILE, "deep\n"),
    "etl/Dockerfile": (FILE, "FROM etl\n"),
    "etl/docs/x.md": (FILE, "etl docs\n"),
    "etl/dags/a.py": (FILE, "a\n"),
    "etl/dags/sub/b.py": (TOOL, "b\n"),
    "etl/lib/z.py": (FILE, "z\n"),
    "etl/inner/Dockerfile": (FILE, "FROM inner\n"),
    "etl/inner/dags/a.py": (FILE, "inner a\n"),
    "etl/inner/lib": (MODULE, "three"),
}
PROJECTS = ("", "etl/", "etl/inner/")
"""Where an Astro project starts in BASE: what stands before its own paths."""

ODD_NAMES = {
    "spaces": " a  b ",
    "quotes": 'it\'s "so"\\',
    "a newline": "two\nlines.py",
    "no UTF-8": "caf\udce9.py",
    "250 bytes": "ä" * 125,
}


def put(state: State, path: str, leaf: Leaf) -> None:
    """Put a leaf at a path; what stands in its way goes."""
    for other in list(state):
        if path.startswith(f"{other}/") or other == path or other.startswith(f"{path}/"):
            del state[other]
    state[path] = leaf


def move(state: State, old: str, new: str) -> None:
    put(state, new, state.pop(old))


def _draw_path(draw: DrawFn, state: State, *modes: str, fits: Callable[[str], bool] = lambda _: True) -> str | None:
    """Choose among the leaves of these modes; None if there are none."""
    fitting = [path for path, leaf in sorted(state.items()) if leaf[0] in modes and fits(path)]
    return draw(st.sampled_from(fitting)) if fitting else None


def _draw_place(draw: DrawFn) -> str:
    """Choose a folder, with its slash: a project, its DAGs, or somewhere else in it."""
    return draw(st.sampled_from(PROJECTS)) + draw(
        st.sampled_from(["", "dags/", "dags/team/", "docs/", "include/", "lib/"])
    )


def _draw_leaf(draw: DrawFn) -> Leaf:
    return draw(st.sampled_from([FILE, TOOL, LINK, MODULE])), draw(st.sampled_from(["one", "two", "new\n"]))


def _change_leaf(*modes: str, to: Callable[[Leaf], Leaf | None]) -> Callable[[DrawFn, State], None]:
    """Change one leaf of these modes by `to`; None removes it."""

    def apply(draw: DrawFn, state: State) -> None:
        path = _draw_path(draw, state, *modes)
        if path is not None:
            leaf = to(state.pop(path))
            if leaf is not None:
                state[path] = leaf

    return apply


def _put(place: str, *leaves: Leaf) -> Callable[[DrawFn, State], None]:
    """Put a leaf at a fixed path of a project."""
    return lambda draw, state: put(state, draw(st.sampled_from(PROJECTS)) + place, draw(st.sampled_from(leaves)))


def _put_odd(name: str) -> Callable[[DrawFn, State], None]:
    """Put a leaf of an odd name somewhere, or one below a folder of that name."""

    def apply(draw: DrawFn, state: State) -> None:
        below = draw(st.sampled_from(["", "/x.py"]))
        put(state, f"{_draw_place(draw)}{name}{below}", _draw_leaf(draw))

    return apply


def _add(draw: DrawFn, state: State) -> None:
    put(state, f"{_draw_place(draw)}{draw(st.sampled_from(['new', 'y.md', 'new.py']))}", _draw_leaf(draw))


def _rename(draw: DrawFn, state: State) -> None:
    path = _draw_path(draw, state, *LEAVES)
    if path is not None:
        folder, slash, _ = path.rpartition("/")
        move(state, path, folder + slash + draw(st.sampled_from(["renamed.py", "renamed.md"])))


def _rename_folder(draw: DrawFn, state: State) -> None:
    folders = sorted({path.rpartition("/")[0] for path in state} - {""})
    if folders:
        folder = draw(st.sampled_from(folders))
        above, slash, _ = folder.rpartition("/")
        for path in [path for path in state if path.startswith(f"{folder}/")]:
            move(state, path, f"{above}{slash}renamed/{path.removeprefix(f'{folder}/')}")


def _move_into_dags(draw: DrawFn, state: State) -> None:
    path = _draw_path(draw, state, *LEAVES, fits=lambda path: not has_dags(f"{path}/"))
    if path is not None:
        move(state, path, f"{draw(st.sampled_from(PROJECTS))}dags/moved.py")


def _move_out_of_dags(draw: DrawFn, state: State) -> None:
    path = _draw_path(draw, state, *LEAVES, fits=has_dags)
    if path is not None:
        move(state, path, f"{draw(st.sampled_from(PROJECTS))}include/moved.py")


def _add_case_twin(draw: DrawFn, state: State) -> None:
    path = _draw_path(draw, state, *LEAVES)
    if path is not None:
        parts = path.split("/")
        at = draw(st.integers(0, len(parts) - 1))
        put(state, "/".join([*parts[:at], parts[at].swapcase(), *parts[at + 1 :]]), state[path])


def _turn_file_into_folder(draw: DrawFn, state: State) -> None:
    path = _draw_path(draw, state, FILE, TOOL)
    if path is not None:
        put(state, f"{path}/inside.py", state[path])


def _turn_folder_into_file(draw: DrawFn, state: State) -> None:
    folders = sorted({path.rpartition("/")[0] for path in state} - {""})
    if folders:
        put(state, draw(st.sampled_from(folders)), (FILE, "was a folder\n"))


@dataclass(frozen=True)
class Step:
    """Two states in a row, and what `git diff` and the trees say of them."""

    before: State
    after: State
    changes: tuple[RawChange, ...]
    trees: tuple[str, str]

    def has(self, is_wanted: Callable[[RawChange], bool]) -> bool:
        return any(is_wanted(change) for change in self.changes)

    def adds_below(self, name: str) -> bool:
        return self.has(lambda change: change.before == ABSENT and name in change.path.split("/"))

    def moves(self, *, from_dags: bool, to_dags: bool) -> bool:
        """Whether an object went from a path to another one, by their sides of the border."""
        gone = {(change.before_sha, has_dags(change.path)) for change in self.changes if change.after == ABSENT}
        come = {(change.after_sha, has_dags(change.path)) for change in self.changes if change.before == ABSENT}
        return any((sha, to_dags) in come for sha, is_from_dags in gone if is_from_dags is from_dags)


def has_dags(path: str) -> bool:
    return path.startswith(tuple(f"{project}dags/" for project in PROJECTS))


def _has_modes(before: str, after: str) -> Callable[[Step], bool]:
    return lambda step: step.has(lambda change: (change.before, change.after) == (before, after))


def _has_twins(step: Step) -> bool:
    known = {path.casefold(): path for path in step.before}
    return any(path not in step.before and path.casefold() in known for path in step.after)


def _has_new_line_ends(step: Step) -> bool:
    both = step.before.keys() & step.after.keys()
    return any(
        step.after[path][1] == step.before[path][1].replace("\n", "\r\n") != step.before[path][1] for path in both
    )


def _has_dags_of(mode: str) -> Callable[[Step], bool]:
    projects = tuple(f"{project}dags" for project in PROJECTS)
    return lambda step: step.has(lambda change: change.path in projects and change.after == mode)


def _is_folder_and_file(change_into: str, step: Step) -> bool:
    paths = {change.path for change in step.changes if (change.after == ABSENT) is (change_into == "folder")}
    others = {change.path for change in step.changes} - paths
    return any(other.startswith(f"{path}/") for path in paths for other in others)


@dataclass(frozen=True)
class Kind:
    """One kind of change: how it is made, and how it is recognised when it was."""

    name: str
    apply: Callable[[DrawFn, State], Any]
    is_seen: Callable[[Step], bool]


def _odd_kind(name: str, odd: str) -> Kind:
    return Kind(f"add a name with {name}", _put_odd(odd), lambda step: step.adds_below(odd))


KINDS = (
    Kind("add", _add, lambda step: step.has(lambda change: change.before == ABSENT)),
    Kind("edit", _change_leaf(FILE, to=lambda leaf: (FILE, f"{leaf[1]}more\n")), _has_modes(FILE, FILE)),
    Kind("remove", _change_leaf(*LEAVES, to=lambda _: None), lambda step: step.has(lambda c: c.after == ABSENT)),
    Kind("rename", _rename, lambda s: s.moves(from_dags=False, to_dags=False) or s.moves(from_dags=True, to_dags=True)),
    Kind(
        "rename a folder",
        _rename_folder,
        lambda step: step.has(lambda change: "renamed" in change.path.split("/")[:-1]),
    ),
    Kind("move into dags/", _move_into_dags, lambda step: step.moves(from_dags=False, to_dags=True)),
    Kind("move out of dags/", _move_out_of_dags, lambda step: step.moves(from_dags=True, to_dags=False)),
    Kind("make executable", _change_leaf(FILE, to=lambda leaf: (TOOL, leaf[1])), _has_modes(FILE, TOOL)),
    Kind("make plain", _change_leaf(TOOL, to=lambda leaf: (FILE, leaf[1])), _has_modes(TOOL, FILE)),
    Kind("file to link", _change_leaf(FILE, to=lambda leaf: (LINK, leaf[1])), _has_modes(FILE, LINK)),
    Kind("link to file", _change_leaf(LINK, to=lambda leaf: (FILE, leaf[1])), _has_modes(LINK, FILE)),
    Kind("point a link elsewhere", _change_leaf(LINK, to=lambda leaf: (LINK, "elsewhere")), _has_modes(LINK, LINK)),
    Kind("move a submodule", _change_leaf(MODULE, to=lambda leaf: (MODULE, f"{leaf[1]}+")), _has_modes(MODULE, MODULE)),
    Kind("file to submodule", _change_leaf(FILE, to=lambda _: (MODULE, "four")), _has_modes(FILE, MODULE)),
    Kind("add a submodule", _put("vendored", (MODULE, "four")), _has_modes(ABSENT, MODULE)),
    *(_odd_kind(name, odd) for name, odd in ODD_NAMES.items()),
    Kind("add a case twin", _add_case_twin, _has_twins),
    Kind("add CRLF", _change_leaf(FILE, to=lambda leaf: (FILE, leaf[1].replace("\n", "\r\n"))), _has_new_line_ends),
    Kind("dags as a file", _put("dags", (FILE, "no folder")), _has_dags_of(FILE)),
    Kind("dags as a link", _put("dags", (LINK, "include")), _has_dags_of(LINK)),
    Kind("dags as a submodule", _put("dags", (MODULE, "five")), _has_dags_of(MODULE)),
    Kind("dags/ in a sub-folder", _put("include/dags/x.py", (FILE, "x")), lambda s: s.adds_below("dags")),
    Kind("a file dags.py", _put("dags.py", (FILE, "dags")), lambda step: step.adds_below("dags.py")),
    Kind("file to folder", _turn_file_into_folder, lambda step: _is_folder_and_file("folder", step)),
    Kind("folder to file", _turn_folder_into_file, lambda step: _is_folder_and_file("file", step)),
    Kind("remove everything", lambda _, state: state.clear(), lambda step: step.trees[1] == EMPTY_TREE),
    Kind("an empty folder", _put("void", (FOLDER, "")), lambda s: not s.changes and s.trees[0] != s.trees[1]),
    Kind("nothing", lambda _draw, _state: None, lambda step: step.trees[0] == step.trees[1]),
)


def histories(
    first: SearchStrategy[Kind], *, steps: int = 3, kinds: tuple[Kind, ...] = KINDS
) -> SearchStrategy[list[State]]:
    """Generate BASE, BASE changed by the first kind, and up to `steps` states more: any kinds, or a way back."""

    @st.composite
    def generate(draw: DrawFn) -> list[State]:
        states = [BASE, change_state(draw, BASE, [draw(first)])]
        for _ in range(draw(st.integers(1, steps))):
            start = draw(st.sampled_from([states[-1], *states]))
            states.append(change_state(draw, start, draw(st.lists(st.sampled_from(kinds), max_size=3))))
        return states

    return generate()


def change_state(draw: DrawFn, state: State, kinds: list[Kind]) -> State:
    """Return the state after these kinds of change, one after the other."""
    after = dict(state)
    for kind in kinds:
        kind.apply(draw, after)
    return after
