"""How long a fault may hold a run up, by Airflow's settings: those it comes with, and the short ones here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

HEARTBEAT = "scheduler.task_instance_heartbeat_timeout"
HEARTBEAT_LOOK = "scheduler.task_instance_heartbeat_timeout_detection_interval"
SCHEDULER_LOST = "scheduler.scheduler_health_check_threshold"
ORPHANS_LOOK = "scheduler.orphaned_tasks_check_interval"
QUEUED = "scheduler.task_queued_timeout"
QUEUED_LOOK = "scheduler.task_queued_timeout_check_interval"
TRIGGERER_LOST = "triggerer.triggerer_health_check_threshold"

SHORT: Mapping[str, float] = {
    HEARTBEAT: 30,
    HEARTBEAT_LOOK: 5,
    SCHEDULER_LOST: 15,
    ORPHANS_LOOK: 5,
    QUEUED: 60,
    QUEUED_LOOK: 10,
    TRIGGERER_LOST: 15,
}
"""Seconds with which the faults are played."""
RETRY_S = 15.0
"""Until Airflow tries a failed step of ours again (`STEP` in the product's operators)."""
REPLAN_S = 60.0
"""Until control plans what failed for good, the first time."""
START_S = 60.0
"""In which what was killed is started again, and Airflow's scheduler comes to what waits: 20 s on a quiet machine."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The seconds after which a run goes on: the sum of some settings and of what is fixed, beside a process's start.

    :param settings: by their names in Airflow's configuration, as `section.option`.
    :param fixed_s: what no setting of Airflow's changes.
    """

    settings: tuple[str, ...] = ()
    fixed_s: float = 0.0

    def compute(self, values: Mapping[str, float]) -> float:
        """Return the seconds under these settings."""
        return sum(values[name] for name in self.settings) + self.fixed_s

    def tell(self, values: Mapping[str, float]) -> str:
        """Return them in words, each summand by its option."""
        total = f"{self.compute(values):.0f} s"
        parts = [f"{values[name]:.0f} (`{name.partition('.')[2]}`)" for name in self.settings]
        parts += [f"{self.fixed_s:.0f}"] if self.fixed_s else []
        return f"{total}: {' + '.join(parts)}" if self.settings else total


def read_defaults() -> dict[str, float]:
    """Return Airflow's own values of the same settings, as its description of them has them."""
    found = importlib.util.find_spec("airflow")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("Airflow is not installed: make faults installs it")
    text = (Path(found.origin).parent / "config_templates/config.yml").read_text(encoding="utf-8")
    described = yaml.safe_load(text)
    pairs = {name: name.split(".") for name in SHORT}
    return {name: float(described[section]["options"][option]["default"]) for name, (section, option) in pairs.items()}


def make_environment(values: Mapping[str, float]) -> dict[str, str]:
    """Return the environment variables that give Airflow these settings."""
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": f"{value:g}" for name, value in values.items()}
