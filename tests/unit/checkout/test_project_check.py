"""What a project must be before the CLI meets it; attacks on it stand in tests/hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.project_check import prepare_build, refuse_empty_dags
from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_build_gets_settings_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("dags/\n")
    prepare_build(tmp_path)
    assert (tmp_path / ".astro" / "config.yaml").read_text() == "project:\n  name: deploy-ops\n"
    assert (tmp_path / ".dockerignore").read_text() == "dags/\n"


@pytest.mark.parametrize("name", ["sub/a.py", "a.zip", "sub/a.zip", "factory.yaml", "factory.yml"])
def test_a_file_that_may_be_a_dag_is_enough_anywhere_below_dags(tmp_path: Path, name: str) -> None:
    touch(tmp_path, ["dags/README.md", f"dags/{name}"])
    refuse_empty_dags(tmp_path)


@pytest.mark.parametrize("names", [[], ["dags/"], ["dags/a.txt"], ["dags/a.py/"], ["dags/.airflowignore"], ["a.py"]])
@pytest.mark.parametrize("is_beside_image", [True, False])
def test_dags_without_one_are_refused(tmp_path: Path, names: list[str], *, is_beside_image: bool) -> None:
    touch(tmp_path, names)
    with pytest.raises(PermanentError, match=r"dags/ holds no Python file, zip or YAML, .* would remove every DAG"):
        refuse_empty_dags(tmp_path, is_beside_image=is_beside_image)


@pytest.mark.parametrize("name", ["a.zip", "factory.yaml", "a.yml"])
def test_beside_an_image_the_cli_sends_no_dags_without_a_python_file(tmp_path: Path, name: str) -> None:
    touch(tmp_path, [f"dags/{name}"])
    with pytest.raises(PermanentError, match="without one the Astro CLI sends no DAGs beside an image; add one"):
        refuse_empty_dags(tmp_path, is_beside_image=True)
    touch(tmp_path, ["dags/__init__.py"])
    refuse_empty_dags(tmp_path, is_beside_image=True)


def touch(project: Path, names: list[str]) -> None:
    """Make empty files, and folders of what ends in a slash."""
    for name in names:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
