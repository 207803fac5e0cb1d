"""Deploy records → what is deployed: rollbacks, strangers, failures and unknown commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from include.deploy_ops.core.history import (
    DeployHistory,
    describe_rollback,
    find_former,
    forget_unseen,
    read_history,
)
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note
from tests.worlds.values.examples import OWNER, make_deployment

A, B, C = ("a" * 40, "b" * 40, "c" * 40)
START = datetime(2026, 1, 1, tzinfo=UTC)


def ours(
    number: int, kind: DeployKind, commit: str, status: DeployStatus = DeployStatus.DEPLOYED, **more: str
) -> Deploy:
    note = DeployNote("dev-x", commit, more.get("head", commit), f"run{number}", 1, is_forced=False)
    return record(number, kind, format_note(note), status)


def record(
    number: int,
    kind: DeployKind,
    description: str = "",
    status: DeployStatus = DeployStatus.DEPLOYED,
    git_commit: str | None = None,
    rollback_from_id: str | None = None,
) -> Deploy:
    at = START + timedelta(minutes=number)
    return Deploy(f"d{number}", "dep", status, kind, at, description, git_commit, rollback_from_id=rollback_from_id)


def test_nothing_was_deployed() -> None:
    assert read_history([], OWNER) == DeployHistory()


def test_image_and_dags_come_from_different_deploys() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, A), ours(2, DeployKind.DAG_ONLY, B)], OWNER)
    assert (history.image_commit, history.dags_commit, history.head) == (A, B, B)
    assert (history.newest_id, history.overridden_by) == ("d2", "")


def test_a_failed_image_deploy_counts_for_nothing() -> None:
    history = read_history(
        [ours(1, DeployKind.IMAGE_AND_DAG, A), ours(2, DeployKind.IMAGE_AND_DAG, B, DeployStatus.FAILED)], OWNER
    )
    assert (history.image_commit, history.head, history.newest_id) == (A, A, "d1")


def test_an_unfinished_deploy_changes_nothing_and_is_told_with_its_time() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, A, DeployStatus.INITIALIZED)], OWNER)
    at = START + timedelta(minutes=1)
    assert history == DeployHistory(active_at=at, unfinished=(("d1", at),))


def test_the_newest_record_of_any_ending_is_activity() -> None:
    records = [ours(1, DeployKind.DAG_ONLY, A), ours(2, DeployKind.IMAGE_AND_DAG, B, DeployStatus.FAILED)]
    history = read_history(records, OWNER)
    assert (history.commit, history.kind, history.deployed_at) == (A, "dags", START + timedelta(minutes=1))
    assert (history.active_at, history.unfinished) == (START + timedelta(minutes=2), ())


def test_a_rollback_stands_for_what_it_rolled_back_to() -> None:
    records = [
        ours(1, DeployKind.IMAGE_AND_DAG, A),
        ours(2, DeployKind.DAG_ONLY, B),
        ours(3, DeployKind.IMAGE_AND_DAG, C),
        record(4, DeployKind.IMAGE_AND_DAG, rollback_from_id="d2"),
    ]
    history = read_history(records, OWNER)
    assert (history.image_commit, history.dags_commit) == (A, B)
    assert history.head == C
    assert "rollback to d2" in history.overridden_by


def test_a_rollback_that_carries_our_description_is_still_a_rollback() -> None:
    copied = ours(1, DeployKind.IMAGE_AND_DAG, A).description
    records = [
        ours(1, DeployKind.IMAGE_AND_DAG, A),
        ours(2, DeployKind.IMAGE_AND_DAG, B),
        record(3, DeployKind.IMAGE_AND_DAG, copied, rollback_from_id="d1"),
    ]
    history = read_history(records, OWNER)
    assert (history.head, history.dags_commit) == (B, A)
    assert history.overridden_by


def test_a_rollback_to_an_unknown_record_leaves_the_commit_unknown() -> None:
    history = read_history(
        [ours(1, DeployKind.IMAGE_AND_DAG, A), record(2, DeployKind.IMAGE_AND_DAG, rollback_from_id="gone")], OWNER
    )
    assert (history.image_commit, history.dags_commit) == (None, None)


def test_a_strangers_deploy_without_a_commit_makes_it_unknown() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, A), record(2, DeployKind.DAG_ONLY, "by hand")], OWNER)
    assert (history.image_commit, history.dags_commit) == (A, None)
    assert "by hand" in history.overridden_by


def test_a_strangers_deploy_with_git_metadata_is_known() -> None:
    history = read_history([record(1, DeployKind.IMAGE_AND_DAG, "from CI", git_commit=B)], OWNER)
    assert (history.image_commit, history.dags_commit, history.head) == (B, B, None)


def test_ours_after_a_stranger_ends_the_override() -> None:
    history = read_history([record(1, DeployKind.DAG_ONLY, "by hand"), ours(2, DeployKind.IMAGE_AND_DAG, A)], OWNER)
    assert history.overridden_by == ""


@pytest.mark.parametrize("owner", ["other-plane/shop", "acme-prod/orders"])
def test_what_another_control_plane_or_project_deployed_is_a_strangers(owner: str) -> None:
    mine, theirs = (
        DeployNote(branch, commit, commit, "r", 1, is_forced=False, image="ci", owner=whose)
        for branch, commit, whose in (("main", A, OWNER), ("trunk", B, owner))
    )
    records = [
        record(1, DeployKind.IMAGE_AND_DAG, format_note(mine)),
        record(2, DeployKind.DAG_ONLY, format_note(theirs)),
    ]
    history = read_history(records, OWNER)
    assert (history.head, history.image_origin, history.dags_commit) == (A, "ci", B)
    assert history.overridden_by == f"bbbbbbb, by the deploy d2 of {owner}, because trunk@bbbbbbbbbbbb, planned"
    seen = read_history(records, owner)
    assert (seen.head, seen.image_origin, seen.overridden_by) == (B, "", "")


def test_a_note_of_an_older_version_names_no_owner_and_is_ours() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, A)], OWNER)
    assert (history.head, history.overridden_by) == (A, "")


def test_a_dbt_bundle_is_no_deploy_of_the_project() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, A), record(2, DeployKind.BUNDLE, "dbt")], OWNER)
    assert (history.newest_id, history.overridden_by) == ("d1", "")


def test_a_forced_rollback_keeps_the_head_of_its_time() -> None:
    history = read_history([ours(1, DeployKind.IMAGE_AND_DAG, B), ours(2, DeployKind.IMAGE_AND_DAG, A, head=B)], OWNER)
    assert (history.dags_commit, history.head) == (A, B)


def test_the_order_of_records_does_not_matter() -> None:
    records = [
        ours(1, DeployKind.IMAGE_AND_DAG, A),
        ours(2, DeployKind.DAG_ONLY, B),
        record(3, DeployKind.IMAGE_AND_DAG, rollback_from_id="d1"),
        ours(4, DeployKind.DAG_ONLY, C),
    ]
    expected = read_history(records, OWNER)
    for seed in range(10):
        shuffled = records[:]
        Random(seed).shuffle(shuffled)  # noqa: S311 - no secret depends on it
        assert read_history(shuffled, OWNER) == expected


@pytest.mark.parametrize(
    ("image_tag", "dag_version", "known"),
    [
        ("deploy-1", "v1", (A, "ci", B)),
        ("deploy-2", "v1", (None, "", B)),
        ("deploy-1", "v2", (A, "ci", None)),
        ("deploy-2", "v2", (None, "", None)),
    ],
)
def test_what_the_deployment_shows_by_no_records_word_has_no_known_commit(
    image_tag: str, dag_version: str, known: tuple[str | None, str, str | None]
) -> None:
    history = DeployHistory("d1", A, B, A, "", "deploy-1", "v1", image_origin="ci")
    shown = make_deployment("dev-x", image_tag=image_tag, desired_dag_tarball_version=dag_version)
    found = forget_unseen(history, shown)
    assert (found.image_commit, found.image_origin, found.dags_commit) == known
    rollback = DeployHistory("d2", A, B, A, "a rollback")  # names neither
    assert forget_unseen(rollback, shown) == rollback


@pytest.mark.parametrize(
    ("ref", "person", "reason", "says"),
    [
        (A, "mira", "rollback: INC-42", "aaaaaaa, by mira, because INC-42"),
        ("refs/heads/dev-x", "mira", "", "aaaaaaa (refs/heads/dev-x), by mira"),
        (A, "", "a: b [c]", "aaaaaaa, by force, because a: b (c)"),
    ],
)
def test_what_was_forced_is_told_by_commit_person_and_reason(ref: str, person: str, reason: str, says: str) -> None:
    note = DeployNote(
        ref, A, B, "r", 1, is_forced=True, is_override=True, person=person, reason=reason, approver="ada", owner=OWNER
    )
    records = [ours(1, DeployKind.IMAGE_AND_DAG, B), record(2, DeployKind.IMAGE_AND_DAG, format_note(note))]
    assert read_history(records, OWNER).overridden_by == says


def back(reason: str, **changes: Any) -> Deploy:
    note = DeployNote("main", A, A, "r", 1, is_forced=False, is_override=True, reason=reason, undoes="d2", owner=OWNER)
    return record(3, DeployKind.DAG_ONLY, format_note(replace(note, **changes)))


def test_what_control_went_back_to_is_an_override_that_tells_why_and_allows_no_other() -> None:
    named = DeployNote("main", B, B, "r", 1, is_forced=False, owner=OWNER, names_rollback=True)
    records = [ours(1, DeployKind.IMAGE_AND_DAG, A), record(2, DeployKind.DAG_ONLY, format_note(named))]
    assert read_history(records, OWNER).names_rollback
    assert not read_history(records, "acme-prod/lake").names_rollback
    reason = describe_rollback(B, A, "2 import errors")
    for undoing in (back(reason), back(reason, names_rollback=True)):
        history = read_history([*records, undoing], OWNER)
        assert (history.commit, history.undoes, history.names_rollback) == (A, "d2", False)
        assert history.overridden_by == "a rollback from bbbbbbb to aaaaaaa: 2 import errors"
    without_room = read_history([*records, back("", ref="é" * 200)], OWNER)
    assert without_room.overridden_by == "a rollback to aaaaaaa"


def test_what_the_source_had_is_told_from_what_others_deployed_or_forced() -> None:
    records = [ours(1, DeployKind.IMAGE_AND_DAG, A), ours(2, DeployKind.DAG_ONLY, B, DeployStatus.FAILED), back("x")]
    former = find_former(records, A, OWNER)
    assert former is not None
    assert (former.newest_id, former.image_commit) == ("d1", A)
    assert find_former(records, B, OWNER) is None
    assert find_former([back("x"), record(4, DeployKind.DAG_ONLY, git_commit=A)], A, OWNER) is None
    theirs = DeployNote("main", A, A, "r", 1, is_forced=False, owner="acme-prod/lake")
    assert find_former([record(1, DeployKind.DAG_ONLY, format_note(theirs))], A, OWNER) is None


def test_the_image_of_what_the_source_had_is_the_one_that_ran_then() -> None:
    tags = (replace(ours(n, DeployKind.IMAGE_AND_DAG, commit), image_tag=f"t{n}") for n, commit in ((1, A), (3, B)))
    former = find_former([*tags, ours(2, DeployKind.DAG_ONLY, C)], C, OWNER)
    assert former is not None
    assert (former.newest_id, former.image_tag, former.image_commit) == ("d2", "t1", A)


def test_a_rollback_in_astro_is_told_by_commit_and_words() -> None:
    records = [
        ours(1, DeployKind.IMAGE_AND_DAG, A),
        ours(2, DeployKind.IMAGE_AND_DAG, B),
        record(3, DeployKind.IMAGE_AND_DAG, "INC-42", rollback_from_id="d1"),
    ]
    says = "aaaaaaa, by a rollback to d1 (deploy d3)"
    assert read_history(records, OWNER).overridden_by == f"{says}, because INC-42"
    records[2] = replace(records[2], person="Ann")
    assert read_history(records, OWNER).overridden_by == f"{says} of Ann, because INC-42"
