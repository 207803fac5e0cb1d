"""The verdict on one deploy record: verified, failed, or not known and why; with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Proof(Enum):
    """How far a deploy is proven."""

    PENDING = "pending"  # asked, and not answered yet
    VERIFIED = "verified"
    FAILED = "failed"  # the deploy itself is shown not to work
    UNKNOWN = "unknown"  # it could not be asked, or did not answer; `said` says why


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """An import error as people read it.

    `file` is below the DAG folder, `line` where it arose (0: not known), `error` its traceback's last line. `is_muted`:
    a person said, with a reason, that it fails nothing. `is_shared`: what it is compared with has it, too.
    `identity` is equal where the same error is meant, without telling it.
    """

    file: str
    line: int
    error: str
    is_muted: bool = False
    is_shared: bool = False
    identity: str = ""


@dataclass(frozen=True, slots=True)
class DagChange:
    """A DAG that a changed file concerns; `what` is "new", "gone", "changed" or "unknown", `how` says it in words."""

    dag_id: str
    what: str
    how: str = ""


class SmokeOutcome(Enum):
    """What became of a DAG that was to be run."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"  # not run, which fails nothing
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SmokeRun:
    """A DAG that was run to see whether it works: how that ended, after so many seconds.

    `how` says why it was not run, or is not known. `task` failed; `lines` are the last ones that it logged.
    """

    dag_id: str
    outcome: SmokeOutcome
    how: str = ""
    seconds: float = 0.0
    task: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What is known of one deploy record, for rows, comments and statuses; remembered per environment.

    `deploy_id` is Astro's record, `commit` what it carried. `said` is the verdict in a line ("2 import errors").
    `behind` are the DAGs that differ from those of `compared`, a target's name, though no changed file concerns them.
    `runs` are its smoke runs, of the `attempt`-th attempt (0: none yet). `unpaused` are DAGs that we unpaused, or meant
    to: they are to be paused again. `runtime` is the one that a target runs it on, where it is a plain deploy of ours,
    to which a later one may be rolled back; else empty. `again` says what became of asking once more since, which gave
    no other verdict. `since` is when this record was verified first, if it was ever since: None where that is `at`.
    """

    deploy_id: str
    commit: str
    proof: Proof
    at: datetime
    said: str = ""
    seconds: float = 0.0
    broken: tuple[BrokenFile, ...] = ()
    changes: tuple[DagChange, ...] = ()
    behind: tuple[DagChange, ...] = ()
    compared: str = ""
    runs: tuple[SmokeRun, ...] = ()
    attempt: int = 0
    unpaused: tuple[str, ...] = ()
    runtime: str = ""
    again: str = ""
    since: datetime | None = None
