"""An idle preview's life as its author and whoever runs cleanup see it: looked at, asleep, awake, told, gone."""

from __future__ import annotations

import pytest

from demo.feedback import await_comment, await_live, await_removed
from demo.living import (
    DELETE,
    DELETE_WORDS,
    HIBERNATE,
    await_row,
    await_status,
    clean_up,
    measure_delay,
    read_due,
    read_verdict,
)
from demo.witness import PREVIEW_DAG, Witness
from tests.e2e.test_preview_life import LIVES, push_new

pytestmark = pytest.mark.e2e
IDLE, KEPT = "dev-idle", "dev-idle-but-kept"
BOTH = f"{IDLE}\n{KEPT}"


def open_labelled(witness: Witness) -> str:
    """Push the second branch, whose pull request keeps it, and return its head."""
    head = push_new(witness, KEPT, "kept")
    witness.author.label(witness.author.open_pull_request(KEPT, "main", "Kept"), "keep-preview")
    witness.await_run(KEPT, "create", head)
    return head


def list_verbs(witness: Witness, branch: str) -> set[str]:
    """Return what runs did to the branch's preview so far."""
    runs = [run["dag_run_id"].split("~") for run in witness.outside.list_runs(PREVIEW_DAG)]
    return {parts[1] for parts in runs if parts[0] == branch}


@pytest.mark.at_once(LIVES)
def test_an_idle_preview_sleeps_wakes_and_is_told_before_it_goes(witness: Witness) -> None:
    kept = open_labelled(witness)
    first = push_new(witness, IDLE, "idle")
    number = witness.author.open_pull_request(IDLE, "main", "Idle")
    witness.await_run(IDLE, "create", first)

    _, table = clean_up(witness, BOTH, {"hibernate_after": "1s"})
    assert table.startswith("Dry run: nothing is written. 1 hibernate, 1 keep")
    assert read_verdict(table, IDLE).startswith("hibernate: idle since ")
    assert "its pull request has the label 'keep-preview'" in read_verdict(table, KEPT)

    clean_up(witness, BOTH, HIBERNATE)
    await_status(witness, IDLE, "HIBERNATING")
    witness.await_run(IDLE, "hibernate")
    assert list_verbs(witness, IDLE) == {"create", "hibernate"}, "a dry run or another let it hibernate"

    head = witness.author.commit({"dags/idle.py": "# somebody asks\n"}, "Ask")
    witness.author.push(IDLE)
    witness.await_deploy(IDLE, head)
    await_status(witness, IDLE, "HEALTHY")
    assert witness.check_files(IDLE, head)
    witness.await_run(IDLE, "deploy", head)
    await_live(witness, IDLE, number, head)

    _, table = clean_up(witness, BOTH, DELETE)
    assert read_verdict(table, IDLE).startswith("told: idle since ")
    assert read_verdict(table, KEPT).startswith("keep: ")
    comment = await_comment(witness, number, DELETE_WORDS, "idle since")
    assert "A push, or the label `keep-preview`, keeps it." in comment
    due_at = read_due(await_row(witness, IDLE, "live", "delete"))
    witness.await_deletion(IDLE)
    assert measure_delay(witness.await_run(IDLE, "delete"), due_at) >= 0
    await_removed(witness, IDLE, number)
    assert await_row(witness, IDLE, "removed")["why"].startswith("idle since ")
    assert witness.author.git("ls-remote", "origin", f"refs/heads/{IDLE}").startswith(head)
    assert witness.outside.find_deployment(IDLE) is None
    assert list_verbs(witness, KEPT) == {"create"}
    assert witness.check_files(KEPT, kept)
