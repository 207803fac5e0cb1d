"""Equal input gives equal names and digests: otherwise all that is due would count as new work after a release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.feedback.comparison import digest_view
from include.deploy_ops.core.feedback.values import fingerprint_feedback
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, Deployment, PullRequest
from include.deploy_ops.core.naming import (
    PROMOTION_SLUG,
    digest_work,
    hash_text,
    name_deployment,
    name_run,
    name_subject,
    name_work,
    slug_branch,
    slug_target,
)
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Work
from include.deploy_ops.core.policy.file import LoadedPolicy, fingerprint_policy, load_policy
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import DesiredPreviews, RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.promotion.comparison import compare_promotion
from include.deploy_ops.core.promotion.derived_tree import fingerprint_promotion
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target
from include.deploy_ops.core.template.template import fingerprint_template, merge_overrides, parse_template
from include.deploy_ops.operators.deploy.render import fingerprint_basis
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.store import shard_row
from tests.compatibility.samples import Release, strip_version
from tests.worlds.doubles.airflow import DictStore

_PULLS = TypeAdapter(tuple[PullRequest, ...])
DROPPED = {"deploy_kind", "created_at"}
Samples = Mapping[str, Any]
"""What one release made of given input, part by part."""


@pytest.fixture
def samples(release: Release) -> Samples:
    """Give what the release made."""
    return release.read("digests.json")


@pytest.fixture
def loaded(release: Release) -> LoadedPolicy:
    """Give the policy by which the samples were made."""
    loaded = load_policy(release.policy.read_text(encoding="utf-8"), "policy.yaml")
    assert loaded.is_complete
    return loaded


def test_no_part_is_passed_over(samples: Samples) -> None:
    assert samples.keys() == {
        *("about", "fingerprints", "template_text", "promotion", "digest_view", "basis", "digest_work", "name_work"),
        *("name_run", "name_subject", "slug_branch", "slug_target", "promotion_slug", "name_deployment", "shard_row"),
        *("shard_of_caches", "row_digests", "works"),
    }
    assert samples["works"].keys() == {"previews", "targets", "promotion", "expiry"}


def test_names_are_the_same(samples: Samples) -> None:
    for branch, slug in samples["slug_branch"]:
        assert slug_branch(branch) == slug
    for project, branch, name in samples["name_deployment"]:
        assert name_deployment(project, branch) == name
    for facts, digest in samples["digest_work"]:
        assert digest_work(facts) == digest
    *work, name = samples["name_work"]
    assert name_work(*work) == name
    *run, run_id = samples["name_run"]
    assert name_run(*run) == run_id
    *facts, subject = samples["name_subject"]
    assert name_subject(*facts) == subject
    target, slug = samples["slug_target"]
    assert (slug_target(target), samples["promotion_slug"]) == (slug, PROMOTION_SLUG)


def test_what_is_remembered_lies_where_it_lay(samples: Samples) -> None:
    assert [[slug, shard_row(slug)] for slug, _ in samples["shard_row"]] == samples["shard_row"]
    assert [[key, hash_text(key, 1)] for key, _ in samples["shard_of_caches"]] == samples["shard_of_caches"]


def test_rows_have_the_same_digests_so_that_nobody_is_told_again(release: Release, samples: Samples) -> None:
    values = release.read("store.json")["deploy_ops.data_platform.fleet"]
    before, after = DictStore(), DictStore()
    before.values.update(values)
    found = Memory(after).write_rows({}, Memory(before).read_rows())
    assert found.keys() == samples["row_digests"].keys()
    for shard, digest in samples["row_digests"].items():
        stored = strip_version(values[f"view.rows.{shard}"])
        # What no face reads any more is dropped: such a shard is read once again, and says the same.
        kept = {slug: {key: each for key, each in row.items() if key not in DROPPED} for slug, row in stored.items()}
        assert found[shard] == (digest if kept == stored else hash_text(json.dumps(kept, sort_keys=True), 12))


def test_fingerprints_are_the_same(samples: Samples, loaded: LoadedPolicy) -> None:
    (project,), wanted = loaded.policy.projects, samples["fingerprints"]
    assert project.previews is not None
    template = merge_overrides(parse_template(samples["template_text"], "t"), project.previews.overrides)
    assert fingerprint_policy(project) == wanted["policy"]
    assert fingerprint_template(template) == wanted["template"]
    alone, shared = (fingerprint_feedback(project, is_alone=is_alone) for is_alone in (True, False))
    assert {"alone": alone, "shared": shared} == wanted["feedback"]
    pulls, into, tip, fingerprint = samples["promotion"]
    assert fingerprint_promotion(project, _PULLS.validate_python(pulls), into, tip) == fingerprint
    digests, policy, digest = samples["digest_view"]
    assert digest_view(digests, policy) == digest


def test_what_of_a_deployment_went_into_its_file_is_the_same(samples: Samples) -> None:
    deployments = {each.id: each for each in read_observed(samples).deployments}
    for name, digest in samples["basis"]:
        assert fingerprint_basis(deployments.get(name)) == digest


def read_snapshot(samples: Samples) -> RepositorySnapshot:
    world = samples["works"]["previews"]
    branches = TypeAdapter(tuple[Branch, ...]).validate_python(world["branches"])
    return RepositorySnapshot(branches, _PULLS.validate_python(world["pull_requests"]))


def read_observed(samples: Samples) -> Observed:
    world = samples["works"]["previews"]
    deployments = TypeAdapter(tuple[Deployment, ...]).validate_python(world["deployments"])
    return Observed(deployments, TypeAdapter(dict[str, DeployHistory]).validate_python(world["histories"]))


def read_desired(samples: Samples, loaded: LoadedPolicy) -> DesiredPreviews:
    return derive_previews(loaded.policy.projects[0], read_snapshot(samples))


def test_works_on_previews_have_the_same_names(samples: Samples, loaded: LoadedPolicy) -> None:
    (project,) = loaded.policy.projects
    template = samples["works"]["previews"]["template"]
    difference = compare(
        project,
        control_plane=loaded.policy.control_plane,
        policy=fingerprint_policy(project),
        targets=loaded.target_names,
        desired=read_desired(samples, loaded),
        observed=read_observed(samples),
        template=TemplateState(template["fingerprint"], template["missing"], template["fixed"]),
    )
    assert [work.name for work in difference.works] == samples["works"]["previews"]["works"]
    assert [work.subject for work in difference.works] == samples["works"]["previews"]["subjects"]
    assert {"create", "deploy", "delete", "update"} == {work.verb.value for work in difference.works}


def test_works_on_targets_have_the_same_names(samples: Samples, loaded: LoadedPolicy) -> None:
    assert {sample["verb"] for sample in samples["works"]["targets"]} == {"deploy", "request"}
    for sample in samples["works"]["targets"]:
        work = compare_one_target(sample, loaded, read_observed(samples))
        assert (work.name, work.verb.value) == (sample["work"], sample["verb"])


def compare_one_target(sample: Mapping[str, Any], loaded: LoadedPolicy, observed: Observed) -> Work:
    (project,) = loaded.policy.projects
    target = project.targets[sample["target"]]
    (deployment,) = [each for each in observed.deployments if each.name == target.deployment]
    remembered = TypeAdapter(Remembered).validate_python(sample["remembered"])
    if remembered.approval is not None:  # one given now says of which commit as well
        source = Source(**sample["source"])
        approval = replace(remembered.approval, commit=source.commit or source.head)
        remembered = replace(remembered, approval=approval)
    state = TargetState(
        name=sample["target"],
        target=target,
        source=Source(**sample["source"]),
        deployments=(deployment,),
        history=observed.histories[deployment.id],
        deployed_base="",
        remembered=remembered,
    )
    work = compare_target(state, project.name, fingerprint_policy(project))
    assert isinstance(work, Work)
    return work


def test_a_promotion_has_the_same_name(samples: Samples, loaded: LoadedPolicy) -> None:
    sample = samples["works"]["promotion"]
    work = compare_promotion(loaded.policy.projects[0], read_snapshot(samples), sample["promoted"])
    assert isinstance(work, Work)
    assert work.name == sample["work"]


def test_the_end_of_what_nobody_uses_has_the_same_name(samples: Samples, loaded: LoadedPolicy) -> None:
    sample = samples["works"]["expiry"]
    works = compare_expiry(
        loaded.policy.projects[0],
        control_plane=loaded.policy.control_plane,
        targets=loaded.target_names,
        desired=read_desired(samples, loaded),
        observed=read_observed(samples),
        facts=ExpiryFacts(verdicts=TypeAdapter(dict[str, Verdict]).validate_python(sample["verdicts"])),
        now=datetime.fromisoformat(sample["now"]),
    )
    assert [work.name for work in works if isinstance(work, Work)] == sample["works"]
