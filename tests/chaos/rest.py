"""What must be true after the storm: everything equals its source or says why not, and nothing says two things.

First nobody mends anything but what befell us: each environment equals its source, or its row names what holds it. Then
people do what those holds ask for, and each environment equals its source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.naming import PROMOTION_SLUG, parse_mark, slug_branch, slug_target
from include.deploy_ops.core.view.row import State
from tests.chaos import people, troubles
from tests.chaos.storm import BRANCHES, DEPLOY_BRANCH, FAIR_WEATHER, INTO, TARGETS, TRUNK
from tests.worlds.stages.world import drop_ignored, read_stage
from tests.worlds.values.trusted_release import Model

if TYPE_CHECKING:
    from include.deploy_ops.core.view.row import Row
    from tests.chaos.storm import Storm

PASSES_MAX = 16
AT_REST = {State.LIVE, State.ASLEEP, State.REMOVED, State.APPROVAL}
RESTLESS = {State.DEPLOYING, State.FAILING}


def end_storm(storm: Storm) -> None:
    """Let nothing go wrong any more; what people said and wrote stands."""
    assert storm.stage.sandbox.client.delete("/sandbox/faults").is_success
    storm.change_sandbox(**FAIR_WEATHER)
    storm.set_dry(is_dry=False)


def build_again(storm: Storm) -> None:
    """Let CI build what it failed to build, or never does: the heads that are there now, and a release's test merge."""
    author = storm.stage.author
    builds = storm.stage.sandbox.client.get("/sandbox/ci").json()["builds"]
    built = {build["sha"] for build in builds if build["state"] == "done"}
    releases = storm.list_pulls(base=TRUNK, head=f"acme:{DEPLOY_BRANCH}")
    merges = {author.show_pull_request(pull["number"])["merge_commit_sha"] for pull in releases}
    for head in sorted({*storm.list_branches().values(), *filter(None, merges)} - built):
        author.fetch(head)
        author.git("push", "--quiet", "--force", "origin", f"{head}:refs/heads/again")
        storm.stage.await_ci()
    if "again" in storm.list_branches():
        author.delete("again")


def come_to_rest(storm: Storm) -> None:
    """Let all that flies land, each question be answered with yes, and time pass, until nothing is left to do."""
    for _ in range(PASSES_MAX):
        people.write_template(storm, storm.template)  # a merge may bring back what was mended
        build_again(storm)
        land(storm)
        troubles.pass_time(storm, 0)
        storm.plan_quietly()
        if not storm.list_ready() and not list_unanswered(storm):
            return
    raise AssertionError(f"no rest after {PASSES_MAX} passes: {[run.run_id for run in storm.flying]}")


def land(storm: Storm) -> None:
    """Let all runs go on until none can, and each question be answered with yes by who may."""
    storm.finish_runs()
    while may_approve(storm) and any(each.run.dag_id in storm.list_dags() for each in storm.questions):
        storm.answer(0)
        storm.finish_runs()


def may_approve(storm: Storm) -> bool:
    """Whether the policy lets the person approve who answers here, whoever asks."""
    approvers = storm.stage.scope.target("production").approvers
    return approvers is None or "7" in approvers.users


def list_unanswered(storm: Storm) -> list[int]:
    """Return the comments that bear our mark and no end of it."""
    if storm.stage.scope.commands_dag in storm.stage.airflow.paused:
        return []
    signs = {each: set(storm.conversation.list_signs(each)) for each in storm.said}
    return [each for each, found in signs.items() if "eyes" in found and not found & {"rocket", "confused"}]


def check_named(storm: Storm) -> None:
    """See that what is not as its source says why, and what says that it lives does."""
    rows, heads = storm.stage.memory.read_rows(), storm.list_branches()
    for branch in BRANCHES:
        row, is_due = rows.get(slug_branch(branch)), storm.lives(branch)
        if row is None:
            is_out = branch in storm.stage.scope.project.previews.exclude  # type: ignore[union-attr]
            is_there = storm.find_preview(branch)
            assert is_out or not (is_due or is_there), f"{branch}: nobody speaks of it; {is_due=}, {is_there=}"
            continue
        check_told(storm, row)
        if row.state is State.LIVE:
            check_preview(storm, branch, heads[branch])
    for target in TARGETS:
        row = rows[slug_target(target)]
        check_told(storm, row)
        records = storm.list_records(target)
        if row.state is State.LIVE and records and records[-1].how:
            check_files(storm, storm.ids[target], records[-1].commit, target)
            assert row.deployed == (records[-1].commit if records[-1].how == "override" else records[-1].head), row


def check_told(storm: Storm, row: Row) -> None:
    """See that an environment that is not at rest says why, and none comes again and again."""
    is_paused = row.dag in storm.stage.airflow.paused
    assert row.state not in RESTLESS or is_paused, row
    assert row.state in AT_REST or row.why or row.holds or is_paused, row


def mend(storm: Storm) -> None:
    """Let people do what is asked for: undo the policy's edits, resume, adopt, make ready, push."""
    storm.stage.airflow.paused.clear()
    repository = storm.stage.author.repository
    storm.stage.scope = replace(
        storm.stage.scope, project=storm.first_project.model_copy(update={"repository": repository})
    )
    storm.doubt()
    people.write_template(storm, storm.template)
    storm.adopt_previews()
    storm.plan(None, 99)  # words are heard that were said while nobody could listen
    land(storm)
    for pull in storm.list_pulls():
        if pull["draft"]:
            storm.stage.set_draft(pull["number"], is_draft=False)
    if is_stray(storm):
        people.merge_trunk_back(storm)
        people.adopt(storm, 0)
    for number, branch in enumerate(BRANCHES):
        if branch in storm.list_branches():
            people.push(storm, number)
    for target in TARGETS:
        people.fill_in(storm, target, action="resume")
    storm.finish_runs()


def is_stray(storm: Storm) -> bool:
    """Whether the deploy branch's tip is a stranger's commit."""
    storm.git.fetch()
    tip = storm.git.find(DEPLOY_BRANCH)
    return tip in storm.strays and not storm.git.is_in(tip, storm.git.find(INTO))


def check_equal(storm: Storm) -> None:
    """See that every environment equals its source, and that all who speak of it say so."""
    storm.git.fetch()
    heads = storm.list_branches()
    there = {mark.branch: key for key, mark in _list_marked(storm) if mark is not None and storm.is_ours(mark)}
    living = {branch for branch in BRANCHES if branch in heads and storm.lives(branch)}
    rows = storm.stage.memory.read_rows()
    told = {row.slug: f"{row.state.value}: {row.why} {row.holds}" for row in rows.values()}
    assert there.keys() == living, f"{sorted(there)} are there, {sorted(living)} should be: {told}"
    for branch in sorted(living):
        check_preview(storm, branch, heads[branch])
        check_faces(storm, rows[slug_branch(branch)], heads[branch], "preview")
    check_deploy_branch(storm, rows[PROMOTION_SLUG])
    check_staging(storm, rows[slug_target("staging")])
    check_production(storm, rows[slug_target("production")])
    check_comments(storm)
    check_records(storm)


def _list_marked(storm: Storm) -> list[tuple[str, Any]]:
    return [(key, parse_mark(said)) for key, said in storm.list_previews().items()]


def check_preview(storm: Storm, branch: str, head: str) -> None:
    """See that a branch's preview runs its head, and has what the template on trunk says."""
    deployment_id = storm.find_preview(branch)
    assert deployment_id, f"{branch} has no preview"
    check_files(storm, deployment_id, head, branch)
    shown = storm.stage.ask_astro("GET", f"deployments/{deployment_id}")
    values = {each["key"]: each.get("value") for each in shown["environmentVariables"]}
    assert values["STAGE"] == read_stage(storm.template), f"the template's change did not arrive at {branch}"


def check_files(storm: Storm, deployment_id: str, commit: str, name: str) -> None:
    """Compare what a Deployment runs with a commit, but for what the policy may ignore."""
    found = drop_ignored(storm.stage.list_files(deployment_id))
    assert found == drop_ignored(storm.git.hash_files(commit)), f"{name} does not run {commit}"


def check_deploy_branch(storm: Storm, row: Row) -> None:
    """See that it is what it is derived to be, and lost nobody's commit."""
    tip, into = storm.git.find(DEPLOY_BRANCH), storm.git.find(INTO)
    assert all(storm.git.is_in(stray, tip) for stray in storm.strays), "somebody's commit was lost"
    pulls = storm.list_pulls(base=INTO)
    heads = [pull["head"]["sha"] for pull in pulls if pull["head"]["ref"] in BRANCHES]
    assert storm.git.list_entries(tip) == storm.git.derive(into, heads), row
    storm.git.check_no_empty_promotions(tip)


def check_staging(storm: Storm, row: Row) -> None:
    """See that it runs the deploy branch."""
    tip = storm.git.find(DEPLOY_BRANCH)
    check_files(storm, storm.ids["staging"], tip, "staging")
    check_faces(storm, row, tip, "staging")


def check_production(storm: Storm, row: Row) -> None:
    """See that no release is left open that could be merged."""
    pulls = storm.list_pulls(base=TRUNK, head=f"acme:{DEPLOY_BRANCH}")
    if pulls:
        base, head = storm.git.find(TRUNK), storm.git.find(DEPLOY_BRANCH)
        assert storm.git.conflicts(base, head), f"a release is left open: {row.state} {row.why} {row.holds}"
        assert row.state is State.HELD, row


def check_faces(storm: Storm, row: Row, head: str, name: str) -> None:
    """See that row and commit status say that it runs its head."""
    assert row.state is State.LIVE, f"{name}: {row}"
    assert row.head == head, row
    assert row.needs == (), row
    context = _gather_facts(storm).name_context(name)
    shown = storm.stage.author._api("GET", f"commits/{head}/statuses?per_page=100").json()
    states = [each["state"] for each in shown if each["context"] == context]
    assert states[:1] == ["success"], f"{name} at {head}: {states}"


def _gather_facts(storm: Storm) -> Any:
    scope = storm.stage.scope
    return gather_facts(scope.project, scope.control_plane, is_alone=True, airflow_url="", web_url="https://git")


def check_comments(storm: Storm) -> None:
    """See that an open pull request of a preview has one comment of ours, which says that it lives."""
    for pull in storm.list_pulls():
        if pull["head"]["ref"] not in BRANCHES:
            continue
        said = storm.stage.author.list_comments(pull["number"])
        ours = [each for each in said if each.startswith("<!-- deploy-ops") and "deploy-ops commands" not in each]
        assert len(ours) == 1, f"#{pull['number']} has {len(ours)} comments of ours"
        assert "**live**" in ours[0], ours[0]


def check_records(storm: Storm) -> None:
    """See that nothing was deployed twice, and behind the gate nothing that nobody approved."""
    for target in TARGETS:
        records = storm.list_records(target)
        model = Model(approved=storm.approved)
        model.check_records(storm.git, records, is_gated=target == "production", has_raced=True)
