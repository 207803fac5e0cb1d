"""What people do while the storm goes on: in the repository, on pull requests, by forms, in the policy, in Astro."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from include.deploy_ops.core.policy.keys import Approvers, Requires
from tests.chaos.storm import BRANCHES, DEPLOY_BRANCH, INTO, TARGETS, TEMPLATE, TRUNK
from tests.worlds.stages.flights import expect_refusal
from tests.worlds.stages.promotion import FORM
from tests.worlds.stages.world import IGNORES, read_stage

if TYPE_CHECKING:
    from tests.chaos.storm import Storm

FILES = ("dags/f{n}.py", "dags/f{n}.py", "dags/shared.py", "include/f{n}.py", "docs/f{n}.txt", "f{n}.md")
LIGHT = ("dags/f{n}.py", "docs/f{n}.txt", "f{n}.md", "dags/shared.py")
"""What needs no image of its own."""
WORDS = ("deploy", "destroy", "keep", "resume", "dploy")
REASON = "to have a look"
WAYS = ("merge", "squash", "rebase")
APPROVERS = (None, Approvers(users=("7",)), Approvers(users=("9",)), Approvers(not_requester=True))
GATES: tuple[Requires | None, ...] = (
    None,
    Requires.model_validate({"windows": {"deny": ["2000-01-01/9999-12-30"], "timezone": "UTC"}}),
    Requires.model_validate({"windows": {"deny": ["2000-01-01"], "timezone": "UTC"}}),
)


# In the repository


def push(storm: Storm, pick: int) -> None:
    """Push a new branch, or one more commit."""
    branch = BRANCHES[pick % len(BRANCHES)]
    _commit(storm, branch, FILES[pick // len(BRANCHES) % len(FILES)], new_from=f"origin/{(INTO, TRUNK)[pick % 2]}")


def force_push(storm: Storm, pick: int) -> None:
    """Let a branch jump to where any of them was: back, sideways, or into being again."""
    if storm.heads:
        _point(storm, BRANCHES[pick % len(BRANCHES)], storm.heads[pick // 2 % len(storm.heads)])


def delete(storm: Storm, pick: int) -> None:
    """Delete a branch."""
    branch = BRANCHES[pick % len(BRANCHES)]
    if branch in storm.list_branches():
        storm.stage.author.delete(branch)


def remake(storm: Storm, pick: int) -> None:
    """Delete a branch and make another one of its name before anybody has looked."""
    delete(storm, pick)
    push(storm, pick)


def push_into(storm: Storm, pick: int) -> None:
    """Push to staging without a pull request."""
    _commit(storm, INTO, FILES[pick % len(FILES)])


def push_trunk(storm: Storm, pick: int) -> None:
    """Push a hotfix to main."""
    _commit(storm, TRUNK, LIGHT[pick % len(LIGHT)])


def push_stray(storm: Storm, pick: int) -> None:
    """Let a stranger commit to the deploy branch."""
    if DEPLOY_BRANCH in storm.list_branches():
        storm.strays.add(_commit(storm, DEPLOY_BRANCH, LIGHT[pick % len(LIGHT)]))


def merge_trunk_back(storm: Storm) -> None:
    """Merge main into staging, and leave staging's lines as they are where both changed one."""
    author = storm.stage.author
    author.git("checkout", "--quiet", "-B", "desk", f"origin/{INTO}")
    author.git("merge", "--quiet", "-X", "ours", "--message", "Merge main back", f"origin/{TRUNK}")
    author.push(INTO)
    storm.stage.await_ci()


def _commit(storm: Storm, branch: str, path: str, new_from: str = "") -> str:
    storm.files += 1
    storm.git.fetch()
    base = f"origin/{branch}" if storm.git.find(branch) else new_from
    author = storm.stage.author
    author.git("checkout", "--quiet", "-B", "desk", base)
    head = author.commit({path.format(n=storm.files): f"# {storm.files}\n"}, f"Change number {storm.files}")
    author.push(branch)
    storm.stage.await_ci()
    storm.heads.append(head)
    return head


def _point(storm: Storm, branch: str, head: str) -> None:
    author = storm.stage.author
    author.fetch(head)
    author.git("checkout", "--quiet", "-B", "desk", head)
    author.push(branch, force=True)
    storm.stage.await_ci()


def edit_template(storm: Storm, pick: int) -> None:
    """Change the template on trunk in something that an update brings to Deployments that are there."""
    before, after = read_stage(storm.template), ("preview", "review", "trial")[pick % 3]
    storm.template = storm.template.replace(f'value: "{before}"', f'value: "{after}"')
    write_template(storm, storm.template)


def break_template(storm: Storm, _pick: int) -> None:
    """Misspell a key of the template."""
    write_template(storm, storm.template.replace("scheduler_size", "schedular_size"))


def write_template(storm: Storm, text: str) -> None:
    """Commit another template to trunk."""
    author = storm.stage.author
    author.git("fetch", "--quiet", "--prune")
    author.git("checkout", "--quiet", "-B", "desk", f"origin/{TRUNK}")
    (author.folder / TEMPLATE).write_text(text, encoding="utf-8")
    if author.git("status", "--porcelain"):
        author.commit({}, "Change the template")
        author.push(TRUNK)
        storm.stage.await_ci()


# On pull requests


def open_pull(storm: Storm, pick: int) -> None:
    """Open a branch's pull request, mostly into staging."""
    _open(storm, BRANCHES[pick % len(BRANCHES)], (INTO, INTO, INTO, TRUNK)[pick // len(BRANCHES) % 4])


def open_release(storm: Storm, _pick: int) -> None:
    """Open the pull request into main."""
    _open(storm, DEPLOY_BRANCH, TRUNK)


def _open(storm: Storm, branch: str, base: str) -> None:
    try:
        storm.stage.author.open_pull_request(branch, base, f"Merge {branch}")
    except httpx.HTTPStatusError as error:
        expect_refusal(error, 422)


def _choose_pull(storm: Storm, pick: int) -> dict[str, Any] | None:
    pulls = storm.list_pulls()
    return pulls[pick % len(pulls)] if pulls else None


def merge(storm: Storm, pick: int) -> None:
    """Merge a pull request in one of three ways, unless it conflicts; a release, too, as nobody should."""
    if pull := _choose_pull(storm, pick):
        try:
            storm.stage.author.merge(pull["number"], WAYS[pick // 7 % 3])
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 405)
        storm.stage.await_ci()


def draft(storm: Storm, pick: int) -> None:
    """Turn a pull request into a draft, or back."""
    if pull := _choose_pull(storm, pick):
        storm.stage.set_draft(pull["number"], is_draft=not pull["draft"])


def close(storm: Storm, pick: int) -> None:
    """Close a pull request, and perhaps open it again."""
    if pull := _choose_pull(storm, pick):
        for state in ("closed", "open")[: 1 + pick // 5 % 2]:
            storm.stage.author._api("PATCH", f"pulls/{pull['number']}", {"state": state})


def retarget(storm: Storm, pick: int) -> None:
    """Let a branch's pull request lead elsewhere."""
    pull = _choose_pull(storm, pick)
    if pull and pull["head"]["ref"] in BRANCHES:
        base = TRUNK if pull["base"]["ref"] == INTO else INTO
        try:
            storm.stage.author._api("PATCH", f"pulls/{pull['number']}", {"base": base})
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 422)


def speak(storm: Storm, pick: int) -> None:
    """Say a word on a branch's pull request."""
    pull = _choose_pull(storm, pick)
    if pull and pull["head"]["ref"] in BRANCHES:
        storm.said.append(storm.conversation.say(f"/deploy-ops {WORDS[pick // 3 % 5]}", number=pull["number"]))


# By forms


def force_preview(storm: Storm, pick: int) -> None:
    """Fill in a branch's form."""
    branch, action = BRANCHES[pick % len(BRANCHES)], ("deploy", "delete", "keep", "resume")[pick // 4 % 4]
    if branch in storm.list_branches():
        storm.flying.append(storm.stage.start_form(branch=branch, action=action, reason=REASON))


def force_target(storm: Storm, pick: int) -> None:
    """Force a deploy: the source, a branch or a commit of the deploy branch, of one kind or another."""
    storm.git.fetch()
    tip = storm.git.find(DEPLOY_BRANCH)
    ours = storm.stage.author.git("rev-list", "-6", tip).split() if tip else []
    refs = ["", TRUNK, *ours, *filter(storm.git.find, BRANCHES)]
    kind = "image-and-dags" if pick % 5 == 0 else "infer"
    fill_in(storm, TARGETS[pick % 2], action="deploy", ref=refs[pick // 2 % len(refs)], deploy_type=kind)


def resume_target(storm: Storm, pick: int) -> None:
    """End a target's hold."""
    fill_in(storm, TARGETS[pick % 2], action="resume")


def fill_in(storm: Storm, target: str, action: str, **params: str) -> None:
    """Start a run by a target's form, or by that of its questions."""
    scope = storm.stage.scope
    asks = target == "production" and action == "deploy"
    dag_id = scope.request_dag(target) if asks else scope.target_dag(target)
    _start(storm, dag_id, {"action": action, "deploy_type": "infer", "reason": REASON, **params})


def promote(storm: Storm, _pick: int) -> None:
    """Ask for a promotion."""
    _start(storm, storm.stage.scope.promotion_dag, dict(FORM))


def adopt(storm: Storm, _pick: int) -> None:
    """Take over the deploy branch."""
    _start(storm, storm.stage.scope.promotion_dag, FORM | {"action": "adopt"})


def _start(storm: Storm, dag_id: str, params: dict[str, Any]) -> None:
    run_id = f"manual__{next(storm.stage.numbers)}"
    storm.flying.append(storm.stage.start({}, run_id, "manual", dag_id=dag_id, **params))


def answer(storm: Storm, pick: int) -> None:
    """Answer a question."""
    storm.answer(pick)


# In the policy


def exclude(storm: Storm, pick: int) -> None:
    """Let the policy exclude a branch, or none any more."""
    excluded = (BRANCHES[pick // 2 % len(BRANCHES)],) if pick % 2 else ()
    storm.stage.change_project(previews={"exclude": ("develop", *excluded)})


def choose_when(storm: Storm, pick: int) -> None:
    """Let the policy make previews only of what changes something, or of each branch."""
    storm.stage.change_project(previews={"when": ("always", "changed")[pick % 2]})


def override(storm: Storm, pick: int) -> None:
    """Change the policy's overrides of the template."""
    configuration = {"scheduler_size": ("SMALL", "MEDIUM")[pick % 2]}
    storm.stage.change_project(previews={"overrides": {"configuration": configuration}})


def ignore(storm: Storm, pick: int) -> None:
    """Change what the policy ignores."""
    storm.stage.change_project(ignore=IGNORES[pick % len(IGNORES)])


def change_approvers(storm: Storm, pick: int) -> None:
    """Change who may approve."""
    _change_target(storm, "production", approvers=APPROVERS[pick % len(APPROVERS)])


def change_gates(storm: Storm, pick: int) -> None:
    """Close production's gates, or open them."""
    _change_target(storm, "production", requires=GATES[pick % len(GATES)])


def change_merging(storm: Storm, pick: int) -> None:
    """Let production's deploys be merged, or not."""
    _change_target(storm, "production", merge=pick % 2 > 0)


def change_branch(storm: Storm, pick: int) -> None:
    """Let staging follow another branch."""
    _change_target(storm, "staging", branch=(DEPLOY_BRANCH, INTO)[pick % 2])


def _change_target(storm: Storm, name: str, **changes: Any) -> None:
    targets = storm.stage.scope.project.targets
    storm.stage.change_project(targets={**targets, name: targets[name].model_copy(update=changes)})


def rename(storm: Storm, pick: int) -> None:
    """Rename the repository at GitHub, and in the policy; nothing is done to its previews until one adopts them."""
    storm.rename(pick)
    storm.git.author = storm.stage.author
    if pick % 4 > 1:
        storm.adopt_previews()


def spell(storm: Storm, pick: int) -> None:
    """Write the repository's name in other letters."""
    storm.spell(pick)


def pause(storm: Storm, pick: int) -> None:
    """Pause a DAG, or let it go on."""
    names = sorted(storm.list_dags())
    storm.stage.airflow.paused ^= {names[pick % len(names)]}


def stay_dry(storm: Storm, pick: int) -> None:
    """Set `mode: plan`, or end it."""
    storm.set_dry(is_dry=pick % 3 == 0)


# Elsewhere


def break_ci(storm: Storm, pick: int) -> None:
    """Let CI fail for a while."""
    storm.change_sandbox(ci_fails=pick % 2 == 0)


def deploy_by_hand(storm: Storm, pick: int) -> None:
    """Let somebody deploy to a target, or to a preview, or roll a target back, beside us."""
    ids = [*storm.ids.values(), *filter(None, map(storm.find_preview, BRANCHES))]
    deployment_id = ids[pick % len(ids)]
    path, records = f"deployments/{deployment_id}/deploys", storm.stage.list_deploys(deployment_id)
    done = [each["id"] for each in records if each["status"] == "DEPLOYED"]
    if pick % 3 == 0 and done and deployment_id in storm.ids.values():
        storm.stage.ask_astro("POST", f"{path}/{done[-1]}/rollback", {"description": "back"})
    else:
        made = storm.stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": "by hand"})
        storm.stage.ask_astro("POST", f"{path}/{made['id']}/finalize", {})


def delete_by_hand(storm: Storm, pick: int) -> None:
    """Let somebody delete a preview in Astro."""
    if deployment_id := storm.find_preview(BRANCHES[pick % len(BRANCHES)]):
        storm.stage.ask_astro("DELETE", f"deployments/{deployment_id}")
        storm.previews = storm.list_previews()


def edit_by_hand(storm: Storm, pick: int) -> None:
    """Let somebody change a preview's scheduler in Astro."""
    if deployment_id := storm.find_preview(BRANCHES[pick % len(BRANCHES)]):
        storm.stage.edit_deployment(deployment_id, schedulerSize=("SMALL", "MEDIUM")[pick // 4 % 2])
