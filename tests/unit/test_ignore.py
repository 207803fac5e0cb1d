"""The ignore rules, by example and against Git itself."""

from __future__ import annotations

import subprocess
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.errors import PolicyError
from include.deploy_ops.ignore import IgnoreRules

if TYPE_CHECKING:
    from pathlib import Path


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
_NAMES = ["ab", "x.md", "f.py", "[x]", "b c", "é", "!x", "#y", "a-"]
_FILES = [*_NAMES, *(f"{folder}/{name}" for folder in _FOLDERS for name in _NAMES[:4])]
_SEGMENTS = [
    *("a", "b", "docs", "*", "**", "?", "x.md", "*.md", "*.py", "b_d", "*_d", "[ab]", "[!a]*", "f*", "b c", "é"),
    *("[", "\\", "[]a]*", "[[:alpha:]]*", "[f-a]", "[a-", r"\[x]", r"[\[]x]", "a**", "**d", "***", r"\*", "b c ", "#"),
    *(r"\!x", r"\#y", r"[a\-z]*", "[[:foo:]]", r"**\/ab", "a[/]b_d", "a?b_d", "[a-c-e]b", "!", ""),
]
_PATTERNS = st.builds(
    lambda start, segments, end: start + "/".join(segments) + end,
    st.sampled_from(["", "", "/", "!", "!/"]),
    st.lists(st.sampled_from(_SEGMENTS), min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " "]),
) | st.text("ab*[]-!^\\:/x.md_?", min_size=1, max_size=8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ignore")
    subprocess.run(["git", "init", "--quiet", "--template=", path], check=True)
    for name in _FILES:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return path


def _ask_git(repository: Path, patterns: list[str]) -> set[str]:
    (repository / ".gitignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    asked = "".join(f"{path}\0" for path in (*_FILES, *_FOLDERS))
    command = ["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin", "-z"]
    answer = subprocess.run(command, cwd=repository, input=asked, capture_output=True, text=True, check=False)
    assert answer.returncode in {0, 1}, answer.stderr
    return set(answer.stdout.split("\0")) - {""}


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(_PATTERNS, min_size=1, max_size=4))
def test_git_ignores_the_same(repository: Path, patterns: list[str]) -> None:
    rules = IgnoreRules(patterns)
    files = {path for path in _FILES if rules.find_rule(path, is_folder=False)}
    folders = {path for path in _FOLDERS if rules.find_rule(path, is_folder=True)}
    assert files | folders == _ask_git(repository, patterns)
