"""Whatever branches, persons and descriptions are called: names stay legal and apart, and what we wrote reads back."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, replace
from urllib.parse import quote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.model import Mark
from include.deploy_ops.core.naming import (
    CUT,
    DEPLOYMENT_NAME_LENGTH_MAX,
    DESCRIPTION_LENGTH_MAX,
    DESCRIPTION_TEXT_LENGTH_MAX,
    MARKED_LENGTH_MAX,
    SLUG_LENGTH_MAX,
    DeployNote,
    digest_work,
    format_mark,
    format_note,
    name_deployment,
    name_run,
    name_schema,
    name_work,
    parse_mark,
    parse_note,
    slug_branch,
)
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import NAME_LENGTH_MAX
from tests.worlds.values.branch_names import branch_names, twins

# Airflow refuses any other run id (facts of 3.3), and its column holds 250 characters.
RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")
DEPLOYMENT_NAME = re.compile(r"[a-z][a-z0-9_]*-[a-z0-9_][a-z0-9_-]*")
PROJECTS = st.sampled_from(["a", "shop", "shop_dev", "a_b", "z" * NAME_LENGTH_MAX])
SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)
ANY = st.text(st.characters(codec="utf-8"), max_size=60)
TAG = format_mark(Mark("acme", "shop", "acme/shop", "dev-other", "0123456789ab"))
HOSTILE = ANY | st.sampled_from(
    [
        TAG,
        f"x {TAG} y",
        "[deploy-ops/1",
        "[deploy-ops/1 [deploy-ops/1 a=b]]",
        "[deploy-ops/1[deploy-ops/1 x=y] a=b]",
        f"head={'e' * 40} commit={'e' * 40} run=r try=1 by=eve]",
        "] [deploy-ops/1 run=r try=1 ",
        "\0\x1b[31m\r\n",
        "try=2 ",
        "é\u202e🚀",
        "--force",
    ]
)
BOUNDED = HOSTILE.filter(lambda text: len(quote(text)) <= 70)  # as the policy bounds all but the branch
MARKS = st.builds(Mark, BOUNDED, BOUNDED, BOUNDED, branch_names() | HOSTILE, BOUNDED)
RUN_IDS = BOUNDED | st.from_regex(r"[a-z~-]{1,9}~[1-9]", fullmatch=True) | st.just("r" * 250)
OWNERS = st.sampled_from(["", "acme/shop", "acme/shop_dev", f"{'c' * 40}/{'p' * 40}"])
NOTES = st.builds(
    DeployNote,
    ref=branch_names() | HOSTILE,
    commit=SHAS,
    head=SHAS,
    run_id=RUN_IDS,
    attempt=st.integers(1, 999),
    is_forced=st.booleans(),
    person=HOSTILE,
    reason=HOSTILE,
    approver=HOSTILE,
    image=st.sampled_from(["", "preview"]),
    owner=OWNERS,
)
PLAIN = {"is_override": False, "image": "build", "names_rollback": True}
NAMING = st.builds(replace, NOTES, **{name: st.just(value) for name, value in PLAIN.items()})
UNDOING = st.builds(
    replace, NOTES, run_id=st.just("target.prod~deploy~aaaaaaaaaaaa~01234567~1"), undoes=st.just("c" * 25)
)
FULL = DeployNote("é" * 127, "a" * 40, "b" * 40, "r" * 250, 999, True, "ä" * 99, "x" * 999, True, "preview", "ö" * 99)
FULL = replace(FULL, owner=f"{'c' * 40}/{'p' * 40}")


@given(branch_names())
@settings(max_examples=80)
def test_git_takes_every_generated_branch(branch: str) -> None:
    done = subprocess.run(["git", "check-ref-format", "--branch", branch], check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (0, f"{branch}\n".encode())


@given(PROJECTS, branch_names())
def test_a_deployment_name_is_legal_short_and_readable(project: str, branch: str) -> None:
    name = name_deployment(project, branch)
    assert DEPLOYMENT_NAME.fullmatch(name)
    assert len(name) <= DEPLOYMENT_NAME_LENGTH_MAX
    assert name.partition("-")[0] == project
    is_hashed = name != f"{project}-{branch}"
    assert not is_hashed or re.search(r"-[0-9a-f]{8}$", name)
    is_plain = re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", branch) and not re.search(r"-[0-9a-f]{8}$", branch)
    fits = len(f"{project}-{branch}") <= DEPLOYMENT_NAME_LENGTH_MAX
    assert is_hashed == (not (is_plain and fits))


@given(branch_names())
def test_a_schema_is_what_databases_take_unquoted(branch: str) -> None:
    schema = name_schema(branch)
    assert re.fullmatch(r"[a-z0-9_]{1,40}", schema)
    is_plain = re.fullmatch(r"[a-z0-9_]{1,40}", branch) and not re.search(r"_[0-9a-f]{8}$", branch)
    assert (schema == branch) == bool(is_plain)


@given(st.lists(PROJECTS, min_size=1, unique=True), twins())
def test_no_two_branches_share_a_deployment_a_slug_or_a_run(projects: list[str], branches: list[str]) -> None:
    assert len({slug_branch(branch) for branch in branches}) == len(branches)
    assert len({name_schema(branch) for branch in branches}) == len(branches)
    pairs = [(project, branch) for project in projects for branch in branches]
    assert len({name_deployment(*pair) for pair in pairs}) == len(pairs)
    assert len({name_deployment(*pair).casefold() for pair in pairs}) == len(pairs)


@given(branch_names(), st.sampled_from(Verb), SHAS, st.integers(1, 10**9))
def test_a_run_id_is_one_that_airflow_takes(branch: str, verb: Verb, head: str, attempt: int) -> None:
    slug = slug_branch(branch)
    run_id = name_run(name_work(slug, verb.value, head, digest_work({"branch": branch})), attempt)
    assert RUN_ID.fullmatch(run_id)
    assert len(slug) <= SLUG_LENGTH_MAX
    assert run_id.split("~") == [slug, verb.value, head[:12], digest_work({"branch": branch}), str(attempt)]


@given(st.dictionaries(st.sampled_from("abcd"), ANY), st.dictionaries(st.sampled_from("abcd"), ANY))
def test_equal_facts_alone_have_equal_digests(one: dict[str, str], other: dict[str, str]) -> None:
    assert (digest_work(one) == digest_work(other)) == (one == other)
    assert digest_work(one) == digest_work(dict(reversed(one.items())))


@given(MARKS, HOSTILE, ANY.filter(lambda text: "[deploy-ops/" not in text))
@example(Mark("p", "s", "r", "b", "t"), "[deploy-ops/1[deploy-ops/1 x=y] a=b]", "")
def test_a_mark_reads_back_whatever_stands_before_and_after_it(mark: Mark, before: str, after: str) -> None:
    description = format_mark(mark, before)
    for written in (description, f"{description} {after}", f"{description}\n{after}"):
        assert parse_mark(written) == mark


@given(MARKS, ANY)
def test_a_marks_own_text_is_kept(mark: Mark, text: str) -> None:
    assert format_mark(mark, text).startswith(text.strip().replace("[deploy-ops/", "(deploy-ops/"))


@given(MARKS, MARKS, ANY)
def test_two_marks_are_none(one: Mark, other: Mark, between: str) -> None:
    assert parse_mark(f"{format_mark(one)}{between}{format_mark(other)}") is None


@given(MARKS, st.data())
@settings(max_examples=300)
def test_a_mark_edited_by_hand_says_what_stands_there_or_nothing(mark: Mark, data: st.DataObject) -> None:
    written = format_mark(mark)
    start = data.draw(st.integers(0, len(written)))
    end = data.draw(st.integers(start, min(len(written), start + 20)))
    inserted = data.draw(st.sampled_from(["", " ", "x", "%", "%ff", "]", "=", " branch=x", "\n", "[", "²"]))
    read = parse_mark(edited := f"{written[:start]}{inserted}{written[end:]}")
    if read is not None:
        assert format_mark(read) in edited


@given(NOTES | NAMING | UNDOING)
@example(FULL)
@example(replace(FULL, is_override=False, image="build", names_rollback=True))
def test_a_note_reads_back_whatever_people_are_called_and_say(note: DeployNote) -> None:
    written = format_note(note)
    read = parse_note(written)
    assert read is not None
    assert read == replace(note, reason="", ref=read.ref, person=read.person, approver=read.approver)
    pairs = ((read.ref, note.ref), (read.person, note.person), (read.approver, note.approver))
    for was, whole in pairs:
        assert was == whole or (was.endswith(CUT) and whole.startswith(was.removesuffix(CUT))) or (whole and not was)
    is_whole = all(was == whole for was, whole in pairs)
    assert is_whole or len(written) > DESCRIPTION_LENGTH_MAX - 90  # only for want of room
    assert read.ref or not note.ref
    assert written.count(note.needle) == 1


@given(NOTES)
@example(FULL)
def test_a_description_is_one_short_line_of_text(note: DeployNote) -> None:
    says, _, tag = format_note(note).partition("[deploy-ops/1 ")
    assert len(says.rstrip()) <= DESCRIPTION_TEXT_LENGTH_MAX
    assert len(format_note(note)) <= DESCRIPTION_LENGTH_MAX
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", says + tag)
    assert tag.isascii()


@given(NOTES, NOTES)
@example(
    DeployNote("dev-x", "a" * 40, "a" * 40, "mine", 1, is_forced=False),
    DeployNote("dev-x", "b" * 40, "b" * 40, "other", 1, is_forced=True, reason="run=mine try=1 "),
)
def test_a_call_never_finds_the_record_of_another(mine: DeployNote, other: DeployNote) -> None:
    is_same = (mine.run_id, mine.attempt) == (other.run_id, other.attempt) and mine.owner in {"", other.owner}
    assert (mine.needle in format_note(other)) == is_same


@given(
    st.lists(branch_names() | st.text("日é🚀/a", min_size=1, max_size=60), min_size=1, max_size=9, unique=True),
    st.text(max_size=1200),
)
def test_marks_fit_whatever_the_branch_and_no_two_branches_share_one(branches: list[str], text: str) -> None:
    marks = [Mark("c" * 40, "p" * 40, f"{'o' * 39}/{'r' * 100}", branch, "0" * 12) for branch in branches]
    written = [format_mark(mark, text) for mark in marks]
    assert max(map(len, written)) <= MARKED_LENGTH_MAX
    assert [parse_mark(each) for each in written] == marks
    assert len(set(written)) == len(branches)


@given(NOTES, st.data())
@settings(max_examples=300)
def test_a_strangers_description_is_no_note_and_never_an_error(note: DeployNote, data: st.DataObject) -> None:
    written = format_note(note)
    key = data.draw(st.sampled_from(["run", "try", "how", "head", "commit", "ref", "by"]))
    value = data.draw(st.sampled_from(["", "²", "٣", "%C2%B2", "0", "-1", "9" * 5000, "x", "maybe", "e" * 41]))
    forged = re.sub(rf" {key}=[^ \]]*", f" {key}={value}", written)
    read = parse_note(forged)
    assert read is None or (key in {"run", "ref", "by"} and json.dumps(asdict(read)))
    assert parse_note(f"{written} again") is None
    assert parse_note(f"{written} {written}") is None
