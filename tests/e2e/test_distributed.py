"""What CI plays on PostgreSQL and Celery, where all of the others would take too long: one life, and one release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.witness import PRODUCTION_DAG, PRODUCTION_REQUEST_DAG
from tests.e2e.test_release import DAG, DEPLOY_BRANCH, await_staging, await_tip, find_head, open_feature

if TYPE_CHECKING:
    from demo.witness import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.distributed]


def test_a_pull_request_has_a_preview_and_is_released(witness: Witness) -> None:
    tip, branch = find_head(witness, DEPLOY_BRANCH), "dev-stock"
    pull = open_feature(witness, "stock", {"dags/stock.py": DAG.format(name="stock")})
    promoted = await_tip(witness, tip)
    head = find_head(witness, branch)
    witness.await_deploy(branch, head)
    assert witness.check_files(branch, head)
    await_staging(witness, promoted, "DAG_ONLY")

    release = witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    merge = str(witness.await_mergeable(release)["merge_commit_sha"])
    asked = witness.await_approval(PRODUCTION_REQUEST_DAG)
    assert "dags/stock.py" in asked.body
    witness.person.answer(asked, "Approve", comment="go")
    witness.await_target_deploy("Production", merge)
    witness.await_success(PRODUCTION_DAG, f"target.production~merge~{promoted[:12]}")
    assert witness.author.show_pull_request(release)["merged"]
    assert witness.check_target_files("Production", merge)

    witness.author.merge(pull)
    witness.await_deletion(branch)
    witness.await_run(branch, "delete")
