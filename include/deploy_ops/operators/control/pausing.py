"""What a verification that died left unpaused in a preview's Airflow is paused again, by the next quiet pass.

Whoever pushes a branch answers there: each pass asks one Airflow, for a bounded time, and for one left-over not often.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import DeployOpsError, ReadRefusedError
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.verification.smoke import name_run
from include.deploy_ops.hooks.airflow.connection import NO_CONNECTION, read_airflow_token
from include.deploy_ops.hooks.airflow.runs import AirflowPauser
from include.deploy_ops.hooks.astro.connection import read_astro_connection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.core.view.row import Row
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.run.claims import Claims
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

log = logging.getLogger(__name__)
TRIES_MAX = 3
TIME_MAX_S = 20.0
"""After which no further DAG is asked to be paused."""


@dataclass(frozen=True, slots=True)
class Pausing:
    """Pauses what is left over in one project's previews, with the token by which they are verified.

    :param claims: of the previews: what a living run holds is its own affair.
    """

    scope: Scope
    astro: AstroApiHook
    memory: Memory
    claims: Claims

    def pause_again(
        self,
        rows: Mapping[str, Row],
        verifications: Mapping[str, Verification],
        deployments: Collection[Deployment],
    ) -> bool:
        """Pause what the oldest left-over names, unless it was done or tried often enough.

        Return whether the next pass has something to try: what is asleep waits until it is woken, which control sees.
        Also where the policy wants no preview verified any more: it did when the verification began.
        """
        is_wanted = self.scope.project.find_verify("") is not None
        if not is_wanted and self.memory.unpausing.read() is None:
            return False  # nobody unpauses anything, and nothing is read of it
        left = {
            f"{slug}.{name_run(known.deploy_id, known.attempt)}": (slug, known)
            for slug, known in verifications.items()
            if known.unpaused and slug in rows and not self.claims.find_holder(slug)
        }
        before = self.memory.pausings.read()
        tries = {key: count for key, count in before.items() if key in left}
        awake = {each.id: each for each in deployments if not is_asleep(each)}
        due = [
            key
            for key, (slug, _) in left.items()
            if tries.get(key, 0) < TRIES_MAX and rows[slug].deployment_id in awake
        ]
        if due:
            key = min(due, key=lambda each: left[each][1].at)
            slug, known = left[key]
            tries[key] = tries.get(key, 0) + 1
            self.memory.pausings.write(tries)  # before: what ends the pass counts as a try
            if self._pause(awake[rows[slug].deployment_id], known.unpaused):
                tries[key] = TRIES_MAX
        if tries != self.memory.pausings.read():
            self.memory.pausings.write(tries)
        if not (is_wanted or any(tries.get(key, 0) < TRIES_MAX for key in left)):
            self._stop_looking(rows)
        return any(tries.get(key, 0) < TRIES_MAX for key in due)

    def _stop_looking(self, slugs: Collection[str]) -> None:
        """Forget that something may be unpaused, unless a run is at work that began when the policy wanted it."""
        if not any(map(self.claims.find_holder, slugs)):
            self.memory.unpausing.forget()

    def _pause(self, deployment: Deployment, dag_ids: Collection[str]) -> bool:
        """Pause the DAGs; return whether all are."""
        ends_at = time.monotonic() + TIME_MAX_S
        try:
            with self._find_token(deployment.id) as token, AirflowPauser(deployment.airflow_api, token) as airflow:
                for dag_id in dag_ids:
                    if time.monotonic() > ends_at:
                        log.warning("not all that was unpaused in %s is paused again yet", deployment.name)
                        return False
                    airflow.pause(dag_id)
        except DeployOpsError as error:
            log.warning("what was unpaused in %s is not paused again yet: %s", deployment.name, error)
            return False
        log.info("paused again in %s, which a verification that died left unpaused: %s", deployment.name, dag_ids)
        return True

    @contextlib.contextmanager
    def _find_token(self, deployment_id: str) -> Iterator[str]:
        rules = self.scope.project.find_verify("")
        if conn_id := rules.airflow_conn_id if rules is not None else self.memory.unpausing.read():
            ours = read_astro_connection(self.astro.astro_conn_id)
            yield read_airflow_token(conn_id, ours.token)
            return
        minted = self.astro.create_deployment_token(deployment_id)
        if minted is None:
            raise ReadRefusedError(NO_CONNECTION)
        try:
            yield minted.value
        finally:
            self.astro.delete_token(minted)
