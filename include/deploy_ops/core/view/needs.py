"""What of an environment waits for a person, and which action ends it. Pure.

What comes by itself is nobody's, and neither is a question: who answers it is told by Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.plan.outcome import DEPLOYING_VERBS, FAILED, REJECTED
from include.deploy_ops.core.plan.work import HoldKind, Remedy, Verb
from include.deploy_ops.core.promotion.comparison import ADOPTING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from include.deploy_ops.core.plan.outcome import Outcome
    from include.deploy_ops.core.plan.work import Hold

NEEDS_MAX = 8
"""Of one environment: each piece of work is held once, and there are few kinds."""
NEED_LENGTH_MAX = 1600
"""Characters of a reason: of what a person has to mend nothing is cut that a sane template or policy gives."""


@dataclass(frozen=True, slots=True)
class Need:
    """What waits for a person: `what` is held because of `why`, and `remedy` ends it.

    `run_id` and `dag` are of the run to clear, empty where none is.
    """

    what: str
    why: str
    remedy: Remedy = Remedy.MEND
    run_id: str = ""
    dag: str = ""


def list_needs(holds: Iterable[Hold], outcomes: Sequence[Outcome]) -> tuple[Need, ...]:
    """Return what waits for a person; `outcomes` are the environment's, the newest last."""
    kinds = {HoldKind.PERSON, HoldKind.FAILED}
    found = [_make_need(hold, outcomes) for hold in holds if hold.kind in kinds]
    return tuple(dict.fromkeys(found))[:NEEDS_MAX]


def _make_need(hold: Hold, outcomes: Sequence[Outcome]) -> Need:
    why = hold.reason[:NEED_LENGTH_MAX]
    if hold.kind is not HoldKind.FAILED and hold.remedy is not Remedy.RETRY:
        return Need(hold.what, why, hold.remedy)
    # A commit of somebody else's fails each promotion alike: nothing but its adoption, or a push, ends that.
    if hold.what == Verb.PROMOTE.value and ADOPTING in why:
        return Need(hold.what, why, Remedy.ADOPT)
    return need_retry(hold.what, why, outcomes, {hold.what})[0]


def need_retry(
    what: str, why: str, outcomes: Sequence[Outcome], verbs: Collection[str] = DEPLOYING_VERBS
) -> tuple[Need, ...]:
    """Return the need to clear the newest run to one of the verbs that failed, or got a no; without a run, to mend."""
    failed = [each for each in outcomes if each.verb in verbs and each.state in {FAILED, REJECTED}]
    return (Need(what, why, Remedy.RETRY, failed[-1].run_id, failed[-1].dag) if failed else Need(what, why),)
