"""The tour's part about the template: production is resized by hand, a pull request says so, and previews follow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.policy_text import change_lines
from demo.proof import BRANCH
from demo.witness import PROJECT, WitnessError

if TYPE_CHECKING:
    from demo.steps import Steps
    from demo.witness import Witness

DAG = f"{PROJECT}.template"
PROPOSED = f"deploy-ops/template-{PROJECT}"
SIZE = "MEDIUM"
ROW = f"| `configuration.scheduler_size` | `{SIZE}` | `SMALL` | `{SIZE}` |"
"""How the pull request tells of it."""
_OVERRIDES = "configuration: { is_development_mode: true"
_CHANGES = {
    "# template_from: production": "template_from: production",
    f"{_OVERRIDES}, scheduler_size: SMALL }}": f"{_OVERRIDES} }}",
}
_KEPT = ("name", "description", "type", "workspaceId", "executor", "contactEmails", "isCicdEnforced")
_FLAGS = ("isDagDeployEnabled", "isHighAvailability", "isDevelopmentMode")


def follow_production(policy: str) -> str:
    """Return the policy whose template follows production, and with it the size of previews; all else as it is."""
    return change_lines(policy, _CHANGES)


def follow(steps: Steps) -> None:
    """Play it about a preview that lives; raises WitnessError at the first step that does not come true."""
    witness, start = steps.witness, time.monotonic()
    number, run = _propose(witness)
    witness.author.merge(number)
    steps.tell(
        "trigger by hand → production noted beside the template", time.monotonic() - start, run, _say(witness, number)
    )
    start = time.monotonic()
    _resize(witness)
    number, run = _propose(witness)
    if ROW not in str(witness.author.show_pull_request(number)["body"]):
        raise WitnessError(f"pull request {number} does not say {ROW}")
    steps.tell(
        "production resized by hand → a pull request says so",
        time.monotonic() - start,
        run,
        f"{_say(witness, number)}\n    {ROW}",
    )
    start = time.monotonic()
    witness.author.merge(number)
    witness.await_true(f"the preview of {BRANCH} to have a {SIZE} scheduler", lambda: _has_size(witness))
    run = witness.await_run(BRANCH, "update")
    steps.tell("merged → previews updated", time.monotonic() - start, run, f"{BRANCH} has a {SIZE} scheduler")


def _propose(witness: Witness) -> tuple[int, dict[str, Any]]:
    """Trigger the DAG; return the number of the pull request that is open then, and the run."""
    run = witness.await_success(DAG, witness.person.trigger(DAG, {"dry_run": False}))
    number = witness.author.find_pull_request(PROPOSED, "main")
    if number is None:
        raise WitnessError(f"run {run['dag_run_id']} of {DAG} opened no pull request from {PROPOSED}")
    return number, run


def _say(witness: Witness, number: int) -> str:
    return f"pull request: {witness.author.show_pull_request(number)['html_url']}"


def _resize(witness: Witness) -> None:
    """Give Production another scheduler, as a person does in Astro."""
    found = witness.outside.find_named("Production")
    if found is None:
        raise WitnessError("there is no Production")
    body = {key: found[key] for key in (*_KEPT, *_FLAGS) if key in found}
    body |= {"schedulerSize": SIZE, "environmentVariables": found.get("environmentVariables") or []}
    outside = witness.outside
    answer = outside.sandbox.post(
        f"/astro/v1/organizations/{outside.organization_id}/deployments/{found['id']}",
        json=body,
        headers={"Authorization": f"Bearer {outside.astro_token}"},
    )
    answer.raise_for_status()


def _has_size(witness: Witness) -> bool:
    found = witness.outside.find_deployment(BRANCH)
    return found is not None and found["schedulerSize"] == SIZE
