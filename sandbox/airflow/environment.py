"""Which environment a Deployment's Airflow has: the Deployment's variables, and what the sandbox itself sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

_SETTING = "AIRFLOW__"
# Of Airflow's settings those that a DAG's author may see a difference by. Others could only break what the sandbox
# set up: where its database is, what runs a task, who may ask.
_ALLOWED = frozenset(
    f"{_SETTING}{name}"
    for name in (
        "CORE__DAGBAG_IMPORT_TIMEOUT",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "CORE__DAG_DISCOVERY_SAFE_MODE",
        "CORE__DEFAULT_TASK_RETRIES",
        "CORE__DEFAULT_TIMEZONE",
        "CORE__MAX_ACTIVE_RUNS_PER_DAG",
        "CORE__MAX_ACTIVE_TASKS_PER_DAG",
        "LOGGING__LOGGING_LEVEL",
    )
)


def make_environment(variables: Iterable[Mapping[str, Any]], home: Path, project: Path) -> dict[str, str]:
    """Return the environment of a child.

    :param variables: the Deployment's, `AIRFLOW_CONN_…` and `AIRFLOW_VAR_…` among them.
    :param home: a folder of its own, in which Airflow keeps its database.
    :param project: where the deployed files lie.
    """
    given = {each["key"]: each["value"] for each in variables}
    passed = {key: value for key, value in given.items() if key in _ALLOWED or not key.startswith(_SETTING)}
    ours = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108 - its own
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(home),
        f"{_SETTING}CORE__DAGS_FOLDER": str(project / "dags"),
        f"{_SETTING}CORE__PLUGINS_FOLDER": str(project / "plugins"),
        f"{_SETTING}CORE__LOAD_EXAMPLES": "False",
        f"{_SETTING}DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        f"{_SETTING}API__SECRET_KEY": "sandbox",
        f"{_SETTING}USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {**passed, **ours}
