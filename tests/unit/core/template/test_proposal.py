"""What is proposed where not all that changed in production can be laid on trunk's template, or was copied before."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.editing import write_file
from include.deploy_ops.core.template.normal_form import CopyRules, make_normal_form
from include.deploy_ops.core.template.proposal import Files, Proposal, make_proposal
from include.deploy_ops.core.template.template import merge_overrides, parse_template
from include.deploy_ops.core.template.text import Maker, render_proposal, write_body
from tests.worlds.values.inspected import PRODUCTION_VALUE, make_inspected

PATH, WHERE = "deployments/preview.yaml", "acme/shop/deployments/preview.yaml on main"
MAKER = Maker("control", "shop", "main")
SLEEPING = {
    "configuration": {"is_development_mode": True, "scheduler_size": "SMALL"},
    "hibernation_schedules": [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"}],
}


def inspect(copied: tuple[str, ...] = (), queues: Any = None, **changes: Any) -> dict[str, Any]:
    """Return production's normal form; its scheduler is SMALL unless told otherwise."""
    found = make_inspected(**{"scheduler_size": "SMALL", **changes})
    if queues is not None:
        found["deployment"]["worker_queues"] = queues
    return make_normal_form(found, CopyRules(copied))


def write_trunk(before: dict[str, Any], **over: Any) -> str:
    """Return trunk's template: the snapshot's, and what trunk has of its own."""
    deployment = before["deployment"]
    merged = {**deployment, **over, "configuration": {**deployment["configuration"], **over.get("configuration", {})}}
    return write_file({"deployment": merged}, ())


def propose(
    production: dict[str, Any],
    before: dict[str, Any],
    trunk: str | None = None,
    overrides: dict[str, Any] | None = None,
    copied: tuple[str, ...] = (),
) -> Proposal:
    files = Files(PATH, write_file(before, ()) if trunk is None else trunk, write_file(before, ()), WHERE)
    settle = partial(_settle, overrides=overrides or {})
    return make_proposal(production, "Production", files, settle, copied)


def propose_after(merged: Proposal, production: dict[str, Any]) -> Proposal:
    """Return what is proposed after the merge of a proposal."""
    files = Files(PATH, merged.template, merged.snapshot, WHERE)
    return make_proposal(production, "Production", files, partial(_settle, overrides={}))


def _settle(text: str, overrides: dict[str, Any]) -> Any:
    return merge_overrides(parse_template(text, WHERE), overrides)


def name_rows(rows: Any) -> list[str]:
    return [".".join(each.path) for each in rows]


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"scheduler_size": "MEDIUM"}, "configuration.scheduler_size", "only a SMALL scheduler hibernates"),
        ({"is_high_availability": True}, "configuration.is_high_availability", "does not hibernate"),
    ],
)
def test_what_a_template_that_hibernates_cannot_take_stays_and_the_rest_is_laid(
    change: dict[str, Any], path: str, says: str
) -> None:
    before = inspect()
    trunk = write_trunk(before, **SLEEPING)
    proposal = propose(inspect(runtime_version="3.4-1", **change), before, trunk)
    assert name_rows(proposal.laid) == ["configuration.runtime_version"]
    (kept,) = proposal.kept
    assert (".".join(kept.path), proposal.is_needed) == (path, True)
    assert says in kept.why
    assert proposal.template == trunk.replace("3.3-2", "3.4-1")
    _settle(proposal.template, {})
    for told in (render_proposal(proposal, "main"), write_body(proposal, MAKER)):
        assert "Why not" in told
        assert "hibernate" in told


def test_another_executor_stays_where_trunk_keeps_queues_of_its_own() -> None:
    before = inspect()
    queues = [{**each, "max_worker_count": 3} for each in before["deployment"]["worker_queues"]]
    trunk = write_trunk(before, worker_queues=queues)
    production = inspect(executor="KUBERNETES", queues=[], runtime_version="3.4-1")
    proposal = propose(production, before, trunk)
    assert name_rows(proposal.laid) == ["configuration.runtime_version"]
    (executor,) = [each for each in proposal.kept if each.why]
    assert (executor.path, executor.previews) == (("configuration", "executor"), "CELERY")
    assert "no queues" in executor.why


def test_what_needs_another_change_is_laid_with_it() -> None:
    before = inspect()
    trunk = write_trunk(before, **SLEEPING)
    production = inspect(executor="KUBERNETES", queues=[], scheduler_size="MEDIUM")
    proposal = propose(production, before, trunk)
    assert "configuration.executor" in name_rows(proposal.laid)
    assert name_rows(proposal.kept) == ["configuration.scheduler_size"]


def test_a_template_that_is_wrong_by_itself_is_told() -> None:
    before = inspect()
    overrides = {"hibernation_schedules": SLEEPING["hibernation_schedules"]}
    with pytest.raises(TemplateError, match="only a development Deployment hibernates"):
        propose(inspect(scheduler_size="MEDIUM"), before, overrides=overrides)


@pytest.mark.parametrize("change", [{}, {"scheduler_size": "MEDIUM"}])
def test_a_value_that_is_copied_no_more_is_no_change_of_productions(change: dict[str, Any]) -> None:
    before = inspect(copied=("STAGE",))
    proposal = propose(inspect(**change), before)
    assert name_rows(proposal.laid) == [f"configuration.{key}" for key in change]
    assert (proposal.kept, proposal.is_needed) == ((), bool(change))
    assert PRODUCTION_VALUE in proposal.template
    assert PRODUCTION_VALUE in proposal.snapshot  # or trunk's would look like an edit once it is copied again


def test_a_value_that_is_copied_and_empty_in_production_is_a_change() -> None:
    before = inspect(copied=("STAGE",))
    proposal = propose(inspect(), before, copied=("STAGE",))
    assert name_rows(proposal.laid) == ["environment_variables.STAGE"]


def test_a_variable_that_became_a_secret_takes_its_value_along() -> None:
    before, production = inspect(copied=("STAGE",)), inspect()
    (stage,) = [each for each in production["deployment"]["environment_variables"] if each["key"] == "STAGE"]
    stage["is_secret"] = True
    proposal = propose(production, before)
    assert name_rows(proposal.laid) == ["environment_variables.STAGE"]
    assert PRODUCTION_VALUE not in proposal.template + proposal.snapshot


def test_where_remote_agents_log_to_is_left_to_trunk_also_where_an_older_snapshot_has_it() -> None:
    production = make_normal_form(make_inspected("dedicated, remote execution"), CopyRules())
    remote = make_inspected("dedicated, remote execution")["deployment"]["configuration"]["remote_execution"]
    before = copy.deepcopy(production)
    before["deployment"]["configuration"]["remote_execution"] = remote
    proposal = propose(production, before)
    assert (proposal.is_needed, proposal.laid, proposal.kept) == (False, (), ())
    assert "s3://logs" in proposal.template
    assert "s3://logs" not in proposal.snapshot


def test_what_no_template_can_have_is_told_noted_and_bars_nothing_afterwards() -> None:
    before, strange = inspect(), inspect(scheduler_size="GIGANTIC")
    proposal = propose(strange, before)
    (row,) = proposal.kept
    assert (row.path, row.production, row.trunk) == (("configuration", "scheduler_size"), "GIGANTIC", "SMALL")
    assert "one of SMALL" in row.why
    after = propose_after(proposal, inspect(scheduler_size="GIGANTIC", runtime_version="3.4-1"))
    assert name_rows(after.laid) == ["configuration.runtime_version"]
    assert after.kept == ()


@pytest.mark.parametrize(
    "snapshot",
    [
        "[]",
        "deployment: []",
        "deployment: {configuration: 3}",
        "deployment: {configuration: {scheduler_size: 3}}",
        "deployment: {configuration: {executor: [a]}}",
        "deployment: {configuration: {remote_execution: 3}}",
        "deployment: {environment_variables: {a: b}}",
        "deployment: {environment_variables: [{value: a}]}",
        "deployment: {environment_variables: [{key: a, value: 3}]}",
        "deployment: {worker_queues: [a]}",
        "deployment: {worker_queues: [{name: 3}]}",
        "deployment: {hibernation_schedules: [a]}",
    ],
)
def test_a_snapshot_of_another_shape_is_told(snapshot: str) -> None:
    files = Files(PATH, write_file(inspect(), ()), snapshot, WHERE)
    with pytest.raises(TemplateError, match=r"preview\.snapshot\.yaml beside .* no Deployment file"):
        make_proposal(inspect(), "Production", files, partial(_settle, overrides={}))
