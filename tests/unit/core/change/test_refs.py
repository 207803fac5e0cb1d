"""What a typed ref may mean, in which order, and which names are near one that does not exist."""

from __future__ import annotations

import time
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import islice, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.change.refs import (
    NAME_SHOWN_MAX,
    NEAREST_MAX,
    Lookup,
    RefKind,
    ResolvedRef,
    _fold,
    _rate,
    explain_ambiguity,
    explain_choice,
    explain_missing,
    find_nearest,
    list_names,
    plan_lookups,
    read_kind,
    shorten_name,
)
from include.deploy_ops.core.errors import PermanentError
from tests.worlds.values.branch_names import branch_names

FULL = "0123456789abcdef0123456789abcdef01234567"


def plan(text: str) -> list[str]:
    return [f"{lookup.kind.value} {lookup.name}" for lookup in plan_lookups(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main", ["branch main", "tag main"]),
        ("  dev/a\n", ["branch dev/a", "tag dev/a"]),
        ("v1.2", ["branch v1.2", "tag v1.2"]),
        ("refs/heads/v1.2", ["branch v1.2"]),
        ("refs/tags/main", ["tag main"]),
        ("refs/heads/refs/heads/x", ["branch refs/heads/x"]),
        ("-x", ["branch -x", "tag -x"]),
        ("a]b", ["branch a]b", "tag a]b"]),
        ("refs/remotes/origin/dev/a", ["branch dev/a"]),
        ("origin/dev-a", ["branch origin/dev-a", "tag origin/dev-a", "branch dev-a"]),
        ("tags/v1", ["branch tags/v1", "tag tags/v1", "tag v1"]),
        ("heads/v1", ["branch heads/v1", "tag heads/v1", "branch v1"]),
        ("remotes/origin/v1", ["branch remotes/origin/v1", "tag remotes/origin/v1", "branch v1"]),
        ("refs/heads/refs/tags/v1", ["branch refs/tags/v1"]),
        (FULL, [f"commit {FULL}"]),
        (FULL.upper(), [f"commit {FULL}"]),
        ("0123456", ["branch 0123456", "tag 0123456", "commit 0123456"]),
        ("DECADE5", ["branch DECADE5", "tag DECADE5", "commit decade5"]),
        ("012345", ["branch 012345", "tag 012345"]),  # too short for a commit
        (f"{FULL}0", [f"branch {FULL}0", f"tag {FULL}0"]),
        ("origin/0123456", ["branch origin/0123456", "tag origin/0123456", "branch 0123456"]),
    ],
)
def test_what_a_text_may_mean_in_order(text: str, expected: list[str]) -> None:
    assert plan(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "main~1",
        "HEAD",
        "HEAD^",
        "@{u}",
        "a..b",
        "../x",
        "a b",
        "a:b",
        "refs/pull/1/head",
        "refs/heads/",
        "/a",
        "a/",
        "a\nb",
    ],
)
def test_what_no_ref_can_be_called_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="is no branch, tag or commit; write a branch, a tag, or a commit"):
        plan_lookups(text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_ref_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match=r"^ref: it is empty; write a branch"):
        plan_lookups(text)


@given(branch_names())
def test_every_branch_can_be_written_in_full(name: str) -> None:
    assert plan_lookups(f"refs/heads/{name}") == (Lookup(RefKind.BRANCH, name),)


def test_what_else_a_name_could_mean_is_told() -> None:
    branch, tag = Lookup(RefKind.BRANCH, "decade5"), Lookup(RefKind.TAG, "decade5")
    assert explain_choice(Lookup(RefKind.BRANCH, "main"), []) == ""
    assert explain_choice(Lookup(RefKind.COMMIT, FULL), []) == ""
    assert explain_choice(Lookup(RefKind.BRANCH, "v1"), [Lookup(RefKind.TAG, "v1")]) == (
        "taken as the branch 'v1'; for the tag 'v1' write refs/tags/v1"
    )
    assert explain_choice(branch, [tag]) == (
        "taken as the branch 'decade5'; for the tag 'decade5' write refs/tags/decade5;"
        " for a commit of that id write all 40 digits"
    )


def find(kind: RefKind, name: str, commit: str) -> ResolvedRef:
    return ResolvedRef(kind, name, commit)


BRANCH_V1, TAG_V1 = find(RefKind.BRANCH, "v1", "a" * 40), find(RefKind.TAG, "v1", "b" * 40)


def test_two_commits_under_one_text_are_named_with_their_kinds_all_digits_and_how_to_say_which() -> None:
    assert explain_ambiguity("v1", [BRANCH_V1, TAG_V1]) == (
        f"ref: 'v1' is ambiguous: the branch 'v1' at {'a' * 40}, or the tag 'v1' at {'b' * 40};"
        " write refs/heads/v1, refs/tags/v1, or all 40 digits of the commit that is meant"
    )
    assert explain_ambiguity("v1", [BRANCH_V1]) == ""
    assert explain_ambiguity("v1", [BRANCH_V1, replace(TAG_V1, commit=BRANCH_V1.commit)]) == ""


@pytest.mark.parametrize("text", ["decade5", " DECADE5\n", "20260101"])
def test_a_name_like_a_short_id_is_always_ambiguous(text: str) -> None:
    said = explain_ambiguity(text, [find(RefKind.TAG, text.strip(), "b" * 40)])
    assert f"at {'b' * 40}, or perhaps a commit whose id begins so; write refs/tags/" in said
    assert explain_ambiguity(text, []) == ""


@given(branch_names(), st.sampled_from([RefKind.BRANCH, RefKind.TAG]))
def test_what_was_found_can_be_written_again_and_means_the_same(name: str, kind: RefKind) -> None:
    full = find(kind, name, "a" * 40).full
    assert plan_lookups(full) == (Lookup(kind, name),)
    assert read_kind(full) == (kind.value, name)


def test_the_kind_of_a_commit_and_of_what_is_not_written_in_full() -> None:
    assert find(RefKind.COMMIT, FULL, FULL).full == FULL
    assert read_kind(FULL) == ("commit", FULL)
    assert read_kind("v1") == ("", "v1")
    assert read_kind("") == ("", "")


def test_the_names_that_a_short_id_would_be_taken_for_are_looked_for_too() -> None:
    names = [f"{each.kind.value} {each.name}" for each in list_names(plan_lookups("DECADE5"))]
    assert names == ["branch DECADE5", "tag DECADE5", "branch decade5", "tag decade5"]
    assert list_names(plan_lookups(FULL)) == ()
    assert len(list_names(plan_lookups("main"))) == 2


NAMES = ["main", "staging", "dev-orders", "dev-orders-2", "dev/reports", "astro_deploy", "release-2026.1", "hotfix"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mian", ("main",)),
        ("MAIN", ("main",)),
        ("dev-order", ("dev-orders", "dev-orders-2")),
        ("dev_orders", ("dev-orders", "dev-orders-2")),
        ("dev-reports", ("dev/reports", "dev-orders")),
        ("reports", ("dev/reports",)),
        ("astro-deploy", ("astro_deploy",)),
        ("release-2026.2", ("release-2026.1",)),
        ("zzz", ()),
    ],
)
def test_nearest_names(text: str, expected: tuple[str, ...]) -> None:
    found = find_nearest(text, NAMES)
    assert found[: len(expected)] == expected
    assert bool(found) is bool(expected)


@given(st.text(max_size=20), st.lists(branch_names(), max_size=12))
def test_nearest_names_are_few_and_the_same_in_any_order(text: str, names: list[str]) -> None:
    found = find_nearest(text, names)
    assert found == find_nearest(text, reversed(names))
    assert len(found) == len(set(found)) <= NEAREST_MAX
    assert set(found) <= set(names)


@given(st.permutations("abcdefghijklmnop-"), st.integers(4, 17), st.data())
def test_a_slip_of_one_sign_is_found(letters: list[str], length: int, data: st.DataObject) -> None:
    name = "".join(letters[:length])
    at = data.draw(st.integers(0, len(name) - 2))
    swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    for typed in (swapped, name[:at] + name[at + 1 :], name[:at] + "x" + name[at:]):
        assert name in find_nearest(typed, [name, "0000", "1111"])


def test_ten_thousand_names_take_no_time() -> None:
    names = [f"feature/team-{number % 17}/ticket-{number}-some-longer-words" for number in range(10_000)]
    started = time.process_time()
    assert find_nearest("feature/team-3/ticket-4321-some-longr-words", names)[0].startswith(
        "feature/team-3/ticket-4321"
    )
    assert time.process_time() - started < 5


def test_long_names_of_the_same_letters_take_no_time() -> None:
    names = ["".join(letters) * 30 for letters in islice(permutations("abcdefgh"), 1, 5000)]
    started = time.process_time()
    assert len(find_nearest("abcdefgh" * 30, names)) <= NEAREST_MAX
    assert time.process_time() - started < 5


def test_missing_ref_names_the_nearest_of_both_kinds() -> None:
    said = explain_missing("origin/v1.2", "acme/shop", ["v1.1", "main"], ["v1.2.0", "v1.1"])
    assert said == "ref: there is no branch, tag or commit 'origin/v1.2' in acme/shop; nearest: tag 'v1.2.0', 'v1.1'"
    assert explain_missing("zzz", "acme/shop", ["main"], []).endswith("; no branch or tag has a name like it")


@given(st.text("ab/-c", max_size=8), st.lists(st.text("ab_-c", min_size=1, max_size=8), max_size=20))
def test_names_that_are_not_measured_would_not_be_nearer(text: str, names: list[str]) -> None:
    wanted = _fold(text)
    matcher = SequenceMatcher(None, "", wanted, autojunk=False)
    measured = sorted((-_rate(matcher, wanted, _fold(name)), name) for name in set(names))
    near = [name for likeness, name in measured if -likeness >= 0.6]
    assert find_nearest(text, names) == tuple(near[:NEAREST_MAX])


def test_long_names_are_cut_in_the_middle() -> None:
    name = "feature/" + "x" * 300 + "/end"
    assert shorten_name("main") == "main"
    assert len(shorten_name(name)) == NAME_SHOWN_MAX
    assert shorten_name(name).startswith("feature/xx")
    assert shorten_name(name).endswith("/end")
    assert shorten_name("a\nb\x1b[0m") == "a\ufffdb\ufffd[0m"
    assert len(explain_missing(name, "acme/shop", [f"{name}{number}" for number in range(9)], [])) < 600
