"""Notifiers: who is told what and when, once; what goes wrong with them changes nothing about the run."""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from airflow.sdk.execution_time.context import ConnectionAccessor

from dags.control import make_control_dag
from dags.template import make_template_dag
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Notice
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.health import GITHUB, see_failing
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.operators import notify as subject
from include.deploy_ops.operators.notify import (
    APPROVAL,
    FAILURE,
    Occasion,
    end_outage,
    notify,
    tell_failed_proposal,
    tell_outage,
)
from include.deploy_ops.run.endings import VERDICT_KEY
from include.deploy_ops.run.sights import HEALTH_KEY, dump_sights
from tests.worlds.doubles import notifiers
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeStores, FakeTaskInstance
from tests.worlds.stages.fixtures import Log
from tests.worlds.stages.request import open_gate
from tests.worlds.stages.stage import Run, Stage

BRANCH, HEAD = "dev-x", "1" * 40
HERE = "tests.worlds.doubles.notifiers"
SECRET = "hunter2-of-the-connection"  # noqa: S105 - planted
TEMPLATE = "dev-{{conn.planted.password}}"
"""A name that Git allows for a branch."""


@pytest.fixture(autouse=True)
def airflow_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Airflow has an address, and what hangs is released at the end."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/here/")
    notifiers.released.clear()
    yield
    notifiers.released.set()


class Told:
    """The notices that a recording notifier wrote down."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def notice(self, *on: str, message: str = "") -> Notice:
        """Return the policy's entry."""
        arguments = {"path": str(self._path), "message": message}
        return make_notice("RecordingNotifier", *on, **arguments)

    def read(self) -> list[dict[str, Any]]:
        """Return what was written."""
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    @property
    def causes(self) -> list[str]:
        """The causes in what was written."""
        return [each["deploy_ops"]["cause"] for each in self.read()]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Return what a recording notifier is told."""
    return Told(tmp_path / "told")


def make_notice(name: str, *on: str, **arguments: Any) -> Notice:
    """Return a policy's entry for one of our notifiers."""
    return Notice.model_validate(
        {"notifier": name if "." in name else f"{HERE}.{name}", "arguments": arguments, **({"on": on} if on else {})}
    )


def make_context(**changes: Any) -> Any:
    """Return a task's context as far as notices need it."""
    return {
        "ti": FakeTaskInstance(FakeAirflow(), {}, "report", 1, "shop.preview"),
        "dag_run": SimpleNamespace(run_id="a~1+00:00", clear_number=0),
        "task_state_store": DictStore(),
        "conn": ConnectionAccessor(),
        **changes,
    }


def make_scope(*notices: Notice, **changes: Any) -> Any:
    """Return a project that names these notifiers."""
    return SimpleNamespace(project=SimpleNamespace(name="shop", notify=notices), is_dry=False, **changes)


FAILED = Occasion(FAILURE, BRANCH, "deploy", "it broke", "ada", BRANCH, HEAD)


def start(stage: Stage, number: int = 1, **changes: Any) -> Run:
    """Return a planned deploy that failed, the n-th of the same work."""
    stage.numbers = iter([number])  # type: ignore[assignment]
    run = stage.start_planned(Verb.DEPLOY, BRANCH, HEAD, "clsome", **changes)
    run.states["deploy"] = "failed"
    run.xcoms["deploy"] = {"failure": {"is_permanent": False, "cause": "Astro is down"}}
    return run


def test_a_notifier_finds_what_happened_in_its_context(told: Told) -> None:
    message = "{{ deploy_ops.what }}: {{ deploy_ops.verb }} {{ deploy_ops.environment }} {{ ti.task_id }}"
    notify(make_scope(told.notice(message=message)), make_context(), FAILED)
    (found,) = told.read()
    assert found == {
        "message": "failure: deploy dev-x report",
        "deploy_ops": {
            "project": "shop",
            "environment": BRANCH,
            "what": "failure",
            "verb": "deploy",
            "cause": "it broke",
            "person": "ada",
            "branch": BRANCH,
            "commit": HEAD,
            "run_url": "https://airflow.example.com/here/dags/shop.preview/runs/a~1%2B00%3A00",
        },
    }


def test_what_others_wrote_is_never_a_template(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PLANTED", json.dumps({"conn_type": "http", "password": SECRET}))
    message = "{{ deploy_ops.branch }} {{ deploy_ops.cause }} {{ deploy_ops.environment }} {{ conn.planted.login }}"
    occasion = Occasion(FAILURE, TEMPLATE, "deploy", TEMPLATE, TEMPLATE, TEMPLATE, HEAD)
    notify(make_scope(told.notice(message=message)), make_context(), occasion)
    (found,) = told.read()
    assert found["message"] == f"{TEMPLATE} {TEMPLATE} {TEMPLATE} None"
    assert SECRET not in json.dumps(found)


def test_what_is_unseen_in_others_words_is_shown_and_their_tokens_are_not(told: Told) -> None:
    cause = "\x1b[31mrefused ghp_0123456789abcdefghij\u202e"
    occasion = replace(FAILED, cause=cause, branch="dev-\u200b", environment="dev-\u200b")
    notify(make_scope(told.notice(message="{{ deploy_ops.cause }} {{ deploy_ops.branch }}")), make_context(), occasion)
    (found,) = told.read()
    assert found["message"] == "<U+001B>[31mrefused ***<U+202E> dev-<U+200B>"


def test_the_policys_own_words_are_templates(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PLANTED", json.dumps({"conn_type": "http", "password": SECRET}))
    notify(make_scope(told.notice(message="{{ conn.planted.password }}")), make_context(), FAILED)
    assert told.read()[0]["message"] == SECRET  # so the test above could fail


def test_each_notifier_is_told_of_what_it_wants(tmp_path: Path) -> None:
    failures, approvals = Told(tmp_path / "f"), Told(tmp_path / "a")
    scope = make_scope(failures.notice(FAILURE), approvals.notice(APPROVAL))
    notify(scope, make_context(), FAILED)
    assert (len(failures.read()), len(approvals.read())) == (1, 0)
    notify(scope, make_context(), Occasion(APPROVAL, "production", "request", "Deploy?"))
    assert (len(failures.read()), len(approvals.read())) == (1, 1)
    assert approvals.read()[0]["deploy_ops"]["run_url"].endswith("/runs/a~1%2B00%3A00/tasks/report/required_actions")


def test_another_try_tells_only_those_who_were_not_reached(told: Told, log: Log) -> None:
    context = make_context()
    scope = make_scope(make_notice("RaisingNotifier"), told.notice())
    for _ in range(2):
        notify(scope, context, FAILED)
    assert len(told.read()) == 1
    assert log.read().count(f"notifier {HERE}.RaisingNotifier did not tell: OSError: no such host") == 2


def test_a_run_that_a_person_cleared_is_news_again(told: Told) -> None:
    context = make_context()
    for clearings in (0, 1, 1):
        context["dag_run"].clear_number = clearings
        notify(make_scope(told.notice()), context, FAILED)
    assert len(told.read()) == 2


@pytest.mark.parametrize(
    ("notice", "says"),
    [
        (make_notice("RaisingNotifier"), "OSError: no such host"),
        (make_notice("ExitingNotifier"), "SystemExit: bye"),
        (make_notice("no_notifier"), "PolicyError: it is no subclass of Airflow's BaseNotifier"),
        (make_notice("Absent"), "PolicyError: it cannot be imported: "),
        (make_notice("no.such.module.Notifier"), "PolicyError: it cannot be imported: No module named 'no'"),
        (make_notice("RaisingNotifier", wrods="x"), "TypeError: "),
    ],
)
def test_what_goes_wrong_with_a_notifier_is_logged_once_and_the_others_tell(
    notice: Notice, says: str, told: Told, log: Log
) -> None:
    notify(make_scope(notice, told.notice()), make_context(), FAILED)
    assert len(told.read()) == 1
    assert log.read().count(f"notifier {notice.notifier} did not tell: {says}") == 1


def test_one_that_hangs_is_left_behind_and_the_others_tell(
    told: Told, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "NOTICE_TIMEOUT_S", 0.5)
    scope, context = make_scope(make_notice("HangingNotifier"), told.notice()), make_context()
    started = time.monotonic()
    notify(scope, context, FAILED)
    assert time.monotonic() - started < notifiers.HANG_S / 2
    assert len(told.read()) == 1
    assert f"notifier {HERE}.HangingNotifier did not tell: TimeoutError: it took longer than" in log.read()


def test_a_secret_of_a_connection_is_not_logged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PLANTED", json.dumps({"conn_type": "http", "password": SECRET}))
    context = make_context()
    assert context["conn"].planted.password == SECRET
    notify(make_scope(make_notice("RaisingNotifier", words=f"POST /{SECRET}/x refused")), context, FAILED)
    written = [line for line in log.read().splitlines() if "did not tell" in line]
    assert [line.partition("OSError: ")[2] for line in written] == ["POST /***/x refused"]


def test_a_store_that_cannot_be_read_changes_nothing(log: Log) -> None:
    notify(make_scope(make_notice("RaisingNotifier")), make_context(task_state_store=None), FAILED)
    assert "no notifier was called: AttributeError" in log.read()


# Where it is called


def test_a_failed_run_is_told_once_however_often_it_reports(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    run = start(stage)
    for _ in range(2):
        run.step("report")
    (found,) = told.read()
    assert found["deploy_ops"]["cause"] == "Astro is down"
    assert found["deploy_ops"]["commit"] == HEAD
    assert stage.memory.claim(BRANCH, "manual").read() is None


def test_work_that_fails_again_and_again_is_told_at_first_and_when_it_failed_for_good(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    for number in (1, 2):
        start(stage, number).step("report")
    assert told.causes == ["Astro is down"]
    for_good = start(stage, 3)
    for_good.xcoms["deploy"] = {"failure": {"is_permanent": True, "cause": "the template is wrong"}}
    for_good.step("report")
    assert told.causes == ["Astro is down", "the template is wrong"]
    done = start(stage, 4)
    done.states["deploy"] = "success"
    done.step("report")
    start(stage, 5).step("report")
    assert told.causes == ["Astro is down", "the template is wrong", "Astro is down"]


def test_what_did_not_fail_is_no_news(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    for number, state in enumerate(("success", "skipped"), 1):
        run = start(stage, number)
        run.states["deploy"] = state
        run.step("report")
    start(stage, 3, is_dry=True).step("report")
    assert told.read() == []


def prove(stage: Stage, number: int, proof: Proof, said: str) -> Run:
    """Return a planned deploy that settled, and this verdict on it."""
    run = start(stage, number)
    run.states |= {"deploy": "success", "settle": "success", "verify": "failed" if proof is Proof.FAILED else "success"}
    run.hand("verify", {"deploy_id": f"d{number}"}, VERDICT_KEY)
    stage.memory.verification(BRANCH).write(Verification(f"d{number}", HEAD, proof, datetime.now(UTC), said))
    return run


def test_a_deploy_that_is_not_verified_is_told_as_such(stage: Stage, told: Told, tmp_path: Path) -> None:
    failures = Told(tmp_path / "failures")
    stage.change_project(notify=(told.notice(), failures.notice(FAILURE)))
    for number, (proof, said) in enumerate(
        [
            (Proof.VERIFIED, "verified"),
            (Proof.FAILED, "1 import error"),
            (Proof.FAILED, "1 import error"),
            (Proof.UNKNOWN, "not verified: no connection"),
        ],
        1,
    ):
        prove(stage, number, proof, said).step("report")
    assert [each["deploy_ops"]["what"] for each in told.read()] == ["verification"] * 3
    assert [each.partition("\n")[0] for each in told.causes] == ["1 import error"] * 2 + ["not verified: no connection"]
    assert failures.read() == []  # it is no failed deploy


def test_that_nothing_can_be_told_is_no_news_where_it_is_known(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    known = Verification("d0", HEAD, Proof.UNKNOWN, datetime.now(UTC), "not verified: no connection")
    at = datetime.now(UTC)
    row = Row(BRANCH, RowKind.PREVIEW, BRANCH, BRANCH, "shop.preview", State.LIVE, at, verification=known)
    stage.memory.write_rows({}, {BRANCH: row})
    prove(stage, 1, Proof.UNKNOWN, "not verified: no connection").step("report")
    assert told.read() == []
    prove(stage, 2, Proof.UNKNOWN, "not verified: no answer").step("report")
    assert len(told.read()) == 1


def test_a_notifier_that_hangs_fails_no_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "NOTICE_TIMEOUT_S", 0.1)
    stage.change_project(notify=(make_notice("HangingNotifier"), make_notice("ExitingNotifier")))
    assert start(stage).step("report") == "deploy dev-x: failed in deploy: Astro is down"


def test_a_question_is_told_before_it_is_asked_and_once(
    stage: Stage, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = open_gate(stage, monkeypatch)
    stage.change_project(notify=(told.notice(),))
    run = gate.start_planned()
    shown = run.ask()
    with pytest.raises(TaskAwaitingInput):
        run.execute("approve")  # the answer to the first try was lost
    (found,) = told.read()
    assert found["deploy_ops"]["what"] == "approval"
    assert found["deploy_ops"]["cause"] == shown["subject"]
    assert found["deploy_ops"]["environment"] == "production"
    assert found["deploy_ops"]["run_url"].endswith("/tasks/approve/required_actions")


def test_a_request_that_failed_is_told(stage: Stage, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate(stage, monkeypatch)
    stage.change_project(notify=(told.notice(FAILURE),))
    run = gate.start_planned()
    run.step("prepare")
    run.states["change_type"] = "failed"
    run.xcoms["change_type"] = {"failure": {"is_permanent": False, "cause": "GitHub is down"}}
    run.step("report")
    assert told.causes == ["GitHub is down"]


def test_an_adoption_is_told_before_it_is_asked(stage: Stage, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **detail: None)
    stage.change_project(notify=(told.notice(),))
    stage.push(BRANCH)
    stage.make_deployment(BRANCH, description="made by hand")
    run = stage.start_form(branch=BRANCH, action="adopt", reason="it was there first")
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    (found,) = told.read()
    assert found["deploy_ops"]["cause"].endswith(f"as the preview of {BRANCH}?")
    assert found["deploy_ops"]["person"] == "mira"


# Control's own failures


def pass_of_control(stage: Stage, error: Exception | None = None) -> Any:
    """Return the context in which Airflow calls back after a pass, once its retries are used up."""
    task: Any = make_control_dag(stage.scope).task_dict["plan"]
    return make_context(
        ti=FakeTaskInstance(stage.airflow, {}, "plan", 3, stage.scope.control_dag),
        task=task,
        asset_state_store=FakeStores(stage.stores, task),
        **({"exception": error} if error else {}),
    )


def test_an_outage_of_control_is_told_once_until_a_pass_succeeds(
    stage: Stage, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.change_project(notify=(told.notice(),))
    error = RetryableError("GitHub is down")
    for _ in range(3):
        tell_outage(pass_of_control(stage, error))
    (cause,) = told.causes
    assert re.fullmatch(r"shop\.control fails since \d{4}-\d\d-\d\d \d\d:\d\d UTC: GitHub is down", cause)
    assert told.read()[0]["deploy_ops"]["environment"] == "control"
    end_outage(pass_of_control(stage))
    tell_outage(pass_of_control(stage, AirflowFailException("the template is wrong")))
    assert [each.partition("UTC: ")[2] for each in told.causes] == ["GitHub is down", "the template is wrong"]
    monkeypatch.setattr(subject, "OUTAGE_REMINDER", subject.OUTAGE_REMINDER * 0)
    tell_outage(pass_of_control(stage, error))
    assert len(told.causes) == 3


def test_an_outage_is_told_in_the_words_that_the_page_shows(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    seen = see_failing(GITHUB, None, "HTTP 503", datetime(2026, 3, 1, 21, 3, tzinfo=UTC))
    stage.stores.setdefault(stage.scope.repository.name, DictStore()).set(HEALTH_KEY, dump_sights({GITHUB: seen}))
    tell_outage(pass_of_control(stage, RetryableError("HTTP 503")))
    failing = stage.memory.failing.read()
    assert failing is not None
    assert told.causes == [f"GitHub fails since 2026-03-01 21:03 UTC: HTTP 503. {failing.said}"]


def test_a_failing_control_is_noted_for_the_page_where_no_notifier_is_named(stage: Stage) -> None:
    tell_outage(pass_of_control(stage, RetryableError("no answer")))
    first = stage.memory.failing.read()
    tell_outage(pass_of_control(stage, RetryableError("no answer again")))
    second = stage.memory.failing.read()
    assert first is not None
    assert second is not None
    assert (first.since, second.cause) == (second.since, "no answer again")
    end_outage(pass_of_control(stage))
    assert stage.memory.failing.read() is None


def test_the_words_of_an_unexpected_error_stay_in_the_log(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    tell_outage(pass_of_control(stage, ValueError(SECRET)))
    assert [each.partition("UTC: ")[2] for each in told.causes] == ["ValueError; see the task's log"]


def test_the_plan_task_calls_both(stage: Stage) -> None:
    task: Any = make_control_dag(stage.scope).task_dict["plan"]
    assert list(task.on_failure_callback) == [tell_outage]
    assert list(task.on_success_callback) == [end_outage]


def test_a_failure_is_told_in_mode_plan_too(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),))
    object.__setattr__(stage.scope, "is_dry", True)
    tell_outage(pass_of_control(stage, RetryableError("GitHub is down")))
    assert [each.partition("UTC: ")[2] for each in told.causes] == ["GitHub is down"]


# A template run's


def step_of_template(stage: Stage, error: Exception, **params: Any) -> Any:
    """Return the context in which Airflow calls back after a step that failed for good."""
    task: Any = make_template_dag(stage.scope).task_dict["inspect"]
    ti = FakeTaskInstance(stage.airflow, {}, "inspect", 1, stage.scope.template_dag)
    return make_context(ti=ti, task=task, exception=error, params=params)


def test_each_step_of_a_template_run_that_fails_is_told(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),), previews={"template_from": "production"})
    tasks: Any = make_template_dag(stage.scope).tasks
    for task in tasks:
        (tell,) = task.on_failure_callback
        tell(step_of_template(stage, AirflowFailException(f"{task.task_id} broke")))
    assert sorted(told.causes) == ["compare broke", "inspect broke", "propose broke"]
    assert {each["deploy_ops"]["environment"] for each in told.read()} == {"template"}


def test_a_dry_run_of_it_is_told_to_nobody_and_the_words_of_a_strange_error_neither(stage: Stage, told: Told) -> None:
    stage.change_project(notify=(told.notice(),), previews={"template_from": "production"})
    tell_failed_proposal(step_of_template(stage, RetryableError("no"), dry_run=True))
    assert told.causes == []
    tell_failed_proposal(step_of_template(stage, ValueError(SECRET), dry_run=False))
    assert told.causes == ["ValueError; see the task's log"]


# A notifier of Airflow's own


class MailServer(socketserver.StreamRequestHandler):
    """Takes mail as RFC 5321 says, as far as Python's client asks for it, and keeps it."""

    def handle(self) -> None:
        """Hold one conversation."""
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            if line.strip().upper() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                kept: Any = self.server
                kept.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"250 fine\r\n")


def test_airflows_own_mail_notifier_works_the_same_way(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    notice = make_notice(
        "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
        to="data-team@example.com",
        from_email="airflow@example.com",
        subject="{{ deploy_ops.what }}: {{ deploy_ops.environment }} of {{ deploy_ops.project }}",
        html_content="{{ deploy_ops.cause | e }}",
    )
    with socketserver.TCPServer(("127.0.0.1", 0), MailServer) as server:
        kept: Any = server
        kept.mails = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {"disable_tls": True, "disable_ssl": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.server_address[1], "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        notify(make_scope(notice), make_context(), replace(FAILED, cause="<b>it broke"))
        server.shutdown()
    assert "did not tell" not in log.read()
    (mail,) = kept.mails
    read = message_from_string(mail)
    assert (read["Subject"], read["To"]) == ("failure: dev-x of shop", "data-team@example.com")
    (body,) = [part.get_payload(decode=True) for part in read.walk() if part.get_content_type() == "text/html"]
    assert body == b"&lt;b&gt;it broke"
