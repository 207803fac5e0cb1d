"""Reads the checks on commits for the gates that wait for them: what cannot be read is said, and is no failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.target.gates import Checks
from include.deploy_ops.core.target.mergeability import PASSED, BranchRules
from include.deploy_ops.hooks.github.commit_checks import CommitChecks, read_commit_checks, read_required_checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

Key = TypeVar("Key")


@dataclass
class CheckReader:
    """Reads for many commits.

    :param known: what was read of commits before, which is asked for conditionally.
    """

    github: DeployOpsGithubHook
    known: Mapping[str, CommitChecks] = field(default_factory=dict)
    found: dict[str, CommitChecks] = field(default_factory=dict)
    _rules: dict[str, tuple[BranchRules, str]] = field(init=False, default_factory=dict)
    _outage: str = field(init=False, default="")
    _is_blind: bool = field(init=False, default=False)

    def read(self, sha: str, branch: str = "") -> Checks:
        """Return what GitHub shows of the checks on a commit, and which of them the rules of the branch require.

        Without a branch nobody asks for rules.

        :raises RateLimitError: GitHub wants a pause. Any other failure is told in the result.
        """
        return self._read(sha, branch, self.known.get(sha, CommitChecks()))

    def read_anew(self, sha: str, branch: str = "") -> Checks:
        """Return the same, and take nothing over from what was known: others may write where that is stored."""
        return self._read(sha, branch, CommitChecks())

    def recall(self, sha: str) -> Checks | None:
        """Return what was known of the commit before, without asking; None where nothing was."""
        known = self.known.get(sha)
        return Checks(_join(known.states), by_app=_join(known.states_by_app)) if known is not None else None

    def _read(self, sha: str, branch: str, known: CommitChecks) -> Checks:
        rules, unread = self._read_rules(branch) if branch else (BranchRules(), "")
        found, blind = self._read_states(sha, known)
        required = rules.checks - {name for name, _ in rules.bound}
        return Checks(_join(found.states), required, blind, unread, rules.bound, _join(found.states_by_app))

    def _read_states(self, sha: str, known: CommitChecks) -> tuple[CommitChecks, str]:
        """Return the state of each check, and why some cannot be seen."""
        if self._outage:
            return CommitChecks(), self._outage
        try:
            found = read_commit_checks(self.github, sha, known, is_blind=self._is_blind)
        except ObservationError as error:
            self._note_outage(error)
            return CommitChecks(), str(error)
        self.found[sha], self._is_blind = found, bool(found.blind)
        return found, found.blind

    def _read_rules(self, branch: str) -> tuple[BranchRules, str]:
        """Return which checks the rules of the branch require, and why that cannot be told; asked once."""
        if branch not in self._rules and self._outage:
            return BranchRules(), self._outage
        if branch not in self._rules:
            try:
                self._rules[branch] = read_required_checks(self.github, branch), ""
            except ObservationError as error:
                self._note_outage(error)
                self._rules[branch] = BranchRules(), str(error)
        return self._rules[branch]

    def _note_outage(self, error: ObservationError) -> None:
        """Ask no further where GitHub does not answer: each question would wait as long as this one."""
        from include.deploy_ops.hooks.github.http import UnavailableError  # not where DAG files are parsed

        if isinstance(error, UnavailableError):
            self._outage = str(error)


def _join(states: Iterable[tuple[Key, str]]) -> dict[Key, str]:
    """Return a state for each name: of several, such as of two workflows' jobs, one that is not green."""
    joined: dict[Key, str] = {}
    for name, state in states:
        if joined.get(name) in {*PASSED, None}:
            joined[name] = state
    return joined
