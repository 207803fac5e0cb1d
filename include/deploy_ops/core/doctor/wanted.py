"""What this release wants of the Airflow that it runs in, as the Dockerfile gives it: the Astro CLI, and settings.

A test holds it to the Dockerfile, which is not there where tasks run.
"""

from __future__ import annotations

from dataclasses import dataclass

CLI_VERSION = "1.45.0"
"""The release of the Astro CLI whose words and endings we know."""

GIT_MIN = (2, 38)
"""The oldest Git with which this is tested."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of Airflow, and what it is for; `is_least`: a larger number does as well."""

    section: str
    key: str
    value: str
    why: str
    is_least: bool = False

    @property
    def variable(self) -> str:
        """The environment variable by which Airflow takes it."""
        return f"AIRFLOW__{self.section.upper()}__{self.key.upper()}"


SETTINGS = (
    Setting("scheduler", "scheduler_idle_sleep_time", "0.25", "a push waits five times for the scheduler"),
    Setting("core", "lazy_load_plugins", "False", "else each task imports for itself what plugins/preloading.py did"),
    Setting("workers", "min_heartbeat_interval", "1", "else every second task keeps its slot for five seconds more"),
    Setting("workers", "max_failed_heartbeats", "15", "a task outlives the API server so many seconds", is_least=True),
    Setting("core", "max_templated_field_length", "100000", "else plans are cut where people read them", is_least=True),
)
