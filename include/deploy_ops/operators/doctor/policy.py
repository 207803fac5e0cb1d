"""The doctor's look at the policy's files: what is wrong with them, as a table; what is wrong fails the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.text.plain import lay_table
from include.deploy_ops.operators.base import RenderedField, tell_failures
from include.deploy_ops.operators.sealed import SealingOperator
from include.deploy_ops.run.scope import load_policy_file

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckPolicyOperator(SealingOperator):
    """Shows what `dags/policy_errors.py` has as its import error: a project that is left out has no task of its own."""

    table = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Read the policy as it is now; raises PolicyError where anything of it is wrong."""
        loaded = load_policy_file()
        names = ", ".join(project.name for project in loaded.policy.projects) or "none"
        rows = [(each.source, each.path, each.message) for each in loaded.problems]
        problems = lay_table(("file", "key", "what is wrong"), rows) if rows else "Nothing is wrong with the policy."
        self.table = f"{problems}\n\nProjects: {names}"
        if rows:
            raise PolicyError(loaded.describe_problems())
