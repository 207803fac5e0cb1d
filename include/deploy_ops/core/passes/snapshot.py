"""One pass as it is kept: what it read and decided, without values of variables, as JSON that later releases read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Deployment
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.passes.alternative import digest_words
from include.deploy_ops.core.passes.reading import PassFacts
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Plan
from include.deploy_ops.core.preview.observed import TemplateState
from include.deploy_ops.core.target.comparison import Source, TargetState
from include.deploy_ops.core.target.gates import Gate
from include.deploy_ops.core.template.drift import Drift
from include.deploy_ops.core.verification.fallback import VerifiedDeploy
from include.deploy_ops.core.verification.verdict import Verification
from include.deploy_ops.core.versioned import read_value, wrap_value

if TYPE_CHECKING:
    from include.deploy_ops.core.passes.decision import Decision
    from include.deploy_ops.core.passes.rules import Rules
    from include.deploy_ops.core.policy.keys import Project

_POLICY_LENGTH = 12


@dataclass(frozen=True, slots=True)
class KeptTarget:
    """A `TargetState` without what the policy says of the target, and without its drift, by which nothing is held."""

    name: str
    source: Source | None
    deployments: tuple[Deployment, ...]
    history: DeployHistory
    deployed_base: str
    remembered: Remembered
    rivals: tuple[str, ...] = ()
    verification: Verification | None = None
    is_asking: bool = False
    verified: tuple[VerifiedDeploy, ...] = ()
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One pass. `policy` names what the policy said of the project then, `words` what of it says how is read.

    `targets` are those of all projects then, `new_name_ban` as in `Rules`. `facts` are without targets' states, which
    are `states`. `due` is what was due, by slug and verb, and `plan` what was decided of it.
    """

    at: datetime
    project: str
    control_plane: str
    policy: str
    words: Mapping[str, str]
    facts: PassFacts
    states: tuple[KeptTarget, ...]
    due: frozenset[tuple[str, str]]
    plan: Plan
    targets: frozenset[str] = frozenset()
    new_name_ban: str = ""


_SNAPSHOT = TypeAdapter(Snapshot)
_NAMES = tuple(each.name for each in fields(KeptTarget))


def name_policy(project: Project) -> str:
    """Return what names all that the policy says of the project; what equals its default is left out."""
    dumped = project.model_dump(mode="json", exclude_defaults=True, warnings=False)
    return hash_text(json.dumps(dumped, sort_keys=True), _POLICY_LENGTH)


def make_snapshot(rules: Rules, facts: PassFacts, decision: Decision) -> Snapshot:
    """Return the pass as it is kept."""
    reading, project = facts.reading, rules.project
    given = replace(facts.given, remembered={slug: _strip(each) for slug, each in facts.given.remembered.items()})
    deployments = tuple(map(_strip_deployment, reading.observed.deployments))
    bare = replace(
        reading,
        observed=replace(reading.observed, deployments=deployments),
        template=reading.template and _strip_template(reading.template),
        targets=(),
    )
    return Snapshot(
        at=given.now,
        project=project.name,
        control_plane=rules.control_plane,
        policy=name_policy(project),
        words=digest_words(project),
        facts=replace(facts, reading=bare, given=given),
        states=tuple(map(_keep, reading.targets)),
        due=decision.due,
        plan=decision.plan,
        targets=rules.targets,
        new_name_ban=rules.new_name_ban,
    )


def _keep(state: TargetState) -> KeptTarget:
    kept = KeptTarget(**{name: getattr(state, name) for name in _NAMES})
    deployments = tuple(map(_strip_deployment, kept.deployments))
    return replace(kept, deployments=deployments, remembered=_strip(kept.remembered))


def _strip(known: Remembered) -> Remembered:
    """Return what is remembered without seals: of mapped values, and of a person's yes."""
    approval = known.approval and replace(known.approval, seal="")
    return replace(known, laid=None, rendered=None, approval=approval)


def _strip_template(template: TemplateState) -> TemplateState:
    """Return the template's state without values that are for nobody's eyes; their seals name the work."""
    drift = {key: tuple(map(_strip_drift, found)) for key, found in template.drift.items()}
    return replace(template, drift=drift)


def _strip_drift(drift: Drift) -> Drift:
    return replace(drift, found="", wanted="") if drift.is_private else drift


def _strip_deployment(deployment: Deployment) -> Deployment:
    return replace(deployment, variables=(), contact_emails=())


def recall_states(snapshot: Snapshot, project: Project) -> tuple[TargetState, ...]:
    """Return the targets' states as this policy has the targets; of those that it does not know, none."""
    return tuple(
        TargetState(
            target=project.targets[each.name],
            people=project.people,
            **{name: getattr(each, name) for name in _NAMES},
        )
        for each in snapshot.states
        if each.name in project.targets
    )


def dump_snapshot(snapshot: Snapshot) -> Any:
    """Return the snapshot as versioned JSON; what equals its default is left out."""
    return wrap_value(_SNAPSHOT.dump_python(snapshot, mode="json", exclude_defaults=True))


def load_snapshot(stored: Any, called: str) -> Snapshot | None:
    """Return what was kept; None, with a word in the log, where it cannot be read any more."""
    return read_value(called, stored, _SNAPSHOT)
