"""A request for approval: what is shown, what an answer does, when it is void, and what the pull request hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.request import make_request_dag
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import ChangeDecision, ChangeType
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity
from include.deploy_ops.core.plan.work import Remedy, Verb
from include.deploy_ops.core.promotion.message import Trailers, format_message
from include.deploy_ops.core.view.row import State
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.operators.answer import ANSWER_COMMENT_LENGTH_MAX, Answer
from include.deploy_ops.operators.request import request
from include.deploy_ops.operators.request.request import write_comment
from include.deploy_ops.run.job import Job, load_job
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.stages.request import PRODUCTION, SLUG, Gate, open_gate

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Stage


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a gated production with an open pull request."""
    return open_gate(stage, monkeypatch)


def test_a_person_is_shown_what_would_change(gate: Gate) -> None:
    author = gate.stage.author
    for branch in ("dev-a", "dev-b"):
        gate.stage.push(branch)
        author.open_pull_request(branch, "staging", branch)
    author.merge(2)
    author.start_branch("astro_deploy", "origin/astro_deploy")
    pulls = tuple((number, gate.head) for number in (3, 2))
    promoted = Trailers("acme-test", "shop", gate.head, gate.head, pulls)
    gate.head = author.commit({"dags/a.py": "# a\n"}, format_message(promoted, "staging", "astro_deploy"))
    author.push("astro_deploy")
    gate.stage.await_ci()
    gate.record(gate.staging)
    shown = gate.start_planned().ask()
    merge = gate.read_merge()
    assert shown["subject"] == f"Deploy {merge.commit} to production? (pull request #{gate.number})"
    body = shown["body"]
    assert "`Weekly ¦ release`" in body
    assert "shows this head; healthy" in body
    assert f"the merge of head [`{gate.head}`]" in body
    assert "| `dags/release.py` |" not in body  # nothing is deployed yet, so all files count as changed by one reason
    assert "| deploy | **image-and-dags**: `no successful deploy with a known commit" in body
    assert "**2 commits**" in body
    assert (
        f"**Comes along though still open:**\n\n- [#3]({author.sandbox_url}/github/acme/data-platform/pull/3) `" in body
    )
    assert "and then merges exactly this head" in body
    assert (shown["options"], shown["defaults"], shown["timeout"]) == (["Approve", "Reject"], ["Reject"], timedelta(3))


def test_an_approval_is_remembered_and_control_plans_the_deploy(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    assert gate.plan() == []  # it asks once
    run.answer("Approve", "fine")
    assert run.finish() == []
    approval = gate.remembered.approval
    base = gate.read_merge().base
    assert (approval.head, approval.base, approval.observed, approval.person) == (gate.head, base, "", "ada")
    ending = gate.remembered.endings["request"]
    assert (ending.work, ending.is_failure) == (run.run_id.rpartition("~")[0], False)
    (deploy,) = gate.plan()
    assert deploy["trigger_dag_id"] == "shop.production"
    assert load_job(deploy["conf"]["job"]).verb is Verb.DEPLOY
    assert gate.list_comments() == []
    for slot in (gate.stage.memory.approval(SLUG), gate.stage.memory.requests(SLUG)):
        slot.forget()
    (again,) = gate.plan()  # what is lost is asked for again
    assert again["trigger_dag_id"] == "shop.production.request"


def test_a_yes_and_a_run_of_the_target_that_end_at_once_lose_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = gate.start_planned()
    asked.ask()
    asked.answer("Approve")
    target = gate.stage.start_target_form("production", action="resume", reason="it is mended")
    target.step("claim")
    read, key = DictStore.get, f"environment.{SLUG}.remembered"

    def read_then_let_the_request_end(store: DictStore, name: str, default: Any = None) -> Any:
        value = read(store, name, default)
        if name == key and "report" not in asked.states:
            asked.states["report"] = "running"
            asked.finish()
        return value

    monkeypatch.setattr(DictStore, "get", read_then_let_the_request_end)
    target.step("decide")
    assert asked.states["report"] == "success"
    assert gate.remembered.approval.person == "ada"
    assert not gate.remembered.endings["request"].is_failure


def test_a_no_takes_an_earlier_yes_back_and_a_later_yes_counts(gate: Gate) -> None:
    run = gate.start_planned()
    for option, is_approved in (("Approve", True), ("Reject", False), ("Approve", True)):
        run.clear_number += 1
        run.park() if "approve" in run.states else run.ask()
        run.answer(option, "on second thoughts")
        run.finish()
        assert (gate.remembered.approval is not None) is is_approved
        verbs = [load_job(each["conf"]["job"]).verb for each in gate.plan()]
        assert verbs == ([Verb.DEPLOY] if is_approved else [])
        drop_claim(gate)


def drop_claim(gate: Gate) -> None:
    """Let nobody have planned what was approved: the claim is gone with its run."""
    gate.stage.memory.claim(SLUG, "planned").forget()


def test_reports_of_requests_run_one_at_a_time(gate: Gate) -> None:
    dag = make_request_dag(gate.stage.scope, "production")
    assert dag.task_dict["report"].max_active_tis_per_dag == 1


REJECTIONS = (
    (
        "not on\nFriday <!-- x",
        False,
        "rejected by ada, because not on Friday <!-- x",
        "> not on\n> Friday \\<\\!\\-\\- x",
    ),
    (None, False, "rejected by ada", "by **ada**"),
    (None, True, "rejected: nobody answered in time", "since nobody answered in time"),
)


def test_a_rejection_holds_until_the_head_moves_and_reaches_the_pull_request(gate: Gate) -> None:
    for number, (comment, timedout, cause, told) in enumerate(REJECTIONS, 1):
        run = gate.start_planned()
        run.ask()
        run.answer("Reject", comment, timedout=timedout)
        assert run.finish() == []
        assert (run.states["recheck"], gate.remembered.approval) == ("skipped", None)
        ending = gate.remembered.endings["request"]
        assert (ending.cause, ending.is_failure, ending.is_permanent) == (cause, True, True)
        assert gate.stage.events.events[-1].extra["ended"]["outcome"]["state"] == "rejected"
        assert gate.plan() == []
        row = gate.stage.memory.read_rows()[SLUG]
        assert (row.state, row.why.partition(";")[0]) == (State.HELD, cause), "nothing failed"
        assert [(need.remedy, need.run_id) for need in row.needs] == [(Remedy.RETRY, run.run_id)]
        run.step("report")  # cleared, or tried again
        said = gate.list_comments()
        assert len(said) == number
        assert told in said[-1]
        assert "Not approved for **production**" in said[-1]
        move_head(gate)


def set_draft(gate: Gate, *, is_draft: bool) -> None:
    gate.stage.set_draft(gate.number, is_draft=is_draft)


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_no_to_what_is_a_draft_meanwhile_holds_when_it_is_none_any_more(gate: Gate, *, is_answered: bool) -> None:
    run = gate.start_planned()
    run.ask()
    set_draft(gate, is_draft=True)
    run.answer("Reject", "no", timedout=not is_answered)
    run.finish()
    assert gate.list_comments() == []
    set_draft(gate, is_draft=False)
    assert len(gate.plan()) == (0 if is_answered else 1)
    move_head(gate)
    assert gate.start_planned().ask()


@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_the_answer_to_an_older_question_leaves_a_rejection_as_it_is(gate: Gate, option: str) -> None:
    older = gate.start_planned()
    older.ask()
    move_head(gate)
    newer = gate.start_planned()
    newer.ask()
    newer.answer("Reject", "no")
    newer.finish()
    older.answer(option)
    older.finish()
    assert gate.plan() == []
    gate.stage.airflow.states[newer.run_id] = "running"  # cleared: it asks again, and its answer is the one that counts
    newer.answer("Approve")
    newer.finish()
    (deploy,) = gate.plan()
    assert load_job(deploy["conf"]["job"]).verb is Verb.DEPLOY


def test_an_edit_of_the_policy_neither_asks_twice_nor_again(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    before = gate.stage.scope.policy
    gate.stage.change_project(ignore=("*.md",))
    assert gate.stage.scope.policy != before
    assert gate.plan() == []  # it asks already
    run.answer("Reject", "no")
    run.finish()
    gate.stage.change_project(ignore=("*.txt",))
    assert gate.plan() == []
    move_base(gate)
    assert gate.start_planned().ask()


def test_who_is_asked_by_an_edited_policy_is_asked_and_silence_is_no_answer_to_it(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    rules = PRODUCTION.model_copy(update={"approval_timeout": timedelta(days=9)})
    gate.stage.change_project(targets={**gate.stage.scope.project.targets, "production": rules})
    assert gate.start_planned().run_id != run.run_id
    run.answer("Reject", timedout=True)
    run.finish()
    assert gate.remembered.endings["request"].is_permanent
    gate.stage.airflow.states[gate.stage.runs[-1].run_id] = "success"
    assert len(gate.plan()) == 1


@pytest.mark.parametrize("step", ["image", "deploy"])
def test_a_yes_that_an_edit_of_the_policy_overtook_is_void_and_asked_again(gate: Gate, step: str) -> None:
    gate.approve(gate.read_merge(), kind="dags")  # what is due is an image: so the rules say now
    (dispatched,) = gate.plan()
    run = gate.stage.start_dispatched(dispatched)
    for each in ("claim", "change_type"):
        run.step(each)
    if step == "deploy":
        run.rehand("change_type", change_type="image-and-dags")
        gate.approve(gate.read_merge(), kind="image-and-dags", image=f"ci@sha256:{'0' * 64}")
        run.hand("image", {"source": "ci", "image": "ci", "digest": "sha256:1", "commit": gate.read_merge().commit})
    with pytest.raises(AirflowSkipException, match=r"asks? anew"):
        run.step(step)
    assert gate.remembered.approval is None
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "success"
    (asked,) = gate.plan()
    assert asked["trigger_dag_id"] == "shop.production.request"


def refuse_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the repository allow no merge commits."""
    read = GithubPullsHook.read_merge
    monkeypatch.setattr(
        GithubPullsHook, "read_merge", lambda hook, number: replace(read(hook, number), allows_merge_commits=False)
    )


def test_nobody_is_asked_about_a_merge_that_github_would_refuse(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        refuse_merges(patch)
        assert gate.plan() == []
        row = gate.stage.memory.read_row("target.production")
        assert "allows no merge commits" in str(row)
    run = gate.start_planned()
    with monkeypatch.context() as patch:  # since it was planned
        refuse_merges(patch)
        with pytest.raises(AirflowSkipException, match="it is asked about when that is mended"):
            run.ask()
    assert gate.asked == {}


def test_production_is_not_deployed_for_a_merge_that_is_refused_after_the_yes(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = gate.start_planned()
    assert "nothing stands in the merge's way" in run.ask()["body"].splitlines()[0]
    run.answer("Approve")
    run.finish()
    refuse_merges(monkeypatch)
    assert gate.plan() == []


def test_a_draft_is_not_asked_about(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate(stage, monkeypatch)
    read = GithubPullsHook.read_merge

    def read_draft(hook: GithubPullsHook, number: int) -> Any:
        merge = read(hook, number)
        return replace(merge, pull=replace(merge.pull, is_draft=True))

    with monkeypatch.context() as patch:
        patch.setattr(GithubPullsHook, "read_merge", read_draft)
        assert gate.plan() == []
        assert "it is a draft" in str(gate.stage.memory.read_row("target.production"))
    assert len(gate.plan()) == 1


def test_rejections_of_long_ago_are_forgotten(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "REJECTIONS_MAX", 1)
    for _ in range(3):
        run = gate.start_planned()
        run.ask()
        run.answer("Reject")
        run.finish()
        move_head(gate)
    assert len(gate.remembered.endings) == 1 + 2


def test_an_approved_deploy_that_finds_the_target_held_fails_and_says_so(gate: Gate) -> None:
    forced = gate.start_form(reason="on fire", ref="main")
    forced.ask()
    forced.answer("Approve")
    (dispatched,) = forced.finish()
    planned = gate.start_planned()
    planned.ask()
    planned.answer("Approve")
    planned.finish()
    (deploy,) = gate.plan()
    gate.stage.airflow.states[deploy["trigger_run_id"]] = "running"
    with pytest.raises(AirflowFailException, match=f"held by run {deploy['trigger_run_id']}; wait for its end"):
        gate.stage.start_dispatched(dispatched).step("claim")


def test_a_secret_in_the_words_of_a_no_reaches_neither_row_nor_pull_request(gate: Gate) -> None:
    token = "ghp_" + "a1" * 18
    run = gate.start_planned()
    run.ask()
    run.answer("Reject", f"see\n{token}")
    run.finish()
    gate.plan()
    (said,) = gate.list_comments()
    row = gate.stage.memory.read_rows()[SLUG]
    assert "rejected by ada, because see" in row.why
    assert "> see" in said
    for shown in (said, str(row), gate.remembered.endings["request"].cause):
        assert token not in shown


def test_a_timeout_that_airflow_answers_with_approve_would_still_reject(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    assert run.answer("Approve", timedout=True)["is_approved"] is False


def test_a_comment_that_cannot_be_posted_fails_nothing(gate: Gate, log: Log) -> None:
    run = gate.start_planned()
    run.ask()
    run.answer("Reject", "no")
    gate.stage.sandbox.plant(face="github", method="POST", path="/comments", status=403, body={"message": "Locked"})
    run.finish()
    assert run.states["report"] == "success"
    assert gate.remembered.endings["request"].cause == "rejected by ada, because no"
    assert "did not reach pull request #1" in (said := log.read())
    assert "403: Locked" in said


def move_head(gate: Gate) -> None:
    gate.stage.push_more("astro_deploy", {"dags/release.py": "# more\n"})


def move_base(gate: Gate) -> None:
    gate.stage.push("hotfix", {"dags/hotfix.py": "# now\n"})
    gate.stage.author.push("main")


def move_deploy(gate: Gate) -> None:
    gate.record(gate.production)


def close_pull(gate: Gate) -> None:
    gate.stage.author.git("push", "--quiet", "origin", ":astro_deploy")


def test_an_approval_is_void_when_something_moved_and_a_new_request_asks(gate: Gate) -> None:
    for move in (move_deploy, move_base, move_head, close_pull):
        run = gate.start_planned()
        run.ask()
        move(gate)
        run.answer("Approve")
        assert run.finish() == []
        assert run.states["recheck"] == "skipped", move
        assert gate.remembered.approval is None
        assert gate.remembered.endings["request"].is_failure is False
    assert gate.plan() == []  # there is no pull request any more
    run.step("prepare")
    with pytest.raises(AirflowSkipException, match="closed or moved"):
        run.step("change_type")  # cleared


def test_a_persons_request_is_dispatched_by_the_run_itself_once(gate: Gate) -> None:
    run = gate.start_form(reason="on fire", deploy_type="dags")
    shown = run.ask()
    assert "`mira` asks for it by hand: `on fire`" in shown["body"]
    assert "**dags**: `set by mira; by itself it is image-and-dags, no successful deploy" in shown["body"]
    run.answer("Approve")
    (dispatched,) = run.finish()
    job = load_job(dispatched["conf"]["job"])
    assert dispatched["trigger_dag_id"] == "shop.production"
    assert (job.verb, job.is_forced, job.person, job.deploy_type) == (Verb.DEPLOY, True, "mira", "dags")
    assert job.reason == "on fire"
    assert gate.remembered.approval is None
    assert gate.remembered.endings == {}
    assert run.step("recheck") == [dispatched]  # another try names the same run


def test_a_persons_request_that_is_rejected_is_no_failure_and_says_who_and_why(gate: Gate) -> None:
    gate.deploy_merge()
    run = gate.start_form(reason="on fire", deploy_type="image-and-dags")
    run.ask()
    run.answer("Reject", "wait for ben")
    assert run.finish() == []
    gate.stage.airflow.states[run.run_id] = "success"
    gate.plan()
    row = gate.stage.memory.read_rows()[SLUG]
    assert row.outcomes[-1].state == "rejected"
    assert row.state not in {State.FAILED, State.FAILING}


def test_what_a_person_asks_for_is_checked_and_its_failure_is_seen(gate: Gate) -> None:
    wrong = gate.start_form(reason=" ")
    with pytest.raises(AirflowFailException, match="reason: found ' ', expected a text"):
        wrong.step("prepare")
    dry = gate.start_form(dry_run=True, deploy_type="dags")
    for task in ("prepare", "change_type"):
        dry.step(task)
    with pytest.raises(AirflowSkipException, match="dry run; would ask for approval"):
        dry.step("approve")
    with pytest.raises(AirflowSkipException):
        dry.step("recheck")
    dry.step("report")
    assert gate.asked == {}
    assert gate.remembered.endings == {}
    run = gate.start_form(deploy_type="dags")
    run.ask()
    move_deploy(gate)
    run.answer("Approve")
    assert run.finish() == []
    assert run.states["recheck"] == "failed"
    assert "trigger a new request" in run.read_failure("recheck")["cause"]


def test_in_mode_plan_nobody_is_asked_and_nothing_is_told(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    gate.stage.scope = replace(gate.stage.scope, is_dry=True)
    assert gate.plan() == []
    run.answer("Reject", "no")
    run.finish()
    assert gate.list_comments() == []
    assert run.answer("Approve", timedout=True)["is_approved"] is False  # whatever Airflow's default were
    assert len(run.answer("Reject", "x" * 5000)["comment"]) == ANSWER_COMMENT_LENGTH_MAX
    run.answer("Approve")
    assert run.finish() == []
    assert gate.remembered.approval is None


def test_nothing_to_deploy_is_asked_only_where_it_will_be_merged(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate(stage, monkeypatch, merge=False)
    merge = gate.read_merge()
    gate.record(gate.production, commit=merge.commit, head="0" * 40)
    monkeypatch.setattr("include.deploy_ops.operators.request.request.ClassifyReleaseOperator._decide", _decide_nothing)
    run = gate.start_planned()
    run.step("prepare")
    run.step("change_type")
    assert {run.states[task] for task in ("approve", "recheck", "dispatch")} == {"skipped"}
    run.step("report")
    assert gate.remembered.request_judgement.commit == merge.commit
    assert gate.plan() == []
    targets = stage.scope.project.targets
    stage.change_project(targets={**targets, "production": targets["production"].model_copy(update={"merge": True})})
    (asked,) = gate.plan()
    job = load_job(asked["conf"]["job"])
    assert (job.verb, job.reason) == (Verb.REQUEST, "its code runs, and nobody approved the merge")


def _decide_nothing(_: Any, job: Any, history: Any, *, has_dag_deploys: bool) -> Any:
    return ChangeDecision(ChangeType.NONE, job.deployed_commit, None, None, "only README.md differs")


def test_a_failed_step_is_remembered_as_failing(gate: Gate) -> None:
    run = gate.start_planned()
    run.step("prepare")
    gate.stage.sandbox.plant(face="astro", path="/deployments/", status=500, times=20)
    with pytest.raises(RetryableError):
        run.step("change_type")
    gate.stage.sandbox.client.delete("/sandbox/faults")
    run.states |= {"approve": "upstream_failed", "recheck": "upstream_failed", "dispatch": "upstream_failed"}
    run.step("report")
    ending = gate.remembered.endings["request"]
    assert (ending.is_failure, ending.is_permanent) == (True, False)
    assert "HTTP 500" in ending.cause


def test_the_comment_is_one_page_of_markdown_without_html_of_others() -> None:
    answer = Answer(is_approved=False, person="a<b", comment="<script>\n\n# big\nlast", at=datetime.now(UTC))
    job = Job(Verb.REQUEST, "astro_deploy", "a" * 40, "Production", "d1", "planned", target="production", base="b" * 40)
    text = write_comment(job, answer, "shop.production.request", "run", "<!-- m -->")
    assert "by **a\\<b**" in text
    assert text.splitlines()[2:6] == ["> \\<script\\>", "> ", "> \\#\u200b big", "> last"]
    assert text.endswith("<!-- m -->")


def test_a_yes_from_before_a_long_pause_of_control_is_not_asked_again(gate: Gate) -> None:
    gate.approve(gate.read_merge(), kind="image-and-dags")
    memory = gate.stage.memory
    memory.continuity.write(Continuity(ALWAYS, datetime.now(UTC) - timedelta(days=1)))
    (dispatched,) = gate.plan()
    assert dispatched["trigger_dag_id"] == "shop.production"


def test_a_yes_to_a_target_that_was_renamed_meanwhile_deploys_nothing(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    targets = gate.stage.scope.project.targets

    def plan_renamed() -> list[str]:
        gate.stage.change_project(targets={"staging": targets["staging"], "live": targets["production"]})
        dispatched = gate.stage.run_plan(gate.stage.make_plan_task())
        return [each["trigger_dag_id"] for each in dispatched if each["trigger_dag_id"].startswith("shop.live")]

    assert plan_renamed() == ["shop.live.request"]  # the new name asks for itself
    gate.stage.change_project(targets=targets)  # as the old name's run still knows it
    run.answer("Approve")
    run.finish()
    assert gate.remembered.approval is not None
    assert plan_renamed() == ["shop.live.request"]
