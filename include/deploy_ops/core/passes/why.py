"""Which key of the policy decided: of a piece of work, of a hold, of a branch's match. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.plan.work import Assignment, Hold, Verb
from include.deploy_ops.core.policy.keys import is_matched
from include.deploy_ops.core.preview.comparison import GONE
from include.deploy_ops.core.preview.desired import MERGED

if TYPE_CHECKING:
    from include.deploy_ops.core.model import ChangeDecision
    from include.deploy_ops.core.policy.keys import Previews, Project
    from include.deploy_ops.core.text.schema import Location

_TARGET_KEYS = {Verb.REQUEST: "approval", Verb.MERGE: "merge", Verb.VERIFY: "verify"}
_PREVIEW_KEYS = {
    Verb.HIBERNATE: "hibernate_after",
    Verb.UPDATE: "template",
    Verb.KEEP: "keep_label",
    Verb.VERIFY: "verify",
    Verb.MUTE: "verify",
}


def find_rule(project: Project, each: Assignment | Hold) -> Location:
    """Return the path of the key below the project, or of `mode` at the policy's top; empty where none decided."""
    if isinstance(each, Hold):
        return each.rule or _find_hold_rule(project, each)
    if each.verb is Verb.PROMOTE:
        return ("promotion",)
    if each.target:
        return _find_target_rule(project, each.target, each.verb, is_rollback=bool(each.undoes))
    return _find_preview_rule(project, each.branch, each.verb, each)


def _find_hold_rule(project: Project, hold: Hold) -> Location:
    verb = next((each for each in Verb if each.value == hold.what), None)
    if verb is Verb.PROMOTE:
        return ("promotion",)
    if hold.home == slug_target(hold.environment):
        return _find_target_rule(project, hold.environment, verb, is_rollback=False)
    return _find_preview_rule(project, hold.environment, verb, None)


def _find_target_rule(project: Project, name: str, verb: Verb | None, *, is_rollback: bool) -> Location:
    target = project.targets.get(name)
    if target is None:
        return ()
    if is_rollback:
        return ("targets", name, "verify", "on_failure")
    source = "pull_request" if target.pull_request is not None else "branch"
    return ("targets", name, _TARGET_KEYS.get(verb, source) if verb is not None else source)


def _find_preview_rule(project: Project, branch: str, verb: Verb | None, work: Assignment | None) -> Location:
    previews = project.previews
    if previews is None:
        return ("previews",)
    if verb in _PREVIEW_KEYS:
        return ("previews", _PREVIEW_KEYS[verb])
    if verb is Verb.DELETE and work is not None and work.reason != GONE:
        return ("previews", "merged_into" if work.reason.startswith(MERGED) else "delete_after")
    return ("previews", *find_pattern(previews, branch))


def find_pattern(previews: Previews, branch: str) -> Location:
    """Return the pattern that decides about the branch: the first of `exclude`, else of `branches`; else these."""
    for key in ("exclude", "branches"):
        patterns: tuple[str, ...] = getattr(previews, key)
        for index, pattern in enumerate(patterns):
            if is_matched(branch, (pattern,)):
                return key, index
    return ("branches",)


def describe_match(project: Project, branch: str) -> str:
    """Return by which pattern the branch gets a preview, or none, in words."""
    previews = project.previews
    if previews is None:
        return "there are no previews"
    key, *index = find_pattern(previews, branch)
    if not index:
        return "no pattern of branches matches"
    patterns: tuple[str, ...] = getattr(previews, str(key))
    return f"{key} matches {patterns[int(index[0])]}"


def find_change_rules(project: Project, decision: ChangeDecision) -> tuple[Location, ...]:
    """Return the keys by which changed paths were judged, in the policy's order; what no key names is the product's."""
    named: dict[str, Location] = {f"ignored by '{each}'": ("ignore", at) for at, each in enumerate(project.ignore)}
    named |= {f"also_watch '{each}'": ("also_watch", at) for at, each in enumerate(project.also_watch)}
    told = {path.rule for path in decision.paths}
    found = [key for words, key in named.items() if words in told]
    return (*found, *([("root",)] if told & {"outside the root", "the way to the root"} else []))
