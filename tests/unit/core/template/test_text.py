"""How a proposal is told: names and values of others mean nothing there, and what is ours is known again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.template.fields import Gap
from include.deploy_ops.core.template.proposal import Proposal, Row, name_snapshot
from include.deploy_ops.core.template.text import (
    ROWS_MAX,
    Maker,
    describe_field,
    is_own_commit,
    render_proposal,
    write_body,
    write_message,
)

MAKER = Maker("acme", "shop", "main")
TREE = "a" * 40
ROW = Row(("configuration", "scheduler_size"), "MEDIUM", "SMALL", "SMALL")
PROPOSAL = Proposal("Production", "d/preview.yaml", "d/preview.snapshot.yaml", "template", "snapshot", (ROW,))


def test_a_commit_of_ours_is_known_by_its_trailers_and_its_tree() -> None:
    message = write_message(PROPOSAL, MAKER, TREE)
    assert is_own_commit(message, TREE, MAKER)
    assert is_own_commit(f"{message}\n", TREE, MAKER)


@pytest.mark.parametrize(
    ("message", "tree", "maker"),
    [
        (write_message(PROPOSAL, MAKER, TREE), "b" * 40, MAKER),  # amended
        (write_message(PROPOSAL, MAKER, TREE), TREE, replace(MAKER, project="till")),
        (write_message(PROPOSAL, MAKER, TREE), TREE, replace(MAKER, control_plane="other")),
        (write_message(PROPOSAL, MAKER, TREE) + "\n\nand more", TREE, MAKER),
        ("Template: what changed in Production", TREE, MAKER),
        ("", TREE, MAKER),
    ],
)
def test_any_other_commit_is_somebody_elses(message: str, tree: str, maker: Maker) -> None:
    assert not is_own_commit(message, tree, maker)


def test_nothing_that_stands_in_a_name_or_a_value_does_anything_on_github() -> None:
    hostile = Row(
        ("environment_variables", "A|B`"), {"value": "@team #7 <img src=x> | `", "is_secret": False}, Gap.ABSENT, ""
    )
    body = write_body(replace(PROPOSAL, deployment="@all | <b>", laid=(hostile,)), MAKER)
    (line,) = [line for line in body.splitlines() if line.startswith("| `")]
    assert line.replace("\\|", "").count("|") == 5
    assert "@all" not in body
    assert "<b>" not in body


def test_a_long_table_stays_within_what_github_takes() -> None:
    rows = tuple(replace(ROW, path=("environment_variables", f"{'K' * 200}{number}")) for number in range(3000))
    unfit = tuple(replace(row, why="_" * 600) for row in rows)
    body = write_body(
        replace(PROPOSAL, laid=rows, kept=(*rows, *unfit), empty=tuple(row.path[1] for row in rows)), MAKER
    )
    assert f"… and {3000 - ROWS_MAX} more" in body
    assert len(body) < 65_536


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Gap.ABSENT, "-"),
        (True, "true"),
        (7, "7"),
        ({"value": "", "is_secret": True}, "a secret, empty"),
        ({"value": "", "is_secret": False}, "empty"),
        ({"value": "x", "is_secret": False}, "x"),
        ({"max_worker_count": 3, "worker_type": "A5"}, "max_worker_count: 3, worker_type: A5"),
        ([{"hibernate_at": "0 1 * * *", "enabled": True}], "hibernate_at: 0 1 * * *, enabled: true"),
    ],
)
def test_a_value_is_told_in_a_few_words(value: Any, said: str) -> None:
    assert describe_field(value) == said


def test_a_value_that_was_not_copied_is_not_called_empty_where_it_is() -> None:
    plain = Row(("environment_variables", "STAGE"), {"value": "", "is_secret": False}, Gap.ABSENT, Gap.ABSENT)
    secret = Row(("environment_variables", "TOKEN"), {"value": "", "is_secret": True}, Gap.ABSENT, Gap.ABSENT)
    body = write_body(replace(PROPOSAL, laid=(plain, secret)), MAKER)
    assert "| `environment_variables.STAGE` | `a value of its own` |" in body
    assert "| `environment_variables.TOKEN` | `a secret` |" in body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_needed": False, "laid": ()}, "Production is as the last snapshot on main has it: nothing to take over."),
        ({"is_first": True}, "main has no d/preview.yaml yet; it is made of Production."),
        ({"is_blind": True, "laid": (), "kept": (ROW,)}, "Stays as on main, since nobody knows who changed it:"),
        ({"kept": (ROW,)}, "Stays as on main, since both changed it:"),
    ],
)
def test_the_run_says_why(changes: dict[str, Any], said: str) -> None:
    assert said in render_proposal(replace(PROPOSAL, **changes), "main")


@pytest.mark.parametrize(
    ("template", "snapshot"),
    [("deployments/preview.yaml", "deployments/preview.snapshot.yaml"), ("p.json", "p.snapshot.yaml")],
)
def test_the_snapshot_lies_beside_the_template(template: str, snapshot: str) -> None:
    assert name_snapshot(template) == snapshot
