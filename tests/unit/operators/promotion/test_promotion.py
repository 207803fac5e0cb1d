"""The promotion step: one commit on the deploy branch, or none; what it tells, what it holds, races that it loses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import RetryableError, WriteRefusedError, WriteUnknownError
from include.deploy_ops.core.naming import PROMOTION_SLUG
from include.deploy_ops.core.promotion.derived_tree import fingerprint_promotion
from include.deploy_ops.hooks.github.git import GithubGitHook
from include.deploy_ops.operators.promotion import promotion
from include.deploy_ops.run.memory import KnownRepository
from tests.worlds.stages.promotion import PromotionRun, Promotions, finish
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.stage import Stage

ORDERS = "dags/orders/load_orders.py"


@pytest.fixture
def promotions(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Promotions:
    """Give a stage with a promotion, where staging, main and the deploy branch stand at one commit."""
    monkeypatch.setattr(promotion, "FIRST_PAUSE_S", 0.0)
    return Promotions(stage)


def fail(run: PromotionRun, task_id: str = "promote") -> str:
    """Play a run that fails for good; return why."""
    run.play()
    assert run.states[task_id] == "failed"
    failure = run.read_failure(task_id)
    assert failure["is_permanent"], failure
    return str(failure["cause"])


def interfere(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int = 1) -> list[str]:
    """Let somebody act after the promotion wrote its commit and before it moves the branch; count the commits."""
    write_commit, made = GithubGitHook.write_commit, list[str]()

    def write_and_interfere(hook: GithubGitHook, *arguments: Any) -> str:
        commit = write_commit(hook, *arguments)
        made.append(commit)
        if len(made) <= times:
            act()
        return commit

    monkeypatch.setattr(GithubGitHook, "write_commit", write_and_interfere)
    return made


def test_an_open_pull_request_reaches_the_deploy_branch_by_one_commit(promotions: Promotions) -> None:
    before, staging = promotions.tip, promotions.find_head("staging")
    files = {"dags/new.py": "# new\n", "requirements.txt": "pendulum\n", "README.md": "more\n"}
    number = promotions.open_pull("dev-a", files)
    head = promotions.find_head("dev-a")
    found = promotions.promote()
    assert found == {"commit": promotions.tip, "tip": promotions.tip, "pulls": [[number, head]], "conflicts": 0} | {
        "overlaps": 0,
        "told": {},
    }
    assert promotions.show(promotions.tip, "%P") == before
    assert promotions.find_head("staging") == staging
    new, old = promotions.list_files(promotions.tip), promotions.list_files(staging)
    assert new == old | {"dags/new.py": promotions.list_files(head)["dags/new.py"]}
    trailers = promotions.read_trailers(promotions.tip)
    assert trailers is not None
    assert (trailers.control_plane, trailers.project, trailers.into) == ("acme-test", "shop", staging)
    assert trailers.pulls == ((number, head),)
    assert trailers.tree == promotions.show(promotions.tip, "%T")


def test_the_step_links_to_the_commit_that_it_made(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    run = promotions.start()
    run.play()
    assert run.links["promote"] == {
        "Commit": f"{promotions.stage.sandbox.url}/github/acme/data-platform/commit/{promotions.tip}"
    }


def test_a_second_promotion_of_the_same_world_writes_nothing(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.open_pull("dev-b", {ORDERS: "# more\n"})
    tip = promotions.promote()["commit"]
    run = promotions.start()
    assert promotions.count_writes(lambda: finish(run)) == 0
    assert promotions.tip == tip
    assert f"astro_deploy: nothing to commit on top of {tip}" in run.record


def test_what_was_looked_at_is_remembered_for_control(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    run = promotions.start()
    finish(run)
    project = promotions.stage.scope.project
    pulls = run.tasks["promote"].github.list_open_pull_requests("staging")  # type: ignore[attr-defined]
    expected = fingerprint_promotion(project, pulls, promotions.find_head("staging"), promotions.tip)
    assert promotions.remembered.promoted == expected
    promotions.push("dev-a", {"dags/new.py": "# more\n"})
    finish(promotions.start())
    assert promotions.remembered.promoted != expected


def test_control_plans_one_run_for_each_world(promotions: Promotions) -> None:
    stage = promotions.stage
    stage.scope = replace(stage.scope, project=stage.scope.project.model_copy(update={"previews": None, "targets": {}}))
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    for _ in range(2):
        (run,) = stage.plan()
        assert run.dag_id == "shop.promotion"
        assert set(run.play().values()) == {"success"}
        assert stage.plan() == []
        promotions.push("dev-a", {"dags/new.py": "# more\n"})
    promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    (held,) = stage.plan()
    assert "failed" in held.play().values()
    assert stage.plan() == []  # until a person acts, or the world moves
    finish(promotions.start_form(action="adopt"))
    assert stage.plan() == []


def test_only_a_handful_of_requests_is_sent(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    run = promotions.start()
    promotions.stage.forget_requests()
    finish(run)
    asked = promotions.stage.list_requests("github")
    assert len(asked) <= 15, "\n".join(asked)
    assert [line.split(" ")[0] for line in asked if not line.startswith("GET")] == [
        "POST",
        "PATCH",
    ]  # its tree is there
    assert promotions.stage.list_requests("git") == []
    pulls = next(index for index, line in enumerate(asked) if "/pulls?" in line)
    assert pulls < min(index for index, line in enumerate(asked) if "/git/ref/" in line)


def count_reads(promotions: Promotions) -> int:
    """Promote; return how many requests that sent to GitHub."""
    run = promotions.start()
    promotions.stage.forget_requests()
    finish(run)
    return len(promotions.stage.list_requests("github"))


def open_many(promotions: Promotions, count: int) -> list[int]:
    """Open pull requests that each add a DAG in a folder of its own; return their numbers."""
    numbers = []
    author = promotions.stage.author
    for number in range(count):
        author.start_branch(f"dev-{number}", "origin/staging")
        author.commit({f"dags/team_{number}/load.py": "# new\n"}, "Add a DAG")
        author.push(f"dev-{number}", force=True)
        numbers.append(author.open_pull_request(f"dev-{number}", "staging", f"Team {number}"))
    promotions.stage.await_ci()
    return numbers


def test_only_what_moved_is_read_again(promotions: Promotions) -> None:
    count = 20
    numbers = open_many(promotions, count)
    assert count * 2 < count_reads(promotions) < count * 3, "each is compared, and Git gives most folders"
    promotions.push("dev-3", {"dags/team_3/load.py": "# better\n"})
    assert count_reads(promotions) <= 25 + 10
    assert promotions.list_files(promotions.tip).keys() >= {f"dags/team_{number}/load.py" for number in range(count)}
    promotions.stage.author.merge(numbers[5])
    assert count_reads(promotions) <= 25 + count, "staging moved: one request for each merge base, and no folder again"
    assert "dags/team_5/load.py" in promotions.list_files(promotions.tip)
    assert len(promotions.stage.memory.contributions.read()) == count - 1


def test_the_record_shows_pull_requests_paths_conflicts_and_overlaps(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {ORDERS: "# a\n", "dags/new.py": "# new\n"})
    promotions.open_pull("dev-b", {"dags/both.py": "# b\n"})
    promotions.open_pull("dev-c", {"dags/both.py": "# c\n"})
    promotions.push("staging", {ORDERS: "# of staging\n"})
    run = promotions.start()
    found = finish(run)
    assert (found["conflicts"], found["overlaps"]) == (1, 1)
    conflict = "the branch that it goes into changed it too since they parted, and keeps its version"
    overlap = "dags/both.py: #2, #3 change it; #3 wins"
    assert found["told"] == {"1": [f"{ORDERS}: {conflict}"], "2": [overlap], "3": [overlap]}
    for line in (
        f"astro_deploy: commit {promotions.tip}, on top of",
        "| #1 Change dev-a | dev-a |",
        f"| {ORDERS} | #1 | the branch that it goes into changed it too since they parted, and keeps its version |",
        "| dags/both.py | #2, #3 | #3 |",
        "| dags/new.py | #1 | laid |",
        "| dags/both.py | #3 | laid |",
    ):
        assert line in run.record
    files = promotions.list_files(promotions.tip)
    assert files[ORDERS] == promotions.list_files(promotions.find_head("staging"))[ORDERS]
    assert files["dags/both.py"] == promotions.list_files(promotions.find_head("dev-c"))["dags/both.py"]


def test_removals_modes_and_links_are_laid(promotions: Promotions) -> None:
    author = promotions.stage.author
    author.start_branch("dev-a", "origin/staging")
    author.git("rm", "--quiet", ORDERS)
    (author.folder / "dags/latest.py").symlink_to("new.py")
    (author.folder / "dags/run.sh").write_text("run\n")
    (author.folder / "dags/run.sh").chmod(0o755)
    author.git("add", "--all")
    promotions.stage.push_more("dev-a", {"dags/new.py": "# new\n"})
    author.open_pull_request("dev-a", "staging", "Change much")
    promotions.promote()
    assert promotions.list_files(promotions.tip) == promotions.list_files(promotions.find_head("dev-a"))


def test_a_closed_pull_request_leaves_the_deploy_branch(promotions: Promotions) -> None:
    number = promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    first = promotions.promote()["commit"]
    promotions.ask("PATCH", f"pulls/{number}", {"state": "closed"})
    second = promotions.promote()["commit"]
    assert promotions.show(second, "%P") == first
    assert promotions.show(second, "%s") == "Bring astro_deploy to staging: no pull request is open"
    assert promotions.list_files(second) == promotions.list_files(promotions.find_head("staging"))


def test_a_merged_pull_request_stays_by_way_of_staging(promotions: Promotions) -> None:
    number = promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    tip = promotions.promote()["commit"]
    promotions.stage.author.merge(number)
    assert promotions.promote() == {"commit": "", "tip": tip, "pulls": [], "conflicts": 0, "overlaps": 0, "told": {}}


def test_copy_all_lays_the_whole_folder(promotions: Promotions) -> None:
    promotions.change_promotion(copy="all")
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.push("staging", {"dags/colleague.py": "# of staging\n"})
    head = promotions.find_head("dev-a")
    promotions.stage.forget_requests()
    promotions.promote()
    assert not [line for line in promotions.stage.list_requests("github") if f"...{head}" in line]
    files = promotions.list_files(promotions.tip)
    assert "dags/new.py" in files
    assert "dags/colleague.py" not in files


def test_a_fork_and_other_branches_are_never_promoted(promotions: Promotions) -> None:
    promotions.stage.push("dev-a", {"dags/of_a_fork.py": "# no\n"}, "origin/staging")
    promotions.ask("POST", "pulls", {"head": "stranger:dev-a", "base": "staging", "title": "x"})
    promotions.open_pull("feature", {"dags/other.py": "# no\n"})
    promotions.stage.push("dev-b", {"dags/elsewhere.py": "# no\n"})
    promotions.stage.author.open_pull_request("dev-b", "main", "x")
    found = promotions.promote()
    assert (found["commit"], found["pulls"]) == ("", [])


# Races


def test_a_lost_race_reads_again_and_builds_on_what_is_there(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    other = promotions.start()
    other.hand("claim", other.conf["job"])  # as if the claims had been lost

    def be_quicker() -> None:
        promotions.open_pull("dev-b", {"dags/b.py": "# b\n"})
        other.step("promote")

    made = interfere(monkeypatch, be_quicker)
    found = promotions.promote()
    assert found["commit"] == ""  # the quicker one did it
    assert promotions.tip == made[1] == found["tip"]
    assert [number for number, _ in found["pulls"]] == [1, 2]


def test_a_strangers_push_in_the_race_is_held(promotions: Promotions, monkeypatch: pytest.MonkeyPatch) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    pushed: list[str] = []
    interfere(monkeypatch, lambda: pushed.append(promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})))
    assert "neither a commit of staging nor one of ours" in fail(promotions.start())
    assert promotions.tip == pushed[0]


def test_who_always_loses_fails_and_comes_again(promotions: Promotions, monkeypatch: pytest.MonkeyPatch) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})

    def move() -> None:
        """Move staging, and the deploy branch to it, which is ours to build upon."""
        staging = promotions.push("staging", {"dags/s.py": "# more\n"})
        promotions.ask("PATCH", "git/refs/heads/astro_deploy", {"sha": staging, "force": True})

    monkeypatch.setattr(promotion, "RACE_TRIES", 2)
    made = interfere(monkeypatch, move, times=2)
    run = promotions.start()
    run.step("claim")
    with pytest.raises(RetryableError, match="was moved by somebody else 2 times"):
        run.step("promote")
    assert len(made) == 2


def test_a_branch_that_appears_in_the_race_is_read_again(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.stage.author.delete("astro_deploy")
    staging = promotions.find_head("staging")
    interfere(
        monkeypatch, lambda: promotions.ask("POST", "git/refs", {"ref": "refs/heads/astro_deploy", "sha": staging})
    )
    assert promotions.promote()["commit"] == promotions.tip
    assert promotions.show(promotions.tip, "%P") == staging


def test_a_move_whose_answer_is_lost_is_found_by_the_next_try(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.stage.sandbox.plant(face="github", method="PATCH", path="/git/refs/heads/astro_deploy", drop="after")
    run = promotions.start()
    run.step("claim")
    with pytest.raises(WriteUnknownError):
        run.step("promote")
    moved = promotions.tip
    assert promotions.count_writes(lambda: run.step("promote")) == 0
    assert promotions.tip == moved == run.xcoms["promote"]["return_value"]["tip"]


def test_a_rule_of_the_branch_is_told_in_githubs_words(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    refusal = {"message": "Repository rule violations found", "status": "422"}
    promotions.stage.sandbox.plant(face="github", method="PATCH", path="/git/refs/", status=422, body=refusal)
    run = promotions.start()
    run.step("claim")
    with pytest.raises(WriteRefusedError, match="Repository rule violations found"):
        run.step("promote")


def test_another_tree_than_the_derived_one_is_never_committed(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n", "README.md": "so that the tree must be written\n"})
    monkeypatch.setattr(GithubGitHook, "write_tree", lambda *_: "f" * 40)
    run = promotions.start()
    run.step("claim")
    promotions.stage.forget_requests()
    with pytest.raises(RetryableError, match=f"GitHub wrote tree {'f' * 40} where [0-9a-f]+ was derived"):
        run.step("promote")
    assert promotions.stage.list_requests("github", WRITES) == []


# Tips that are not ours


def test_a_strangers_tip_is_held_until_a_person_adopts_it(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    first = promotions.promote()["commit"]
    stranger = promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    cause = fail(promotions.start())
    assert f"astro_deploy is held at {stranger[:12]} ('Change dags/by_hand.py')" in cause
    assert "start shop.promotion with the action 'adopt'" in cause
    assert promotions.tip == stranger
    found = finish(promotions.start_form(action="adopt"))
    assert promotions.remembered.adopted == stranger
    assert promotions.show(found["commit"], "%P") == stranger
    assert promotions.show(found["commit"], "%T") == promotions.show(first, "%T")
    assert promotions.promote()["commit"] == ""


def test_an_adopted_tip_that_has_the_derived_tree_stays(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.promote()
    author = promotions.stage.author
    author.start_branch("astro_deploy", "origin/astro_deploy")
    author.git("commit", "--quiet", "--allow-empty", "--message", "Nothing at all")
    author.push("astro_deploy")
    tip = promotions.tip
    fail(promotions.start())
    assert finish(promotions.start_form(action="adopt"))["tip"] == tip
    assert promotions.promote()["tip"] == tip


def test_an_amended_commit_of_ours_is_a_strangers(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.promote()
    author = promotions.stage.author
    author.start_branch("astro_deploy", "origin/astro_deploy")
    (author.folder / "dags/by_hand.py").write_text("# hand\n")
    author.git("add", "--all")
    author.git("commit", "--quiet", "--amend", "--no-edit")
    author.push("astro_deploy", force=True)
    assert promotions.read_trailers(promotions.tip) is not None
    assert "neither a commit of staging nor one of ours" in fail(promotions.start())


def test_a_commit_of_staging_is_ours_whoever_put_the_branch_there(promotions: Promotions) -> None:
    old = promotions.push("staging", {"dags/s.py": "# s\n"})
    staging = promotions.push("staging", {"dags/t.py": "# t\n"})
    promotions.ask("PATCH", "git/refs/heads/astro_deploy", {"sha": old, "force": True})
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    assert promotions.show(promotions.promote()["commit"], "%P") == staging


def test_what_came_from_main_by_way_of_staging_does_not_conflict_with_itself(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    before = promotions.promote()["commit"]
    promotions.push("main", {"requirements.txt": "tabulate\n"})
    merge(promotions, "main", "staging")
    staging = promotions.push("staging", {"requirements.txt": "humanize\n"})
    assert promotions.show(promotions.promote()["commit"], "%P") == f"{before} {staging}"
    number = promotions.stage.author.open_pull_request("astro_deploy", "main", "Release")
    assert promotions.stage.author.show_pull_request(number)["mergeable"] is True


def merge(promotions: Promotions, source: str, into: str) -> str:
    """Merge a branch into another by hand and push; return the commit."""
    author = promotions.stage.author
    author.start_branch(into, f"origin/{into}")
    author.git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/{source}")
    author.push(into)
    return promotions.find_head(into)


def test_adopting_is_refused_while_the_next_commit_would_revert_a_hotfix_of_main(promotions: Promotions) -> None:
    hotfix = promotions.push("main", {"dags/hotfix.py": "# fixed\n"})
    merge(promotions, "main", "astro_deploy")
    assert "neither a commit of staging nor one of ours" in fail(promotions.start())
    cause = fail(promotions.start_form(action="adopt"))
    assert f"has commit {hotfix[:12]} ('Change dags/hotfix.py') of main, which staging lacks" in cause
    assert cause.endswith("merge main into staging first")
    assert promotions.remembered.adopted == ""
    merge(promotions, "main", "staging")
    finish(promotions.start_form(action="adopt"))
    assert "dags/hotfix.py" in promotions.list_files(promotions.tip)


def test_a_release_of_ours_on_main_does_not_forbid_adopting(promotions: Promotions) -> None:
    """Main has the deploy branch's commits after a release, and staging never gets them: they are no hotfix."""
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    promotions.promote()
    release = promotions.stage.author.open_pull_request("astro_deploy", "main", "Release")
    promotions.stage.author.merge(release, "merge")
    stranger = promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    found = finish(promotions.start_form(action="adopt"))
    assert promotions.show(found["commit"], "%P") == stranger


def test_a_tip_that_moved_since_the_form_is_not_adopted(promotions: Promotions) -> None:
    promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    run = promotions.start_form(action="adopt")
    run.step("claim")
    promotions.push("astro_deploy", {"dags/by_hand.py": "# and more\n"})
    assert "since; look at it and adopt again" in fail(run)


def test_a_walk_through_very_many_commits_by_others_ends(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.deploy_ops.observation.deploy_branch.STRANGERS_MAX", 3)
    promotions.stage.author.start_branch("astro_deploy", "origin/astro_deploy")
    for number in range(3):
        promotions.stage.author.commit({"dags/by_hand.py": f"# {number}\n"}, "By hand")
    promotions.stage.push_more("astro_deploy", {"dags/by_hand.py": "# more\n"})
    assert "more than 3 commits that are neither ours nor of staging" in fail(promotions.start_form(action="adopt"))


# A deploy branch that is not there


def test_a_missing_branch_is_made_on_staging(promotions: Promotions) -> None:
    promotions.stage.author.delete("astro_deploy")
    staging = promotions.find_head("staging")
    run = promotions.start()
    assert finish(run) == {"commit": "", "tip": staging, "pulls": [], "conflicts": 0, "overlaps": 0, "told": {}}
    assert promotions.tip == staging
    assert f"astro_deploy: made again on {staging}" in run.record


def test_a_missing_branch_is_not_made_while_another_file_may_name_it(promotions: Promotions) -> None:
    promotions.stage.author.delete("astro_deploy")
    promotions.stage.scope = replace(promotions.stage.scope, unread=("include/deploy_ops.d/ml.yaml",))
    run = promotions.start()
    run.play()
    assert run.states["promote"] == "failed"
    said = run.read_failure("promote")["cause"]
    assert "astro_deploy is not made again: no new name is taken while include/deploy_ops.d/ml.yaml" in said
    assert promotions.tip == ""


def test_a_missing_branch_is_made_with_its_first_commit(promotions: Promotions) -> None:
    promotions.stage.author.delete("astro_deploy")
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    commit = promotions.promote()["commit"]
    assert promotions.tip == commit
    assert promotions.show(commit, "%P") == promotions.find_head("staging")


def release_and_delete(promotions: Promotions, method: str) -> str:
    """Promote a pull request, release the deploy branch to main, and delete it; return its last tip."""
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    tip = str(promotions.promote()["commit"])
    number = promotions.stage.author.open_pull_request("astro_deploy", "main", "Release")
    promotions.stage.author.merge(number, method)
    promotions.stage.author.delete("astro_deploy")
    return tip


def test_a_branch_that_was_deleted_after_a_release_is_made_again_on_its_last_tip(promotions: Promotions) -> None:
    tip = release_and_delete(promotions, "merge")
    assert promotions.promote()["tip"] == promotions.tip == tip
    promotions.stage.author.delete("astro_deploy")
    promotions.open_pull("dev-b", {"dags/b.py": "# b\n"})
    assert promotions.show(promotions.promote()["commit"], "%P") == tip


def test_after_a_squashed_release_it_is_made_on_staging(promotions: Promotions) -> None:
    release_and_delete(promotions, "squash")
    assert promotions.show(promotions.promote()["commit"], "%P") == promotions.find_head("staging")


def test_a_last_tip_that_was_a_strangers_is_not_built_upon(promotions: Promotions) -> None:
    promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    number = promotions.stage.author.open_pull_request("astro_deploy", "main", "Release")
    promotions.stage.author.merge(number, "merge")
    promotions.stage.author.delete("astro_deploy")
    assert promotions.promote()["tip"] == promotions.tip == promotions.find_head("staging")


# Nothing is written where nothing may be


@pytest.mark.parametrize("how", ["mode: plan", "dry run"])
def test_what_would_be_written_is_shown_and_nothing_is_written(promotions: Promotions, how: str) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    tip = promotions.tip
    if how == "mode: plan":
        promotions.stage.scope = replace(promotions.stage.scope, is_dry=True)
    run = promotions.start_form(dry_run=how == "dry run")
    run.step("claim")
    promotions.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match=f"{how}; would bring astro_deploy from {tip[:12]}"):
        run.step("promote")
    assert promotions.stage.list_requests("github", WRITES) == []
    assert promotions.tip == tip
    assert "astro_deploy: not written" in run.record
    assert "| dags/new.py | #1 | laid |" in run.record
    assert promotions.remembered.promoted == ""


def test_a_dry_adoption_decides_nothing(promotions: Promotions) -> None:
    promotions.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    run = promotions.start_form(action="adopt", dry_run=True)
    assert promotions.count_writes(run.play) == 0
    assert run.states["promote"] == "skipped"
    assert promotions.remembered.adopted == ""
    fail(promotions.start())


# The form


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"action": "delete"}, "action: found 'delete', expected one of 'promote' or 'adopt'"),
        ({"reason": " "}, "reason: found ' ', expected a text that is not empty"),
        ({"dry_run": "yes"}, "dry_run: found 'yes', expected true or false"),
    ],
)
def test_a_wrong_form_is_refused(promotions: Promotions, params: dict[str, Any], said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        promotions.start_form(**params).step("claim")


def test_a_person_promotes_at_once_and_is_named(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    run = promotions.start_form()
    assert run.step("claim")["person"] == "mira"
    assert finish(run)["commit"] == promotions.tip
    assert promotions.remembered.endings == {}


def test_nothing_is_adopted_where_there_is_no_branch(promotions: Promotions) -> None:
    promotions.stage.author.delete("astro_deploy")
    with pytest.raises(AirflowFailException, match="there is no branch 'astro_deploy' to adopt"):
        promotions.start_form(action="adopt").step("claim")


def test_one_run_at_a_time_holds_the_deploy_branch(promotions: Promotions) -> None:
    first = promotions.start_form()
    first.step("claim")
    with pytest.raises(AirflowFailException, match=f"astro_deploy is held by run {first.run_id}"):
        promotions.start_form().step("claim")
    with pytest.raises(AirflowSkipException, match=f"astro_deploy is held by {first.run_id}"):
        promotions.start().step("claim")
    finish(first)
    assert promotions.stage.memory.claim(PROMOTION_SLUG, "manual").read() is None
    promotions.promote()
    assert set(promotions.remembered.endings) == {"promote"}


def test_nothing_is_promoted_in_another_repository_that_has_the_name(promotions: Promotions) -> None:
    promotions.open_pull("dev-a", {"dags/new.py": "# new\n"})
    before = promotions.tip
    promotions.stage.memory.repository.write(KnownRepository(1, promotions.stage.scope.project.repository))
    run = promotions.start()
    run.play()
    assert "another repository than before" in run.read_failure("promote")["cause"]
    assert promotions.tip == before
