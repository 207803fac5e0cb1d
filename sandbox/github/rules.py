"""Rulesets: what a branch's rules are against, and whom they let pass. Speaks no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["update", "pull_request", "required_linear_history", "required_signatures"]
"""The kinds of rules that the sandbox knows beside required checks, in GitHub's words."""

Method = Literal["merge", "squash", "rebase"]
Bypass = Literal["never", "pull_requests_only", "always"]

METHODS: tuple[Method, ...] = ("merge", "squash", "rebase")
CHECKS_RULESET = 1
"""The ruleset of all rules that require checks; the others have numbers of their own."""

_FOUND = "Repository rule violations found"


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of one branch. `methods`: how pull requests may be merged, where `pull_request` is among the kinds.

    `bypass`: when the user behind the token may pass over them.
    """

    id: int
    branch: str
    kinds: tuple[Kind, ...]
    methods: tuple[Method, ...] = METHODS
    bypass: Bypass = "never"

    def find_push_ban(self) -> str:
        """Give GitHub's words for why the API moves the branch for nobody; empty where it does."""
        if self.bypass == "always":
            return ""
        said = {
            "update": "Cannot update this protected ref.",
            "pull_request": "Changes must be made through a pull request.",
            "required_signatures": "Commits must have verified signatures.",
        }
        found = next((said[kind] for kind in self.kinds if kind in said), "")
        return f"{_FOUND}\n\n{found}\n\n" if found else ""

    def find_merge_ban(self, method: str) -> str:
        """Give GitHub's words for why a pull request is not merged so; empty where it is."""
        if self.bypass != "never":
            return ""
        if method == "merge" and "required_linear_history" in self.kinds:
            return f"{_FOUND}\n\nThis branch must not contain merge commits.\n\n"
        if "pull_request" in self.kinds and method not in self.methods:
            return f"{_FOUND}\n\nMerge method is not allowed.\n\n"
        return ""
