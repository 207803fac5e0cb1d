"""The tour's part about a repository with two projects: a branch gets a preview in the one that it changes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from demo.author import Author
from demo.feedback import find_page
from demo.witness import WitnessError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.steps import Steps
    from demo.witness import Witness

NAME = "mono"
REPOSITORY = f"acme/{NAME}"
CHANGED, UNCHANGED = "etl", "ml"
"""The projects; each is a folder at the top, and called as it is."""
PROJECTS = (CHANGED, UNCHANGED)
DAGS = tuple(
    f"{project}.{dag}" for project in PROJECTS for dag in ("preview", "cleanup", "feedback", "what_if", "control")
)
BRANCH = "dev-clicks"
SAID = "changes nothing of this project"
_PROJECT = """\

  - name: {name}
    repository: {repository}
    root: {name}
    poll_interval_s: 5
    image: [reuse, "127.0.0.1:8900/acme/data-platform:{{sha}}"] # where the sandbox's CI puts what it builds
    previews: {{ branches: ["dev*"], template: {name}/deployments/preview.yaml, merged_into: [main] }}
"""


def add_projects(policy: str) -> str:
    """Return the policy with both projects behind its own, which is the last key of the file."""
    return policy + "".join(_PROJECT.format(name=name, repository=REPOSITORY) for name in PROJECTS)


def lay_out(witness: Witness) -> None:
    """Make the repository, with a project in each folder; before anybody looks at it."""
    wanted = {"name": NAME, "has_deployments": False}
    witness.stack.sandbox.post("/sandbox/repositories", json=wanted).raise_for_status()
    author = _look_there(witness).author
    author.clone()
    author.git("read-tree", "--empty")
    for folder in PROJECTS:
        author.git("read-tree", f"--prefix={folder}/", "HEAD")
    author.git("commit", "--quiet", "--message", "A project in each folder")
    author.push("main")
    author.git("reset", "--quiet", "--hard")
    author.git("clean", "--quiet", "--force", "-d")


def change_one(steps: Steps) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    witness, start = _look_there(steps.witness), time.monotonic()
    author = witness.author
    author.start_branch(BRANCH)
    head = author.commit({f"{CHANGED}/dags/clicks.py": "# counts clicks\n"}, "Count clicks")
    author.push(BRANCH)
    number = author.open_pull_request(BRANCH, "main", "Clicks")
    plan = witness.await_plan(f"{BRANCH} held: {SAID}", f"{UNCHANGED}.control")
    witness.await_deploy(BRANCH, head)
    run = witness.await_success(f"{CHANGED}.preview", f"{BRANCH}~create~{head[:12]}")
    seconds = time.monotonic() - start
    files = _check_dags(witness, head)
    told = [f"{each}: {_await_status(witness, head, each)}" for each in map(name_context, PROJECTS)]
    if not told[-1].endswith(SAID):
        raise WitnessError(f"{told[-1]!r} of {head[:12]} does not say {SAID!r}")
    lines = [
        f"{files} DAG files equal {head[:12]}, in {CHANGED}/; {UNCHANGED} has no preview",
        *told,
        f"{UNCHANGED}'s plan: {plan}",
        f"pull request: {find_page(witness, number)}",
    ]
    steps.tell("push that changes one of two projects → one preview", seconds, run, "\n    ".join(lines))


def name_context(project: str) -> str:
    """Return the commit status that tells of a project's previews where several share the repository."""
    return f"deploy-ops/{project}/preview"


def _look_there(witness: Witness) -> Witness:
    """Return a witness of this repository."""
    known = witness.author
    return replace(witness, author=Author(witness.stack.home / NAME, known.sandbox_url, known.token, REPOSITORY))


def _await_status(witness: Witness, head: str, context: str) -> str:
    """Return what the head's status says once it is a success."""

    def look() -> str:
        status = witness.author.show_status(head, context)
        return str(status["description"]) if status and status["state"] == "success" else ""

    return str(witness.await_true(f"{context} of {head[:12]} to be a success", look)[0])


def _check_dags(witness: Witness, head: str) -> int:
    """Return how many DAG files of the branch's one preview equal the commit's; anything else is an error."""
    word = f" branch={BRANCH} "
    marked = [each for each in witness.outside.list_deployments() if word in each.get("description", "")]
    if [each["name"] for each in marked] != [f"{CHANGED}-{BRANCH}"]:
        raise WitnessError(f"{BRANCH} has these previews: {[each['name'] for each in marked]}")
    deployed = _select(witness.outside.list_files(marked[0]["id"]), "dags/")
    if deployed != _select(witness.author.hash_files(head), f"{CHANGED}/dags/"):
        raise WitnessError(f"the DAGs of {marked[0]['name']} are not those of {head[:12]}: {sorted(deployed)}")
    return len(deployed)


def _select(files: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the files of a folder by their paths in it."""
    return {path.removeprefix(folder): found for path, found in files.items() if path.startswith(folder)}
