"""Rules of branches and their rulesets in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.rules import CHECKS_RULESET

if TYPE_CHECKING:
    from sandbox.github.repository import Repository
    from sandbox.github.rules import Ruleset

_SINCE = "2026-01-05T08:00:00.000Z"


def build_checks_rule(repository: Repository, checks: tuple[str, ...]) -> dict[str, Any]:
    """Build GitHub's `repository-rule-detailed` of the kind that requires checks."""
    parameters = {
        "required_status_checks": [{"context": each} for each in checks],
        "strict_required_status_checks_policy": False,
    }
    return _build_detailed(repository, {"type": "required_status_checks", "parameters": parameters}, CHECKS_RULESET)


def build_rule(repository: Repository, ruleset: Ruleset, kind: str) -> dict[str, Any]:
    """Build GitHub's `repository-rule-detailed` of another kind."""
    return _build_detailed(repository, _build_bare(ruleset, kind), ruleset.id)


def build_ruleset(repository: Repository, ruleset: Ruleset) -> dict[str, Any]:
    """Build GitHub's `repository-ruleset`, as one is shown by itself to who may not see its bypass list."""
    return {
        "id": ruleset.id,
        "name": f"rules of {ruleset.branch}",
        "target": "branch",
        "source_type": "Repository",
        "source": repository.full_name,
        "enforcement": "active",
        "current_user_can_bypass": ruleset.bypass,
        "conditions": {"ref_name": {"include": [f"refs/heads/{ruleset.branch}"], "exclude": []}},
        "rules": [_build_bare(ruleset, kind) for kind in ruleset.kinds],
        "created_at": _SINCE,
        "updated_at": _SINCE,
    }


def _build_detailed(repository: Repository, rule: dict[str, Any], ruleset: int) -> dict[str, Any]:
    return {
        **rule,
        "ruleset_source_type": "Repository",
        "ruleset_source": repository.full_name,
        "ruleset_id": ruleset,
    }


def _build_bare(ruleset: Ruleset, kind: str) -> dict[str, Any]:
    if kind != "pull_request":
        return {"type": kind}
    flags = (
        "dismiss_stale_reviews_on_push",
        "require_code_owner_review",
        "require_last_push_approval",
        "required_review_thread_resolution",
    )
    parameters = {
        "allowed_merge_methods": list(ruleset.methods),
        "required_approving_review_count": 0,
        **dict.fromkeys(flags, False),
    }
    return {"type": kind, "parameters": parameters}
