"""What a checked-out project must be before the Astro CLI meets it: it has DAGs, and settings of ours where it builds.

A branch's own `.astro/` is never checked out: it would change how the deploy is made.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

_WRITTEN_BY_CLI = ("bundle.tar", "bundle.tar.gz", ".dockerignore")
"""What the CLI writes beside `dags/`, through a link as well (Astro CLI 1.45.0, cloud/deploy)."""

_PYTHON = ".py"
_DAG_SUFFIXES = frozenset({_PYTHON, ".zip", ".yaml", ".yml"})
"""Files that may be DAGs: Airflow reads Python and zips of it, a factory reads YAML."""

_SETTINGS = "project:\n  name: deploy-ops\n"


def prepare_build(project: Path) -> None:
    """Make the folder one that the CLI builds an image of: with settings of ours, and nothing to write through.

    :raises PermanentError: a name that the CLI writes is a link or a folder on the branch.
    """
    for name in _WRITTEN_BY_CLI:
        path = project / name
        if _is_there(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise PermanentError(
                f"{name} is a link or a folder, and the Astro CLI writes a file of that name when it deploys; make it a"
                " file, or remove it from the branch"
            )
    (project / ".astro").mkdir()
    (project / ".astro" / "config.yaml").write_text(_SETTINGS, encoding="ascii")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def refuse_empty_dags(project: Path, *, is_beside_image: bool = False) -> None:
    """Raise PermanentError unless there is what may be a DAG below `dags/`: deploying none would remove every DAG.

    :param is_beside_image: the Astro CLI is to send the folder beside an image, which it does only where it finds a
        Python file in it (Astro CLI 1.45.0, cloud/deploy).
    """
    found = {path.suffix for path in (project / "dags").rglob("*") if path.suffix in _DAG_SUFFIXES and path.is_file()}
    if not found:
        raise PermanentError(
            "dags/ holds no Python file, zip or YAML, and deploying it would remove every DAG of the Deployment; add"
            " one, or delete the branch if that is what is wanted"
        )
    if is_beside_image and _PYTHON not in found:
        raise PermanentError(
            "dags/ holds no Python file, and without one the Astro CLI sends no DAGs beside an image; add one, such as"
            " an empty dags/__init__.py"
        )
