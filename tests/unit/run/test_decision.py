"""The change type step's decision between tasks: its keys stay, and keys that nobody knows are passed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.model import ChangeType, DeployDecision, PathVerdict
from include.deploy_ops.core.target.release import FileGroup, ReleaseDecision
from include.deploy_ops.run.decision import dump_decision, load_decision, load_release_decision

COMMIT, BASE = "a" * 40, "b" * 40
DEPLOY = DeployDecision(
    *(ChangeType.DAGS, COMMIT, "two DAGs changed", "d1", BASE, None),
    is_partial=True,
    subject="Mend it",
    author="Ada",
    changed_dags=("dags/x.py",),
)
DEPLOY_VALUE: dict[str, Any] = {
    "change_type": "dags",
    "commit": COMMIT,
    "image_base": BASE,
    "dags_base": None,
    "reason": "two DAGs changed",
    "observed": "d1",
    "is_partial": True,
    "subject": "Mend it",
    "author": "Ada",
    "changed_dags": ["dags/x.py"],
}
PATH = PathVerdict("dags/x.py", ChangeType.DAGS, "below dags/")
RELEASE = ReleaseDecision(
    ChangeType.IMAGE, COMMIT, "set by mira", "d1", running=None, files=(FileGroup(ChangeType.DAGS, 3, (PATH,)),)
)
RELEASE_VALUE: dict[str, Any] = {
    "change_type": "image-and-dags",
    "commit": COMMIT,
    "reason": "set by mira",
    "observed": "d1",
    "running": None,
    "files": [
        {"kind": "dags", "count": 3, "shown": [{"path": "dags/x.py", "verdict": "dags", "rule": "below dags/"}]},
    ],
}


@pytest.mark.parametrize(("decision", "value"), [(DEPLOY, DEPLOY_VALUE), (RELEASE, RELEASE_VALUE)])
def test_the_keys_are_those_that_waiting_runs_hold(decision: DeployDecision, value: dict[str, Any]) -> None:
    assert dump_decision(decision) == value


def test_what_was_written_is_read_with_keys_that_nobody_knows() -> None:
    assert load_decision({**DEPLOY_VALUE, "later": [1]}) == DEPLOY
    assert load_release_decision({**RELEASE_VALUE, "later": [1]}) == RELEASE


def test_a_decision_of_a_release_that_told_no_commit_is_read() -> None:
    later = {"subject", "author", "changed_dags"}
    told = {key: value for key, value in DEPLOY_VALUE.items() if key not in later}
    assert load_decision(told) == replace(DEPLOY, subject="", author="", changed_dags=None)


def test_a_release_is_read_as_any_decision() -> None:
    assert load_decision(RELEASE_VALUE) == DeployDecision(ChangeType.IMAGE, COMMIT, "set by mira", "d1")
