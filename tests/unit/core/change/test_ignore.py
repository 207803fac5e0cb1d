"""The ignore rules, by example and against Git itself."""

from __future__ import annotations

import subprocess
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.change.ignore import IgnoreRules
from include.deploy_ops.core.errors import PolicyError
from tests.worlds.values.git_store import GitIgnore


def _find(patterns: list[str], path: str, *, is_folder: bool = False) -> str | None:
    return IgnoreRules(patterns).find_rule(path, is_folder=is_folder)


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["*.md"], "a/b/README.md", "*.md"),
        (["docs/"], "docs/a.txt", "docs/"),
        (["docs/"], "docs", None),  # a file
        (["/tests"], "a/tests", None),
        (["a/*.txt"], "a/b/c.txt", None),
        (["a/**/c"], "a/c", "a/**/c"),
        (["*.md", "!README.md"], "README.md", None),
        (["!README.md", "*.md"], "README.md", "*.md"),
        (["docs/", "!docs/keep.txt"], "docs/keep.txt", "docs/"),  # nothing below an ignored folder comes back
        (["docs/*", "!docs/keep.txt"], "docs/keep.txt", None),
        (["*", "!*/", "!*.py"], "a/x.md", "*"),  # re-including a folder does not re-include what it holds
        (["# no rule", "", "/"], "# no rule", None),
        ([r"\#kept"], "#kept", r"\#kept"),
        (["caf\udce9"], "caf\udce9", "caf\udce9"),
        (["caf?"], "café", None),  # Git counts bytes
        (["[[:digit:]-]x"], "-x", "[[:digit:]-]x"),
        (["broken["], "broken[", None),
        (["*.md\r"], "a.md", "*.md\r"),  # the line ended in CRLF
        (["*.md \r"], "a.md", "*.md \r"),
    ],
)
def test_rule_that_decides_is_named(patterns: list[str], path: str, expected: str | None) -> None:
    assert _find(patterns, path) == expected


def test_folder_itself_is_ignored_by_a_folder_pattern() -> None:
    assert _find(["docs/"], "docs", is_folder=True) == "docs/"


def test_pattern_of_two_lines_is_refused() -> None:
    with pytest.raises(PolicyError, match="one gitignore pattern per entry"):
        IgnoreRules(["a\nb"])


_FOLDERS = [f"{top}{below}" for top, below in product(["a", "docs"], ["", "/b_d", "/k.py_d", "/b_d/docs"])]
_NAMES = ["ab", "x.md", "f.py", "[x]", "b c", "é", "!x", "#y", "a-", "b ", "caf\udce9", "X.MD"]
_FILES = [*_NAMES, *(f"{folder}/{name}" for folder in _FOLDERS for name in _NAMES[:4])]
_LINKS = ["link_d", "a/link_d"]  # to folders, which makes them none
_MODULES = ["vendor_d", "a/vendor_d"]
_SEGMENTS = [
    *("a", "b", "docs", "*", "**", "?", "x.md", "*.md", "*.py", "b_d", "*_d", "[ab]", "[!a]*", "f*", "b c", "é"),
    *("[", "\\", "[]a]*", "[[:alpha:]]*", "[f-a]", "[a-", r"\[x]", r"[\[]x]", "a**", "**d", "***", r"\*", "b c ", "#"),
    *(r"\!x", r"\#y", r"[a\-z]*", "[[:foo:]]", r"**\/ab", "a[/]b_d", "a?b_d", "[a-c-e]b", "!", "", "DOCS", "*.MD"),
]
_PATTERNS = st.builds(
    lambda start, segments, end: start + "/".join(segments) + end,
    st.sampled_from(["", "", "/", "!", "!/"]),
    st.lists(st.sampled_from(_SEGMENTS), min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " ", "\r", " \r", "\r "]),
) | st.text("ab*[]-!^\\:/x.md_?\r", min_size=1, max_size=8)
_WIDE = st.sampled_from(["*", "/*", "*_d", "docs/*", "a/**", "[!#]*", "?*"])

_FEATURES = {
    "negation": ["!docs", "!*.md", "!/a/", "!*/"],
    "anchored": ["/ab", "/docs", "/a/b_d", "docs/b_d", "!/f.py"],
    "below any folder": ["**/ab", "a/**", "docs/**/x.md", "**/b_d/**", "**/docs/f.py", "!**/f.py"],
    "character classes": ["[[:lower:]]b", "[a-f]*", "[!a-w]*", "[[:punct:]]*", "[^[:alpha:]]*", "*.[mp][dy]"],
    "trailing spaces": ["x.md   ", "docs/ ", "*.py  ", "/ab "],
    "escaped trailing spaces": ["b\\ ", "b\\  ", "?\\ "],
    "escaped # and !": [r"\#y", r"\!x", r"!\#y", r"\#*", r"\!*"],
    "CRLF": ["docs/\r", "*.md\r", "!x.md\r", "x.md \r", "/ab\r"],
    "beyond ASCII": ["é", "é*", "??", "[é][é]", "caf?", "caf\udce9", "!caf*"],
    "folders": ["docs/", "b_d/", "/a/", "*/", "!*_d/"],
    "links": ["link_d", "link*", "/link_d", "!link_d"],
    "submodules": ["vendor_d/", "vendor_d", "/vendor*/", "!vendor_d/"],
    "case": ["X.MD", "*.MD", "!X.MD"],
}


@pytest.fixture(scope="module")
def work_tree(tmp_path_factory: pytest.TempPathFactory) -> GitIgnore:
    """Make a work tree in which every path of ours is what it is taken for."""
    asked = GitIgnore(tmp_path_factory.mktemp("ignore"))
    for name in _FILES:
        file = asked.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for link in _LINKS:
        (asked.folder / link).symlink_to(asked.folder / "docs")
    for module in _MODULES:
        subprocess.run(["git", "init", "--quiet", "--template=", asked.folder / module], check=True)
        told = f"160000,{'1' * 40},{module}"
        subprocess.run(["git", "update-index", "--add", "--cacheinfo", told], cwd=asked.folder, check=True)
    return asked


def _ask_us(patterns: list[str]) -> set[str]:
    rules = IgnoreRules(patterns)
    plain = {path for path in (*_FILES, *_LINKS) if rules.find_rule(path, is_folder=False)}
    return plain | {path for path in (*_FOLDERS, *_MODULES) if rules.find_rule(path, is_folder=True)}


def _ask_git(work_tree: GitIgnore, patterns: list[str]) -> frozenset[str]:
    return work_tree.find_ignored(patterns, [*_FILES, *_LINKS, *_FOLDERS, *_MODULES])


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(_PATTERNS, min_size=1, max_size=4))
def test_git_ignores_the_same(work_tree: GitIgnore, patterns: list[str]) -> None:
    assert _ask_us(patterns) == _ask_git(work_tree, patterns)


@pytest.mark.parametrize("rule", [rule for rules in _FEATURES.values() for rule in rules])
def test_rule_of_each_feature_decides_something(rule: str, work_tree: GitIgnore) -> None:
    """Git answers otherwise with the rule than without it, so that the test below is about something."""
    others = ["*"] if rule.startswith("!") else []
    ignored = _ask_git(work_tree, [*others, rule])
    assert ignored != _ask_git(work_tree, others)
    assert ignored == _ask_us([*others, rule])


@pytest.mark.parametrize("feature", _FEATURES)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_git_ignores_the_same_by_rules_with(feature: str, work_tree: GitIgnore, data: st.DataObject) -> None:
    before, after = (data.draw(st.lists(_WIDE | _PATTERNS, max_size=2)) for _ in range(2))
    patterns = [*before, data.draw(st.sampled_from(_FEATURES[feature])), *after]
    assert _ask_us(patterns) == _ask_git(work_tree, patterns)
