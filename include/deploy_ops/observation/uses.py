"""Who works in a preview, asked of its own Airflow when the preview is about to be given up, and remembered.

What is told keeps a preview, and what is not told keeps it as well; what becomes of that, `core/cleanup` decides.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.expiry import is_asked, measure_activity
from include.deploy_ops.core.cleanup.use import NEVER_ASKED, Use, note_answer, note_silence, note_unasked
from include.deploy_ops.core.errors import DeployOpsError, RetryableError
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.hooks.airflow.access import read_work
from include.deploy_ops.hooks.secrets import read_secrets
from include.deploy_ops.process.redaction import list_forms, redact_cut
from include.deploy_ops.run.endings import mask_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from include.deploy_ops.core.cleanup.expiry import AgeLimits, Subject
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

log = logging.getLogger(__name__)

ASKING_TIME_MAX_S = 300.0
"""After which a cleanup run asks nobody else: each of a hundred previews that do not answer takes its time."""

_PROBLEM_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class UseObserver:
    """Asks previews' Airflows.

    :param is_dry: nothing may be written in Astro either, so that no token is minted: without a connection nobody is
        asked.
    """

    scope: Scope
    astro: AstroApiHook
    memory: Memory
    now: datetime
    is_dry: bool = False

    def learn(self, subjects: Iterable[Subject], limits: AgeLimits, live: Collection[str]) -> tuple[Subject, ...]:
        """Return the subjects with what their Airflows tell; of those that are due, each is asked once an hour.

        Who was not asked for the longest comes first.

        :param live: the ids of all Deployments that there are; what is remembered of others is forgotten.
        """
        if not self.scope.previews.counts_runs:
            return tuple(subjects)
        before = self.memory.uses.read()
        seen = [replace(each, use=before.get(each.deployment.id, NEVER_ASKED)) for each in subjects]
        due = [each for each in seen if is_asked(each, limits, self.now) and self._is_worth_asking(each)]
        ends_at = time.monotonic() + ASKING_TIME_MAX_S
        asked: dict[str, Use] = {}
        for subject in sorted(due, key=lambda each: each.use.asked_at if each.use else self.now):
            if time.monotonic() > ends_at:
                log.warning("%d previews are not asked in this run", len(due) - len(asked))
                break
            asked[subject.deployment.id] = self._ask(
                subject.deployment, subject.use, measure_activity(subject, self.now) or self.now
            )
        self.memory.uses.write({key: use for key, use in before.items() if key not in live}, asked)
        return tuple(replace(each, use=asked.get(each.deployment.id, each.use)) for each in seen)

    def ask_last(self, deployment: Deployment, since: datetime) -> Use | None:
        """Return what a preview's Airflow tells now, of one that sleeps what it told last; None: runs do not count."""
        if not self.scope.previews.counts_runs:
            return None
        known = self.memory.uses.read().get(deployment.id)
        if is_asleep(deployment):
            return known or NEVER_ASKED
        use = self._ask(deployment, known, since)
        if not self.is_dry:
            self.memory.uses.write({}, {deployment.id: use})
        return use

    def _is_worth_asking(self, subject: Subject) -> bool:
        is_known = subject.use is not None and subject.use.is_fresh(self.now)
        return not (is_known or is_asleep(subject.deployment))

    def _ask(self, deployment: Deployment, known: Use | None, since: datetime) -> Use:
        conn_id = self.scope.previews.airflow_conn_id
        if self.is_dry and not conn_id:
            return note_unasked(known, self.now)
        try:
            facts = read_work(self.astro, deployment, conn_id, since)
        except DeployOpsError as error:
            problem = " ".join(self._clean(str(error)).split())[:_PROBLEM_LENGTH_MAX]
            log.warning("whether somebody works in %s is not known: %s", deployment.name, problem)
            return note_silence(known, problem, self.now)
        return note_answer(known, facts, self.now)

    def _clean(self, text: str) -> str:
        """Return a text that quotes an Airflow without what is mapped; none of it where that cannot be read."""
        try:
            hidden = read_secrets(self.scope.previews.environment.mapped).list_hidden("")
        except RetryableError:
            return "its Airflow gave no answer"
        return redact_cut(mask_text(text), list_forms(hidden))
