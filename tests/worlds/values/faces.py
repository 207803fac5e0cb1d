"""What people see of targets, played from rows: comment, commit status, GitHub Deployment, held to Astro's records.

GitHub is played by what feedback would write; nothing is refused, and each pass of control is told at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.comparison import compare_feedback, group_by_pull
from include.deploy_ops.core.feedback.text import name_state
from include.deploy_ops.core.feedback.values import FeedbackRecord, SetStatus, WriteComment, key_deployment
from include.deploy_ops.core.view.row import RowKind, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from include.deploy_ops.core.feedback.values import Facts
    from include.deploy_ops.core.view.row import Row
    from tests.worlds.values.trusted_release import Record

IN_FLIGHT = {State.DEPLOYING, State.APPROVAL}


@dataclass
class Faces:
    """What GitHub shows, and what of it was remembered; `succeeded` are the statuses that were success once."""

    facts: Facts
    told: dict[str, FeedbackRecord] = field(default_factory=dict)
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    comments: dict[int, str] = field(default_factory=dict)
    succeeded: set[tuple[str, str]] = field(default_factory=set)

    def forget(self) -> None:
        """Know nothing of what was told: the state store was lost."""
        self.told.clear()
        self.succeeded.clear()

    def tell(self, rows: Mapping[str, Row], now: datetime) -> None:
        """Let GitHub be told what the rows say, once and completely."""
        plan = compare_feedback(rows, self.told, self.facts, now)
        for write in plan.writes:
            if isinstance(write, SetStatus):
                self._show(write)
            elif isinstance(write, WriteComment):
                self.comments[write.pull] = write.body
            self.told[write.key] = replace(write.record, id=write.record.id or len(self.told) + 1)
        for key in plan.forgotten:
            self.told.pop(key, None)
        assert compare_feedback(rows, self.told, self.facts, now).writes == (), "said twice"

    def _show(self, write: SetStatus) -> None:
        key = (write.sha, write.context)
        assert write.state != "error" or key not in self.succeeded, f"{write} was success"
        self.statuses[key] = write.state
        if write.state == "success":
            self.succeeded.add(key)

    def check(self, rows: Mapping[str, Row]) -> None:
        """See that comments, statuses and GitHub Deployments say what the rows say."""
        for pull, concerns in group_by_pull(rows.values()).items():
            for row in concerns:
                assert f"**{name_state(row)}**" in self.comments[pull], f"#{pull}: {row}"
                assert row.deployed[:7] in self.comments[pull], f"#{pull}: {row}"
        for row in rows.values():
            if row.kind is RowKind.TARGET and row.deployed:
                assert self.told[key_deployment(row.slug, row.deployed)].state == "success", row
            if row.kind is RowKind.TARGET and row.head:
                self._check_status(row)

    def _check_status(self, row: Row) -> None:
        key = (row.head, self.facts.name_context(row.environment))
        if row.state is State.LIVE:
            assert self.statuses[key] == "success", row
        if self.statuses[key] == "success":
            assert row.head == row.deployed or row.state is State.LIVE or key in self.succeeded, row
        if row.overridden and row.deployed:
            assert self.statuses[row.deployed, key[1]] == "success", row


def check_row(row: Row, records: Sequence[Record], *, is_overridden: bool) -> None:
    """See that a target's row says what Astro's records say.

    :param is_overridden: whether it stays as somebody left it, by what people did.
    """
    newest = records[-1] if records else None
    if newest is None:
        assert (row.deployed, row.overridden) == ("", "")
    elif newest.how:
        assert row.deployed == (newest.commit if newest.how == "override" else newest.head), row
    assert not (is_overridden and row.state is State.LIVE), row
    if row.state not in IN_FLIGHT:
        assert bool(row.overridden) == is_overridden, row
    if row.overridden and row.state is State.HELD:
        assert row.why == row.overridden
    assert row.why not in row.holds, "said twice"
