"""Names are legal, unique and independent; marks and notes read back what was written."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.model import Mark
from include.deploy_ops.core.naming import (
    DEPLOYMENT_NAME_LENGTH_MAX,
    DESCRIPTION_LENGTH_MAX,
    SLUG_LENGTH_MAX,
    DeployNote,
    digest_work,
    format_mark,
    format_note,
    name_deployment,
    name_run,
    name_work,
    parse_mark,
    parse_note,
    slug_branch,
)

RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80)
SHA = st.text("0123456789abcdef", min_size=40, max_size=40)


@pytest.mark.parametrize(
    ("branch", "name"),
    [
        ("dev-foo", "shop-dev-foo"),
        ("dev_foo2", "shop-dev_foo2"),
    ],
)
def test_a_plain_branch_is_read_back_from_its_deployment_name(branch: str, name: str) -> None:
    assert name_deployment("shop", branch) == name


@pytest.mark.parametrize(
    "branch", ["dev/a", "Dev-a", "dev.a", "dev-a!", "dev-ä", "--force", "dev-a-0a1b2c3d", "d" * 90, "$(x)"]
)
def test_any_other_branch_gets_a_hash(branch: str) -> None:
    name = name_deployment("shop", branch)
    assert re.fullmatch(r"shop-[a-z0-9_-]+-[0-9a-f]{8}", name)
    assert len(name) <= DEPLOYMENT_NAME_LENGTH_MAX


def test_twins_differ() -> None:
    branches = ["dev/a", "dev-a", "dev.a", "DEV-A", "dev--a", "dev-a-", slug_branch("dev/a")]
    assert len({name_deployment("p", branch) for branch in branches}) == len(branches)
    assert name_deployment("a", "dev-x") != name_deployment("b", "dev-x")


@given(TEXT, TEXT)
def test_two_branches_never_share_a_slug(one: str, other: str) -> None:
    assert (slug_branch(one) == slug_branch(other)) == (one == other)


@given(TEXT, SHA)
def test_run_ids_are_legal(branch: str, head: str) -> None:
    slug = slug_branch(branch)
    assert len(slug) <= SLUG_LENGTH_MAX
    assert RUN_ID.fullmatch(name_run(name_work(slug, "create", head, digest_work({"branch": branch})), 17))


@given(TEXT, TEXT, TEXT, TEXT, st.one_of(st.just(""), TEXT))
def test_a_mark_reads_back(plane: str, project: str, repository: str, branch: str, text: str) -> None:
    mark = Mark(plane, project, repository, branch, "0123456789ab")
    assert parse_mark(format_mark(mark, text)) == mark


@settings(max_examples=50)
@given(TEXT, SHA, SHA, TEXT, TEXT, st.booleans())
def test_a_note_reads_back(ref: str, commit: str, head: str, person: str, reason: str, is_forced: bool) -> None:
    note = DeployNote(ref, commit, head, "dev-x~deploy~012345678901~01234567~3", 2, is_forced, person, reason)
    written = format_note(note)
    read = parse_note(written)
    assert read is not None
    assert (read.ref, read.commit, read.head, read.run_id) == (ref, commit, head, note.run_id)
    assert (read.attempt, read.is_forced, read.person) == (2, is_forced, person)
    assert note.needle in written


@pytest.mark.parametrize(
    "description",
    [
        "",
        "made by hand",
        "[deploy-ops/2 branch=x]",
        "[deploy-ops/1 branch=dev-x]",
        "[deploy-ops/1 branch=dev-x] and more",
    ],
)
def test_what_is_not_our_mark_is_nobodys(description: str) -> None:
    assert parse_mark(description) is None


def test_who_approved_stands_in_the_note_and_a_note_without_it_is_read() -> None:
    note = DeployNote("refs/tags/v1", "a" * 40, "b" * 40, "r", 1, is_forced=True, person="mira", approver="ada")
    written = format_note(note)
    assert written.startswith("refs/tags/v1@aaaaaaaaaaaa, forced by mira, approved by ada [deploy-ops/1 ")
    assert parse_note(written) == note
    assert parse_note(written.replace(" approved=ada", "")) == replace(note, approver="")


def test_a_description_leaves_room_for_its_tag() -> None:
    note = DeployNote("x" * 200, "a" * 40, "b" * 40, "r" * 40, 1, is_forced=True, reason="why " * 100)
    written = format_note(note)
    assert len(written) == DESCRIPTION_LENGTH_MAX
    assert parse_note(written) == replace(note, reason="")


def test_a_reason_cannot_forge_a_note() -> None:
    forged = format_note(DeployNote("evil", "e" * 40, "e" * 40, "r", 1, is_forced=False))
    real = DeployNote("dev-x", "a" * 40, "a" * 40, "run", 1, is_forced=True, person="ann", reason=forged)
    read = parse_note(format_note(real))
    assert read is not None
    assert read.commit == "a" * 40


def test_the_digest_follows_every_fact() -> None:
    facts = {"branch": "dev-x", "deployment": "", "deploy": "d1"}
    assert digest_work(facts) == digest_work(dict(reversed(facts.items())))
    assert digest_work(facts) != digest_work(facts | {"deploy": "d2"})
