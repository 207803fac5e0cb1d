"""A stage as an older release left it: by that release's samples, or its own state as that release would have kept it.

`load_release` puts the samples there: what was remembered, and the runs that were in flight. `age_state` keeps the
stage's own, and takes away what the release did not have. Nothing of Astro or GitHub changes by either.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.naming import hash_text, slug_target
from include.deploy_ops.core.versioned import VERSION
from include.deploy_ops.operators.answer import ANSWER_KEY, ASKED_KEY
from include.deploy_ops.operators.cleanup.find import FIND_TASK
from include.deploy_ops.operators.cleanup.orphans import ORPHANS
from include.deploy_ops.operators.sealed import RESULT_KEY, SEAL_PREFIX
from include.deploy_ops.run.approvals import seal_approval
from include.deploy_ops.run.job import CONF_PART
from include.deploy_ops.run.memory import Memory, PullCache
from include.deploy_ops.run.seals import WORK, Place
from include.deploy_ops.run.store import shard_row
from tests.compatibility.samples import PROJECT, Release, find_release, strip_version
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.stages.stage import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.worlds.stages.stage import Stage

_PULLS = TypeAdapter(PullCache)
CONTROL_PLANE, REPOSITORY = "acme-demo", "acme/data-platform"
SHARDED = re.compile(
    r"(?P<family>control\.(?:histories|commits|authors|backlog|past)|view\.(?:rows|awaited)|feedback\.told|"
    r"promotion\.contributions)\.(?P<shard>[0-9a-f]{1,2})"
)
"""A key below which lies one part of many values: their names say which."""

SPREAD = {
    "control.old_branches": "control.backlog",
    "control.commit_times": "control.commits",
    "control.commit_authors": "control.authors",
    "control.deploy_histories": "control.histories",
}
"""What lies under one key since 0.3, and below which 16 keys it lay before."""

IN_FLIGHT = frozenset({"queued", "running"})


# The samples of a release


def load_release(stage: Stage, name: str, names: Mapping[str, str] | None = None) -> list[Run]:
    """Let the stage remember what the release's samples do, and have its runs in flight; return these.

    The project, the control plane, the repository and the ids of Deployments that are there are called as on the stage.
    What bore a seal bears one of the stage.

    :param names: what else is called otherwise there, such as branches and commits: the samples' word, and the stage's.
    """
    release = find_release(name)
    rename = _Renaming(stage, release, names or {})
    for asset, values in release.read("store.json").items():
        store = stage.stores.setdefault(rename(asset), DictStore())
        store.values.clear()
        store.values.update(_place_anew(rename(values)))
    _forget_shards_elsewhere(stage)
    _reseal_approvals(stage)
    return [_start(stage, rename(sample)) for sample in _list_in_flight(release)]


class _Renaming:
    """Says in the stage's words what the samples say in theirs."""

    def __init__(self, stage: Stage, release: Release, names: Mapping[str, str]) -> None:
        project = stage.scope.project
        words = {CONTROL_PLANE: stage.scope.control_plane, REPOSITORY: project.repository, PROJECT: project.name}
        self._words = {**words, **names, **self._find_ids(stage, release, {PROJECT: project.name, **names})}
        longest = sorted(self._words, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(map(re.escape, longest))})(?![A-Za-z0-9])")

    @staticmethod
    def _find_ids(stage: Stage, release: Release, names: Mapping[str, str]) -> dict[str, str]:
        there = {each["name"]: each["id"] for each in stage.list_deployments()}
        runs = release.read("runs.json")
        jobs = [run["conf"]["job"] for part in ("planned", "approved") for run in runs[part].values()]
        found = {}
        for job in jobs:
            called = job["deployment_name"]
            for theirs, ours in names.items():
                called = called.replace(theirs, ours)
            if job["deployment_id"] and called in there:
                found[job["deployment_id"]] = there[called]
        return found

    def __call__(self, value: Any) -> Any:
        text = json.dumps(value)
        return json.loads(self._pattern.sub(lambda found: self._words[found[0]], text))


def _place_anew(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with each part of many where its name, which may be another now, has it looked for."""
    placed: dict[str, Any] = {}
    for key, stored in values.items():
        sharded = SHARDED.fullmatch(key)
        if sharded is None:
            placed[key] = stored
            continue
        for name, each in strip_version(stored).items():
            width = len(sharded["shard"])
            shard = f"{shard_row(name):02x}" if width > 1 else hash_text(name, 1)
            target = placed.setdefault(f"{sharded['family']}.{shard}", _wrap_like(stored, {}))
            strip_version(target)[name] = each
    return placed


def _wrap_like(stored: Any, value: Any) -> Any:
    return value if strip_version(stored) is stored else {"version": VERSION, "value": value}


def _forget_shards_elsewhere(stage: Stage) -> None:
    """Let the summary name the rows' shards where they are by now."""
    values = stage.stores[stage.scope.fleet.name].values
    summary = strip_version(values["view.summary"])
    shards = {key.rpartition(".")[2] for key in values if key.startswith("view.rows.")}
    others = {shard: digest for shard, digest in summary["digests"].items() if not re.fullmatch("[0-9a-f]{2}", shard)}
    summary["digests"] = {**{shard: summary["digests"].get(shard, "0" * 12) for shard in shards}, **others}


def _reseal_approvals(stage: Stage) -> None:
    for name in stage.scope.project.targets:
        slot = stage.memory.approval(slug_target(name))
        if (approval := slot.read()) is not None and approval.seal:
            slot.write(seal_approval(stage.seals, stage.scope.request_dag(name), replace(approval, seal="")))


def _list_in_flight(release: Release) -> list[dict[str, Any]]:
    """Return the runs that were planned, or approved, or waited, each once, with what its tasks had handed on."""
    runs = release.read("runs.json")
    found: dict[str, dict[str, Any]] = {}
    for part in ("planned", "approved", "queued behind a pause"):
        found |= {run["run_id"]: {"xcoms": {}, "parked": {}, **run} for run in runs[part].values()}
    for sample in release.read("parked.json").values():
        plain = {"dag_id": sample["dag_id"], "run_id": sample["run_id"], "run_type": "manual", "conf": {}}
        run = found.setdefault(sample["run_id"], {"xcoms": {}, "parked": {}, **plain})
        run["xcoms"] |= sample["xcoms"]
        run["parked"][sample["task_id"]] = sample["state"]
    return [run for run in found.values() if run["dag_id"].startswith(f"{PROJECT}.")]


def _start(stage: Stage, sample: Mapping[str, Any]) -> Run:
    params = sample["conf"] if sample["run_type"] == "manual" else {}
    conf = {} if params else sample["conf"]
    run = stage.start(conf, sample["run_id"], sample["run_type"], dag_id=sample["dag_id"], **params)
    run.xcoms = {task: dict(values) for task, values in sample["xcoms"].items()}
    run.states.update(dict.fromkeys(run.xcoms, "success") | sample["parked"])
    reseal(run)
    return run


def reseal(run: Run) -> None:
    """Let what bears a seal bear the stage's, as if its release had run there; what bears none stays without."""
    seals = run.stage.seals
    if "seal" in run.conf:
        run.conf["seal"] = seals.make(WORK, Place(run.dag_id, run.run_id, CONF_PART), run.conf["job"])
    for task_id, values in run.xcoms.items():
        for key in [key for key in values if key.startswith(SEAL_PREFIX)]:
            place = Place(run.dag_id, run.run_id, f"{task_id}.{key.removeprefix(SEAL_PREFIX)}")
            values[key] = seals.make(WORK, place, values[key.removeprefix(SEAL_PREFIX)])


# What a run has in its hands


def age_run(run: Run, release: Release) -> None:
    """Let the run's conf, XComs and parked tasks be as the release would have written them about the same.

    What the release sealed bears a seal, and nothing else. Tasks that it did not have have not run.
    """
    run.conf = _take_form(run.conf, *_find_confs(run, release))
    samples = release.read("xcoms.json").values()
    for task_id, values in run.xcoms.items():
        written = {key: value for key, value in values.items() if not key.startswith(SEAL_PREFIX)}
        run.xcoms[task_id] = {
            key: _take_form(value, *_find_samples(samples, run, task_id, key)) for key, value in written.items()
        }
        if release.is_sealing:
            run.xcoms[task_id] |= {key: "" for key in values if key.startswith(SEAL_PREFIX)}
    dags = release.read("names.json")["dags"]
    known = dags.get(_name_dag(run), {}).get("tasks")
    for task_id in [] if known is None else run.states.keys() - set(known):
        del run.states[task_id]
    _age_parked(run, release)
    reseal(run)


def _name_dag(run: Run) -> str:
    """Return what the samples call the run's DAG: one of the project's, or of the installation's."""
    _, dot, name = run.dag_id.partition(".")
    return f"{PROJECT}.{name}" if dot else run.dag_id


def _find_confs(run: Run, release: Release) -> list[Any]:
    planned = release.read("runs.json")["planned"].values()
    return [each["conf"] for each in planned if each["dag_id"] == _name_dag(run)]


def _find_samples(samples: Iterable[Mapping[str, Any]], run: Run, task_id: str, key: str) -> list[Any]:
    """Return the values that the release's task handed on by that key, those of the same DAG first."""
    found = [each for each in samples if (each["task_id"], each["key"]) == (task_id, key)]
    found.sort(key=lambda each: each["dag_id"] != _name_dag(run))
    return [each["value"] for each in found]


def _take_form(own: Any, *samples: Any) -> Any:
    """Return a value with the fields that the first sample has, and no others; where there is no telling, as it is.

    A list that is empty there tells nothing of its entries: another sample's does.
    """
    first = samples[0] if samples else None
    if isinstance(own, dict) and isinstance(first, dict) and own.keys() & first.keys():
        alike = [each for each in samples if isinstance(each, dict)]
        return {
            key: _take_form(own[key], *(each[key] for each in alike if key in each)) if key in own else value
            for key, value in first.items()
        }
    if isinstance(own, list) and isinstance(first, list):
        entries = [entry for each in samples if isinstance(each, list) for entry in each]
        return [_take_form(each, *entries) for each in own]
    return own


def _age_parked(run: Run, release: Release) -> None:
    """Let a task that asks, or asked, have parked as the release had it; one that took no list along noted none."""
    samples = [each for each in release.read("parked.json").values() if each["dag_id"] == _name_dag(run)]
    for task_id, kwargs in run.parked.items():
        known = next((each["next_kwargs"] for each in samples if each["task_id"] == task_id), kwargs)
        run.parked[task_id] = {key: each for key, each in kwargs.items() if key in known}
        if "asked" not in known:
            for key in (ASKED_KEY, ANSWER_KEY):
                run.task_stores[task_id].delete(key)


# The stage's own state


def age_state(stage: Stage, name: str) -> None:
    """Let what the stage remembers, and its runs in flight, be as the release would have left them.

    What it did not know is gone, what lies elsewhere since lies where it did, and nothing bears a seal that it did not
    make. A release that writes what is written now changes nothing.
    """
    release = find_release(name)
    if release.is_sealing:
        return
    known = _Known(release, _list_work_names(stage))
    fleet, orphans = (stage.stores.setdefault(asset.name, DictStore()) for asset in (stage.scope.fleet, ORPHANS))
    aged = known.age(fleet.values, Memory(fleet))
    is_bare = strip_version(next(iter(known.stored.values()))) is next(iter(known.stored.values()))
    for store, values in ((fleet, aged), (orphans, dict(orphans.values))):
        store.values.clear()
        store.values.update({key: strip_version(each) if is_bare else each for key, each in values.items()})
    for run in stage.runs:
        if stage.airflow.states.get(run.run_id) in IN_FLIGHT:
            age_run(run, release)


def _list_work_names(stage: Stage) -> dict[str, str]:
    """Return the names of the deletes that cleanup asked about since control's brake holds them, by subject."""
    runs = [run for run in stage.runs if run.dag_id == stage.scope.cleanup_dag]
    found = [run.xcoms.get(FIND_TASK, {}).get(RESULT_KEY, {}) for run in runs]
    return {work["subject"]: work["name"] for each in found for work in each.get("works", ())}


class _Known:
    """What a release before 0.3 wrote, by the keys and fields that its samples have.

    :param names: of deletes by subject: by these it noted what was asked and released, as its samples show.
    """

    def __init__(self, release: Release, names: Mapping[str, str]) -> None:
        self._names = names
        self.stored: dict[str, Any] = release.read("store.json")[f"deploy_ops.{PROJECT}.fleet"]
        self._kinds = {_name_kind(key) for key in self.stored}
        remembered = [strip_version(each) for key, each in self.stored.items() if key.endswith(".remembered")]
        self._remembered = _list_fields(remembered)
        self._ending = _list_fields(each for one in remembered for each in one["endings"].values())
        self._approval = _list_fields(filter(None, (one["approval"] for one in remembered)))
        cached = [each for key, one in self.stored.items() for each in _entries("control.histories.", key, one)]
        self._cached, self._history = _list_fields(cached), _list_fields(each["history"] for each in cached)
        self._template = _list_fields([strip_version(self.stored["control.template"])])
        self._verdict = _list_fields(strip_version(self.stored["cleanup.verdicts"]).values())

    def age(self, values: Mapping[str, Any], memory: Memory) -> dict[str, Any]:
        """Return a fleet's values as the release would have them."""
        plain = {key: strip_version(stored) for key, stored in values.items()}
        aged = {key: value for key, value in plain.items() if _name_kind(key) in self._kinds}
        aged |= {key: value for gathered, older in SPREAD.items() for key, value in _spread(plain, gathered, older)}
        slugs = {key.removeprefix("environment.").rpartition(".")[0] for key in plain if key.startswith("environment.")}
        for slug in sorted(slugs):
            if f"environment.{slug}.remembered" in plain or f"environment.{slug}.approval" in plain:
                aged[f"environment.{slug}.remembered"] = self._age_remembered(plain, slug)
        if (pulls := memory.pulls.read()) is not None:
            aged["control.pulls"] = _PULLS.dump_python(pulls, mode="json", exclude={"next_page"})
        if "control.deletes" in aged:
            aged["control.deletes"] = [
                each if isinstance(each, str) else each["at"] for each in aged["control.deletes"]
            ]
        if "control.template" in aged:
            aged["control.template"] = _pick(aged["control.template"], self._template)
        aged |= self._age_cleanup(aged)
        for key, cached in aged.items():
            if key.startswith("control.histories."):
                aged[key] = {name: self._age_history(each) for name, each in cached.items()}
        return {key: {"version": VERSION, "value": value} for key, value in aged.items()}

    def _age_cleanup(self, aged: Mapping[str, Any]) -> dict[str, Any]:
        """Return what cleanup remembers between its runs."""
        verdicts = aged.get("cleanup.verdicts", {})
        released, asked = aged.get("cleanup.released", {}), aged.get("cleanup.questions", {})
        found = {
            "cleanup.verdicts": {key: _pick(each, self._verdict) for key, each in verdicts.items()},
            "cleanup.released": {self._names.get(key, key): person for key, person in released.items()},
            "cleanup.questions": {
                run_id: {**each, "names": sorted(self._names.get(name, name) for name in each["names"])}
                for run_id, each in asked.items()
            },
        }
        return {key: each for key, each in found.items() if key in aged}

    def _age_history(self, cached: Mapping[str, Any]) -> dict[str, Any]:
        return {**_pick(cached, self._cached), "history": _pick(cached["history"], self._history)}

    def _age_remembered(self, plain: Mapping[str, Any], slug: str) -> dict[str, Any]:
        """Return an environment's record, in which a target's requests had their place."""
        known = plain.get(f"environment.{slug}.remembered") or {}
        requests = plain.get(f"environment.{slug}.requests") or {}
        approval = plain.get(f"environment.{slug}.approval") or known.get("approval")
        refused_at = requests.get("refused_at") or ""
        endings = {**known.get("endings", {}), **requests.get("endings", {})}
        is_void = approval is not None and approval["at"] <= max(refused_at, known.get("voided_at") or "")
        return {
            **_pick(known, self._remembered),
            "endings": {verb: _pick(each, self._ending) for verb, each in endings.items()},
            "approval": None if is_void or approval is None else _pick(approval, self._approval),
        }


def _name_kind(key: str) -> str:
    """Return what a key's siblings have in common."""
    key = re.sub(r"^environment\..+\.", "environment.*.", key)
    sharded = SHARDED.fullmatch(key)
    return f"{sharded['family']}.*" if sharded else key


def _list_fields(records: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(field for record in records for field in record)


def _pick(record: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {field: each for field, each in record.items() if field in fields}


def _entries(family: str, key: str, stored: Any) -> list[Any]:
    return list(strip_version(stored).values()) if key.startswith(family) else []


def _spread(plain: Mapping[str, Any], gathered: str, older: str) -> list[tuple[str, Any]]:
    """Return by key what lies under one key since, or under parts of it, in 16 of them."""
    parts = [value for key, value in plain.items() if re.fullmatch(rf"{re.escape(gathered)}(\.\d+)?", key)]
    shards: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, each in ((name, each) for part in parts for name, each in part.items()):
        shards[f"{older}.{hash_text(name, 1)}"][name] = each
    return list(shards.items())
