"""A whole deploy of a branch that is an attack, by the real tasks and the Astro CLI: it ends green, and nothing ran.

`ASTRO_CLI=` plays it with the real CLI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from tests.hostile.test_working_folder import NAMES, embed_repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"


def push_attack(stage: Stage, canary: Path) -> str:
    """Push a project below `etl/` that holds a repository, and links the CLI would write through; return the head."""
    stage.author.start_branch(BRANCH, "origin/main")
    files = {"etl/dags/orders.py": "n = 1\n", **embed_repository("etl/", f"touch {canary}")}
    for name, text in files.items():
        (stage.author.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.author.folder / name).write_text(text)
    for name in NAMES[:4]:
        (stage.author.folder / "etl" / name).symlink_to(canary)
    return stage.push_more(BRANCH, {"etl/dags/more.py": "m = 1\n"})


@pytest.mark.parametrize("root", ["etl"])
def test_a_deploy_of_dags_runs_nothing_of_the_branch(stage: Stage, canary: Path, root: str) -> None:
    stage.change_project(root=root)
    head = push_attack(stage, canary)
    deployment_id = stage.make_deployment(BRANCH)
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment_id)
    run.decide(ChangeType.DAGS, head, "")
    run.step("deploy")
    (record,) = stage.list_deploys(deployment_id)
    assert (record["type"], record["git"]["commitSha"], record["git"]["path"]) == ("DAG_ONLY", head, root)
    assert set(stage.list_files(deployment_id)) == {"dags/orders.py", "dags/more.py"}
