"""An environment's deploys: the newest thirty, ours and others', each once, with what people read of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.view.past_deploys import (
    DEPLOYS_MAX,
    NAME_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    add_deploys,
    find_stranger,
    is_deploy,
)
from tests.worlds.values.examples import OWNER, sha

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "ann@mail.acme.example"


def deploy(number: int, **changes: Any) -> Outcome:
    """Return how a deploy ended, later by its number."""
    at = NOW + timedelta(minutes=number)
    made = Outcome(f"dev-a~deploy~{number}", "shop.preview", "deploy", "success", at, kind="dags", subject="Mend it")
    return replace(made, **changes)


def test_the_newest_thirty_are_kept_in_order_and_each_once() -> None:
    kept: tuple[Outcome, ...] = ()
    for number in range(DEPLOYS_MAX + 5):
        kept = add_deploys(kept, kept[-12:], (deploy(number), deploy(number)))
    assert [each.run_id for each in kept] == [f"dev-a~deploy~{number}" for number in range(5, DEPLOYS_MAX + 5)]
    assert add_deploys(kept, (), (deploy(20),)) == kept


def test_a_row_that_lacks_the_texts_takes_them_from_nobody_and_an_older_release_had_only_rows() -> None:
    shown = (deploy(1, subject=""), deploy(2, subject=""))
    assert add_deploys((), shown, ()) == shown
    assert add_deploys((deploy(1),), shown, ()) == (deploy(1), deploy(2, subject=""))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"verb": "create", "kind": "image-and-dags"}, True),
        ({"state": "failed", "kind": ""}, True),
        ({"state": "superseded"}, False),
        ({"kind": "none"}, False),
        ({"kind": ""}, False),
        ({"verb": "delete", "kind": ""}, False),
        ({"verb": "hibernate", "state": "failed"}, False),
    ],
)
def test_what_deployed_nothing_is_no_deploy(changes: dict[str, Any], *, expected: bool) -> None:
    assert is_deploy(deploy(1, **changes)) is expected


def test_nothing_of_it_is_long_and_no_address_is_left() -> None:
    long = f"by {ADDRESS} " * 400
    names = ("why", "cause", "reason", "subject", "person", "approver", "author", "commit_author")
    (kept,) = add_deploys((), (), (deploy(1, **dict.fromkeys(names, long)),))
    assert "acme" not in str(kept)
    texts = ("why", "cause", "reason", "subject")
    assert {len(getattr(kept, name)) for name in texts} == {TEXT_LENGTH_MAX}
    assert {len(getattr(kept, name)) for name in names if name not in texts} == {NAME_LENGTH_MAX}


def record(number: int, **changes: Any) -> Deploy:
    """Return one of Astro's records, ours unless its description says otherwise."""
    commit = sha(str(number))
    note = DeployNote("main", commit, commit, f"r{number}", 1, is_forced=False, owner=OWNER)
    made = Deploy(
        f"d{number}",
        "dep1",
        DeployStatus.DEPLOYED,
        DeployKind.DAG_ONLY,
        NOW + timedelta(minutes=number),
        format_note(note),
        person="the token",
    )
    return replace(made, **changes)


def test_our_own_deploys_are_no_strangers() -> None:
    assert find_stranger(None) is None
    assert find_stranger(read_history([], OWNER)) is None
    assert find_stranger(read_history([record(1)], OWNER)) is None
    by_hand = record(2, description="by hand", git_commit=sha("9"))
    assert find_stranger(read_history([record(1), by_hand, record(3)], OWNER)) is None


def test_a_deploy_that_a_person_made_by_hand_is_shown_as_theirs() -> None:
    by_hand = record(2, description="hot fix", git_commit=sha("9"), person="Jo Doe")
    found = find_stranger(read_history([record(1), by_hand], OWNER))
    assert found is not None
    assert (found.run_id, found.deploy_id, found.commit, found.kind) == ("", "d2", sha("9"), "dags")
    assert (found.person, found.state, found.at) == ("Jo Doe", "success", by_hand.created_at)
    assert "hot fix" in found.why
    kept = add_deploys((deploy(1),), (), (found,))
    assert add_deploys(kept, (), (found, deploy(1))) == kept == (deploy(1), found)


def test_a_rollback_in_astro_tells_the_commit_that_came_back() -> None:
    back = record(3, rollback_from_id="d1", person="Jo Doe", kind=DeployKind.IMAGE_AND_DAG)
    found = find_stranger(read_history([record(1), record(2), back], OWNER))
    assert found is not None
    assert (found.commit, found.person, found.kind) == (sha("1"), "Jo Doe", "image-and-dags")
