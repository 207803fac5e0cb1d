"""What one pass reads, before anything is decided by it. Values only: `observation/` fills them."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts
from include.deploy_ops.core.plan.schedule import Circumstances
from include.deploy_ops.core.plan.work import Hold
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.target.comparison import TargetState


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass read of GitHub, Astro and memory.

    `template` and `expiry` are None without previews in the policy. `promoted` is what the last promotion looked at.
    `over` are the slugs of the branches that are left out, since their previews are over.
    """

    snapshot: RepositorySnapshot
    observed: Observed
    template: TemplateState | None = None
    targets: tuple[TargetState, ...] = ()
    expiry: ExpiryFacts | None = None
    promoted: str = ""
    over: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bar:
    """What GitHub said of one piece of work by itself, so that it is held. `is_late`: found after the rest was planned.

    It is about this verb at this head alone.
    """

    slug: str
    verb: str
    head: str
    hold: Hold
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class PassFacts:
    """All that one pass goes by, beside the policy."""

    reading: Reading
    given: Circumstances
    bars: tuple[Bar, ...] = field(default=())
