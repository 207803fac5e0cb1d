"""What people see of targets, played from rows: comment, commit status, GitHub Deployment, held to Astro's records.

GitHub is played by what feedback would write; nothing is refused, and each pass of control is told at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.comparison import OPEN, compare_feedback, group_by_pull
from include.deploy_ops.core.feedback.text import name_environment, name_proof, name_state
from include.deploy_ops.core.feedback.values import (
    DeleteGithubEnvironment,
    FeedbackRecord,
    SetStatus,
    WriteComment,
    key_comment,
    key_deployment,
)
from include.deploy_ops.core.plan.outcome import REJECTED, read_head
from include.deploy_ops.core.plan.work import REJECTION, Verb
from include.deploy_ops.core.text.markdown import write_words
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.proof import is_asking
from include.deploy_ops.core.view.row import RowKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from include.deploy_ops.core.feedback.values import Facts
    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.core.view.row import Row
    from tests.worlds.values.trusted_release import Record

ETERNAL = ("it was deployed", "nothing to deploy")
"""How a success begins: with what happened to the commit, whatever runs there later."""
WORDS_SHOWN_MIN = 80
"""Characters of a reason that each face shows, however little room it has."""
IN_FLIGHT = {State.DEPLOYING, State.APPROVAL}


@dataclass
class Faces:
    """What GitHub shows, and what of it was remembered.

    `words` is what the statuses say, `succeeded` names the environments of whom one was success once: of two branches
    at one commit each has a deploy of its own.
    """

    facts: Facts
    told: dict[str, FeedbackRecord] = field(default_factory=dict)
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    comments: dict[int, str] = field(default_factory=dict)
    succeeded: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def forget(self) -> None:
        """Know nothing of what was told: the state store was lost."""
        self.told.clear()
        self.succeeded.clear()

    def tell(self, rows: Mapping[str, Row], now: datetime) -> None:
        """Let GitHub be told what the rows say, once and completely."""
        plan = compare_feedback(rows, self.told, self.facts, now)
        for write in plan.writes:
            if isinstance(write, SetStatus):
                self._show(write, _list_speaking(rows, write, self.facts))
            elif isinstance(write, WriteComment):
                self.comments[write.pull] = write.body
            elif isinstance(write, DeleteGithubEnvironment):
                self.told = {key: each for key, each in self.told.items() if key not in write.told}
                continue
            self.told[write.key] = replace(write.record, id=write.record.id or len(self.told) + 1)
        for key in plan.forgotten:
            self.told.pop(key, None)
        assert (again := compare_feedback(rows, self.told, self.facts, now).writes) == (), f"said twice: {again}"

    def _show(self, write: SetStatus, speaking: set[str]) -> None:
        key = (write.sha, write.context)
        succeeded = self.succeeded.get(key, set())
        assert write.state != "error" or not succeeded or speaking - succeeded, f"{write} was success"
        self.statuses[key], self.words[key] = write.state, write.description
        assert find_doubled([write.description]) == [], write
        if write.state == "success":
            self.succeeded[key] = succeeded | speaking
        elif not write.record.settled:  # it was shown not to work
            self.succeeded.pop(key, None)

    def check(self, rows: Mapping[str, Row]) -> None:
        """See that comments, statuses and GitHub Deployments say what the rows say."""
        for pull, concerns in group_by_pull(rows.values()).items():
            for row in concerns:
                assert f"**{name_state(row)}**" in self.comments[pull], f"#{pull}: {row}"
                assert row.deployed[:7] in self.comments[pull], f"#{pull}: {row}"
                assert name_proof(row) in self.comments[pull], f"#{pull}: {row}"
            for part in self.comments[pull].partition("|\n\n")[2].split("\n\n**"):  # one environment's
                lines = [line for line in part.splitlines() if not line.startswith(("- It has ", "```"))]
                assert find_doubled(lines) == [], lines
        for row in rows.values():
            assert find_doubled(list_lines(row)) == [], row
            _check_rejection(row)
            self._check_gates(row)
            self._check_merged(row)
            if row.kind is not RowKind.DEPLOY_BRANCH and row.deployed and row.state is not State.REMOVED:
                shown = self.told[key_deployment(row.slug, row.deployed)].state
                # A release is deployed anew onto another base, a preview as a person asks.
                is_anew = row.state is State.DEPLOYING and read_head(row.run_id) == row.deployed[:12]
                assert shown in {*_list_states(row), *(["in_progress"] if is_anew else [])}, row
            if row.kind is RowKind.TARGET and row.head:
                self._check_status(row, row.environment)
            elif row.kind is RowKind.PREVIEW and row.head and row.state is not State.REMOVED:
                self._check_preview(row, [each for each in rows.values() if _shares_status(each, row)])

    def _check_preview(self, row: Row, sharing: Sequence[Row]) -> None:
        """See that the status says what the row does, or the worst of what is said of several branches' one head."""
        if len(sharing) == 1:
            self._check_status(row, "preview")
        elif self.statuses[key := (row.head, self.facts.name_context("preview"))] == "success":
            assert row.head == row.deployed or row.state is State.LIVE or self._had(key, row), row

    def _check_gates(self, row: Row) -> None:
        """See that comment and status await what the row does; of a merge only the comment, since its code runs."""
        if not row.gates or row.state not in {State.WAITING, State.HELD} or not row.why.endswith(row.gates[-1]):
            return
        told = [self.comments[pull] for pull in row.pulls]
        if not row.why.startswith(Verb.MERGE.value):
            told.append(self.words[row.head, self.facts.name_context(row.environment)])
        words = row.why[:WORDS_SHOWN_MIN]
        assert [each for each in told if words not in each.replace("\\", "")] == [], row

    def _check_merged(self, row: Row) -> None:
        """See that the comment of what was merged says so, and where its change is."""
        for pull in {*row.merged, *(each.pull for each in row.followed)}:
            known = self.told.get(key_comment(pull), FeedbackRecord(state=OPEN))
            # What was told for good before the target was called so keeps the name of then.
            if known.state == OPEN or row.slug not in known.about:
                continue
            (said,) = [each for each in self.comments[pull].split("\n\n") if _names(each, row)]
            entry = next((each for each in row.followed if each.pull == pull), None)
            if entry is not None:
                word = f"got `{entry.head[:7]}`" if entry.commit else "not yet"
                assert word in said, f"#{pull}: {row}"
            if pull in row.merged and row.state is not State.DEPLOYING:
                assert "merged" in said, f"#{pull}: {row}"

    def _check_status(self, row: Row, name: str) -> None:
        key = (row.head, self.facts.name_context(name))
        if row.state is State.DEPLOYING and row.verb == "delete":
            return
        if row.state is State.LIVE and not row.awaits_proof:
            assert self.statuses[key] == "success", row
        self._check_proof(row, key)
        if self.statuses[key] == "success":
            assert row.head == row.deployed or row.state is State.LIVE or self._had(key, row), row
        is_anew = row.state is State.DEPLOYING and row.head == row.deployed
        if row.overridden and row.deployed and not (row.awaits_proof or is_anew):
            assert self.statuses[row.deployed, key[1]] == "success", row
        if self.statuses[key] == "success":
            assert self.words[key].startswith(ETERNAL), "it may become false"
        if row.overridden and row.state is State.HELD and self._had(key, row) and row.head != row.deployed:
            assert "; later overridden by " in self.words[key], row

    def _check_proof(self, row: Row, key: tuple[str, str]) -> None:
        """See that what runs is red where it is refuted, and green only where it is verified, or was before."""
        known = row.verification
        if known is None or row.state is not State.LIVE:
            return
        if known.proof is Proof.FAILED:
            assert self.statuses[key] == "failure", row
        elif row.awaits_proof:
            assert self.statuses[key] in ({"pending", "success"} if self._had(key, row) else {"pending"}), row

    def _had(self, key: tuple[str, str], row: Row) -> bool:
        """Whether the commit's status was success of this environment."""
        return row.slug in self.succeeded.get(key, ())


def _list_speaking(rows: Mapping[str, Row], write: SetStatus, facts: Facts) -> set[str]:
    """Return the slugs of the environments whose newest commit the status is about."""
    return {
        row.slug
        for row in rows.values()
        if row.head == write.sha and row.state is not State.REMOVED and facts.name_context(_name(row)) == write.context
    }


def _name(row: Row) -> str:
    return "preview" if row.kind is RowKind.PREVIEW else row.environment


def _shares_status(row: Row, other: Row) -> bool:
    """Whether two previews are of one commit, whose one status tells of both."""
    return row.kind is RowKind.PREVIEW and row.head == other.head and row.state is not State.REMOVED


def _list_states(row: Row) -> set[str]:
    """Return which states the GitHub Deployment of what runs may have: a success that was told stands until refuted."""
    known = row.verification
    if known is not None and known.proof is Proof.FAILED:
        return {"failure"}
    return {"success", "pending"} if row.awaits_proof else {"success"}


def _names(line: str, row: Row) -> bool:
    name = write_words(name_environment(row))
    return line.startswith(f"{name[:1].upper()}{name[1:]}: ")


def _check_rejection(row: Row) -> None:
    """See that a no is told as a no: neither red, nor as a failure that a push mends."""
    last = row.outcomes[-1] if row.outcomes else None
    if last is not None and last.state == REJECTED and row.why.endswith(last.cause):
        assert row.state not in {State.FAILED, State.FAILING}, row
    if row.why.startswith(REJECTION):
        assert row.state is State.HELD, row
        assert "push a fix" not in row.why, row


_SAID_TWICE = re.compile(r"\b([^\W\d]\w*)\W{1,3}\1\b", re.IGNORECASE)
_SAYS_ITS_STATE = re.compile(r"^(\w+): (?:\w+: )?\1\b", re.IGNORECASE)


def list_lines(row: Row) -> list[str]:
    """Return what the page says of the environment, a line each: its state and why, what is held, what it needs."""
    state = f"{name_state(row)}: {row.why}" if row.why else name_state(row)
    return [state, *(f"held: {hold}" for hold in row.holds if hold != row.why)]


def find_doubled(lines: Iterable[str]) -> list[str]:
    """Return the lines that say a word twice in a row, or their state again, and those that stand there twice."""
    every = [line.strip("- ").replace("\\", "") for line in lines if line.strip("- ")]
    doubled = [line for line in every if _SAID_TWICE.search(line) or _SAYS_ITS_STATE.match(line)]
    reasons = [line.partition(": ")[2] or line for line in every]
    return doubled + [reason for reason in set(reasons) if reasons.count(reason) > 1]


def check_proof(row: Row, stored: Verification | None) -> None:
    """See that the row says of its newest deploy record what is remembered of that one, and of no other."""
    if row.verification is None:
        return
    if stored is None or stored.deploy_id != row.verification.deploy_id:
        assert row.verification.proof in {Proof.PENDING, Proof.UNKNOWN}, row
        assert row.verification.broken == (), row
    elif stored.proof is not Proof.PENDING:
        assert row.verification == stored, row
    elif row.state is State.DEPLOYING and is_asking(row):
        assert row.verification.proof is Proof.PENDING, row
    assert row.awaits_proof or row.verification.proof in {Proof.VERIFIED, Proof.UNKNOWN}, row


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
