"""The doctor without Airflow's scheduler and database: `python -m include.deploy_ops.doctor`, or `make doctor`.

Looks at every project as the DAG `deploy_ops.doctor` does, and prints its tables. Airflow connections come from the
environment (`AIRFLOW_CONN_…`) or from the secrets backend that it names; what only a task sees is not known here. Ends
with 0 where nothing fails, with 1 where something does or a part of the policy is wrong, with 2 where the policy cannot
be read.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from include.deploy_ops.core.doctor.examination import has_failed, render_checks
from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.scope import load_policy_file, make_scope

if TYPE_CHECKING:
    from include.deploy_ops.run.scope import Scope

FAILED, UNREADABLE = 1, 2


def main(out: TextIO) -> int:
    """Look, print, and return the exit code."""
    try:
        loaded = load_policy_file()
    except PolicyError as error:
        _tell(out, str(error))
        return UNREADABLE
    if loaded.problems:
        _tell(out, loaded.describe_problems())
    has_failures = [_look_at(out, make_scope(loaded, project)) for project in loaded.policy.projects]
    return FAILED if any(has_failures) or loaded.problems else 0


def _look_at(out: TextIO, scope: Scope) -> bool:
    """Print a project's table; return whether anything fails."""
    checks = ExamineOperator(task_id=scope.project.name, scope=scope).examine()
    _tell(out, f"{scope.project.name}, {scope.project.repository}: {render_checks(checks)}\n")
    return has_failed(checks)


def _tell(out: TextIO, text: str) -> None:
    out.write(f"{mask_text(text)}\n")
    out.flush()


def _part_output() -> TextIO:
    """Return our standard output, and let whatever else is printed go to standard error: Airflow's log does."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


if __name__ == "__main__":
    with _part_output() as output:
        sys.exit(main(output))
