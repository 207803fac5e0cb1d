"""The doctor without Airflow's scheduler and database: `python -m include.deploy_ops.doctor`, or `make doctor`.

Looks at every project as the DAG `deploy_ops.doctor` does, and prints its tables. Airflow connections come from the
environment (`AIRFLOW_CONN_…`) or from the secrets backend that it names; what only a task sees is not known here. Ends
with 0 where nothing fails, with 1 where something does or a part of the policy is wrong, with 2 where the policy cannot
be read.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.examination import has_failed, render_checks
from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.scope import load_policy_file, make_scope

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.file import LoadedPolicy

FAILED, UNREADABLE = 1, 2


def main() -> int:
    """Look, print, and return the exit code."""
    try:
        loaded = load_policy_file()
    except PolicyError as error:
        _tell(str(error))
        return UNREADABLE
    if loaded.problems:
        _tell(loaded.describe_problems())
    has_ill = [_look_at(loaded, index) for index in range(len(loaded.policy.projects))]
    return FAILED if any(has_ill) or loaded.problems else 0


def _look_at(loaded: LoadedPolicy, index: int) -> bool:
    """Print a project's table; return whether anything fails."""
    project = loaded.policy.projects[index]
    checks = ExamineOperator(task_id=project.name, scope=make_scope(loaded, project)).examine()
    _tell(f"{project.name}, {project.repository}: {render_checks(checks)}\n")
    return has_failed(checks)


def _tell(text: str) -> None:
    sys.stdout.write(f"{reveal(mask_text(text))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
