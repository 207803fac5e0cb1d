"""What CI plays on PostgreSQL and Celery, where all of the others would take too long: one life, and one release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.witness import PRODUCTION_DAG, PRODUCTION_REQUEST_DAG
from tests.e2e.test_preview_life import push_new
from tests.e2e.test_release import DAG, DEPLOY_BRANCH, await_staging, await_tip, find_head

if TYPE_CHECKING:
    from demo.witness import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.distributed, pytest.mark.at_once("distributed")]


def test_a_preview_comes_and_goes_with_its_branch(witness: Witness) -> None:
    branch = "dev-short"
    head = push_new(witness, branch, "short")
    assert witness.check_files(branch, head)
    witness.author.delete(branch)
    witness.await_deletion(branch)
    witness.await_run(branch, "delete")


def test_a_pull_request_is_released(witness: Witness) -> None:
    tip, branch = find_head(witness, DEPLOY_BRANCH), "chore-stock"  # no preview: the other test has one
    witness.author.start_branch(branch, "origin/staging")
    witness.author.commit({"dags/stock.py": DAG.format(name="stock")}, "Add stock")
    witness.author.push(branch)
    witness.author.open_pull_request(branch, "staging", "Stock")
    promoted = await_tip(witness, tip)
    await_staging(witness, promoted, "DAG_ONLY")
    number = witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    asked = witness.await_approval(PRODUCTION_REQUEST_DAG)
    assert "dags/stock.py" in asked.body
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
    witness.person.answer(asked, "Approve", comment="go")
    witness.await_target_deploy("Production", merge)
    witness.await_success(PRODUCTION_DAG, f"target.production~merge~{promoted[:12]}")
    assert witness.author.show_pull_request(number)["merged"]
    assert witness.check_target_files("Production", merge)
