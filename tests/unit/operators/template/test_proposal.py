"""The template DAG's tasks on the sandbox: what is proposed, when nothing is written, and what nobody overwrites."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.hooks.github.git import GithubGitHook
from include.deploy_ops.observation.template import parse_template_text
from tests.worlds.stages.reference import BRANCH, HIDDEN, SNAPSHOT, TEMPLATE, VARIABLES, Reference, read_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

SCHEDULE = {"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"}
FORBIDDEN = {"message": "Resource not accessible by personal access token"}


@pytest.fixture
def reference(stage: Stage) -> Reference:
    """Give a stage with a production and no template yet."""
    made = Reference(stage)
    made.commit({TEMPLATE: None})
    return made


@pytest.fixture
def merged(reference: Reference) -> Reference:
    """Give one whose first template is merged."""
    reference.merge(reference.propose()["number"])
    return reference


def edit_template(reference: Reference, old: str, new: str) -> str:
    """Let a person edit trunk's template; return trunk's head."""
    text = reference.read(TEMPLATE, reference.find_head("main"))
    assert old in text
    return reference.commit({TEMPLATE: text.replace(old, new)})


def watch(reference: Reference) -> tuple[Run, list[str]]:
    """Play a run; return it, and the writes to GitHub that it sent."""
    runs: list[Run] = []
    writes = reference.list_writes(lambda: runs.append(reference.run()))
    return runs[0], writes


def test_the_first_template_is_a_click_and_previews_can_be_made_of_it(reference: Reference) -> None:
    trunk = reference.find_head("main")
    run = reference.run("manual")
    (pull,) = reference.list_pulls()
    assert (pull["state"], pull["base"]["ref"], pull["title"]) == ("open", "main", "Template: made of Production")
    assert reference.show(reference.tip, "%P") == trunk
    assert sorted(reference.list_changes(reference.tip)) == [SNAPSHOT, TEMPLATE]
    template = parse_template_text(reference.stage.scope, reference.read(TEMPLATE))
    assert template.configuration["executor"] == "CELERY"
    assert [(each["key"], each["is_secret"]) for each in template.body["environment_variables"]] == [
        ("AIRFLOW_CONN_WAREHOUSE", True),
        ("API_TOKEN", True),
        ("STAGE", False),
    ]
    assert reference.read_deployment(SNAPSHOT) == reference.read_deployment(TEMPLATE)
    assert "| `configuration.executor` | `CELERY` | `-` | `CELERY` |" in pull["body"]
    assert "Without a value in previews: `AIRFLOW_CONN_WAREHOUSE`, `API_TOKEN`, `STAGE`" in pull["body"]
    assert run.links["propose"]["Pull request"] == pull["html_url"]


def test_a_first_template_that_the_policy_contradicts_is_proposed_and_says_so(reference: Reference) -> None:
    """Nobody has previews yet, and which of the two is wrong is a person's word."""
    stage = reference.stage
    over = {"configuration": {"is_development_mode": True, "scheduler_size": "MEDIUM"}}
    stage.change_project(previews={"overrides": over | {"hibernation_schedules": [SCHEDULE]}})
    run = reference.run("manual")
    (pull,) = reference.list_pulls()
    assert "**The policy lets no preview be made of it:** " in pull["body"]
    assert "only a SMALL scheduler hibernates" in pull["body"]
    assert "| `configuration.executor` | `CELERY` | `-` | `-` |" in pull["body"]
    assert "The policy lets no preview be made of it:" in read_field(run, "compare", "table")
    reference.merge(pull["number"])
    head = stage.push("dev-x")
    assert stage.plan() == [], "nothing is made of what contradicts the policy"
    stage.change_project(previews={"overrides": {"configuration": {"is_development_mode": True}}})
    (made,) = stage.plan()
    assert (made.conf["job"]["verb"], made.conf["job"]["head"]) == ("create", head)


def test_nothing_is_read_of_what_may_be_a_target_of_a_file_that_cannot_be_read(reference: Reference) -> None:
    reference.stage.change_project(previews={"template_from": "Production"}, targets={})
    reference.stage.scope = replace(reference.stage.scope, unread=("teams/till.yaml",))
    reference.stage.forget_requests()
    run = reference.start()
    run.play()
    cause = run.read_failure("inspect")["cause"]
    assert "'Production' is no target of this project, and may be another file's: teams/till.yaml cannot" in cause
    assert reference.stage.list_requests("astro") == []
    assert reference.list_pulls() == []


def test_a_target_of_its_own_is_read_whatever_else_cannot_be(reference: Reference) -> None:
    reference.stage.scope = replace(reference.stage.scope, unread=("teams/till.yaml",))
    assert reference.propose()["title"] == "Template: made of Production"


def test_after_the_merge_nothing_is_written_however_often_it_runs(merged: Reference) -> None:
    run, writes = watch(merged)
    assert writes == []
    assert read_field(run, "propose", "outcome") == "nothing to propose"


def test_what_changed_in_production_is_one_commit_on_trunk_and_a_row_of_the_table(merged: Reference) -> None:
    trunk = edit_template(merged, 'value: ""\n      is_secret: false', "value: preview # ours\n      is_secret: false")
    merged.change(schedulerSize="MEDIUM")
    pull = merged.propose()
    assert pull["title"] == "Template: what changed in Production"
    assert merged.show(merged.tip, "%P") == trunk
    before, after = merged.read(TEMPLATE, trunk), merged.read(TEMPLATE)
    assert after == before.replace("scheduler_size: SMALL", "scheduler_size: MEDIUM")
    assert "value: preview # ours" in after
    assert pull["body"].count("| `configuration.") == 1
    assert "| `configuration.scheduler_size` | `MEDIUM` | `SMALL` | `MEDIUM` |" in pull["body"]
    assert merged.read_deployment(SNAPSHOT)["configuration"]["scheduler_size"] == "MEDIUM"


def test_the_table_says_what_the_policys_overrides_make_of_it(merged: Reference) -> None:
    merged.stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "SMALL"}}})
    merged.change(schedulerSize="LARGE")
    assert "| `configuration.scheduler_size` | `LARGE` | `SMALL` | `SMALL` |" in merged.propose()["body"]


def test_where_both_changed_it_trunks_stays_and_the_pull_request_says_so(merged: Reference) -> None:
    trunk = edit_template(merged, "scheduler_size: SMALL", "scheduler_size: LARGE")
    merged.change(schedulerSize="MEDIUM")
    pull = merged.propose()
    assert merged.read(TEMPLATE) == merged.read(TEMPLATE, trunk)
    assert merged.list_changes(merged.tip) == [SNAPSHOT]
    assert "Changed in Production, and differently on `main`" in pull["body"]
    assert "| `configuration.scheduler_size` | `MEDIUM` | `LARGE` | `LARGE` |" in pull["body"]
    merged.merge(pull["number"])
    assert merged.list_writes(merged.run) == []


def test_a_proposal_follows_production_and_trunk_and_is_the_same_pull_request(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    first = merged.propose()
    assert merged.list_writes(merged.run) == []
    merged.change(schedulerSize="LARGE")
    second = merged.propose()
    assert second["number"] == first["number"]
    assert "`LARGE`" in second["body"]
    trunk = merged.commit({"README.md": "moved\n"})
    third = merged.propose()
    assert (third["number"], third["body"]) == (first["number"], second["body"])
    assert merged.show(merged.tip, "%P") == trunk
    assert merged.list_writes(merged.run) == []


def test_it_is_closed_with_a_word_when_production_is_back_and_opened_anew_when_not(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    number = merged.propose()["number"]
    merged.change(schedulerSize="SMALL")
    merged.run()
    (*_, closed) = merged.list_pulls()
    assert (closed["state"], closed["merged_at"]) == ("closed", None)
    (word,) = merged.stage.author.list_comments(number)
    assert "nothing is left to take over" in word
    assert merged.list_writes(merged.run) == []
    merged.change(schedulerSize="MEDIUM")
    assert merged.propose()["number"] > number


def test_what_a_person_closed_is_not_asked_again_until_production_moves_or_a_person_asks(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    number = merged.propose()["number"]
    merged.close(number)
    merged.commit({"README.md": "moved\n"})
    run, writes = watch(merged)
    assert writes == []
    assert read_field(run, "propose", "outcome").startswith(f"declined: pull request {number} was closed")
    merged.run("manual")
    again = merged.list_pulls()[-1]
    assert (again["state"], again["number"] > number) == ("open", True)
    merged.close(again["number"])
    merged.change(schedulerSize="LARGE")
    assert merged.propose()["number"] > again["number"]


def test_a_commit_of_somebody_else_on_the_branch_is_left_alone(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    merged.propose()
    foreign = merged.commit({TEMPLATE: merged.read(TEMPLATE) + "# mine\n"}, branch=BRANCH)
    for size in ("LARGE", "SMALL"):
        merged.change(schedulerSize=size)
        run, writes = watch(merged)
        assert writes == []
        outcome = read_field(run, "propose", "outcome")
        assert outcome.startswith(f"held: {BRANCH} is at {foreign[:12]} ('by a person')")
    assert merged.tip == foreign


def test_once_their_branch_is_deleted_it_is_made_anew_though_github_closed_the_pull_request(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    number = merged.propose()["number"]
    merged.commit({TEMPLATE: merged.read(TEMPLATE) + "# mine\n"}, branch=BRANCH)
    merged.stage.author.git("push", "--quiet", "origin", f":refs/heads/{BRANCH}")
    merged.close(number)  # as GitHub does with the branch
    again = merged.propose()
    assert again["number"] > number
    assert "# mine" not in merged.read(TEMPLATE)


def test_what_a_strange_commit_says_stands_there_as_it_is(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    merged.propose()
    merged.commit({"README.md": "mine\n"}, "A\\nB \u202e {{ conn.astro_default.password }}", branch=BRANCH)
    outcome = read_field(merged.run(), "propose", "outcome")
    assert "('A<U+005C>nB <U+202E> {{ conn.astro_default.password }}')" in outcome


def test_once_it_is_merged_the_branch_is_ours_again(merged: Reference) -> None:
    merged.change(schedulerSize="MEDIUM")
    number = merged.propose()["number"]
    merged.commit({TEMPLATE: merged.read(TEMPLATE) + "# mine\n"}, branch=BRANCH)
    merged.merge(number)
    merged.change(schedulerSize="LARGE")
    assert merged.propose()["number"] > number
    assert merged.read(TEMPLATE).endswith("# mine\n")


def test_who_pushes_while_it_writes_is_not_overwritten(merged: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    merged.change(schedulerSize="MEDIUM")
    merged.propose()
    merged.change(schedulerSize="LARGE")
    write_commit, pushed = GithubGitHook.write_commit, list[str]()

    def write_and_push(hook: GithubGitHook, *arguments: Any) -> str:
        made = write_commit(hook, *arguments)
        pushed.append(merged.commit({TEMPLATE: merged.read(TEMPLATE) + "# mine\n"}, branch=BRANCH))
        return made

    monkeypatch.setattr(GithubGitHook, "write_commit", write_and_push)
    run = merged.start()
    run.play()
    assert run.states["propose"] == "failed"
    assert not run.read_failure("propose")["is_permanent"]
    assert merged.tip == pushed[0]


def test_a_template_that_people_made_stays_and_only_its_snapshot_is_proposed(stage: Stage) -> None:
    reference = Reference(stage)
    trunk = reference.find_head("main")
    pull = reference.propose()
    assert reference.list_changes(reference.tip) == [SNAPSHOT]
    assert reference.read(TEMPLATE) == reference.read(TEMPLATE, trunk)
    assert "nobody knows which of the two changed what differs" in pull["body"]
    assert "| `configuration.is_development_mode` | `false` | `true` | `true` |" in pull["body"]
    reference.merge(pull["number"])
    reference.change(schedulerSize="MEDIUM")
    reference.propose()
    text = reference.read(TEMPLATE, trunk)
    assert reference.read(TEMPLATE) == text.replace('scheduler_size: "SMALL"', 'scheduler_size: "MEDIUM"')


@pytest.mark.parametrize(
    "hold", ["mode: plan", "dry run", "git/trees", "/pulls"], ids=["plan", "dry", "no contents", "no pull requests"]
)
def test_where_nothing_may_be_written_the_run_is_green_and_shows_what_to_copy(reference: Reference, hold: str) -> None:
    params: dict[str, Any] = {}
    if hold == "mode: plan":
        reference.stage.scope = replace(reference.stage.scope, is_dry=True)
    elif hold == "dry run":
        params = {"dry_run": True}
    else:
        reference.stage.sandbox.plant(face="github", method="POST", path=hold, status=403, body=FORBIDDEN, times=None)
    trunk = reference.find_head("main")
    run = reference.run("manual", **params)
    template = read_field(run, "compare", "template_file")
    parse_template_text(reference.stage.scope, template)
    assert "snapshot_file" in run.tasks["compare"].template_fields
    assert "| configuration.scheduler_size | SMALL | - | SMALL |" in read_field(run, "compare", "table")
    assert reference.list_pulls() == []
    assert reference.find_head("main") == trunk
    outcome = read_field(run, "propose", "outcome")
    if hold in {"mode: plan", "dry run"}:
        assert run.states["propose"] == "skipped"
        assert outcome.startswith(f"{hold}: would propose")
    else:
        assert run.states["propose"] == "success"
        need = "Contents: write" if hold == "git/trees" else "Pull requests: write"
        assert f"grant the connection's token {need}" in outcome
        assert (reference.tip == "") == (hold == "git/trees")
    assert reference.stage.sandbox.client.delete("/sandbox/faults").is_success


def collect(run: Run) -> str:
    """Return everything that a run leaves in Airflow's tables."""
    fields = [str(getattr(task, name)) for task in run.tasks.values() for name in task.template_fields]
    return json.dumps(
        [run.xcoms, run.links, fields, [store.__dict__ for store in run.stage.stores.values()]], default=str
    )


@pytest.mark.parametrize("ending", ["well", "no document", "a failing CLI"])
def test_no_value_of_production_is_in_any_log_xcom_field_or_commit(reference: Reference, log: Log, ending: str) -> None:
    if ending != "well":
        fault = {"exit_0_without_deploying": True} if ending == "no document" else {"exit": 1, "stderr": "Error: no"}
        reference.stage.sandbox.plant(cli="inspect", times=None, **fault)
    run = reference.start()
    run.play()
    assert (run.states["inspect"] == "success") == (ending == "well")
    assert reference.stage.sandbox.client.delete("/sandbox/faults").is_success
    left = collect(run) + log.read() + json.dumps(reference.list_pulls())
    if ending == "well":
        left += reference.read(TEMPLATE) + reference.read(SNAPSHOT) + reference.show(reference.tip, "%B")
    for value in HIDDEN:
        assert value not in left, value


def test_a_listed_value_comes_along_and_nothing_else_does(reference: Reference) -> None:
    reference.stage.change_project(previews={"copy_variables": ("STAGE",)})
    reference.propose()
    values = {each["key"]: each["value"] for each in reference.read_deployment(TEMPLATE)["environment_variables"]}
    assert values == {"AIRFLOW_CONN_WAREHOUSE": "", "API_TOKEN": "", "STAGE": HIDDEN[0]}


@pytest.mark.parametrize(
    ("change", "task", "words"),
    [
        (
            lambda each: each.stage.change_project(previews={"template_from": "Nowhere"}),
            "inspect",
            "found no Deployments called 'Nowhere'",
        ),
        (
            lambda each: each.change(description=each.stage.write_mark("dev-x")),
            "inspect",
            "'Production' is a preview, which is made of the template itself",
        ),
        (lambda each: each.commit({TEMPLATE: "deployment: []\n"}), "compare", f"{TEMPLATE} on main"),
        (lambda each: each.commit({SNAPSHOT: "a: [\n"}), "compare", f"{SNAPSHOT} beside"),
    ],
    ids=["no such Deployment", "a preview", "a wrong template", "a wrong snapshot"],
)
def test_what_cannot_be_compared_fails_says_why_and_writes_nothing(
    merged: Reference, change: Callable[[Reference], object], task: str, words: str
) -> None:
    change(merged)
    run = merged.start()
    assert merged.list_writes(run.play) == []
    assert run.states[task] == "failed"
    assert words in run.read_failure(task)["cause"]


@pytest.mark.parametrize("executor", ["CELERY", "KUBERNETES", "ASTRO"])
def test_of_each_executor_a_preview_is_made_that_is_like_production(stage: Stage, executor: str) -> None:
    reference = Reference(stage)
    reference.commit({TEMPLATE: None})
    reference.change(executor=executor)
    stage.change_project(previews={"overrides": {"configuration": {"is_development_mode": True}}})
    reference.merge(reference.propose()["number"])
    head = stage.push("dev-like")
    stage.create_preview("dev-like", head)
    made, production = stage.find_deployment("dev-like"), stage.ask_astro("GET", f"deployments/{reference.production}")
    for key in ("executor", "schedulerSize", "type", "cloudProvider", "region", "isHighAvailability"):
        assert made[key] == production[key], key
    assert {each["key"]: each["isSecret"] for each in made["environmentVariables"]} == {
        "STAGE": False,
        "API_TOKEN": True,
        "AIRFLOW_CONN_WAREHOUSE": True,
    }
    assert len(VARIABLES) == len(made["environmentVariables"])
