"""What a pass leaves for people to look at: one row per environment, and a summary of the project.

The only writer of both. The Deployments page and the feedback on GitHub read them, and ask nobody else of ours.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.errors import DeployOpsError
from include.deploy_ops.operators.endings import read_endings
from include.deploy_ops.view import Row, RowKind, Summary
from include.deploy_ops.view_rows import Sight, make_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from include.deploy_ops.hooks.github_pulls import GithubPullsHook
    from include.deploy_ops.operators.difference import Seen
    from include.deploy_ops.operators.memory import Memory
    from include.deploy_ops.operators.scope import Scope
    from include.deploy_ops.schedule import Circumstances, Plan

log = logging.getLogger(__name__)
RESYNC_MINUTES = 5
"""Minutes after which control makes a pass although nothing happened."""

AUTHORS_MAX = 10
"""Commits whose author a pass asks GitHub for, and only a pass that starts nothing: nobody waits for a name."""


@dataclass(frozen=True, slots=True)
class Shower:
    """Writes one project's rows."""

    scope: Scope
    github: GithubPullsHook
    memory: Memory

    def show(self, context: Context, seen: Seen, plan: Plan, given: Circumstances, now: datetime) -> dict[str, Row]:
        """Write what changed, and return all rows by slug."""
        last = self.memory.read_summary()
        before = self.memory.read_rows()
        ended, until = read_endings(context, self.scope.fleet, last.events_until if last else "")
        slugs = {each.slug for each in ended} - given.remembered.keys()
        rows = make_rows(
            Sight(
                project=self.scope.project,
                control_plane=self.scope.control_plane,
                now=now,
                snapshot=seen.snapshot,
                observed=seen.observed,
                wanted={name: branch.head for name, branch in seen.wanted.items()},
                targets=seen.targets,
                plan=plan,
                in_flight=given.in_flight,
                remembered={**given.remembered, **{slug: self.memory.read_environment(slug) for slug in slugs}},
                before=before,
                ended=ended,
                verdicts=self.memory.read_verdicts(),
                authors=self._read_authors(before, is_quiet=not plan.actions),
            )
        )
        digests = self.memory.write_rows(before, rows)
        self.memory.write_summary(self._summarize(plan, now, digests, until))
        return rows

    def _summarize(self, plan: Plan, now: datetime, digests: dict[str, str], until: str) -> Summary:
        project = self.scope.project
        return Summary(
            project=project.name,
            repository=project.repository,
            repository_url=self.github.repository_url,
            at=now,
            mode="plan" if self.scope.is_dry else "apply",
            live=plan.live,
            max_live=project.previews.max_live if project.previews else 0,
            actions=len(plan.actions),
            holds=len(plan.holds),
            resync_s=RESYNC_MINUTES * 60.0,
            digests=digests,
            events_until=until,
        )

    def _read_authors(self, before: Mapping[str, Row], *, is_quiet: bool) -> dict[str, str]:
        """Return who wrote the heads of branches without a pull request."""
        known = self.memory.read_authors()
        heads = {row.head for row in before.values() if row.kind is RowKind.PREVIEW and row.head and not row.pulls}
        missing = sorted(heads - known.keys())[:AUTHORS_MAX] if is_quiet else []
        found = {head: name for head, name in known.items() if head in heads}
        for head in missing:
            try:
                found[head] = self.github.get_commit(head).author
            except DeployOpsError as error:  # a name is worth no failed pass; the next quiet one asks again
                log.info("the author of %s is not known yet: %s", head[:12], error)
                break
        self.memory.write_authors(known, found)
        return found
