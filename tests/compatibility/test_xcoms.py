"""What tasks handed on before the release is read by the tasks after it: a run may begin before and end after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from include.deploy_ops.core.environment.mapping import write_mapped
from include.deploy_ops.core.errors import SealError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.naming import parse_mark, read_comment
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.text.document import read_document
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.pages import render_source
from include.deploy_ops.hooks.github.answers import RepositoryName
from include.deploy_ops.operators.answer import load_answer
from include.deploy_ops.operators.cleanup.find import load_found
from include.deploy_ops.operators.dispatch import DispatchOperator
from include.deploy_ops.operators.report import find_cause
from include.deploy_ops.run.decision import load_decision
from include.deploy_ops.run.endings import make_ended
from include.deploy_ops.run.job import load_answers, load_job, read_planned
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.seals import WORK, Place
from tests.compatibility.samples import PROJECT, SEALS, OldRun, Release, each_sample, take
from tests.worlds.doubles.airflow import DictStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class XCom:
    """A sample: what a task of a release handed on."""

    release: Release
    dag_id: str
    run_id: str
    task_id: str
    key: str
    value: Any
    seal: str = ""

    def find_other(self, start: str) -> Any:
        """Return the value of the release's first sample whose name begins so."""
        samples = self.release.read("xcoms.json")
        return next(sample["value"] for name, sample in samples.items() if name.startswith(start))


CLAIM = "preview claim deploy"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def open_run(sample: XCom, job: Any = None, **more: Any) -> OldRun:
    """Return the run with this XCom; where it has no claim of its own, with that of another run, of its DAG if any."""
    kind = sample.dag_id.removeprefix(f"{PROJECT}.")
    claim = f"{kind} claim deploy" if kind in {"staging", "production"} else CLAIM
    xcoms = {sample.task_id: {sample.key: sample.value}, **more}
    xcoms.setdefault("claim", {}).setdefault("return_value", job or sample.find_other(claim))
    return OldRun(sample.dag_id, sample.run_id, xcoms=xcoms)


def end(run: OldRun, dags: Any, states: Mapping[str, str], cause: Mapping[str, Any], main: tuple[str, ...] = ()) -> Any:
    """Return how the run ended, as its report would say."""
    report = take(dags, run.dag_id, "report")
    job = load_job(run.xcoms["prepare" if "prepare" in run.xcoms else "claim"]["return_value"])
    context = run.make_context(report, states)
    return make_ended(context, partial(report.read, context), Memory(DictStore()), job, states, cause, main)


def check_job(sample: XCom, dags: Any) -> None:
    said, job = sample.value, load_job(sample.value)
    assert (job.verb.value, job.branch, job.head) == (said["verb"], said["branch"], said["head"])
    assert (job.deployment_id, job.target, job.commit) == (said["deployment_id"], said["target"], said["commit"])
    assert job.is_forced == (not said["work"])
    run = OldRun(sample.dag_id, sample.run_id, xcoms={sample.task_id: {"return_value": said}})
    report = take(dags, run.dag_id, "report")  # every verb ends there
    assert report.begin(run.make_context(report)) == job


def check_decision(sample: XCom, dags: Any) -> None:
    said = sample.value
    run = open_run(sample)
    ended = end(run, dags, {"change_type": "success"}, {})
    assert (ended.outcome.kind, ended.outcome.why) == (said["change_type"], said["reason"])
    if "image" not in dags[run.dag_id].task_dict:
        return
    image = take(dags, run.dag_id, "image")
    if ChangeType(said["change_type"]) is not ChangeType.IMAGE:
        with pytest.raises(AirflowSkipException, match=f"no image needed: {said['change_type']}"):
            image.execute(run.make_context(image))


def check_release_decision(sample: XCom, dags: Any) -> None:
    prepared = sample.find_other("production.request prepare")
    run = OldRun(
        sample.dag_id,
        sample.run_id,
        xcoms={"prepare": {"return_value": prepared}, "change_type": {"return_value": sample.value}},
    )
    ended = end(run, dags, {"change_type": "success"}, {})
    assert (ended.outcome.kind, ended.outcome.why) == (sample.value["change_type"], sample.value["reason"])
    assert {each["path"] for kind in sample.value["files"] for each in kind["shown"]} != set()


def check_image(sample: XCom, dags: Any) -> None:
    shown = render_source(sample.value)
    assert sample.value["commit"]
    assert sample.value["image"] in shown


def check_deploy(sample: XCom, dags: Any) -> None:
    run, said = open_run(sample), sample.value
    settle = take(dags, run.dag_id, "settle")
    with pytest.raises(TaskDeferred) as deferred:
        settle.execute(run.make_context(settle))
    _, kwargs = deferred.value.trigger.serialize()
    handed_on = ("deployment_id", "needle", "kind", "started_at", "woke")
    assert {key: kwargs[key] for key in handed_on} == {key: said[key] for key in handed_on}


def check_document(sample: XCom, dags: Any) -> None:
    configuration = read_document(sample.value)["deployment"]["configuration"]
    mark = parse_mark(configuration["description"])
    assert mark is not None
    assert configuration["name"] == f"data_platform-{mark.branch}"


def check_basis(sample: XCom, dags: Any) -> None:
    known = [digest for _, digest in sample.release.read("digests.json")["basis"]]
    assert isinstance(sample.value, str)
    assert len(sample.value) in {len(each) for each in known}


def check_failure(sample: XCom, dags: Any) -> None:
    run = open_run(sample)
    report = take(dags, run.dag_id, "report")
    cause = find_cause(run.make_context(report), [sample.task_id])
    ended = end(run, dags, {sample.task_id: "failed"}, cause)
    said = (ended.outcome.state, ended.outcome.cause, ended.outcome.is_permanent)
    assert said == ("failed", sample.value["cause"], sample.value["is_permanent"])


def check_superseded(sample: XCom, dags: Any) -> None:
    run, task = open_run(sample), sample.task_id
    ended = end(run, dags, {task: "skipped"}, {}, (task,))
    assert (ended.outcome.state, ended.outcome.why) == ("superseded", sample.value)


def check_promotion(sample: XCom, dags: Any) -> None:
    ended = end(open_run(sample, sample.find_other("promotion claim promote")), dags, {"promote": "success"}, {})
    assert ended.conflicts == {int(pull): tuple(told) for pull, told in sample.value["told"].items()}


def check_answer(sample: XCom, dags: Any) -> None:
    answer, said = load_answer(sample.value), sample.value
    assert (answer.is_approved, answer.person, answer.comment) == (said["is_approved"], said["person"], said["comment"])
    assert answer.at.tzinfo is not None


def check_found(sample: XCom, dags: Any) -> None:
    found, said = load_found(sample.value), sample.value
    assert (found.is_dry, found.count, found.allowed) == (said["is_dry"], said["count"], said["allowed"])
    assert [(each.branch, each.standing.value) for each in found.verdicts] == [
        (each["branch"], each["standing"]) for each in said["verdicts"]
    ]
    assert [(each.name, each.subject) for each in found.works] == [
        (each["name"], each["subject"]) for each in said["works"]
    ]
    assert [(each.branch, each.verdict, each.reason) for each in found.findings] == [
        (each["branch"], each["verdict"], each["reason"]) for each in said["findings"]
    ]


def check_orphans(sample: XCom, dags: Any) -> None:
    run = open_run(sample)
    approve = take(dags, run.dag_id, "approve")
    approve.choose_seals = lambda _: None
    (orphan,) = approve.need_orphans(run.make_context(approve))
    (said,) = sample.value
    assert (orphan.deployment_id, orphan.name, orphan.conn_id) == (said["deployment_id"], said["name"], said["conn_id"])
    assert (orphan.mark.project, orphan.mark.branch) == (said["mark"]["project"], said["mark"]["branch"])


def check_dispatches(sample: XCom, dags: Any) -> None:
    for each in sample.value:
        task = DispatchOperator(task_id="dispatch", control_plane="", astro_conn_id="", feedback_dag="", **each)
        assert (task.trigger_dag_id, task.trigger_run_id) == (each["trigger_dag_id"], each["trigger_run_id"])
        assert task.trigger_dag_id in dags
        assert task.conf == each["conf"]
    accepted = dags[sample.dag_id].task_dict["dispatch"].expand_input.value
    assert accepted.operator.task_id == sample.task_id


def check_id(sample: XCom, dags: Any) -> None:
    """See that what `create` returned is the Deployment that `deploy` asks Astro for."""
    run, asked = open_run(sample), []

    def get(deployment_id: str) -> Any:
        asked.append(deployment_id)

    job = {**sample.find_other(CLAIM), "deployment_id": ""}
    run.xcoms |= {"claim": {"return_value": job}, "change_type": {"return_value": DAGS_DECISION}}
    deploy = take(dags, run.dag_id, "deploy")
    vars(deploy).update(
        astro=SimpleNamespace(get_deployment=get), check_alive=lambda _: None, github=GithubOf(job["head"])
    )
    with pytest.raises(AirflowSkipException, match=f"Deployment {sample.value} of {job['branch']} is gone"):
        deploy.execute(run.make_context(deploy))
    assert asked == [sample.value]


DAGS_DECISION = {"change_type": "dags", "commit": "", "reason": "", "observed": "", "image_base": "", "dags_base": ""}


class GithubOf:
    """GitHub, whose branches are all at one head."""

    repository = "acme/data-platform"

    def __init__(self, head: str) -> None:
        self._head = head

    def web_url(self, kind: str, name: object) -> str:
        return f"https://github.example/{kind}/{name}"

    def remember(self, _answers: object) -> None:
        """Need no answers of control's."""

    def read_name(self) -> RepositoryName:
        return RepositoryName(7, self.repository)

    def find_branch_beside(self, branch: str, trunk: str) -> Any:
        return SimpleNamespace(name=branch, head=self._head)


def check_claims_decision(sample: XCom, dags: Any) -> None:
    """See that what the claim of a new preview decided is read by the tasks after it, as theirs is of others."""
    run, said = open_run(sample, sample.find_other("preview claim create")), sample.value
    run.xcoms["claim"]["decision"] = said
    deploy = take(dags, run.dag_id, "deploy")
    decision = load_decision(deploy.read_decision(run.make_context(deploy)))
    assert (decision.change_type.value, decision.commit, decision.reason) == (
        said["change_type"],
        said["commit"],
        said["reason"],
    )


def check_answers(sample: XCom, dags: Any) -> None:
    assert [(each.path, each.etag) for each in load_answers(sample.value)] == [
        (each["path"], each["etag"]) for each in sample.value
    ]


def check_rendered(sample: XCom, dags: Any) -> None:
    run = open_run(sample)
    report = take(dags, run.dag_id, "report")
    assert report._read_rendered(run.make_context(report), {"update": "success"}) == sample.value


def check_mapped(sample: XCom, dags: Any) -> None:
    previews = take(dags, sample.dag_id, "claim").scope.project.previews
    assert write_mapped(previews.environment.mapped) == sample.value, "else the policy counts as edited meanwhile"


def check_repairs(sample: XCom, dags: Any) -> None:
    known = Remembered().add_repaired(sample.value, NOW)
    assert known.repaired == dict.fromkeys(sample.value, NOW)


def check_verdict(sample: XCom, dags: Any) -> None:
    run = open_run(sample)
    report = take(dags, run.dag_id, "report")
    assert Proof(sample.value["proof"]).value == sample.value["proof"]
    assert report._read_told(run.make_context(report)) == sample.value


def check_inspected(sample: XCom, dags: Any) -> None:
    assert set(sample.value["deployment"]) >= {"configuration", "environment_variables"}
    secrets = [each for each in sample.value["deployment"]["environment_variables"] if each["is_secret"]]
    assert not [each for each in secrets if each.get("value")]


def check_begun(sample: XCom, dags: Any) -> None:
    """See that the sign under each comment is found by the run that it began."""
    check_dispatches(sample, dags)
    assert all(read_comment(each["trigger_run_id"]) for each in sample.value)
    assert all(read_planned(each["conf"]).person for each in sample.value)


FOR_PEOPLE = ("tell", "decide", "report", "settle", "update", "adopt", "merge", "approve_adoption")
"""Tasks whose result no other task reads."""


def check_words(sample: XCom, dags: Any) -> None:
    """Nobody reads it but people, in Airflow's UI; its task is still there."""
    assert sample.task_id in dags[sample.dag_id].task_dict
    assert sample.value not in (None, "")


def check_remembered_answer(sample: XCom, dags: Any) -> None:
    run = open_run(sample, find={"return_value": sample.find_other("cleanup find, asked")})
    summary = take(dags, run.dag_id, "summary")
    summary.execute(run.make_context(summary, {"find": "success", "remember": "success"}))
    assert sample.value.split(";")[0] in summary.summary


READERS: dict[tuple[str, str], Callable[[XCom, Any], None]] = {
    ("claim", "return_value"): check_job,
    ("prepare", "return_value"): check_job,
    ("change_type", "return_value"): check_decision,
    ("image", "return_value"): check_image,
    ("deploy", "return_value"): check_deploy,
    ("render_template", "return_value"): check_document,
    ("render_template", "basis"): check_basis,
    ("promote", "return_value"): check_promotion,
    ("approve", "return_value"): check_answer,
    ("plan", "return_value"): check_dispatches,
    ("recheck", "return_value"): check_dispatches,
    ("create", "return_value"): check_id,
    ("remember", "return_value"): check_remembered_answer,
    **dict.fromkeys([(task_id, "return_value") for task_id in FOR_PEOPLE], check_words),
}

SINCE_0_3: dict[tuple[str, str], Callable[[XCom, Any], None]] = {
    ("claim", "decision"): check_claims_decision,
    ("render_template", "answers"): check_answers,
    ("render_template", "rendered"): check_rendered,
    ("render_template", "mapped"): check_mapped,
    ("render_template", "repairs"): check_repairs,
    ("verify", "verdict"): check_verdict,
    ("hear", "return_value"): check_begun,
    ("inspect", "return_value"): check_inspected,
    **dict.fromkeys([(task_id, "return_value") for task_id in ("verify", "answer", "compare", "weigh")], check_words),
}
"""What no release handed on before."""


def choose_reader(sample: XCom) -> Callable[[XCom, Any], None]:
    """Return what reads this kind of XCom; a kind without a reader is a KeyError."""
    if sample.key == "failure":
        return check_failure
    if sample.key == "superseded":
        return check_superseded
    if sample.task_id == "find":
        return check_orphans if sample.dag_id == "orphans" else check_found
    if sample.task_id == "change_type" and sample.dag_id.endswith(".request"):
        return check_release_decision
    return (READERS | SINCE_0_3)[sample.task_id, sample.key]


@pytest.mark.parametrize(("release", "name"), each_sample("xcoms.json"))
def test_an_xcom_means_what_it_meant(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    sample = XCom(release, **release.read("xcoms.json")[name])
    choose_reader(sample)(sample, dags)


PLAIN = {("report", "return_value")}
"""What nobody acts on, so that it bears no seal; so do words on a failure, and on what overtook a task."""


@pytest.mark.parametrize(("release", "name"), each_sample("xcoms.json"))
def test_an_xcom_bears_a_seal_that_counts_since_releases_seal(release: Release, name: str) -> None:
    sample = XCom(release, **release.read("xcoms.json")[name])
    is_plain = (sample.task_id, sample.key) in PLAIN or sample.key in {"failure", "superseded"}
    assert (sample.seal != "") == (release.is_sealing and not is_plain)
    if sample.seal:
        place = Place(sample.dag_id, sample.run_id, f"{sample.task_id}.{sample.key}")
        SEALS.check(WORK, place, sample.value, sample.seal)
        with pytest.raises(SealError):
            SEALS.check(WORK, replace(place, run_id="another"), sample.value, sample.seal)


def test_every_reader_has_a_sample(release: Release) -> None:
    kinds = {(sample["task_id"], sample["key"]) for sample in release.read("xcoms.json").values()}
    assert READERS.keys() <= kinds
    assert not release.is_sealing or SINCE_0_3.keys() <= kinds
    assert {("find", "return_value"), ("claim", "failure"), ("deploy", "superseded")} <= kinds


@pytest.mark.parametrize(("task_id", "key"), [("a_new_task", "return_value"), ("claim", "a_new_key")])
def test_a_new_kind_of_xcom_needs_a_reader(task_id: str, key: str, release: Release) -> None:
    with pytest.raises(KeyError):
        choose_reader(XCom(release, "data_platform.preview", "run", task_id, key, "anything"))
