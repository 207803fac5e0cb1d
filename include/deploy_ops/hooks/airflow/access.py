"""One Deployment's Airflow, asked with a token that opens no target: a connection's, or one that is minted for it.

Judges nothing of what it reads.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, ReadRefusedError, WriteRefusedError
from include.deploy_ops.hooks.airflow.api import AirflowReader, AsyncAirflowReader
from include.deploy_ops.hooks.airflow.connection import NO_CONNECTION, aread_airflow_token, read_airflow_token
from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner
from include.deploy_ops.hooks.astro.connection import aread_astro_connection, read_astro_connection

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.cleanup.use import RunFacts
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.verification.facts import AirflowFacts
    from include.deploy_ops.hooks.astro.answers import MintedToken
    from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi

log = logging.getLogger(__name__)
ASKER_BYTES = 4
"""By which one asker's tokens are told from another's."""


@dataclass
class AsyncAirflowAccess:
    """Reads the Airflow of one Deployment: an async context manager, which deletes the token that it had minted.

    So it does with one that was minted while the answer was lost: it finds that by its name.

    Each look reads the Airflow connection again, so that a repaired one counts.

    :param conn_id: the Airflow connection whose password is the token; None mints one.
    """

    astro: AsyncAstroApi
    deployment_id: str
    conn_id: str | None
    _minted: MintedToken | None = None
    _asker: str = field(default_factory=lambda: secrets.token_hex(ASKER_BYTES))
    _may_be_lost: bool = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop_lost()
        if self._minted is None:
            return
        try:
            await self.astro.delete_token(self._minted)
        except DeployOpsError as error:
            tell_left(self.deployment_id, error)

    async def _drop_lost(self) -> None:
        if not self._may_be_lost:
            return
        try:
            await self.astro.drop_lost_tokens(self.deployment_id, self._asker)
            self._may_be_lost = False
        except DeployOpsError as error:
            tell_left(self.deployment_id, error)

    async def look(self) -> AirflowFacts:
        """Return what the Deployment's Airflow tells now.

        :raises ReadRefusedError: there is no token that reads there; says why.
        :raises PermanentError: no later look tells more.
        :raises RetryableError: a later one may.
        """
        address = await self._find_address()
        async with AsyncAirflowReader(address, await self._find_token()) as reader:
            return await reader.read_facts()

    async def open_runner(self) -> AsyncAirflowRunner:
        """Return what starts and watches runs there, a context manager; raises as `look` does."""
        address = await self._find_address()
        return AsyncAirflowRunner(address, await self._find_token())

    async def _find_address(self) -> str:
        deployment = await self.astro.get_deployment(self.deployment_id)
        if deployment is None:
            raise PermanentError("the Deployment is gone")
        return deployment.airflow_api

    async def _find_token(self) -> str:
        if self.conn_id:
            ours = await aread_astro_connection(self.astro.astro_conn_id)
            return await aread_airflow_token(self.conn_id, ours.token)
        if self._minted is None:
            await self._drop_lost()
            is_left, self._may_be_lost = self._may_be_lost, True  # until Astro answered
            try:
                self._minted = await self.astro.create_deployment_token(self.deployment_id, self._asker)
            except WriteRefusedError:
                self._may_be_lost = is_left
                raise
            self._may_be_lost = is_left
        if self._minted is None:
            raise ReadRefusedError(NO_CONNECTION)
        return self._minted.value


def read_work(astro: AstroApiHook, deployment: Deployment, conn_id: str | None, since: datetime) -> RunFacts:
    """Return who works in a Deployment's Airflow, blocking; a token that had to be minted is deleted.

    :param conn_id: as in `AsyncAirflowAccess`.
    :param since: when the Deployment was used last as far as is known; older runs tell nothing.
    :raises ReadRefusedError: there is no token that reads there; says why.
    :raises RetryableError: a later look may tell more.
    """
    if conn_id:
        token = read_airflow_token(conn_id, read_astro_connection(astro.astro_conn_id).token)
        return _read_work(deployment, token, since)
    minted = astro.create_deployment_token(deployment.id)
    if minted is None:
        raise ReadRefusedError(NO_CONNECTION)
    try:
        return _read_work(deployment, minted.value, since)
    finally:
        try:
            astro.delete_token(minted)
        except DeployOpsError as error:
            tell_left(deployment.id, error)


def _read_work(deployment: Deployment, token: str, since: datetime) -> RunFacts:
    with AirflowReader(deployment.airflow_api, token) as reader:
        return reader.read_work(since)


def tell_left(deployment_id: str, error: DeployOpsError) -> None:
    """Log that a minted token could not be deleted."""
    log.warning("a token for %s is left, and expires by itself: %s", deployment_id, error)
