"""Names are legal, unique and independent; marks and notes read back what was written."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.model import Mark
from include.deploy_ops.core.naming import (
    CUT,
    DEPLOYMENT_NAME_LENGTH_MAX,
    DESCRIPTION_LENGTH_MAX,
    MARKED_LENGTH_MAX,
    SLUG_LENGTH_MAX,
    DeployNote,
    digest_work,
    format_mark,
    format_note,
    name_comment_run,
    name_deployment,
    name_run,
    name_work,
    parse_mark,
    parse_note,
    read_comment,
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
    assert (read.commit, read.head, read.run_id) == (commit, head, note.run_id)
    assert (read.attempt, read.is_forced) == (2, is_forced)
    for was, whole in ((read.ref, ref), (read.person, person)):
        assert was == whole or (was.endswith(CUT) and whole.startswith(was.removesuffix(CUT)))
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


@pytest.mark.parametrize("ref", ["dev/" + "日本" * 41, "d" * 255, "dev-" + "é" * 120])
def test_a_long_ref_is_cut_and_said_to_be(ref: str) -> None:
    run_id = name_run(name_work(slug_branch(ref), "deploy", "a" * 40, "0" * 8), 12)
    note = DeployNote(
        ref, "a" * 40, "b" * 40, run_id, 3, True, "jürgen", "why " * 99, owner="acme-production/data_platform"
    )
    written = format_note(note)
    says = written.partition(" [deploy-ops/")[0]
    assert len(written) <= DESCRIPTION_LENGTH_MAX
    assert len(says) >= 80
    assert says.startswith(ref[:60])
    read = parse_note(written)
    assert read is not None
    assert read == replace(note, reason="", ref=read.ref, person=read.person)
    assert read.ref.endswith(CUT)
    assert ref.startswith(read.ref.removesuffix(CUT))


def test_a_short_reference_leaves_the_reason_cut_with_a_sign_of_it() -> None:
    says = format_note(DeployNote("dev-x", "a" * 40, "a" * 40, "r", 1, is_forced=True, reason="why " * 99))
    assert re.match(r"dev-x@a{12}, forced: (why )+.{,4}\.\.\. \[", says)


@pytest.mark.parametrize("branch", ["dev/" + "日本" * 41, "é" * 127, "\U0001f680" * 60])
def test_a_long_branch_stands_whole_in_a_mark(branch: str) -> None:
    mark = Mark("c" * 40, "p" * 40, f"{'o' * 39}/{'r' * 100}", branch, "0123456789ab")
    written = format_mark(mark, "our own text, " * 99)
    assert len(written) <= MARKED_LENGTH_MAX
    assert written.startswith("our own text, our own text, ")
    assert f"{CUT} [deploy-ops/1 " in written
    assert parse_mark(written) == mark


def test_a_branch_in_base64_is_read_only_as_we_write_it() -> None:
    long = format_mark(Mark("acme", "shop", "acme/shop", "日" * 80, "0" * 12))
    packed = re.search(r"packed_branch=(\S+)", long)
    assert packed is not None
    assert parse_mark(long.replace(packed[1], packed[1][:-1])) is None
    assert parse_mark(long.replace(packed[1], f"{packed[1]}%C3%A9")) is None
    assert parse_mark(long.replace(" packed_branch=", " branch=x packed_branch=")) is None
    assert parse_mark(long.replace(packed[1], "ZGV2LXg")) is None  # dev-x, which stands in no base64


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


@pytest.mark.parametrize("comment_id", [1, 9, 2_847_562_938, 9_007_199_254_740_993])
def test_a_comments_run_names_it(comment_id: int) -> None:
    assert read_comment(name_comment_run("dev-x", "deploy", comment_id)) == comment_id


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        "comment~7",
        "manual__1",
        "dev-x~deploy~comment~7~2",
        "dev-x~deploy~comment~07~1",
        "dev-x~deploy~comment~x~1",
        "dev-x~deploy~111111111111~77777777~1",
        "comment~deploy~7~1~1",
        "x~dev-x~deploy~comment~7~1",
    ],
)
def test_no_other_runs_id_names_a_comment(run_id: str) -> None:
    assert read_comment(run_id) == 0
