"""Tasks that were parked when the release came: their trigger is made again, and they go on with what is said then."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]  # Airflow has no other public place

from include.deploy_ops.core.model import (
    Branch,
    Deploy,
    DeployKind,
    DeployStatus,
    PullRequest,
)
from include.deploy_ops.operators.answer import load_answer
from include.deploy_ops.run.job import load_job
from include.deploy_ops.run.memory import Memory
from tests.compatibility.samples import OldRun, Release, each_sample, revive, take

if TYPE_CHECKING:
    from collections.abc import Mapping

FLEET = "deploy_ops.data_platform.fleet"


@pytest.mark.parametrize(("release", "path"), each_sample("triggers.json"))
def test_a_trigger_is_made_again_from_what_airflow_holds(release: Release, path: str) -> None:
    kwargs = release.read("triggers.json")[path]
    place, known = import_string(path)(**kwargs).serialize()
    assert place == path
    # What a later release added has its default, and everything else is as it was.
    assert {name: known[name] for name in kwargs} == kwargs
    assert import_string(path)(**known).serialize() == (path, known)


def open_run(release: Release, sample: Mapping[str, Any]) -> OldRun:
    """Return the parked task's run with the XComs that it has so far, and what the earlier version remembered."""
    run = OldRun(sample["dag_id"], sample["run_id"], xcoms={task: dict(of) for task, of in sample["xcoms"].items()})
    run.remember(release.read("store.json"))
    return run


def go_on(sample: Mapping[str, Any], dags: Mapping[str, Any], run: OldRun, event: Any = None, **doubles: Any) -> Any:
    """Resume the task as Airflow does; `event` is what arrives later, `doubles` stand for hooks."""
    task = take(dags, sample["dag_id"], sample["task_id"])
    vars(task).update(doubles)
    if sample["dag_id"] == "orphans":
        task.choose_seals = lambda _: None
    kwargs = revive(sample["next_kwargs"]) | ({} if event is None else {"event": event})
    return task.resume_execution(sample["next_method"], kwargs, run.make_context(task))


def is_approval(sample: Mapping[str, Any]) -> bool:
    return bool(sample["next_method"] == "execute_complete")


def is_answered(sample: Mapping[str, Any]) -> bool:
    return is_approval(sample) and "event" in sample["next_kwargs"]


def is_asking(sample: Mapping[str, Any]) -> bool:
    return is_approval(sample) and not is_answered(sample)


def is_deferred(sample: Mapping[str, Any]) -> bool:
    return not is_approval(sample)


@pytest.mark.parametrize(("release", "name"), each_sample("parked.json", of=is_answered))
def test_an_answer_that_was_given_is_understood(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    sample = release.read("parked.json")[name]
    given = sample["next_kwargs"]["event"]
    run = open_run(release, sample)
    answer = load_answer(go_on(sample, dags, run))
    assert answer.is_approved == (given["chosen_options"] == ["Approve"])
    assert (answer.person, answer.comment) == ("admin", given["params_input"].get("comment") or "")
    assert answer.at.timestamp() == given["responded_at"]["__data__"]["timestamp"]


def make_event(option: str, *, timedout: bool = False) -> dict[str, Any]:
    """Return what Airflow hands on when somebody answers, or nobody did in time."""
    return {
        "chosen_options": [option],
        "params_input": {"comment": "as agreed"},
        "responded_at": datetime.now(UTC),
        "responded_by_user": None if timedout else {"id": "7", "name": "ada"},
        "timedout": timedout,
    }


@pytest.mark.parametrize(("release", "name"), each_sample("parked.json", of=is_asking))
def test_an_approval_that_was_parked_takes_its_answer(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    sample = release.read("parked.json")[name]
    yes = load_answer(go_on(sample, dags, open_run(release, sample), make_event("Approve")))
    late = load_answer(go_on(sample, dags, open_run(release, sample), make_event("Reject", timedout=True)))
    assert (yes.is_approved, yes.person, yes.comment) == (True, "ada", "as agreed")
    assert (late.is_approved, late.person) == (False, "")


class GithubAsItWas:
    """GitHub, where nothing of a job's pull request has moved since."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def remember(self, _answers: object) -> None:
        """Need no answers of control's."""

    def web_url(self, kind: str, name: object) -> str:
        return f"https://github.example/{kind}/{name}"

    def list_pull_requests_from(self, branch: str) -> tuple[PullRequest, ...]:
        job = self._job
        return (PullRequest(job.pull, branch, job.head, 1, "main", 1, True, False, "2026-11-29T14:00:00Z"),)

    def find_branch_beside(self, name: str, _trunk: str) -> Branch:
        return Branch(name, self._job.base)


class AstroAsItWas:
    """Astro, where nothing was deployed since."""

    def __init__(self, job: Any, newest: str) -> None:
        self._job = job
        self._newest = newest

    def get_deployment(self, deployment_id: str) -> Any:
        assert deployment_id == self._job.deployment_id
        return SimpleNamespace(id=deployment_id, name=self._job.deployment_name)

    def list_deploys(self, deployment_id: str) -> tuple[Deploy, ...]:
        made = datetime(2026, 1, 1, tzinfo=UTC)
        return (Deploy(self._newest, deployment_id, DeployStatus.DEPLOYED, DeployKind.IMAGE_AND_DAG, made),)


def test_a_yes_counts_if_what_was_asked_bears_a_seal(release: Release, dags: Mapping[str, Any]) -> None:
    sample = release.read("parked.json")["production.request approve, parked"]
    run = open_run(release, sample)
    job = load_job(run.xcoms["prepare"]["return_value"])
    run.xcoms["approve"] = {"return_value": go_on(sample, dags, run, make_event("Approve"))}
    recheck = take(dags, run.dag_id, "recheck")
    observed = run.xcoms["change_type"]["return_value"]["observed"]
    vars(recheck).update(github=GithubAsItWas(job), astro=AstroAsItWas(job, observed))
    before = Memory(run.stores[FLEET]).recall(job.slug)
    if release.is_sealing:
        recheck.execute(run.make_context(recheck))
        approval = Memory(run.stores[FLEET]).approval(job.slug).read()
        assert approval is not None
        assert (approval.person, approval.head, approval.commit) == ("ada", job.head, job.commit)
        return
    with pytest.raises(AirflowFailException, match=r"a release before 0\.3 asked, which bears no seal; a new request"):
        recheck.execute(run.make_context(recheck))
    assert Memory(run.stores[FLEET]).recall(job.slug) == before


def read_events(release: Release, parked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the triggers of such a task said, for the method by which this one goes on."""
    wanted = (parked["task_id"], parked["next_method"])
    samples = [each for each in release.read("events.json").values() if "resumes" in each]
    return [each["payload"] for each in samples if (each["resumes"], each.get("method", "resume")) == wanted]


@pytest.mark.parametrize(("release", "name"), each_sample("parked.json", of=is_deferred))
def test_a_deferred_task_goes_on_with_the_triggers_event(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    sample = release.read("parked.json")[name]
    checks = {"settle": check_settle, "image": check_image, "verify": check_verify}
    events = [None] if "event" in sample["next_kwargs"] else read_events(release, sample)
    assert events
    for event in events:
        checks[sample["task_id"]](release, sample, dags, event)


def check_verify(release: Release, sample: Mapping[str, Any], dags: Mapping[str, Any], event: Any) -> None:
    """See that the verdict is about the deploy that was asked about, and says what its Airflow did."""
    said, run = event or sample["next_kwargs"]["event"], open_run(release, sample)
    asked = sample["next_kwargs"].get("verification", sample["next_kwargs"])
    broken = [each["file"] for each in said.get("findings", {}).get("broken", ())]
    failed = [each["dag_id"] for each in said.get("runs", ()) if each["outcome"] == "failed"]
    if broken or failed:
        with pytest.raises(AirflowFailException, match=(broken + failed)[0]):
            go_on(sample, dags, run, event)
    else:
        # Its Airflow would be asked to run the DAGs that the policy names.
        proof = go_on(sample, dags, run, event, _start_runs=lambda *given: given[3])["proof"]
        assert proof == ("verified" if said["state"] == "seen" else "unknown")
    verdict = Memory(run.stores[FLEET]).verification(load_job(run.xcoms["claim"]["return_value"]).slug).read()
    assert verdict is not None
    assert (verdict.deploy_id, verdict.commit) == (asked["deploy_id"], asked["commit"])
    assert [each.file for each in verdict.broken] == broken


def check_settle(release: Release, sample: Mapping[str, Any], dags: Mapping[str, Any], event: Any) -> None:
    said = event or sample["next_kwargs"]["event"]
    if said["state"] in {"settled", "overtaken"}:
        found = go_on(sample, dags, open_run(release, sample), event)
        assert found == {key: said[key] for key in ("state", "deploy_id", "image_tag", "dag_version", "seconds")}
        return
    with pytest.raises(Exception, match=rf"the deploy did not settle \({said['state']}\)") as caught:
        go_on(sample, dags, open_run(release, sample), event)
    assert said["detail"] in str(caught.value)


def check_image(release: Release, sample: Mapping[str, Any], dags: Mapping[str, Any], event: Any) -> None:
    said = event or sample["next_kwargs"]["event"]
    image = SimpleNamespace(runtime_version="3.3-2", digest="sha256:0")
    registry = SimpleNamespace(find_image=lambda _: image)
    run = open_run(release, sample)
    notes, source = sample["next_kwargs"]["notes"], sample["next_kwargs"]["source"]
    if said["state"] == "found":
        found = go_on(sample, dags, run, event, registry=registry)
        assert (found["image"], found["source"], found["notes"]) == (said["image"], source, notes)
        assert found["commit"] == load_job(run.xcoms["claim"]["return_value"]).deployed_commit
        return
    # The next source of the policy is `build`; whether a preview may be built is asked in there.
    doubles = {"registry": registry, "_prepare_build": lambda _: ({"engine": "podman"}, "")}
    found = go_on(sample, dags, run, event, **doubles)
    assert found["source"] == "build"
    assert found["notes"] == [*notes, f"{source}: {said['detail']}"]


def test_a_question_that_asks_nothing_any_more_is_a_skip(release: Release, dags: Mapping[str, Any]) -> None:
    sample = release.read("parked.json")["production.request approve, parked"]
    run = open_run(release, sample)
    run.xcoms["approve"] = {"return_value": go_on(sample, dags, run, make_event("Reject"))}
    recheck = take(dags, run.dag_id, "recheck")
    vars(recheck).update(github=GithubAsItWas(load_job(run.xcoms["prepare"]["return_value"])))
    with pytest.raises(AirflowSkipException, match="rejected by ada, because as agreed"):
        recheck.execute(run.make_context(recheck))


def test_every_kind_of_parked_task_has_a_sample(release: Release) -> None:
    parked = release.read("parked.json").values()
    kinds = {(sample["task_id"], is_asking(sample), is_answered(sample)) for sample in parked}
    assert {(task, *how) for task in ("approve", "approve_adoption") for how in ((True, False), (False, True))} <= kinds
    assert {("settle", False, False), ("image", False, False)} <= kinds
    since = {"DeployVerifiedTrigger", "SmokeRunsTrigger"} if release.is_sealing else set()
    assert {path.rpartition(".")[2] for path in release.read("triggers.json")} == since | {
        *("RepositoryTrigger", "DeploySettledTrigger", "ImageAvailableTrigger")
    }
    assert not since or ("verify", False, False) in kinds
