"""What a pass read, as another policy would see it, and what of it nobody read, since today's policy does not ask.

Nothing is asked for the answer's sake: what is not known is said, and what is known stands as it is. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.preview.observed import TemplateState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.deploy_ops.core.passes.reading import Reading
    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.preview.desired import RepositorySnapshot
    from include.deploy_ops.core.target.comparison import TargetState

_PROJECT_KEYS = ("trunk", "root", "ignore", "also_watch")
_TEMPLATE_KEYS = ("template", "overrides", "environment", "inherit")
_OVER_KEYS = ("merged_into", "require_label", "when")
_SOURCE_KEYS = {"deployment", "branch", "pull_request", "on"}
_DIGEST_LENGTH = 12

Words = Mapping[str, str]
"""What of a policy says how it is read: a digest of each such key's value, by its path; of what is not set none."""


@dataclass(frozen=True, slots=True)
class Altered:
    """The reading under another policy; `unknown` says, a line each, what of it was not read."""

    reading: Reading
    unknown: tuple[str, ...]


def digest_words(project: Project) -> dict[str, str]:
    """Return what of the policy says how a pass reads."""
    words = {key: _digest(getattr(project, key)) for key in _PROJECT_KEYS}
    if project.previews is not None:
        dumped = project.previews.model_dump(mode="json", include={*_TEMPLATE_KEYS, *_OVER_KEYS, "drift"})
        words |= {f"previews.{key}": _digest(value) for key, value in dumped.items()}
    for name, target in project.targets.items():
        dumped = target.model_dump(mode="json", warnings=False)  # of a union of texts the library warns in vain
        words[f"targets.{name}"] = _digest({key: dumped[key] for key in sorted(_SOURCE_KEYS)})
        words |= {f"targets.{name}.{key}": _digest(dumped[key]) for key in ("requires", "verify") if dumped[key]}
    return words


def _digest(value: object) -> str:
    return hash_text(json.dumps(value, sort_keys=True, default=str), _DIGEST_LENGTH)


def alter(reading: Reading, words: Words, after: Project, template: TemplateState | None = None) -> Altered:
    """Return what was read by one policy as another one sees it.

    :param words: of the policy by which it was read.
    :param template: the template's state under the other policy, where that could be told.
    """
    theirs = digest_words(after)
    moved = {key for key in {**words, **theirs} if words.get(key) != theirs.get(key)}
    states, doubts = _alter_targets(reading, moved, after)
    if template is None and reading.template is None and after.previews is not None:
        template = TemplateState("", {}, {})
    altered = replace(
        reading, snapshot=_join_pulls(reading.snapshot), template=template or reading.template, targets=states
    )
    if after.previews is not None:
        doubts += _list_unknown(reading, moved, words, has_template=template is not None)
    return Altered(altered, tuple(doubts))


def _join_pulls(snapshot: RepositorySnapshot) -> RepositorySnapshot:
    """Return the snapshot in which each pull request that was read may decide something."""
    every = {each.number: each for each in (*snapshot.merged, *snapshot.bystanders, *snapshot.pull_requests)}
    return replace(snapshot, pull_requests=tuple(each for _, each in sorted(every.items())))


def _alter_targets(reading: Reading, moved: Iterable[str], after: Project) -> tuple[tuple[TargetState, ...], list[str]]:
    known = {state.name: state for state in reading.targets}
    states: list[TargetState] = []
    doubts: list[str] = []
    for name, target in after.targets.items():
        state = known.get(name)
        if state is None or f"targets.{name}" in moved:
            doubts.append(f"targets.{name}: what it would follow, and what runs there, was not read")
            continue
        is_gated_anew = f"targets.{name}.requires" in moved
        if is_gated_anew and target.requires is not None:
            doubts.append(f"targets.{name}.requires: how its gates stand was not read; told as if all were met")
        if f"targets.{name}.verify" in moved and target.verify is not None:
            doubts.append(f"targets.{name}.verify: whether what runs there is verified was read as the policy wants it")
        gates = () if is_gated_anew else state.gates
        states.append(replace(state, target=target, people=after.people, gates=gates))
    return tuple(states), doubts


def _list_unknown(reading: Reading, moved: Iterable[str], words: Words, *, has_template: bool) -> Iterator[str]:
    if "previews.template" not in words:
        yield "previews: there were none, so neither their template nor what became of branches was read"
        return
    moved = set(moved)
    template = [f"previews.{key}" for key in _TEMPLATE_KEYS if f"previews.{key}" in moved]
    if (template or "trunk" in moved) and not has_template:
        yield f"{', '.join([*template, *moved & {'trunk'}])}: what previews would be updated to was not read"
    over = [f"previews.{key}" for key in _OVER_KEYS if f"previews.{key}" in moved]
    if reading.over and over:
        yield f"{', '.join(over)}: {len(reading.over)} branches whose previews are over are left out"
    if "previews.merged_into" in moved:
        yield "previews.merged_into: of pull requests that were merged, those elsewhere were read in part"
    if "previews.drift" in moved:
        yield "previews.drift: what of Astro's values would be repaired was judged as the policy says now"
    if moved & {"root", "ignore", "also_watch", "previews.when"}:
        yield "which branches change anything of the project was not read by these rules"
