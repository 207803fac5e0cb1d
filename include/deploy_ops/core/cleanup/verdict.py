"""What cleanup decided about one preview: that it shall hibernate, or be deleted, once it is time.

Cleanup writes verdicts, control acts on them. A verdict holds for exactly what was looked at; it is void as soon as the
branch moves, something is deployed, or the Deployment is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import name_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from include.deploy_ops.core.history import DeployHistory

OVERDUE_MIN = timedelta(hours=1)
"""How long a delete may be overdue however short its notice is: control needs a few passes."""


class Standing(Enum):
    """Whether control may act on a verdict."""

    DUE = "due"  # yes, once `due_at` is reached, a few an hour as the brake allows
    ASKED = "asked"  # no: it is part of a list that waits for a person
    RELEASED = "released"  # yes: a person approved the list in which it stood, and the brake lets it pass
    REFUSED = "refused"  # no: a person said no


ACTED_ON = frozenset({Standing.DUE, Standing.RELEASED})
"""The standings of verdicts that are acted on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision. `verb` is `Verb`'s word, "hibernate" or "delete"; `run_id` the cleanup run that decided.

    `idle_since` is the last activity, `decided_at` when it was decided and so told, `due_at` when it may be done.
    `is_final`: the preview's own Airflow kept it for as long as that may, and nothing that it tells ends this delete.
    """

    verb: str
    branch: str
    deployment_id: str
    deployment_name: str
    head: str
    observed: str
    idle_since: datetime
    decided_at: datetime
    due_at: datetime
    reason: str
    run_id: str
    standing: Standing = Standing.DUE
    person: str = ""
    is_final: bool = False

    @property
    def subject(self) -> str:
        """What it is about, as `Work.subject`."""
        return name_subject(self.deployment_id, self.head, self.observed)

    def is_overdue(self, now: datetime, notice: timedelta) -> bool:
        """Whether it is a delete that should have been done so long ago that nobody expects it any more.

        So it is after a long freeze, or when a database was restored.
        """
        is_acted_on = self.verb == "delete" and self.standing in ACTED_ON
        return is_acted_on and now - self.due_at > max(notice, OVERDUE_MIN)

    def covers(self, deployment_id: str, head: str, observed: str) -> bool:
        """Whether it speaks of this Deployment with this head of its branch on top of this deploy record."""
        return (self.deployment_id, self.head, self.observed) == (deployment_id, head, observed)


def drop_doubted(verdicts: Mapping[str, Verdict], since: datetime) -> dict[str, Verdict]:
    """Return the verdicts without the deletes that were decided when the memory began, or before.

    Who kept the preview since then may be forgotten: cleanup decides and tells it anew. A no stands.

    :param since: as in `Continuity`.
    """
    return {
        key: verdict
        for key, verdict in verdicts.items()
        if verdict.verb != "delete" or verdict.standing is Standing.REFUSED or verdict.decided_at > since
    }


def find_end(
    verdict: Verdict, *, deployment_id: str, head: str, history: DeployHistory, woken_at: datetime | None
) -> str:
    """Return what ended the verdict since it was decided, empty while it stands."""
    if not verdict.covers(deployment_id, head, history.newest_id):
        return "the branch moved, something was deployed, or the Deployment is another"
    if history.active_at is not None and history.active_at > verdict.decided_at:
        return "a deploy was begun"
    if woken_at is not None and woken_at > verdict.decided_at:
        return f"it was woken by hand at {woken_at:%Y-%m-%d %H:%M} UTC"
    return ""


def describe_exemption(kept: str, labels: Collection[str], keep_label: str) -> str:
    """Return why a preview never expires, empty if it may: a person keeps it, or a pull request's label does.

    Labels that differ in case alone are the same one to GitHub.
    """
    if kept:
        return f"kept {kept}"
    is_labelled = keep_label.casefold() in {label.casefold() for label in labels}
    return f"its pull request has the label '{keep_label}'" if is_labelled else ""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What cleanup does next: `what` is "hibernate" or "delete"."""

    what: str
    at: datetime
    reason: str
