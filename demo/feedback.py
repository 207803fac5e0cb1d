"""What GitHub shows beside a pull request, awaited: our comment, the commit status, the GitHub Deployment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.witness import WitnessError

if TYPE_CHECKING:
    from demo.witness import Witness

MARK = "<!-- deploy-ops feedback "
CONTEXT = "deploy-ops/preview"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Shown:
    """What GitHub shows of a live preview: our comment's text, the head's status, the newest GitHub Deployment."""

    comment: str
    status: dict[str, Any]
    deployment: dict[str, Any]


def find_comment(witness: Witness, number: int) -> str:
    """Return what our one comment on the pull request says, empty while there is none; two are an error."""
    ours = [comment for comment in witness.author.list_comments(number) if comment.startswith(MARK)]
    if len(ours) > 1:
        raise WitnessError(f"pull request #{number} has {len(ours)} comments of ours: {ours}")
    return ours[0] if ours else ""


def await_comment(witness: Witness, number: int, *words: str) -> str:
    """Return our comment on the pull request once it says all these words, whatever is escaped."""

    def look() -> str:
        comment = find_comment(witness, number)
        plain = comment.replace("\\", "")
        return comment if all(word in plain for word in words) else ""

    return str(witness.await_true(f"the comment on #{number} to say {' and '.join(words)}", look)[0])


def await_live(witness: Witness, branch: str, number: int, head: str) -> Shown:
    """Return what GitHub shows once all of it says that the branch's preview runs the head."""
    author = witness.author

    def look_at_status() -> dict[str, Any] | None:
        status = author.show_status(head, CONTEXT)
        return status if status and status["state"] == "success" else None

    def look_at_deployment() -> dict[str, Any] | None:
        newest = next(iter(author.list_deployments(name_environment(branch))), None)
        return newest if newest and (newest["sha"], newest["newest"]["state"]) == (head, "success") else None

    return Shown(
        comment=await_comment(witness, number, "**live**", head[:7]),
        status=witness.await_true(f"the status {CONTEXT} of {head[:12]}", look_at_status)[0],
        deployment=witness.await_true(f"GitHub's Deployment of {head[:12]}", look_at_deployment)[0],
    )


def await_removed(witness: Witness, branch: str, number: int) -> str:
    """Return our comment once it says that the preview is gone, and no GitHub Deployment of it is active."""
    comment = await_comment(witness, number, "**removed**")

    def look() -> bool:
        states = [each["newest"]["state"] for each in witness.author.list_deployments(name_environment(branch))]
        return bool(states) and set(states) == {"inactive"}

    witness.await_true(f"GitHub's Deployments of {branch} to be inactive", look)
    return comment


def name_environment(branch: str) -> str:
    """Return what GitHub calls the branch's environment."""
    return f"preview/{branch}"


def find_page(witness: Witness, number: int) -> str:
    """Return the address of the pull request's page."""
    return str(witness.author.show_pull_request(number)["html_url"])


def find_line(comment: str, word: str) -> str:
    """Return the comment's first line with the word, without escapes and links' addresses; the hidden mark is none."""
    lines = [line for line in comment.splitlines() if word in line and not line.startswith(MARK)]
    return _LINK.sub(r"\1", lines[0]).replace("\\", "").strip(" |-") if lines else ""
