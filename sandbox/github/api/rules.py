"""The rules of a branch, of all rulesets, and one ruleset by itself: GET rules/branches, rulesets."""

from __future__ import annotations

from sandbox.github.rest import Answer, Call, Handler, build_not_found, paginate
from sandbox.github.shapes.rules import build_checks_rule, build_rule, build_ruleset


def list_rules(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/rules/branches/{branch}: of a name, whether or not there is such a branch."""
    repository, branch = call.repository, call.path["branch"]
    checks, ruleset = repository.required_checks.get(branch, ()), repository.rulesets.get(branch)
    rules = [build_checks_rule(repository, checks)] if checks else []
    rules += [build_rule(repository, ruleset, kind) for kind in ruleset.kinds] if ruleset else []
    return paginate(call, rules, lambda each: each)


def show_ruleset(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/rulesets/{ruleset_id}."""
    repository, number = call.repository, call.read_number("ruleset_id")
    found = next((each for each in repository.rulesets.values() if each.id == number), None)
    if found is None:
        raise build_not_found()
    return Answer(build_ruleset(repository, found))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/rules/branches/{branch:path}", list_rules),
    ("GET", "/rulesets/{ruleset_id}", show_ruleset),
]
