"""Shows what is wrong with the policy file as this file's import error; the valid projects' DAGs are not affected.

Airflow's safe mode reads only files in which it finds "airflow" and "dag": this sentence lets it read this one.
"""

from __future__ import annotations

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.run.scope import load_policy_file


def find_problems() -> str:
    """Return what is wrong, a line each, whether or not anything of the policy can be used."""
    try:
        return load_policy_file().describe_problems()
    except PolicyError as error:
        return str(error)


if problems := find_problems():
    raise PolicyError(problems)  # by this name the Deploys page knows what it shows
