"""Who works in a preview, as its own Airflow told when it was last asked; and what of that counts. Pure.

Whoever pushes the branch answers there: what is told keeps its preview, and no longer than `expiry` lets it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.preview.hibernation import is_asleep

if TYPE_CHECKING:
    from include.deploy_ops.core.cleanup.verdict import Verdict
    from include.deploy_ops.core.model import Deployment

ASKED_AGAIN = timedelta(hours=1)
"""How long an answer is believed: a preview that is due is asked no more often."""

FUTURE_MAX = timedelta(minutes=5)
"""How far a Deployment's clock may be ahead of ours; what it dates later than that never happened."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What an Airflow tells of its runs: when people started the newest ones, and which DAG has one in flight.

    `started_at` are the times of the runs that were seen; `running` is None where no run is in flight, and empty where
    its DAG has no name to be shown.
    """

    started_at: tuple[datetime, ...] = ()
    running: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """The last answer of a preview's Airflow, which stands while the preview sleeps.

    `run_at`: when a person started the newest run, as far as it was ever told. `running`: that a run is in flight, in
    words. `problem`: why the last question was not answered, empty where it was. `is_unasked`: a dry run may not ask,
    so that it tells what happens unless somebody works there.
    """

    asked_at: datetime
    run_at: datetime | None = None
    running: str = ""
    problem: str = ""
    is_unasked: bool = False

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is too early to ask again."""
        return timedelta() <= now - self.asked_at < ASKED_AGAIN

    def describe_doubt(self, deployment: Deployment) -> str:
        """Return why somebody may work there now; empty where nobody does. Who sleeps has no run in flight."""
        if self.problem:
            return f"whether somebody works there is not known: {self.problem}"
        return "" if is_asleep(deployment) else self.running


NEVER_ASKED = Use(datetime.min.replace(tzinfo=UTC), problem="its Airflow was never asked")


def note_answer(before: Use | None, facts: RunFacts, now: datetime) -> Use:
    """Return what is known after an answer. A run that a person started is not unlearned; its time is ours at most."""
    times = [min(at, now) for at in facts.started_at if at <= now + FUTURE_MAX]
    known = [before.run_at] if before is not None and before.run_at is not None else []
    running = "" if facts.running is None else f"a run{f' of {facts.running}' if facts.running else ''} is in flight"
    return Use(now, max([*times, *known], default=None), running)


def note_silence(before: Use | None, problem: str, now: datetime) -> Use:
    """Return what is known after a question that was not answered."""
    return replace(before or NEVER_ASKED, asked_at=now, running="", problem=problem)


def note_unasked(before: Use | None, now: datetime) -> Use:
    """Return what a dry run goes by, which may not ask: what was told before, and no doubt."""
    return replace(before or NEVER_ASKED, asked_at=now, running="", problem="", is_unasked=True)


def find_use(verdict: Verdict, verb: str, use: Use | None, deployment: Deployment) -> str:
    """Return why a verdict is not acted upon by this verb, as its preview's Airflow tells; empty where nothing says so.

    :param verb: what is about to be done, "hibernate" or "delete": who is told a delete may hibernate meanwhile.
    :param use: None where runs do not count.
    """
    if use is None or (verdict.is_final and verb == "delete"):
        return ""
    if use.run_at is not None and use.run_at > verdict.idle_since:
        return f"a person started a run at {use.run_at:%Y-%m-%d %H:%M} UTC"
    return use.describe_doubt(deployment)


def find_wait(verdict: Verdict, verb: str, use: Use | None, deployment: Deployment, now: datetime) -> str:
    """Return why it is not even tried now, as `find_use` says it.

    Who is at work may be done in an hour: whoever tries it then asks once more.
    """
    reason = find_use(verdict, verb, use, deployment)
    if use is None or not reason or is_asleep(deployment) or (use.run_at or NEVER_ASKED.asked_at) > verdict.idle_since:
        return reason
    return f"{reason}; asked again after {use.asked_at + ASKED_AGAIN:%H:%M} UTC" if use.is_fresh(now) else ""
