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


def test_python_file_anywhere_below_dags_is_enough(tmp_path: Path) -> None:
    (tmp_path / "dags" / "sub").mkdir(parents=True)
    (tmp_path / "dags" / "sub" / "a.py").touch()
    refuse_empty_dags(tmp_path)


@pytest.mark.parametrize("names", [[], ["dags/"], ["dags/a.txt"], ["dags/a.py/"], ["a.py"]])
def test_dags_without_a_python_file_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    with pytest.raises(PermanentError, match="dags/ holds no Python file"):
        refuse_empty_dags(tmp_path)
