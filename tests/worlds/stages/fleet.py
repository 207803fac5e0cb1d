"""A fleet made at once: many branches in one push, and their previews straight through Astro's API, all in sync."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.template.template import fingerprint_template
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.observation.template import read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.worlds.stages.stage import Stage

PUSHED = "refs/fleet/"
VARIABLES = [{"key": "STAGE", "value": "preview", "isSecret": False}]
EMAILS = ["data-platform@acme.example"]
QUEUES = [
    {
        "name": "default",
        "isDefault": True,
        "astroMachine": "A5",
        "minWorkerCount": 0,
        "maxWorkerCount": 5,
        "workerConcurrency": 5,
    }
]


def push_branches(stage: Stage, names: Iterable[str]) -> dict[str, str]:
    """Push the branches at once, each one commit ahead of main, and return their heads; CI builds none of them."""
    main = stage.author.git("rev-parse", "origin/main")
    _feed_git(
        stage, "".join(_write_commit(name, main) for name in names), "fast-import", "--quiet", "--date-format=now"
    )
    assert stage.sandbox.client.post("/sandbox/settings", json={"ci_fails": True}).is_success
    stage.author.git("push", "--quiet", "--force", "origin", f"{PUSHED}*:refs/heads/*")
    stage.await_ci()
    assert stage.sandbox.client.post("/sandbox/settings", json={"ci_fails": False}).is_success
    heads = stage.author.git("for-each-ref", "--format=%(refname) %(objectname)", PUSHED)
    _feed_git(stage, stage.author.git("for-each-ref", "--format=delete %(refname)", PUSHED), "update-ref", "--stdin")
    return dict(line.removeprefix(PUSHED).split(" ") for line in heads.splitlines())


def _write_commit(name: str, parent: str) -> str:
    """Return a commit for git-fast-import(1)."""
    return (
        f"commit {PUSHED}{name}\ncommitter Ada Author <ada@example.com> now\ndata {len(name)}\n{name}\n"
        f"from {parent}\nM 100644 inline dags/{name}.py\ndata 0\n\n"
    )


def _feed_git(stage: Stage, stream: str, *arguments: str) -> None:
    """Run git in the author's clone on a stream of its commands."""
    subprocess.run(
        ["git", *arguments],
        cwd=stage.author.folder,
        env=stage.author._environment(),
        input=stream.encode() + b"\n",
        check=True,
    )


def make_previews(stage: Stage, heads: Mapping[str, str]) -> None:
    """Make a Deployment for each branch that runs its head and is as the template wants it."""
    fingerprint = _fingerprint_template(stage)
    for branch, head in heads.items():
        deployment_id = stage.make_deployment(
            branch,
            description=stage.write_mark(branch, template=fingerprint),
            environmentVariables=VARIABLES,
            contactEmails=EMAILS,
            workerQueues=QUEUES,
        )
        record_deploy(stage, deployment_id, branch, head)


def record_deploy(stage: Stage, deployment_id: str, branch: str, head: str) -> None:
    """Let Astro know of a deploy of ours, as if one of our runs had made it."""
    note = DeployNote(branch, head, head, run_id=f"{branch}~deploy", attempt=1, is_forced=False)
    path = f"deployments/{deployment_id}/deploys"
    deploy = stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": format_note(note)})
    stage.ask_astro("POST", f"{path}/{deploy['id']}/finalize", {})


def _fingerprint_template(stage: Stage) -> str:
    project = stage.scope.project
    hook = DeployOpsGithubHook(project.github_conn_id, project.repository)
    try:
        return fingerprint_template(read_template(stage.scope, hook, stage.author.git("rev-parse", "origin/main")))
    finally:
        hook.close()
