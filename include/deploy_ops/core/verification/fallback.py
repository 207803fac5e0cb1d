"""The deploys of a target that were verified, and whether it goes back to one of them, and to which. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.verification.verdict import Proof, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.history import DeployHistory

VERIFIED_MAX = 20
"""Verified deploys that are remembered of a target, the newest ones."""


@dataclass(frozen=True, slots=True)
class VerifiedDeploy:
    """A plain deploy of ours that was verified: Astro's record, its commit, the runtime that it ran on, and when.

    `is_refuted`: a later verification of its commit failed, such as after a rollback to it; nothing goes back to it.
    """

    deploy_id: str
    commit: str
    runtime: str
    at: datetime
    is_refuted: bool = False


def note_verdict(known: Iterable[VerifiedDeploy], verification: Verification) -> tuple[VerifiedDeploy, ...]:
    """Return the verified deploys, the newest last, after a verdict on the newest record."""
    every = tuple(known)
    if verification.proof is Proof.VERIFIED and verification.runtime:
        found = VerifiedDeploy(verification.deploy_id, verification.commit, verification.runtime, verification.at)
        return (*(each for each in every if each.deploy_id != found.deploy_id), found)[-VERIFIED_MAX:]
    if verification.proof is Proof.FAILED:
        return tuple(
            replace(each, is_refuted=True)
            if each.deploy_id == verification.deploy_id or each.commit == verification.commit
            else each
            for each in every
        )
    return every


def has_failed(history: DeployHistory, verification: Verification | None, known: Iterable[VerifiedDeploy]) -> bool:
    """Whether what runs shall be rolled back: its record names that, and its own verification failed.

    What was verified once is the deploy's fault no more: that a later verification fails is reported.
    """
    return (
        history.names_rollback
        and verification is not None
        and (verification.deploy_id, verification.proof) == (history.newest_id, Proof.FAILED)
        and not any(each.deploy_id == history.newest_id for each in known)
    )


def find_fallback(known: Iterable[VerifiedDeploy], runtime: str, failed: str = "") -> VerifiedDeploy | None:
    """Return the newest verified deploy of this runtime, None without one: the CLI lets no runtime go back.

    :param failed: the commit that does not work; it is returned where it is the newest, since nothing older is better.
    """
    found = [each for each in known if each.runtime == runtime and (not each.is_refuted or each.commit == failed)]
    return found[-1] if found else None
