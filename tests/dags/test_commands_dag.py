"""The commands DAG as Airflow parses it, and which project listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/shop
    root: shop
    image: [reuse]
    previews: {previews}
    feedback: {{commands: true}}
  - name: till
    repository: Acme/Shop
    root: till
    image: [reuse]
    previews: {{branches: ["till*"], template: preview.yaml, merged_into: [main]}}
    feedback: {{commands: {till}}}
"""
PREVIEWS = '{branches: ["dev*"], template: preview.yaml, merged_into: [main]}'


def test_it_hears_dispatches_and_answers_whatever_became_of_that(parse: Parse) -> None:
    dags = parse(POLICY.format(previews=PREVIEWS, till="true")).dags
    dag: Any = dags["shop.commands"]
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == (None, 1, False)
    assert [task.task_id for task in dag.topological_sort()] == ["hear", "dispatch", "answer"]
    hear, dispatch, answer = (dag.task_dict[name] for name in ("hear", "dispatch", "answer"))
    assert hear.is_setup
    assert answer.is_teardown
    assert answer.on_failure_fail_dagrun
    assert dispatch.partial_kwargs["skip_when_already_exists"]
    assert [asset.name for asset in hear.inlets] == ["deploy_ops.shop.fleet"]
    assert hear.outlets == answer.outlets == []
    assert hear.scope.listeners == ("till",)


def test_only_who_listens_has_one_and_looks_at_comments(parse: Parse) -> None:
    dags: Any = parse(POLICY.format(previews=PREVIEWS, till="false")).dags
    assert "till.commands" not in dags
    assert dags["shop.commands"].task_dict["hear"].scope.listeners == ()
    found = {name: _find_trigger(dags[name]) for name in ("shop.control", "till.control")}
    assert {name: trigger.is_listening for name, trigger in found.items()} == {
        "shop.control": True,
        "till.control": False,
    }


def test_in_plan_mode_nobody_looks_at_comments(parse: Parse) -> None:
    dags = parse(POLICY.format(previews=PREVIEWS, till="true").replace("\nprojects", "\nmode: plan\nprojects")).dags
    assert not _find_trigger(dags["shop.control"]).is_listening
    assert "shop.commands" in dags


def _find_trigger(dag: Any) -> Any:
    watched = [asset for asset in dag.timetable.asset_condition.objects if asset.watchers]
    ((watcher,),) = [asset.watchers for asset in watched]
    return watcher.trigger
