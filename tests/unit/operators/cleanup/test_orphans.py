"""Orphans: only by a whole policy, only what bears our mark and has left it, and only what a person said yes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.preview.ownership import is_own
from tests.unit.operators.control.test_plan import read_plan
from tests.worlds.stages.cleanup import SCHEDULED, OrphansStage
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/data-platform
    image: [reuse]
    previews: {branches: ["dev*"], template: deployments/preview.yaml, merged_into: [main]}
    targets: {production: {deployment: Production, branch: astro_deploy}}
"""
BROKEN = POLICY + "  - {name: bad, repository: acme/bad, image: [build], poll_intervall_s: 5}\n"
GONE = """  - name: gone
    repository: acme/gone
    image: [reuse]
    previews: {branches: ["dev*"], template: deployments/preview.yaml, merged_into: [main]}
"""


@pytest.fixture
def orphans(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OrphansStage:
    """Give a stage with a whole policy."""
    return OrphansStage.open(stage, POLICY, tmp_path / "policy.yaml", monkeypatch)


def test_a_yes_deletes_exactly_what_was_listed(orphans: OrphansStage) -> None:
    first, second = orphans.leave("gone-a"), orphans.leave("gone-b")
    orphans.leave("other", control_plane="other")
    orphans.leave("shop-mine", project="shop", repository="acme/data-platform")
    orphans.leave("Production")
    orphans.stage.make_deployment("dev-y", name="plain", description="made by hand")
    run = orphans.start(SCHEDULED)
    page = run.ask()
    assert page["subject"] == "Delete 2 Deployments of projects that left the policy?"
    assert f"| `gone-a ({first})` | `gone` | `acme/gone` | `dev-x` |" in page["body"]
    assert f"| `gone-b ({second})` |" in page["body"]
    for name in ("other", "shop-mine", "Production", "plain"):
        assert name not in page["body"]
    late = orphans.leave("gone-late")
    run.answer("Approve")
    run.step("delete")
    assert orphans.list_names() == {"other", "shop-mine", "Production", "plain", "gone-late"}
    assert f"| gone-a ({first}) | deleted |" in run.read_field("delete", "outcome")
    assert late not in run.read_field("delete", "outcome")


def test_what_a_project_without_previews_left_running_is_asked_about(orphans: OrphansStage) -> None:
    mine = orphans.leave("shop-mine", project="shop", repository="acme/data-platform")
    orphans.leave("Production", project="shop", repository="acme/data-platform")
    previews = next(line for line in POLICY.splitlines(keepends=True) if "previews:" in line)
    orphans.write_policy(POLICY.replace(previews, ""))
    run = orphans.start(SCHEDULED)
    assert "project 'shop' has no previews any more" in str(run.ask())
    run.answer("Approve")
    run.step("delete")
    assert f"| shop-mine ({mine}) | deleted |" in run.read_field("delete", "outcome")
    assert orphans.list_names() == {"Production"}


def test_by_hand_it_is_a_dry_run_that_asks_nobody_and_writes_nothing(orphans: OrphansStage) -> None:
    orphans.leave("gone-a|b`c")
    orphans.stage.forget_requests()
    run = orphans.start()
    states = run.play()
    assert states == {"find": "success", "approve": "skipped", "delete": "skipped", "adopt": "skipped"}
    assert orphans.shown == {}
    assert orphans.store.values == {}
    assert orphans.stage.list_requests("astro", WRITES) == []
    table = run.read_field("find", "table")
    assert "1 orphan in the workspaces of astro_default" in table
    (row,) = [line for line in table.splitlines() if "gone-a" in line]
    columns = ("name", "project", "repository", "branch", "age", "status", "reason", "now")
    assert len(row.split(" | ")) == len(columns)
    assert "gone-a|b`c (" in row
    assert "the policy has no project 'gone'" in row
    assert "dry run: nobody is asked" in row


def test_without_orphans_nobody_is_asked(orphans: OrphansStage) -> None:
    run = orphans.start(SCHEDULED)
    assert run.play() == {"find": "success", "approve": "skipped", "delete": "skipped", "adopt": "skipped"}
    assert "Nothing of ours belongs to a project that has left the policy" in run.read_field("find", "table")


def test_while_a_part_of_the_policy_is_wrong_it_refuses(orphans: OrphansStage) -> None:
    orphans.leave("bad-x", project="bad", repository="acme/bad")
    orphans.leave("gone-x")
    orphans.write_policy(BROKEN)
    with pytest.raises(AirflowFailException, match=r"nothing is looked for while .*\n.*poll_intervall_s"):
        orphans.start(SCHEDULED).step("find")
    orphans.write_policy("control_plane: [")
    with pytest.raises(AirflowFailException, match=r"policy\.yaml"):
        orphans.start(SCHEDULED).step("find")


def test_a_policy_that_breaks_after_the_yes_ends_it(orphans: OrphansStage) -> None:
    orphans.leave("gone-a")
    run = orphans.start(SCHEDULED)
    run.ask()
    run.answer("Approve")
    orphans.write_policy(BROKEN)
    with pytest.raises(AirflowFailException, match="nothing is looked for while"):
        run.step("delete")
    assert orphans.list_names() == {"gone-a"}


@pytest.mark.parametrize("change", ["the project is back", "mode: plan", "another's mark", "a target", "a rename"])
def test_what_changed_after_the_yes_is_left_alone(orphans: OrphansStage, change: str) -> None:
    changed, same = orphans.leave("gone-a"), orphans.leave("gone-b")
    run = orphans.start(SCHEDULED)
    run.ask()
    run.answer("Approve")
    if change == "the project is back":
        orphans.write_policy(POLICY + GONE)
    elif change == "mode: plan":
        orphans.write_policy(f"mode: plan{POLICY}")
    elif change == "another's mark":
        other = orphans.stage.write_mark("dev-x", control_plane="other")
        orphans.stage.edit_deployment(changed, description=other)
    elif change == "a target":
        orphans.write_policy(POLICY.replace("Production", "gone-a"))
    else:
        orphans.stage.edit_deployment(changed, name="renamed")
    run.step("delete")
    left = orphans.stage.ask_astro("GET", f"deployments/{changed}")
    assert left["id"] == changed
    assert "left alone" in run.read_field("delete", "outcome")
    is_about_all = change in {"the project is back", "mode: plan"}
    assert ("gone-b" in orphans.list_names()) == is_about_all, same


def test_a_failed_delete_is_named_and_the_others_go_on(orphans: OrphansStage) -> None:
    first, _ = orphans.leave("gone-a"), orphans.leave("gone-b")
    run = orphans.start(SCHEDULED)
    run.ask()
    run.answer("Approve")
    fault = {"method": "DELETE", "path": f"deployments/{first}", "status": 400, "face": "astro"}
    assert orphans.stage.sandbox.client.post("/sandbox/faults", json=fault).is_success
    with pytest.raises(RetryableError, match=rf"1 of 2 Deployments to delete failed: gone-a \({first}\)"):
        run.step("delete")
    assert orphans.list_names() == {"gone-a"}
    assert "| deleted |" in run.read_field("delete", "outcome")
    assert orphans.stage.sandbox.client.delete("/sandbox/faults").is_success
    run.step("delete")
    assert orphans.list_names() == set()
    assert "| was gone already |" in run.read_field("delete", "outcome")


@pytest.mark.parametrize(("timedout", "said"), [(False, "rejected by ada"), (True, "nobody answered in time")])
def test_a_no_and_no_answer_delete_nothing(orphans: OrphansStage, said: str, *, timedout: bool) -> None:
    orphans.leave("gone-a")
    run = orphans.start(SCHEDULED)
    assert run.ask()["defaults"] == ["Reject"]
    run.answer("Reject", timedout=timedout)
    with pytest.raises(AirflowSkipException, match=said):
        run.step("delete")
    assert orphans.list_names() == {"gone-a"}


def test_two_runs_at_once_ask_once(orphans: OrphansStage) -> None:
    orphans.leave("gone-a")
    first = orphans.start(SCHEDULED)
    first.ask()
    orphans.leave("gone-b")
    second = orphans.start(dry_run=False)
    page = second.ask()
    assert "gone-b" in page["body"]
    assert "gone-a" not in page["body"]
    assert f"asked about already, by run {first.run_id}" in second.read_field("find", "table")
    orphans.stage.airflow.states[first.run_id] = "success"  # nobody answered
    assert "gone-a" in orphans.start(SCHEDULED).ask()["body"]


def test_a_cleared_run_whose_list_changed_asks_nobody(orphans: OrphansStage) -> None:
    orphans.leave("gone-a")
    run = orphans.start(SCHEDULED)
    run.ask()
    assert "gone-a" in run.ask()["body"]  # cleared, and the same list
    orphans.leave("gone-b")
    with pytest.raises(AirflowFailException, match="asked about another list before"):
        run.step("find")


def test_the_form_narrows_to_one_project_and_is_checked(orphans: OrphansStage) -> None:
    orphans.leave("gone-a")
    orphans.leave("left-a", project="left", repository="acme/left")
    run = orphans.start(dry_run=False, project="left")
    assert "gone-a" not in run.ask()["body"]
    for params, said in (
        ({"dry_run": "no"}, "dry_run: found 'no', expected true or false"),
        ({"project": 7}, "project: found 7, expected text"),
        ({"projekt": "left"}, "projekt: unknown key; did you mean 'project'"),
    ):
        with pytest.raises(AirflowFailException, match=said):
            orphans.start(**params).step("find")


def test_a_project_that_moved_to_another_repository_left_its_deployments(orphans: OrphansStage) -> None:
    orphans.leave("shop-old", project="shop", repository="acme/old")
    orphans.leave("shop-case", project="shop", repository="Acme/Data-Platform")
    run = orphans.start()
    run.step("find")
    table = run.read_field("find", "table")
    assert "it bears our mark for acme/old; the policy names acme/data-platform" in table
    assert "shop-case" not in table


def test_nothing_to_ask_is_a_skip_that_says_where_to_look(orphans: OrphansStage) -> None:
    run = orphans.start()
    run.step("find")
    with pytest.raises(AirflowSkipException, match="the find task's table"):
        run.step("approve")


@pytest.fixture
def renamed(orphans: OrphansStage) -> str:
    """Let the project's repository have had another name, and its preview's branch live; return the preview's id."""
    orphans.stage.push("dev-x")
    return orphans.leave("shop-dev-x", project="shop", repository="acme/old")


def test_a_preview_whose_branch_lives_is_never_offered_to_delete(orphans: OrphansStage, renamed: str) -> None:
    orphans.leave("gone-a")
    run = orphans.start(SCHEDULED)
    assert "shop-dev-x" not in str(run.ask())
    row = next(line for line in run.read_field("find", "table").splitlines() if renamed in line)
    assert "it bears our mark for acme/old; the policy names acme/data-platform, where its branch lives" in row
    assert "the form's action 'adopt'" in row
    orphans.stage.author.delete("dev-x")
    assert renamed in orphans.start(SCHEDULED).ask()["body"]


def test_a_branch_that_lives_again_after_the_yes_keeps_its_preview(orphans: OrphansStage, renamed: str) -> None:
    orphans.stage.author.delete("dev-x")
    run = orphans.start(SCHEDULED)
    assert renamed in run.ask()["body"]
    run.answer("Approve")
    orphans.stage.push("dev-x")
    run.step("delete")
    assert "left alone: it bears our mark for acme/old" in run.read_field("delete", "outcome")
    assert orphans.list_names() == {"shop-dev-x"}


def test_while_github_does_not_say_whether_a_branch_lives_nobody_is_asked(orphans: OrphansStage, renamed: str) -> None:
    fault = {"method": "GET", "path": "git/ref/heads/dev-x", "status": 500, "face": "github", "times": 9}
    assert orphans.stage.sandbox.client.post("/sandbox/faults", json=fault).is_success
    for action in ("delete", "adopt"):
        run = orphans.start(action=action, dry_run=False)
        run.step("find")
        assert "whether its branch lives is not known" in run.read_field("find", "table")
        with pytest.raises(AirflowSkipException):
            run.step("approve")
    assert orphans.list_names() == {"shop-dev-x"}, renamed


def test_one_yes_adopts_all_of_a_project_whose_repository_was_renamed(orphans: OrphansStage, renamed: str) -> None:
    stage = orphans.stage
    stage.push("dev-y")
    mark = stage.write_mark("dev-y", repository="acme/old")
    other = stage.make_deployment("dev-y", description=mark)
    orphans.leave("gone-a")
    stage.author.start_branch("unrelated")
    assert "it bears our mark for acme/old; the policy names acme/data-platform" in read_plan(stage)
    assert stage.list_deployments() != []
    run = orphans.start(action="adopt", dry_run=False)
    page = run.ask()
    assert page["subject"] == "Adopt 2 Deployments whose project has a repository of another name now?"
    assert (renamed in page["body"], other in page["body"], "gone-a" in page["body"]) == (True, True, False)
    run.answer("Approve")
    with pytest.raises(AirflowSkipException, match="nothing to delete"):
        run.step("delete")
    run.step("adopt")
    assert run.read_field("adopt", "outcome").count("adopted for dev-") == 2
    for branch, deployment_id in (("dev-x", renamed), ("dev-y", other)):
        assert stage.find_deployment(branch)["id"] == deployment_id
        found = parse_mark(stage.find_deployment(branch)["description"])
        assert found is not None
        assert is_own(found, "acme-test", stage.scope.project)
        assert found.branch == branch
    assert {(each.conf["job"]["verb"], each.conf["job"]["branch"]) for each in stage.plan()} >= {
        ("deploy", "dev-x"),
        ("deploy", "dev-y"),
    }


def test_what_was_adopted_by_a_template_that_is_as_before_since_is_updated(orphans: OrphansStage) -> None:
    stage = orphans.stage
    stage.create_preview("dev-x", stage.push("dev-x"))
    stage.rename_repository("store")
    trial = "merged_into: [main], overrides: {environment_variables: [{key: TRIAL, value: '1'}]}}"
    orphans.write_policy(POLICY.replace("acme/data-platform", "acme/store").replace("merged_into: [main]}", trial))
    run = orphans.start(action="adopt", dry_run=False)
    run.ask()
    run.answer("Approve")
    run.step("adopt")
    assert "TRIAL" in str(stage.find_deployment("dev-x"))
    stage.change_project(repository="acme/store")  # and the override is none of the policy's any more
    assert [(each.conf["job"]["verb"], each.conf["job"]["branch"]) for each in stage.plan()] == [("update", "dev-x")]


def test_a_no_adopts_nothing(orphans: OrphansStage, renamed: str) -> None:
    before = orphans.stage.find_deployment("dev-x")
    run = orphans.start(action="adopt", dry_run=False)
    assert renamed in run.ask()["body"]
    run.answer("Reject")
    with pytest.raises(AirflowSkipException, match="rejected by ada"):
        run.step("adopt")
    assert orphans.stage.find_deployment("dev-x") == before
