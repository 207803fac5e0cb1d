"""Scalar values of a policy; branch names are held to what git itself says."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.policy import values

NAMES = st.text("ab-./@{}~^:?*[\\ \x7f]lockHEAD", min_size=1, max_size=8)
EXAMPLES = [
    "HEAD",
    "@",
    "-x",
    "a.lock",
    "a.lock/b",
    "a/.b",
    "a..b",
    "a@{b",
    "é",
    "a.",
    "/a",
    "a/",
    "a//b",
    "dev/x#1",
    "@a",
]


def _is_legal_for_git(name: str) -> bool:
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    done = subprocess.run(command, check=False, capture_output=True)
    return done.returncode == 0 and not name.startswith("-") and name != "HEAD"  # what `git branch` adds


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_branch_if_git_says_so(name: str) -> None:
    assert values.is_branch(name) == (_is_legal_for_git(name) and name != "@")


@given(NAMES)
@settings(max_examples=120)
def test_no_branch_is_accepted_that_git_refuses_nor_refused_that_git_takes(name: str) -> None:
    assert values.is_branch(name) == (_is_legal_for_git(name) and name != "@" and "]" not in name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("2d", timedelta(days=2)),
    ],
)
def test_a_duration_has_a_number_and_a_unit(written: str, meant: timedelta) -> None:
    assert values.parse_duration(written) == meant


@pytest.mark.parametrize("written", [2, 2.5, True, None, "2", "2 d", "2w", "0d", "-1d", "1d12h", "", "٢d"])
def test_a_duration_without_its_unit_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="its unit s, m, h or d"):
        values.parse_duration(written)


@pytest.mark.parametrize("written", ["0 5 * * *", "*/15 8-18 * * mon-fri", "0 0 1 1 *", "0 0 29 2 *"])
def test_a_schedule_has_crons_five_fields(written: str) -> None:
    assert values.check_cron(written) == written


@pytest.mark.parametrize(
    "written", ["", "daily", "0 5 * *", "0 5 * * * *", "@daily", "61 * * * *", "R R * * *", "H 5 * * *"]
)
def test_another_schedule_or_one_of_chance_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="five fields of cron"):
        values.check_cron(written)


def test_a_schedule_that_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="this one never does"):
        values.check_cron("0 0 31 2 *")


@pytest.mark.parametrize(
    ("written", "normal"),
    [(".", "."), ("./", "."), ("a", "a"), ("./a//b/", "a/b"), ("a/./b", "a/b"), ("..a", "..a")],
)
def test_a_folder_has_one_form(written: str, normal: str) -> None:
    assert values.check_folder(written) == normal


@pytest.mark.parametrize("written", ["", "/a", "..", "a/../b", "a\\b", " a"])
def test_a_folder_outside_the_repository_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="inside the repository"):
        values.check_folder(written)


@pytest.mark.parametrize("written", [".", "a/", "/etc/passwd", "../x.yaml"])
def test_a_file_is_a_file_of_the_repository(written: str) -> None:
    with pytest.raises(ValueError, match="inside the repository"):
        values.check_file(written)


@pytest.mark.parametrize("written", ["dags/", "dags", "/dags/x.md", "!dags/x", "**/dags/", "dags/**/*.md", "!/dags"])
def test_an_ignore_rule_that_speaks_of_dags_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="every change inside dags/ is deployed"):
        values.check_ignore_pattern(written)


@pytest.mark.parametrize("written", ["", " ", "#x", "!", "/", "a\nb"])
def test_an_ignore_rule_that_rules_nothing_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="one gitignore rule"):
        values.check_ignore_pattern(written)


def test_an_ignore_rule_is_as_long_as_a_person_writes_it() -> None:
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        values.check_ignore_pattern("\u00e9" * 513)


@pytest.mark.parametrize("written", ["*.md", "docs/", "!docs/keep", "dags2/", "include/dags/", "/a b", "**/x"])
def test_other_ignore_rules_are_kept_as_written(written: str) -> None:
    assert values.check_ignore_pattern(written) == written


@pytest.mark.parametrize(
    "written",
    [
        "build",
        "reuse",
        "ghcr.io/acme/data-platform:{sha}",
        "127.0.0.1:8900/acme/x:{sha}",
        "localhost/x:v-{sha}-ci",
        "reg:5000/a:{sha}",
    ],
)
def test_an_image_source_is_kept_as_written(written: str) -> None:
    assert values.check_image_source(written) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "reuse:{SHA}",
        "ghcr.io/acme/x",
        "ghcr.io/acme/x:latest",
        "ghcr.io/acme/x:{SHA}",
        "acme/x:{sha}",
        "x:{sha}",
        "https://ghcr.io/a:{sha}",
        "ghcr.io/A/x:{sha}",
        "ghcr.io/{sha}:1",
        "ghcr.io/x:{sha}{sha}",
        "ghcr.io/x@sha256:{sha}",
    ],
)
def test_an_image_source_that_names_no_commit_or_no_registry_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"\{sha\}"):
        values.check_image_source(written)


@pytest.mark.parametrize("written", ["", "refs/heads/dev*", "dev *", "dev^", "a..b", "a:b", "a\\*"])
def test_a_pattern_that_no_branch_could_match_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"whole branch names"):
        values.check_pattern(written)
