"""The asset state store, written by whoever has rights on the project's asset: nothing is deleted or deployed by it.

What is remembered decides what control plans. Each write is preceded by another look at GitHub and Astro.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.change.tree_edits import LeafChange
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import PullRequest, TreeEntry
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.plan.remembered import Judgement, Remembered, Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import PreviewRequires, Requires
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.run.memory import CachedHistory, CachedTemplate, Claim, PullCache
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY
from tests.worlds.stages.promotion import Promotions
from tests.worlds.stages.request import SLUG, Gate, open_gate
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return open_gate(stage, monkeypatch)


def play_all(stage: Stage) -> list[Run]:
    """Make a pass and play what it starts for previews."""
    runs = [run for run in stage.plan() if run.dag_id == stage.scope.preview_dag]
    for run in runs:
        run.play()
    return runs


def list_writes(stage: Stage) -> list[str]:
    return stage.list_requests("astro", WRITES) + stage.list_requests("github", WRITES)


def make_preview(stage: Stage, branch: str = BRANCH) -> str:
    return stage.create_preview(branch, stage.push(branch))


def test_a_merge_that_never_was_deletes_no_preview(stage: Stage) -> None:
    deployment_id = make_preview(stage)
    play_all(stage)
    cache = stage.memory.pulls.read()
    assert cache is not None
    head = stage.author.git("rev-parse", f"origin/{BRANCH}")
    merged = PullRequest(7, BRANCH, head, 1, "staging", 1, False, True, "2026-11-29T14:00:00Z")
    stage.memory.pulls.write(PullCache(cache.since, (*cache.pulls, merged), cache.rules))
    stage.forget_requests()
    play_all(stage)
    assert list_writes(stage) == []
    assert stage.find_deployment(BRANCH)["id"] == deployment_id


@pytest.mark.parametrize("standing", [Standing.RELEASED, Standing.DUE])
def test_a_verdict_about_a_target_touches_nothing(gate: Gate, standing: Standing) -> None:
    stage = gate.stage
    make_preview(stage)
    play_all(stage)
    verdict = make_verdict(gate.production, standing)
    stage.memory.verdicts.write({gate.production: verdict})
    stage.forget_requests()
    play_all(stage)
    assert [each for each in list_writes(stage) if gate.production in each] == []
    assert stage.ask_astro("GET", f"deployments/{gate.production}")["name"] == "Production"


def make_verdict(deployment_id: str, standing: Standing) -> Verdict:
    past = datetime.now(UTC) - timedelta(hours=1)
    return Verdict(
        verb="delete",
        branch=BRANCH,
        deployment_id=deployment_id,
        deployment_name="forged",
        head="1" * 40,
        observed="",
        idle_since=past,
        decided_at=past,
        due_at=past,
        reason="forged",
        run_id="forged",
        standing=standing,
    )


@pytest.mark.parametrize("deployment", ["a stranger's", "another branch's"])
def test_a_verdict_about_what_is_not_the_branchs_deletes_nothing(stage: Stage, deployment: str) -> None:
    make_preview(stage)
    stage.push("dev-other")
    description = "made by hand" if deployment == "a stranger's" else stage.write_mark("dev-other")
    other = stage.make_deployment("other", name="other", description=description)
    play_all(stage)
    stage.memory.verdicts.write({other: make_verdict(other, Standing.RELEASED)})
    stage.forget_requests()
    play_all(stage)
    assert [each for each in list_writes(stage) if each.startswith("DELETE")] == []
    assert stage.ask_astro("GET", f"deployments/{other}")["name"] == "other"


def test_a_template_that_is_not_trunks_makes_no_deployment(stage: Stage) -> None:
    play_all(stage)
    known = stage.memory.template.read()
    assert known is not None
    forged = known.text.replace("scheduler_size: SMALL", "scheduler_size: EXTRA_LARGE") + "\n# forged\n"
    stage.memory.template.write(CachedTemplate(known.commit, known.path, forged))
    stage.push(BRANCH)
    play_all(stage)
    assert stage.find_deployment(BRANCH)["schedulerSize"] == "SMALL"


def test_a_history_that_never_was_lets_nobody_overwrite_a_rollback(stage: Stage) -> None:
    deployment_id = make_preview(stage)
    play_all(stage)
    stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    play_all(stage)
    first = stage.list_deploys(deployment_id)[-1]["id"]
    stage.ask_astro("POST", f"deployments/{deployment_id}/deploys/{first}/rollback", {"description": "back"})
    known = stage.memory.histories.read()
    forged = {
        key: CachedHistory(each.fingerprint, replace(each.history, overridden_by="", head=None, newest_id="forged"))
        for key, each in known.items()
    }
    stage.memory.histories.write(known, forged)
    before = stage.list_files(deployment_id)
    play_all(stage)
    assert stage.list_files(deployment_id) == before


def test_a_judgement_in_the_store_merges_nothing_that_nobody_approved(gate: Gate) -> None:
    merge = gate.read_merge()
    judged = Judgement(merge.commit, "", gate.stage.scope.policy, "forged")
    gate.stage.memory.environment(SLUG).write(Remembered(judgement=judged))
    gate.stage.forget_requests()
    planned = gate.plan()
    assert {each["conf"]["job"]["verb"] for each in planned} <= {Verb.REQUEST.value}
    assert list_writes(gate.stage) == []


@pytest.mark.parametrize("register", ["planned", "manual"])
def test_a_claim_of_a_run_that_is_not_there_holds_nothing(stage: Stage, register: str) -> None:
    stage.push(BRANCH)
    stage.memory.claim(BRANCH, register).write(Claim("no-such-run", datetime.now(UTC)))
    (run,) = stage.plan()
    assert "failed" not in run.play().values()


@pytest.mark.parametrize(
    "junk", ["x" * 60_000, {"version": 1, "value": {"approval": {"head": "x" * 50_000}}}, [1] * 9000, -1, {"a": None}]
)
def test_what_is_no_memory_at_all_counts_as_forgotten(gate: Gate, junk: Any) -> None:
    gate.plan()
    store = gate.stage.stores[gate.stage.scope.fleet.name]
    for key in list(store.values):
        store.set(key, junk)
    store.set(f"environment.{SLUG}.remembered", junk)
    (asked,) = gate.plan()
    assert asked["trigger_dag_id"] == "shop.production.request"


def test_a_forged_history_of_production_deploys_nothing_without_a_yes(gate: Gate) -> None:
    gate.plan()
    known = gate.stage.memory.histories.read()
    forged = {key: CachedHistory(each.fingerprint, DeployHistory(newest_id="d9")) for key, each in known.items()}
    gate.stage.memory.histories.write(known, forged)
    assert {each["trigger_dag_id"] for each in gate.plan()} <= {"shop.production.request"}


def test_that_staging_runs_the_same_is_believed_of_no_store(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate(stage, monkeypatch, requires=Requires(verified="staging"))
    slot = stage.memory.difference(slug_target("staging"))
    assert gate.plan() == []
    known = slot.read()
    assert known is not None
    assert known.differs
    slot.write(replace(known, differs=""))
    proof = Verification("", "", Proof.VERIFIED, datetime.now(UTC), "forged")
    stage.memory.verification(slug_target("staging")).write(proof)
    assert gate.plan() == []
    assert slot.read() == known


def test_what_a_forged_removal_hides_a_person_brings_back(stage: Stage) -> None:
    """A writer of the store may keep a preview from being made; the form makes it all the same."""
    head = stage.push(BRANCH)
    stage.memory.environment(BRANCH).write(Remembered(removal=Removal(head, "forged")))
    assert stage.plan() == []
    run = stage.start_form(branch=BRANCH)
    assert "failed" not in run.play().values()
    assert stage.find_deployment(BRANCH)["name"]


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_forged_contribution_brings_nothing_to_the_deploy_branch(stage: Stage, is_moved: bool) -> None:
    promotions = Promotions(stage)
    promotions.open_pull("dev-a", {"dags/a.py": "# a\n"})
    promotions.open_pull("dev-b", {"dags/b.py": "# b\n"})
    promotions.promote()
    kept = stage.memory.contributions.read()
    first, second = sorted(kept)
    evil = stage.author.git("rev-parse", "origin/dev-b:dags/b.py")  # a blob that the repository has, as those of forks
    change = LeafChange("dags/evil.py", None, TreeEntry("evil.py", "100644", evil))
    forged = replace(kept[first], part=replace(kept[first].part, changes=(change,)))
    stage.memory.contributions.write(kept, {first: kept[second] if is_moved else forged, second: kept[second]})
    promotions.push("dev-b", {"dags/more.py": "# more\n"})
    promotions.promote()
    files = promotions.list_files(promotions.tip)
    assert {"dags/a.py", "dags/b.py", "dags/more.py"} <= files.keys()
    assert "dags/evil.py" not in files


def forge_checks(stage: Stage, head: str, **changes: Any) -> None:
    """Change what the last pass left of the checks on a commit, and keep the ETags, to which GitHub answers 304."""
    stored = stage.cursor_store.get(AWAITED_KEY)
    pages = stored["value"][head]["pages"]
    assert pages
    assert all(page["etag"] for page in pages)
    stored["value"][head]["pages"] = [page | changes for page in pages]
    stage.cursor_store.set(AWAITED_KEY, stored)


def await_check(stage: Stage) -> str:
    """Push what waits for a check that failed, and return its head."""
    stage.change_project(previews={"requires": PreviewRequires(checks=("test",))})
    head = stage.push(BRANCH)
    stage.set_check(head, "test", "failure")
    assert stage.plan() == []
    return head


def test_a_check_that_the_store_calls_green_opens_no_gate(stage: Stage) -> None:
    head = await_check(stage)
    forge_checks(stage, head, states=[["test", "success"]])
    assert stage.plan() == []
    assert stage.list_deployments() == []
    stage.set_check(head, "test", "success")
    assert [run.conf["job"]["head"] for run in stage.plan()] == [head]


def test_a_next_page_that_the_store_names_elsewhere_is_asked_for_nowhere(stage: Stage) -> None:
    head = await_check(stage)
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(0.2)
        forge_checks(stage, head, next_url=f"http://127.0.0.2:{listener.getsockname()[1]}/repos")
        assert stage.plan() == []
        with pytest.raises(TimeoutError):
            listener.accept()
    assert stage.list_deployments() == []
    stage.set_check(head, "test", "success")
    assert [run.conf["job"]["head"] for run in stage.plan()] == [head], "the next pass reads all of it anew"
