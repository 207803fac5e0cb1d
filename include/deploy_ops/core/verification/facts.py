"""What a Deployment's own Airflow answered: its DAGs and import errors. Whoever pushed wrote the texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

TIMES = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
"""Between which a time lies that can be reckoned with."""


@dataclass(frozen=True, slots=True)
class AirflowDag:
    """A DAG as Airflow has it now.

    `file` is its path below the DAG folder. `parsed_at` moves only when parsing it succeeded, which took `parse_s`
    seconds (None: not told); a DAG that is `is_stale` was not found again in its file, or its file is broken.
    `schedule` is Airflow's summary, empty without one. `bundle_version` is empty where Airflow has none.
    """

    dag_id: str
    file: str
    parsed_at: datetime | None = None
    parse_s: float | None = None
    is_paused: bool = False
    is_stale: bool = False
    schedule: str = ""
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    bundle_version: str = ""


@dataclass(frozen=True, slots=True)
class ImportFault:
    """A file that Airflow could not import: its path below the DAG folder, when that was tried last, the traceback."""

    file: str
    at: datetime
    trace: str


@dataclass(frozen=True, slots=True)
class AirflowFacts:
    """All DAGs, stale ones too, and all import errors of one look; `at` is by the Deployment's clock (Date).

    Of very many errors the first ones, and the number of the others: `faults_left`.
    """

    at: datetime
    dags: tuple[AirflowDag, ...]
    faults: tuple[ImportFault, ...]
    faults_left: int = 0
