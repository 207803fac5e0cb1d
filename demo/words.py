"""The tour's part about words on a pull request: by a comment a person keeps a preview, and a stranger does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.feedback import await_comment
from demo.policy_text import change_lines
from demo.proof import BRANCH
from demo.witness import PROJECT

if TYPE_CHECKING:
    from demo.steps import Steps
    from demo.witness import Witness

DAG = f"{PROJECT}.commands"
WORDS = "/deploy-ops keep"
PERSON, STRANGER = "mira", "sam"
"""Who may push, and who may not."""
DONE, REFUSED = ["eyes", "rocket"], ["confused"]
"""The signs under what they say, oldest first."""
_FEEDBACK = "feedback: {{ comments: true, statuses: true, deployments: true, commands: {} }}"


def listen(policy: str) -> str:
    """Return the policy by which words on pull requests count; all else as it is."""
    return change_lines(policy, {_FEEDBACK.format("false"): _FEEDBACK.format("true")})


def speak(steps: Steps) -> None:
    """Play it about the preview that proved itself; raises WitnessError at the first step that does not come true."""
    witness, start = steps.witness, time.monotonic()
    number = witness.author.find_pull_request(BRANCH, "main") or 0
    witness.grant(PERSON, "write")
    strangers, persons = (witness.say(number, login, WORDS) for login in (STRANGER, PERSON))
    await_signs(witness, strangers, REFUSED)
    await_signs(witness, persons, DONE)
    run = witness.await_run(BRANCH, "keep")
    kept = await_kept(witness, f"by {PERSON} on GitHub")
    await_comment(witness, number, f"Kept by {PERSON} on GitHub")
    step = f"comment `{WORDS}` on a pull request → done, by who may push alone"
    signs = f"{PERSON}: {' '.join(DONE)}; {STRANGER}, who may not push: {' '.join(REFUSED)}"
    steps.tell(step, time.monotonic() - start, run, f"{signs}\n    page and comment: kept {kept}")


def await_signs(witness: Witness, comment_id: int, signs: list[str]) -> None:
    """Return once the comment has these signs, and no other, in that order."""

    def look() -> bool:
        return witness.author.list_signs(comment_id) == signs

    witness.await_true(f"the signs under comment {comment_id} to be {signs}", look)


def await_kept(witness: Witness, who: str) -> str:
    """Return what the preview's row says of who keeps it, once it begins so."""

    def look() -> str:
        row: dict[str, Any] = witness.outside.read_rows(PROJECT).get(BRANCH, {})
        kept = str(row.get("kept", ""))
        return kept if kept.startswith(who) else ""

    return str(witness.await_true(f"the row of {BRANCH} to say that it is kept {who}", look)[0])
