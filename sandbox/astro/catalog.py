"""What Astro offers: runtimes, machines, sizes and their limits. The numbers are the sandbox's own."""

from __future__ import annotations

from typing import Any

UNKNOWN_AIRFLOW = "NA"
"""What stands for the version of an Airflow that is not in the catalog."""
RUNTIMES = {"3.1-14": "3.1.7", "3.3-2": "3.3.2"}
"""Astro Runtime version to Airflow version, oldest first."""
_RETIRED = {"13.2.0": "2.11.0"}
"""Likewise, of runtimes that no new Deployment can have."""

CONCURRENCY = {"A5": 5, "A10": 10, "A20": 20, "A40": 40, "A60": 60, "A120": 120, "A160": 160}
"""Worker machine to its default concurrency; the ceiling is three times that."""

EXECUTORS = frozenset({"CELERY", "KUBERNETES", "ASTRO"})
SCHEDULER_SIZES = frozenset({"SMALL", "MEDIUM", "LARGE", "EXTRA_LARGE"})
CLOUD_PROVIDERS = frozenset({"AWS", "AZURE", "GCP"})
POD_DEFAULTS = {
    "defaultTaskPodCpu": "0.25",
    "defaultTaskPodMemory": "0.5Gi",
    "resourceQuotaCpu": "10",
    "resourceQuotaMemory": "20Gi",
}


def name_airflow(runtime: str) -> str:
    """Return the Airflow version of a runtime; nothing for one that nobody knows."""
    return (RUNTIMES | _RETIRED).get(runtime, UNKNOWN_AIRFLOW)


def name_airflow_api(runtime: str) -> str:
    """Return the version of the API that the Airflow of a runtime has."""
    return "v1" if name_airflow(runtime).startswith("2.") else "v2"


def default_queue() -> dict[str, Any]:
    """Return the queue that a Celery Deployment gets when its request names none."""
    return {
        "name": "default",
        "isDefault": True,
        "astroMachine": "A5",
        "minWorkerCount": 0,
        "maxWorkerCount": 10,
        "workerConcurrency": 5,
    }


def describe_options() -> dict[str, Any]:
    """Return the body of `deployment-options`."""
    return {
        "executors": sorted(EXECUTORS),
        "resourceQuotas": {
            "defaultPodSize": {"cpu": _range("4", "0.25", "0.1"), "memory": _range("16Gi", "0.5Gi", "0.25Gi")},
            "resourceQuota": {"cpu": _range("640", "10", "1"), "memory": _range("1280Gi", "20Gi", "2Gi")},
        },
        "runtimeReleases": [_describe_release(*release) for release in RUNTIMES.items()],
        "schedulerMachines": [
            {"name": size, "spec": {"cpu": "1", "memory": "2Gi"}} for size in sorted(SCHEDULER_SIZES)
        ],
        "workerMachines": [_describe_machine(*machine) for machine in CONCURRENCY.items()],
        "workerQueues": {
            "minWorkers": _range(50, 0, 0),
            "maxWorkers": _range(200, 10, 1),
            "workerConcurrency": _range(64, 16, 1),
        },
    }


def _range(ceiling: float | str, default: float | str, floor: float | str) -> dict[str, Any]:
    return {"ceiling": ceiling, "default": default, "floor": floor}


def _describe_release(version: str, airflow_version: str) -> dict[str, Any]:
    return {
        "version": version,
        "airflowVersion": airflow_version,
        "channel": "stable",
        "releaseDate": "2026-01-01T00:00:00Z",
        "airflowDatabaseMigration": False,
        "stellarDatabaseMigration": False,
    }


def _describe_machine(name: str, concurrency: int) -> dict[str, Any]:
    return {
        "name": name,
        "concurrency": _range(3 * concurrency, concurrency, 1),
        "spec": {"cpu": "1", "memory": "2Gi", "ephemeralStorage": "10Gi"},
    }
