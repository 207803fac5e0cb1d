"""Workers share no disk: nothing comes from one task of a deploy to the next by files or by a process' memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from include.deploy_ops.core.plan.work import Verb
from tests.worlds.stages.apart import ApartRun

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-apart"


def test_each_task_of_a_deploy_in_a_process_and_folders_of_its_own(stage: Stage) -> None:
    head = stage.push(BRANCH, {"requirements.txt": "# more\n"})
    made = ApartRun.take(stage.start_planned(Verb.CREATE, BRANCH, head))
    assert "failed" not in made.play().values(), made.xcoms
    deployment_id = str(made.xcoms["create"]["return_value"])
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)

    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    (planned,) = stage.plan()
    run = ApartRun.take(planned)
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    assert [each["type"] for each in stage.list_deploys(deployment_id)] == ["DAG_ONLY", "IMAGE_AND_DAG"]
    assert all(f"deploy-ops-{os.getuid()}" in each.left["deploy"] for each in (made, run)), "where a worktree lies"
