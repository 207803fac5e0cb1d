"""Which files of a commit Airflow may parse, and which differ: by trees, and by content where there are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.observation import changed_dags
from include.deploy_ops.observation.changed_dags import (
    drop_plain,
    read_branch_changes,
    read_changed_dags,
    read_dag_files,
)

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

DAG = "from airflow.sdk import DAG\n"


@pytest.fixture
def github(stage: Stage) -> GithubPullsHook:
    return GithubPullsHook(stage.scope.project.github_conn_id, stage.scope.project.repository)


def test_the_files_below_the_dag_folder_that_airflow_may_parse(stage: Stage, github: GithubPullsHook) -> None:
    files = {"dags/a/b/deep.py": DAG, "dags/notes.md": "# no\n", "dags/packed.zip": "PK", "include/x.py": DAG}
    head = stage.push("dev-x", files)
    found = read_dag_files(stage.scope.project, github, head)
    assert {"a/b/deep.py", "packed.zip", "report_revenue.py"} <= found
    assert not {each for each in found if each.endswith(".md") or each.startswith(("dags/", "include/"))}
    elsewhere = stage.scope.project.model_copy(update={"root": "services/etl"})
    assert read_dag_files(elsewhere, github, head) == frozenset()


def test_too_many_files_are_refused(stage: Stage, github: GithubPullsHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_dags, "FILES_MAX", 2)
    with pytest.raises(PermanentError, match="more than 2 files below dags/"):
        read_dag_files(stage.scope.project, github, stage.push("dev-x"))


def test_what_differs_since_the_branch_parted_is_told_and_not_what_trunk_got_since(
    stage: Stage, github: GithubPullsHook
) -> None:
    project = stage.scope.project
    head = stage.push("dev-x", {"dags/mine.py": DAG, "docs/x.md": "x\n"})
    stage.author.git("checkout", "--quiet", "-B", "desk", "origin/main")
    stage.author.commit({"dags/theirs.py": DAG}, "Theirs")
    stage.author.push("main")
    assert read_branch_changes(project, github, "main", head) == frozenset({"dags/mine.py"})
    trunk = github.get_branch("main").head
    assert read_changed_dags(project, github, trunk, head) == frozenset({"dags/mine.py", "dags/theirs.py"})
    assert read_branch_changes(project, github, "gone", head) is None
    assert read_changed_dags(project, github, "0" * 39 + "1", head) is None


def test_plain_files_are_dropped_where_there_are_few(
    stage: Stage, github: GithubPullsHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = stage.push("dev-x", {"dags/mine.py": DAG, "dags/helper.py": "X = 1\n", "dags/packed.zip": "PK"})
    files = frozenset({"mine.py", "helper.py", "packed.zip"})
    assert drop_plain(stage.scope.project, github, head, files) == {"mine.py", "packed.zip"}
    monkeypatch.setattr(changed_dags, "CONTENTS_MAX", 2)
    assert drop_plain(stage.scope.project, github, head, files) == files
