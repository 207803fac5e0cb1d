"""What a later version wrote is read as far as it can be: versions, unknown keys, entries that cannot be understood."""

from __future__ import annotations

import asyncio
import json
import re
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.cleanup.orphans import find_orphans
from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.model import Branch, Deployment
from include.deploy_ops.core.naming import has_later_mark, parse_mark, parse_note
from include.deploy_ops.core.plan.work import Hold, Verb
from include.deploy_ops.core.policy.file import LoadedPolicy, load_policy
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import DesiredPreviews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.versioned import VERSION, unwrap_value, wrap_value
from include.deploy_ops.observation.checks import check_mark
from include.deploy_ops.observation.form_jobs import FormJobs
from include.deploy_ops.operators.deploy.adopt import AdoptDeploymentOperator
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.forms import PreviewForm
from include.deploy_ops.run.job import dump_job, load_job, read_planned
from include.deploy_ops.run.memory import Memory, PullCache
from include.deploy_ops.run.questions import Questions
from include.deploy_ops.run.scope import Scope
from include.deploy_ops.run.store import Slot
from include.deploy_ops.triggers.awaited_checks import HEADS_MAX, read_awaited
from include.deploy_ops.triggers.repository import RepositoryTrigger
from tests.compatibility.samples import RELEASES, find_release
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook

FLEET = "deploy_ops.data_platform.fleet"
NEWEST = RELEASES[-1]
"""What it wrote is what a later version may write more of."""
STORED: dict[str, Any] = NEWEST.read_bare(FLEET)
MARKS = NEWEST.read("marks_and_notes.json")
OUR_MARK = next(iter(MARKS["marks"].values()))
LATER_MARK = OUR_MARK.replace("[deploy-ops/1 ", "[deploy-ops/2 ")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


SPREAD = ("control.backlog.", "control.commits.", "control.histories.", "control.authors.")
"""What began the keys of which one, since 0.3, holds what several held; in the order of `GATHERED`."""

GATHERED = ("control.old_branches", "control.commit_times", "control.deploy_histories", "control.commit_authors")

GATHERING = find_release("0.2.0")
"""The last release that spread them."""
SPREAD_OUT: dict[str, Any] = GATHERING.read_bare(FLEET)

UNREADABLE = [{"of": "a later version"}]
"""What no entry can be."""


# Values


def read_all(memory: Memory) -> dict[str, Any]:
    """Read everything that a memory can be asked for."""
    claims = {
        (slug, register): memory.claim(slug, register).read()
        for slug in list_slugs()
        for register in ("planned", "manual")
    }
    return {
        "claims": claims,
        "environments": {slug: memory.environment(slug).read() for slug in list_slugs()},
        "pulls": memory.pulls.read(),
        "deletes": memory.begun_deletes.read(),
        "released": memory.released.read(),
        "refused": memory.refused.read(),
        "first": memory.is_first_pass(),
        "outage": memory.outage.read(),
        "template": memory.template.read(),
        "backlog": memory.backlog.read(),
        "commits": memory.commit_times.read(),
        "histories": memory.histories.read(),
        "authors": memory.authors.read(),
        "rows": memory.read_rows(),
        "summary": memory.summary.read(),
        "verdicts": memory.verdicts.read(),
        "told": memory.feedback.read(),
        "view": memory.feedback_view.read(),
        "telling": memory.feedback_run.read(),
        "budget": memory.budget.read(),
        **{name: getattr(memory, name).read() for name in WHOLE},
        **{name: {slug: getattr(memory, name)(slug).read() for slug in list_slugs()} for name in OF_SLUGS},
        "occupants": {each: memory.occupant(each).read() for each in list_occupied()},
        "awaited": memory._awaited.read(),
    }


WHOLE = (
    *("repository", "continuity", "pull_page", "pending", "pausings", "unpausing", "failing", "past", "past_digests"),
    *("rejections", "concerns", "contributions", "uses", "rotation", "examination", "meters", "heard", "commands_run"),
)
"""What lies in one slot."""

OF_SLUGS = (
    *("question", "approval", "request_judgement", "requests", "deploys", "verification", "verified", "mutes"),
    *("difference", "target_template"),
)
"""What lies in one slot of each environment."""


def list_occupied() -> list[str]:
    return sorted(key.split(".")[1] for key in STORED if key.startswith("deployment."))


def list_slugs() -> list[str]:
    keys = [key.removeprefix("environment.") for key in {**STORED, **SPREAD_OUT} if key.startswith("environment.")]
    return sorted({key.rpartition(".")[0] for key in keys})


def open_store(**changes: Any) -> DictStore:
    """Return a store with all samples, some of them replaced."""
    store = DictStore()
    store.values = {**deepcopy(STORED), **changes}
    return store


def open_spread(**changes: Any) -> DictStore:
    """Return the same of the last release that spread over many keys what lies under one since."""
    store = DictStore()
    store.values = {**deepcopy(SPREAD_OUT), **changes}
    return store


def open_gathered(**changes: Any) -> DictStore:
    """Return that store after the first pass of this release, some of its values replaced."""
    store = open_spread()
    Memory(store).gather()
    store.values |= changes
    return store


def test_values_with_a_version_mean_what_bare_ones_mean() -> None:
    wrapped = {key: wrap_value(value) for key, value in STORED.items()}
    assert read_all(Memory(open_store(**wrapped))) == read_all(Memory(open_store()))
    assert NEWEST.read("store.json")[FLEET] == wrapped


def test_all_that_is_written_bears_a_version() -> None:
    known, store = read_all(Memory(open_store())), DictStore()
    memory = Memory(store)
    rewrite(memory, known)
    assert {key for key, value in store.values.items() if value.keys() != {"version", "value"}} == set()
    assert {value["version"] for value in store.values.values()} == {VERSION}
    assert store.values.keys() == {key for key in STORED if not key.startswith("control.snapshot")}
    assert read_all(memory) == known


def rewrite(memory: Memory, known: dict[str, Any]) -> None:
    for (slug, register), claim in known["claims"].items():
        if claim is not None:
            memory.claim(slug, register).write(claim)
    rewrite_slots(memory, known)
    for slug, remembered in known["environments"].items():
        if f"environment.{slug}.remembered" in STORED:
            memory.environment(slug).write(remembered)
    memory.pulls.write(known["pulls"])
    memory.begun_deletes.write(known["deletes"])
    memory.released.write(known["released"])
    memory.refused.write(known["refused"])
    memory.remember_first_pass(datetime(2026, 1, 1, tzinfo=UTC))
    memory.outage.write(known["outage"])
    memory.template.write(known["template"])
    memory.backlog.write({}, known["backlog"])
    memory.commit_times.write({}, known["commits"])
    memory.histories.write({}, known["histories"])
    memory.authors.write({}, known["authors"])
    assert memory.write_rows({}, known["rows"]).keys() <= known["summary"].digests.keys()
    memory.summary.write(known["summary"])
    memory.verdicts.write(known["verdicts"])
    memory.feedback.write({}, known["told"])
    memory.feedback_view.write(known["view"])
    memory.feedback_run.write(known["telling"])
    memory.budget.write(known["budget"])
    questions = open_questions(memory._store, "cleanup.questions")
    for run_id, asked in open_questions(open_store(), "cleanup.questions").read().items():
        questions.note(run_id, asked.names, asked.at)


def rewrite_slots(memory: Memory, known: dict[str, Any]) -> None:
    """Write what lies in one slot, as far as something does."""
    for name in WHOLE:
        slot, found = getattr(memory, name), known[name]
        slot.write(found) if isinstance(slot, Slot) else slot.write({}, found)
    for name in OF_SLUGS:
        for slug, found in known[name].items():
            if found:
                getattr(memory, name)(slug).write(found)
    for deployment_id, occupant in known["occupants"].items():
        memory.occupant(deployment_id).write(occupant)
    memory._awaited.write({}, known["awaited"])


def open_questions(store: Any, key: str) -> Questions:
    return Questions(store, key, Runs(cast("Any", FakeTaskInstance(FakeAirflow(), {}, "find", 1)), "dag"))


def test_a_value_of_a_later_version_counts_as_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    later = {"version": VERSION + 1, "value": STORED["cleanup.verdicts"]}
    assert Memory(open_store(**{"cleanup.verdicts": later})).verdicts.read() == {}
    assert "'cleanup.verdicts' is of version 2" in caplog.text


def test_keys_beside_version_and_value_are_passed_over() -> None:
    assert unwrap_value("k", {"version": 1, "value": [7], "by": "a later release"}) == [7]


@pytest.mark.parametrize("bare", [{"version": {"slug": "version"}, "value": {}}, {"version": "x", "value": "y"}])
def test_an_entry_called_version_is_no_version(bare: dict[str, Any]) -> None:
    assert unwrap_value("k", bare) is bare


def add_keys(value: Any) -> Any:
    """Return the value with a key more in each mapping whose keys are names of fields."""
    if isinstance(value, list):
        return [add_keys(each) for each in value]
    if not isinstance(value, dict):
        return value
    added = {key: add_keys(each) for key, each in value.items()}
    is_record = bool(value) and all(key.isidentifier() and not key.isupper() for key in value)
    is_record = is_record and not set(value) <= {*VERBS}
    return {**added, "of_a_later_release": {"a": 1}} if is_record else added


VERBS = frozenset(verb.value for verb in Verb)
FREE = ("cleanup.released", "cleanup.refused", "control.", "feedback.budget", "view.summary")
"""Values whose keys are data, or hold such mappings: there a key more is an entry more."""


@pytest.mark.parametrize("key", [key for key in STORED if not key.startswith(FREE)])
def test_unknown_keys_of_a_remembered_value_are_passed_over(key: str) -> None:
    changed = add_keys(STORED[key])
    assert changed != STORED[key] or not isinstance(STORED[key], dict)
    assert read_all(Memory(open_store(**{key: changed}))) == read_all(Memory(open_store()))


COLLECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Memory], Any]]] = {
    "control.pulls": (("pulls",), lambda memory: {each.number: each for each in _pulls(memory).pulls}),
    "control.deletes": ((), lambda memory: memory.begun_deletes.read()),
    "cleanup.released": ((), lambda memory: memory.released.read()),
    "cleanup.refused": ((), lambda memory: memory.refused.read()),
    "cleanup.verdicts": ((), lambda memory: memory.verdicts.read()),
    "control.backlog.": ((), lambda memory: memory.backlog.read()),
    "control.commits.": ((), lambda memory: memory.commit_times.read()),
    "control.histories.": ((), lambda memory: memory.histories.read()),
    "control.authors.": ((), lambda memory: memory.authors.read()),
    "control.old_branches": ((), lambda memory: memory.backlog.read()),
    "control.commit_times": ((), lambda memory: memory.commit_times.read()),
    "control.deploy_histories": ((), lambda memory: memory.histories.read()),
    "control.commit_authors": ((), lambda memory: memory.authors.read()),
    "control.branch_concerns": ((), lambda memory: memory.concerns.read()),
    "control.rejections": ((), lambda memory: memory.rejections.read()),
    "control.pausings": ((), lambda memory: memory.pausings.read()),
    "control.pending": ((), lambda memory: memory.pending.read()),
    "control.meters": ((), lambda memory: memory.meters.read()),
    "cleanup.preview_uses": ((), lambda memory: memory.uses.read()),
    "view.rows.": ((), Memory.read_rows),
    "feedback.told.": ((), lambda memory: memory.feedback.read()),
    "feedback.budget": (("minutes",), lambda memory: dict(memory.budget.read().minutes)),
}


def _pulls(memory: Memory) -> PullCache:
    found = memory.pulls.read()
    assert found is not None
    return found


def pick_collections() -> list[tuple[str, str]]:
    """Return release and key of what was stored, as far as it is a collection."""
    names = [(release.name, key) for release in (GATHERING, NEWEST) for key in release.read_bare(FLEET)]
    return [
        (release, key)
        for release, key in names
        if any(key == name or (name[-1] == "." and key.startswith(name)) for name in COLLECTIONS)
        and (release, key) != (NEWEST.name, "control.pulls")  # they lie apart
    ]


def open_of(release: str, **changes: Any) -> DictStore:
    """Return a store with a release's samples, some of them replaced."""
    return open_spread(**changes) if release == GATHERING.name else open_store(**changes)


def find_reader(key: str) -> tuple[tuple[str, ...], Callable[[Memory], Any]]:
    return next(each for name, each in COLLECTIONS.items() if key == name or (name[-1] == "." and key.startswith(name)))


def spoil(stored: Any, path: tuple[str, ...], garbage: Any) -> Any:
    """Return the value with one entry more in the part at the path."""
    value = deepcopy(stored)
    part = value
    for name in path:
        part = part[name]
    if isinstance(part, list):
        part.insert(0, garbage)
    else:
        part["zz-unreadable"] = garbage
    return value


@pytest.mark.parametrize(("release", "key"), pick_collections())
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_an_entry_that_cannot_be_read_is_lost_alone(
    release: str, key: str, is_wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path, read = find_reader(key)
    spoiled = spoil(find_release(release).read_bare(FLEET)[key], path, UNREADABLE)
    store = open_of(release, **{key: wrap_value(spoiled) if is_wrapped else spoiled})
    assert read(Memory(store)) == read(Memory(open_of(release)))
    assert repr(key) in caplog.text
    assert ("'zz-unreadable'" in caplog.text) or ("[0]" in caplog.text)


@given(st.sampled_from(pick_collections()), JSON)
@example(("0.2.0", "control.deletes"), "5")
def test_whatever_an_entry_is_its_siblings_are_read(which: tuple[str, str], garbage: Any) -> None:
    (release, key), (path, read) = which, find_reader(which[1])
    spoiled = spoil(find_release(release).read_bare(FLEET)[key], path, garbage)
    found, wanted = read(Memory(open_of(release, **{key: spoiled}))), read(Memory(open_of(release)))
    if isinstance(wanted, tuple):
        assert found[len(found) - len(wanted) :] == wanted
    else:
        assert {name: each for name, each in found.items() if name in wanted} == wanted


@pytest.mark.parametrize(("key", "older"), [*zip(GATHERED, SPREAD, strict=True)])
def test_an_entry_of_what_was_gathered_is_lost_alone(key: str, older: str, caplog: pytest.LogCaptureFixture) -> None:
    _, read = COLLECTIONS[older]
    stored = open_gathered().values[key]["value"]
    for spoiled in (spoil(stored, (), UNREADABLE), wrap_value(spoil(stored, (), UNREADABLE))):
        assert read(Memory(open_gathered(**{key: spoiled}))) == read(Memory(open_spread())) != {}
        assert repr(key) in caplog.text
        caplog.clear()


@given(st.sampled_from(GATHERED), JSON | JSON.map(wrap_value))
def test_whatever_a_gathered_value_is_nothing_raises_and_the_others_are_read(key: str, garbage: Any) -> None:
    known, found = read_all(Memory(open_spread())), read_all(Memory(open_gathered(**{key: garbage})))
    _, read = COLLECTIONS[SPREAD[GATHERED.index(key)]]
    lost = next(name for name, each in known.items() if each == read(Memory(open_spread())))
    assert {**found, lost: None} == {**known, lost: None}


@given(st.sampled_from(sorted(STORED)), JSON | JSON.map(wrap_value), st.booleans())
def test_whatever_a_value_is_nothing_raises_and_the_others_are_read(key: str, garbage: Any, is_alone: bool) -> None:
    read_all(Memory(open_store(**{key: garbage})))
    open_questions(open_store(**{key: garbage}), "cleanup.questions").read()
    if is_alone:
        asyncio.run(make_trigger(cursor=garbage, wake_at=garbage)._load_cursor())
        asyncio.run(make_trigger(cursor=garbage, wake_at=garbage)._find_due_wake())
        assert len(read_awaited(garbage)) <= HEADS_MAX


@given(st.data())
def test_whatever_one_part_of_a_value_becomes_nothing_raises(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(STORED)))
    value = replace_somewhere(data, deepcopy(STORED[key]))
    read_all(Memory(open_store(**{key: value})))


def replace_somewhere(data: st.DataObject, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 3)) == 0:
        return data.draw(JSON)
    place = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    value[place] = replace_somewhere(data, value[place])
    return value


def test_one_ending_that_cannot_be_read_hides_nothing_else() -> None:
    key = next(key for key, value in STORED.items() if key.endswith(".remembered") and value["endings"])
    slug = key.removeprefix("environment.").removesuffix(".remembered")
    known = Memory(open_store()).environment(slug).read()
    value = {**STORED[key], "endings": {**STORED[key]["endings"], "later": UNREADABLE}, "kept": "by ann"}
    assert Memory(open_store(**{key: value})).environment(slug).read() == replace(known, kept="by ann")


def test_a_pull_request_that_was_lost_is_read_again() -> None:
    stored = spoil(STORED["control.pulls"], ("pulls",), UNREADABLE)
    cache = _pulls(Memory(open_store(**{"control.pulls": stored})))
    assert cache.since == ""
    assert STORED["control.pulls"]["since"] != ""


def test_a_question_that_cannot_be_read_is_lost_alone() -> None:
    key = "cleanup.questions"
    store = open_store(**{key: {**STORED[key], "later": UNREADABLE}})
    assert open_questions(store, key).read() == open_questions(open_store(), key).read()


class LateStore:
    """Airflow's store as a trigger reads it."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    async def aget(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)


def make_trigger(**values: Any) -> RepositoryTrigger:
    trigger = RepositoryTrigger("data_platform", "github_default", "acme/data-platform", "main")
    trigger.asset_state_store = LateStore(**values)  # type: ignore[assignment]  # the part that it uses
    return trigger


def test_the_triggers_cursor_bears_a_version_and_may_hold_more() -> None:
    cursor = NEWEST.read_bare("deploy_ops.data_platform.repository")["cursor"]
    page = {**cursor["branches"][0], "later": 1}
    more = {**cursor, "branches": [page, *cursor["branches"][1:]], "later": 1}
    known = asyncio.run(make_trigger(cursor=cursor)._load_cursor())
    assert known.branches
    for stored in (more, wrap_value(cursor), wrap_value(more)):
        assert asyncio.run(make_trigger(cursor=stored)._load_cursor()) == known
    spoiled = {**cursor, "pull_requests": {**cursor["pull_requests"], "999999": UNREADABLE}}
    assert asyncio.run(make_trigger(cursor=spoiled)._load_cursor()) == known
    later = {"version": VERSION + 1, "value": cursor}
    assert asyncio.run(make_trigger(cursor=later)._load_cursor()).branches == ()
    due = wrap_value("2026-01-01T00:00:00+00:00")
    assert asyncio.run(make_trigger(wake_at=due)._find_due_wake()) == "2026-01-01T00:00:00+00:00"


def test_awaited_checks_bear_a_version_and_may_hold_more() -> None:
    page = {"url": "status", "etag": "e", "next_url": None, "states": [["ci", "pending"]]}
    known = read_awaited(wrap_value({"a": {"pages": [page]}}))
    assert known["a"].states == (("ci", "pending"),)
    more = {"a": {"pages": [{**page, "later": 1}], "later": 1}, "b": UNREADABLE}
    assert read_awaited(wrap_value(more)) == known
    assert read_awaited({"version": VERSION + 1, "value": {"a": {"pages": [page]}}}) == {}


@pytest.mark.parametrize("part", ["planned", "approved"])
def test_a_job_may_say_more(part: str) -> None:
    for run in NEWEST.read("runs.json")[part].values():
        job = read_planned(run["conf"])
        assert read_planned({"job": {**run["conf"]["job"], "later": [1]}, "later": 2}) == job
        assert load_job(json.loads(json.dumps(dump_job(job)))) == job


# Marks and notes


def add_field(description: str, field: str) -> str:
    head, _, tail = description.rpartition("]")
    return f"{head} {field}]{tail}"


@pytest.mark.parametrize("field", ["expires=2027-01-01", "a=", "owner=a%20b"])
def test_a_mark_may_say_more(field: str) -> None:
    for description in MARKS["marks"].values():
        assert parse_mark(add_field(description, field)) == parse_mark(description)
        assert parse_mark(description) is not None


@pytest.mark.parametrize("field", ["expires=2027-01-01", "a=", "owner=a%20b"])
def test_a_deploy_note_may_say_more(field: str) -> None:
    for description in MARKS["notes"].values():
        note = parse_note(description)
        assert note is not None
        assert parse_note(add_field(description, field)) == note
        assert note.needle in add_field(description, field)


def test_a_mark_or_note_that_lacks_a_key_is_still_none() -> None:
    assert parse_mark(OUR_MARK.replace(" project=data_platform", "")) is None
    assert parse_note(next(iter(MARKS["notes"].values())).replace(" try=1", "")) is None


def test_a_deploy_note_of_a_later_version_is_a_strangers() -> None:
    assert parse_note(next(iter(MARKS["notes"].values())).replace("[deploy-ops/1 ", "[deploy-ops/2 ")) is None


@pytest.mark.parametrize(
    "description",
    [
        LATER_MARK,
        "by hand [deploy-ops/10]",
        f"{OUR_MARK} {LATER_MARK}",
        "[deploy-ops/2",
        f"[deploy-ops/{'9' * 5000} a=b]",
    ],
)
def test_a_later_mark_is_seen_and_is_none_of_ours(description: str) -> None:
    assert has_later_mark(description)
    assert parse_mark(description) is None


@pytest.mark.parametrize(
    "description", ["", OUR_MARK, "made by hand", "[deploy-ops/ 2]", "[deploy-ops/x]", "deploy-ops/2"]
)
def test_nothing_else_is_a_later_mark(description: str) -> None:
    assert not has_later_mark(description)


@pytest.fixture
def loaded() -> LoadedPolicy:
    """Give the policy of the samples."""
    return load_policy(NEWEST.policy.read_text(encoding="utf-8"), "policy.yaml")


@pytest.fixture
def scope(loaded: LoadedPolicy) -> Scope:
    """Give the one project's scope."""
    return Scope("acme-demo", is_dry=False, project=loaded.policy.projects[0], targets=loaded.target_names)


def make_deployment(description: str, name: str = "data_platform-dev-x") -> Deployment:
    sample = NEWEST.read("digests.json")["works"]["previews"]["deployments"][0]
    deployment = TypeAdapter(Deployment).validate_python(sample)
    return replace(deployment, id="cl-later", name=name, description=description)


class OneDeployment:
    """Astro with one Deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def list_deployments(self) -> tuple[Deployment, ...]:
        return (self._deployment,)

    def get_deployment(self, deployment_id: str) -> Deployment:
        assert deployment_id == self._deployment.id
        return self._deployment


@pytest.mark.parametrize("mark", [LATER_MARK, LATER_MARK.replace("acme-demo", "another")])
def test_a_deployment_with_a_later_mark_is_never_adopted_changed_or_deleted(
    mark: str, loaded: LoadedPolicy, scope: Scope
) -> None:
    found = make_deployment(re.sub(r"branch=\S+", "branch=dev-x", mark))
    astro = cast("AstroApiHook", OneDeployment(found))
    assert find_previews((found,), "acme-demo", scope.project) == {}
    assert (
        find_orphans(loaded, "astro_default", (replace(found, description=mark.replace("data_platform", "gone")),))
        == []
    )
    for wanted in ({}, {"dev-x": Branch("dev-x", "a" * 40)}):
        difference = compare(
            scope.project,
            control_plane="acme-demo",
            policy="p",
            targets=loaded.target_names,
            desired=DesiredPreviews(wanted, {}, frozenset(wanted)),
            observed=Observed((found,), {}),
            template=TemplateState("t", {}, {}),
        )
        assert difference.works == ()
        assert [hold.environment for hold in difference.holds] == list(wanted)
        assert all("is never touched" in hold.reason for hold in difference.holds if isinstance(hold, Hold))
    job = replace(
        load_job(NEWEST.read("runs.json")["planned"]["preview deploy"]["conf"]["job"]), deployment_id=found.id
    )
    with pytest.raises(RetryableError, match="it is never touched"):
        check_mark(scope, astro, job, found.id)
    with pytest.raises(PermanentError, match="it is never adopted"):
        FormJobs(scope, cast("GithubPullsHook", None), astro)._find_adoptable(
            PreviewForm(branch="dev-x", action="adopt", reason="ours")
        )
    operator = AdoptDeploymentOperator(task_id="adopt", scope=scope)
    vars(operator)["astro"] = astro
    with pytest.raises(RetryableError, match="bears a mark by now"):
        operator._check(job)


def test_the_same_deployment_without_a_mark_may_be_adopted(scope: Scope) -> None:
    found = make_deployment("made by hand")
    errands = FormJobs(scope, cast("GithubPullsHook", None), cast("AstroApiHook", OneDeployment(found)))
    assert errands._find_adoptable(PreviewForm(branch="dev-x", action="adopt", reason="ours")) == found
