"""The newest deploys of an environment, made of how its runs ended and of Astro's records of others' deploys. Pure.

For people who look for what to go back to; nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.plan.outcome import DEPLOYING_VERBS, Outcome
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.addresses import hide_addresses_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.history import DeployHistory

DEPLOYS_MAX = 30
"""Deploys of an environment that are kept, newest last."""

TEXT_LENGTH_MAX = 160
"""Characters that are kept of a reason, of a cause, and of a commit's first line."""

NAME_LENGTH_MAX = 80
"""Characters that are kept of a person's name."""

_NOTHING = {"", "none"}


def add_deploys(before: Iterable[Outcome], shown: Iterable[Outcome], found: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return the newest deploys, oldest first.

    :param before: those that were kept so far.
    :param shown: the outcomes of the environment's row, which lack the commits' texts; an older release kept only them.
    :param found: what is new, or comes again.
    """
    deploys = {_name(each): each for each in (*shown, *before, *map(_bound, found)) if is_deploy(each)}
    return tuple(sorted(deploys.values(), key=lambda each: each.at)[-DEPLOYS_MAX:])


def is_deploy(outcome: Outcome) -> bool:
    """Whether something was deployed, or was to be and failed."""
    if outcome.verb not in DEPLOYING_VERBS or outcome.state == "superseded":
        return False
    return outcome.state == "failed" or outcome.kind not in _NOTHING


def find_stranger(history: DeployHistory | None) -> Outcome | None:
    """Return the Deployment's newest deploy as an outcome where it is not ours: a person's in Astro's UI or CLI."""
    if history is None or not history.is_strangers or history.deployed_at is None:
        return None
    return Outcome(
        run_id="",
        dag="",
        verb=Verb.DEPLOY.value,
        state="success",
        at=history.deployed_at,
        commit=history.commit,
        kind=history.kind,
        why=history.overridden_by,
        person=history.person,
        deploy_id=history.newest_id,
    )


def _name(outcome: Outcome) -> str:
    return outcome.run_id or outcome.deploy_id


def _bound(outcome: Outcome) -> Outcome:
    """Return the outcome without addresses, its texts cut."""
    hidden = hide_addresses_of(outcome)
    return replace(
        hidden,
        why=hidden.why[:TEXT_LENGTH_MAX],
        reason=hidden.reason[:TEXT_LENGTH_MAX],
        cause=hidden.cause[:TEXT_LENGTH_MAX],
        subject=hidden.subject[:TEXT_LENGTH_MAX],
        person=hidden.person[:NAME_LENGTH_MAX],
        approver=hidden.approver[:NAME_LENGTH_MAX],
        author=hidden.author[:NAME_LENGTH_MAX],
        commit_author=hidden.commit_author[:NAME_LENGTH_MAX],
    )
