"""Which branches concern the project by their files: asked of GitHub once for each head and merge base, and remembered.

A branch that changes nothing of the project gets no new preview, and one without the project's folder nothing at all.
What has a preview keeps it: only a push decides anew.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, has_root, is_concerned
from include.deploy_ops.core.errors import DeployOpsError, RateLimitError
from include.deploy_ops.core.model import NO_COMMIT
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Concern
from include.deploy_ops.core.plan.work import Difference, Hold, HoldKind, Remedy, Verb, Work
from include.deploy_ops.hooks.github.refs import find_merge_base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from include.deploy_ops.core.model import TreeEntry
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

T = TypeVar("T")

ASKED_MAX = 50
"""Branches of which one pass learns it: each costs a comparison, a commit, and its top folders."""

TREES_MAX = 500
"""Folders after which a pass decides of no further branch: whoever pushes may nest them without end."""

RECHECKED_MAX = 5
"""Branches whose merge base one pass asks for again since trunk moved: one request each, the oldest answer first."""

UNCHANGED = "changes nothing of this project"
UNKNOWN = "whether it changes anything of this project is not known yet; the next pass goes on"

_RULES_LENGTH = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Where a branch parted from trunk, None where nobody looks or they share nothing, and its head.

    That is None where it need not be looked at: it parted there, or the answer of before still stands.
    """

    base: Snapshot | None
    head: Snapshot | None


@dataclass
class ConcernCheck:
    """The check of one pass.

    :param trunk: trunk's head.
    """

    scope: Scope
    github: DeployOpsGithubHook
    memory: Memory
    trunk: str
    now: datetime
    _rules: str = field(init=False)
    _trees: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._rules = _name_rules(self.scope)

    def hold_unconcerned(self, difference: Difference) -> Difference:
        """Return the difference in which nothing is due at a branch whose files do not concern the project."""
        works = self._list_subjects(difference)
        if not works:
            return difference
        known = self.memory.concerns.read()
        found, failed = self._learn(works.values(), self._find_counting(known, works))
        self.memory.concerns.write(known, found)
        return self._hold(difference, works, found, failed)

    def hold_known(self, difference: Difference) -> Difference:
        """Return the same as far as it is known: nothing is asked, and what nobody looked at is due."""
        works = self._list_subjects(difference)
        found = self._find_counting(self.memory.concerns.read(), works) if works else {}
        return self._hold(difference, {slug: work for slug, work in works.items() if slug in found}, found, {})

    def _list_subjects(self, difference: Difference) -> dict[str, Work]:
        subjects = [work for work in difference.works if self._is_subject(work)]
        old = self._list_old(subjects)
        return {work.slug: work for work in subjects if work.slug not in old}

    def _find_counting(self, known: Mapping[str, Concern], works: Mapping[str, Work]) -> dict[str, Concern]:
        return {slug: each for slug, each in known.items() if slug in works and self._counts(each, works[slug])}

    def _hold(
        self,
        difference: Difference,
        works: Mapping[str, Work],
        found: Mapping[str, Concern],
        failed: Mapping[str, str],
    ) -> Difference:
        kept, holds = [], list(difference.holds)
        for work in difference.works:
            if work is not works.get(work.slug):
                kept.append(work)
            elif (concern := found.get(work.slug)) is None:
                reason = failed.get(work.slug, UNKNOWN)
                holds.append(Hold(work.branch, work.verb.value, reason, kind=HoldKind.WAITING))
            elif concern.reason:
                holds.append(_hold(work, concern.reason))
            else:
                kept.append(work)
        return replace(difference, works=tuple(kept), holds=tuple(holds))

    def _is_subject(self, work: Work) -> bool:
        if work.target or work.verb not in {Verb.CREATE, Verb.DEPLOY}:
            return False
        return self._needs_base(work) or self.scope.project.root != "."

    def _needs_base(self, work: Work) -> bool:
        """Whether it matters what the branch changes, and not alone whether it has the project's folder."""
        return work.verb is Verb.CREATE and self.scope.previews_by_change

    def _counts(self, concern: Concern, work: Work) -> bool:
        is_asked_so = bool(concern.base) == self._needs_base(work)
        return (concern.head, concern.rules) == (work.head, self._rules) and is_asked_so

    def _list_old(self, works: Iterable[Work]) -> frozenset[str]:
        """Return the slugs of those that were old on the first pass, which get no preview anyway."""
        heads = {work.slug: work.head for work in works if work.verb is Verb.CREATE}
        old = self.memory.backlog.read() if heads else {}
        return frozenset(slug for slug, head in heads.items() if old.get(slug) == head)

    def _learn(self, works: Iterable[Work], known: Mapping[str, Concern]) -> tuple[dict[str, Concern], dict[str, str]]:
        """Return what is known now by slug, and of the others, as far as they were asked about, why it is not."""
        # What has a preview comes first: a long list of branches without one keeps no push waiting.
        new = sorted((work for work in works if work.slug not in known), key=lambda work: work.verb is Verb.CREATE)
        moved = [work for work in works if work.slug in known and known[work.slug].trunk not in {"", self.trunk}]
        moved.sort(key=lambda work: known[work.slug].at)
        asked = (*new[:ASKED_MAX], *moved[:RECHECKED_MAX])
        # All commits before any tree: then Git brings the trees of all of them at once, should they be many.
        pairs, failed = self._try_each(asked, lambda work: self._read_pair(work, known.get(work.slug)))
        found, undecided = self._try_each(
            (work for work in asked if work.slug in pairs and len(self._trees) < TREES_MAX),  # as each is come to
            lambda work: self._decide(work, pairs[work.slug], known.get(work.slug)),
        )
        return {**known, **found}, failed | undecided

    def _try_each(self, works: Iterable[Work], ask: Callable[[Work], T]) -> tuple[dict[str, T], dict[str, str]]:
        """Return what was answered, and why the others were not; a rate limit ends the asking.

        One branch of which GitHub says nothing keeps no other waiting.
        """
        found: dict[str, T] = {}
        failed: dict[str, str] = {}
        for work in works:
            try:
                found[work.slug] = ask(work)
            except DeployOpsError as error:
                log.info("%s: what it changes is not known: %s", work.branch, error)
                failed[work.slug] = f"whether it changes anything of this project is not known: {error}"
                if isinstance(error, RateLimitError):
                    break
        return found, failed

    def _read_pair(self, work: Work, before: Concern | None) -> _Pair:
        """Return the branch's head, and where it parted from trunk; no more than that where its answer still stands."""
        parted = find_merge_base(self.github, self.trunk, work.head) if self._needs_base(work) else None
        if parted is not None and (parted.commit == work.head or (before and before.base == parted.commit)):
            return _Pair(parted, None)
        if parted is not None:
            self.github.get_commit(parted.commit)  # so that Git is asked for its trees, too
        return _Pair(parted, Snapshot(work.head, self.github.get_commit(work.head).tree))

    def _decide(self, work: Work, pair: _Pair, before: Concern | None) -> Concern:
        if not self._needs_base(work):
            return Concern(work.head, self._rules, self._find_reason(work, pair), self.now)
        base = pair.base.commit if pair.base is not None else NO_COMMIT
        if before is not None and before.base == base:
            return replace(before, trunk=self.trunk, at=self.now)
        return Concern(work.head, self._rules, self._find_reason(work, pair), self.now, base, self.trunk)

    def _find_reason(self, work: Work, pair: _Pair) -> str:
        """Return why a preview is not for this branch; what shares no history with trunk changes everything."""
        if pair.head is None:
            return UNCHANGED
        if gap := self._find_gap(work, pair.head):
            return gap
        rules = ChangeRules.of(self.scope.project)
        return "" if pair.base is None or is_concerned(pair.base, pair.head, rules, self._read_tree) else UNCHANGED

    def _read_tree(self, sha: str) -> Sequence[TreeEntry]:
        self._trees.add(sha)
        return self.github.read_tree(sha)

    def _find_gap(self, work: Work, head: Snapshot) -> str:
        project = self.scope.project
        if project.root == "." or has_root(head, ChangeRules.of(project), self._read_tree):
            return ""
        return f"{work.branch} has no folder {project.root}/"


def _name_rules(scope: Scope) -> str:
    """Return what tells that a branch's files were judged by other rules."""
    project = scope.project
    words = (project.repository.casefold(), project.root, project.ignore, project.also_watch)
    return hash_text(json.dumps(words), _RULES_LENGTH)


def _hold(work: Work, reason: str) -> Hold:
    """Return the hold: of what does not exist nobody misses anything, what exists shows what its branch has no more."""
    if work.verb is Verb.CREATE:
        return Hold(work.branch, work.verb.value, reason, kind=HoldKind.NEEDLESS)
    return Hold(work.branch, work.verb.value, f"{reason}; push it again, or delete the preview", remedy=Remedy.DELETE)
