"""The DAG files as Airflow parses them: what there is, how it is wired, and what a wrong policy leaves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk import Asset, AssetAny, AssetOrTimeSchedule, BaseOperator
from airflow.sdk.exceptions import ParamValidationError

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.pulse import spread_resync
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.astro.cli import TIMEOUT_S as CLI_TIMEOUT_S
from include.deploy_ops.operators.base import STEP_TIME_MAX
from include.deploy_ops.operators.deploy.classify import IDLE_TASKS
from include.deploy_ops.run.scope import CLI_POOL, read_scopes
from include.deploy_ops.triggers.repository import RepositoryTrigger

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

    from tests.dags.conftest import Parse

ROOT = Path(__file__).parents[2]
POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/shop
    github_conn_id: github_shop
    image: [reuse]
    poll_interval_s: 7
    trunk: trunk
    previews: {branches: ["dev*"], template: preview.yaml, merged_into: [trunk]}
    feedback: {comments: false, statuses: false, deployments: false}
"""
INSTALLATION = {"orphans", "deploy_ops.doctor"}
KINDS = ("control", "preview", "cleanup", "what_if")
PREVIEW_TASKS = {
    *("claim", "change_type", "render_template", "image", "create", "update", "deploy", "settle", "delete", "report"),
    *("approve_adoption", "adopt", "hibernate", "decide", "verify"),
}


def make_policy(*projects: dict[str, Any]) -> str:
    """Return a policy whose projects are the example with these changes."""
    document = yaml.safe_load(POLICY)
    (example,) = document["projects"]
    return json.dumps({**document, "projects": [{**example, **changes} for changes in projects]})


def list_wakers(dag: Any) -> list[Any]:
    """Return the assets that wake the DAG."""
    return list(dag.timetable.asset_condition.objects)


def test_no_other_file_names_an_asset_that_controls_file_watches(dags: dict[str, Any]) -> None:
    """Airflow goes by the file that it parsed last, and would take the watchers away with one that names none."""
    named = {
        dag_id: [each for task in dag.tasks for each in (*task.inlets, *task.outlets) if isinstance(each, Asset)]
        for dag_id, dag in dags.items()
    }
    wakers = [each for dag_id, dag in dags.items() if dag_id.endswith(".control") for each in list_wakers(dag)]
    watched = {each.name for each in wakers if each.watchers}
    assert watched == {"deploy_ops.data_platform.repository"}
    for dag_id, assets in named.items():
        whole = {each.name for each in assets if not each.watchers} & watched
        assert not whole, f"{dag_id} names {whole} without its watchers"


def list_ids(bag: DagBag) -> set[str]:
    """Return the DAGs of projects; those of the installation are there whatever the policy says."""
    assert bag.dags.keys() >= INSTALLATION
    return bag.dags.keys() - INSTALLATION


def get_task(bag: DagBag, dag_id: str, task_id: str) -> Any:
    return bag.dags[dag_id].task_dict[task_id]


def find_error(bag: DagBag, file: str) -> str:
    """Return the import error of the one file that has one."""
    ((path, error),) = bag.import_errors.items()
    assert path.endswith(file)
    return error


def test_the_projects_own_policy_parses(parse: Parse) -> None:
    bag = parse(ROOT / "include" / "deploy_ops.yaml")
    assert bag.import_errors == {}
    kinds = (*KINDS, "feedback", "promotion", "staging", "production", "production.request")
    assert list_ids(bag) == {f"data_platform.{kind}" for kind in kinds}


@pytest.mark.parametrize(
    "policy",
    [
        ROOT / "include" / "deploy_ops.yaml",
        POLICY,
        make_policy({"previews": None}),
        make_policy({"feedback": {"comments": True}}),
    ],
)
def test_a_scope_knows_the_dags_of_its_project(parse: Parse, policy: str | Path) -> None:
    bag = parse(policy)
    assert {dag for scope in read_scopes() for dag in scope.dags} == list_ids(bag)


@pytest.mark.parametrize("kind", ["preview", "control", "staging", "production", "production.request"])
def test_where_a_task_begins_its_dag_alone_is_built(parse: Parse, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    targets = {
        "staging": {"deployment": "Staging", "branch": "astro_deploy"},
        "production": {
            "deployment": "Production",
            "approval": "required",
            "pull_request": {"from": "staging", "into": "trunk"},
        },
    }
    policy = make_policy({"targets": targets, "root": "shop"}, {"name": "till", "root": "till"})
    file = "request" if kind.endswith("request") else "target" if kind in targets else kind
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", f"shop.{kind}")
    bag = parse(policy, f"{file}.py")
    assert bag.import_errors == {}
    assert bag.dags.keys() == {f"shop.{kind}"}


def test_every_file_of_the_folder_is_read(parse: Parse) -> None:
    assert {Path(path).name for path in parse(POLICY).file_last_changed} >= {"control.py", "preview.py"}
    bag = parse("nonsense: [")  # Airflow's safe mode passes over a file in which it does not find certain words
    assert find_error(bag, "policy_errors.py")


def test_each_project_has_its_own_pair_of_dags(parse: Parse) -> None:
    roots = ({"name": "shop", "root": "shop"}, {"name": "till", "root": "till"}, {"name": "web", "repository": "a/web"})
    bag = parse(make_policy(*roots))
    assert bag.import_errors == {}
    assert list_ids(bag) == {f"{name}.{kind}" for name in ("shop", "till", "web") for kind in KINDS}
    assert {dag.dag_id: set(dag.tags) for dag in bag.dags.values()} == {
        **{dag_id: {"deploy-ops"} for dag_id in INSTALLATION},
        **{dag_id: {"deploy-ops", *dag_id.split(".")[:-1]} for dag_id in list_ids(bag)},
    }
    assert get_task(bag, "till.preview", "deploy").scope.project.root == "till"


def test_a_project_without_previews_has_no_dags_yet(parse: Parse) -> None:
    bag = parse(make_policy({"root": "shop"}, {"name": "bare", "root": "bare", "previews": None}))
    assert bag.import_errors == {}
    assert list_ids(bag) == {f"shop.{kind}" for kind in KINDS}


def test_control_wakes_on_the_repository_the_fleet_and_the_clock(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.control"]
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    cron, wakers = dag.timetable.timetable, dag.timetable.asset_condition
    objects: list[Any] = wakers.objects
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert cron.expression == spread_resync("shop")
    assert isinstance(wakers, AssetAny)
    assets = {asset.name: asset for asset in objects}
    assert assets.keys() == {"deploy_ops.shop.repository", "deploy_ops.shop.fleet"}
    (watcher,) = assets["deploy_ops.shop.repository"].watchers
    assert watcher.trigger.serialize() == (
        f"{RepositoryTrigger.__module__}.{RepositoryTrigger.__qualname__}",
        {
            "project": "shop",
            "github_conn_id": "github_shop",
            "repository": "acme/shop",
            "trunk": "trunk",
            "poll_interval_s": 7,
            "astro_conn_id": "astro_default",
            "neighbours": 1,
            "check_patterns": [],
            "is_listening": False,
        },
    )


def test_plan_can_use_both_stores_and_dispatch_is_mapped_over_it(parse: Parse) -> None:
    bag = parse(POLICY)
    plan, dispatch = get_task(bag, "shop.control", "plan"), get_task(bag, "shop.control", "dispatch")
    assert {asset.name for asset in plan.inlets} == {"deploy_ops.shop.repository", "deploy_ops.shop.fleet"}
    assert plan.retries >= 1
    assert plan.execution_timeout is not None
    assert dispatch.upstream_task_ids == {"plan"}
    assert dispatch.is_mapped
    assert dispatch.partial_kwargs["logical_date"] is None  # it is unique per DAG: two actions could not share one
    assert dispatch.partial_kwargs["skip_when_already_exists"] is True
    assert tuple(dispatch.operator_class.template_fields) == ()  # a branch's name is no template


def test_a_preview_run_has_a_form(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.preview"]
    assert dag.schedule is None
    assert dag.max_active_runs > 1
    assert dag.params.dump() == {
        "branch": "",
        "action": "deploy",
        "ref": None,
        "deploy_type": "infer",
        "reason": "",
        "wake": False,
        "dry_run": False,
        "create_if_missing": True,
        "file": None,
    }
    choices = {name: dag.params.get_param(name).schema.get("enum") for name in dag.params}
    assert choices == {
        **dict.fromkeys(dag.params),
        "action": ["deploy", "refresh", "delete", "keep", "adopt", "resume", "verify", "mute"],
        "deploy_type": ["infer", "dags", "image-and-dags"],
        **{name: [True, False] for name in ("wake", "dry_run", "create_if_missing")},
    }


@pytest.mark.parametrize(
    ("field", "value"), [("action", "destroy"), ("deploy_type", "none"), ("branch", 7), ("wake", "yes")]
)
def test_the_form_refuses_other_values(parse: Parse, field: str, value: Any) -> None:
    params = parse(POLICY).dags["shop.preview"].params
    with pytest.raises(ParamValidationError, match=field):
        params[field] = value


def test_the_steps_of_a_preview_run(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.preview"]
    assert {task_id: task.upstream_task_ids for task_id, task in dag.task_dict.items()} == {
        "claim": set(),
        "change_type": {"claim"},
        "render_template": {"claim"},
        "image": {"change_type", "render_template"},
        "create": {"image", "render_template"},
        "update": {"render_template"},
        "deploy": {"change_type", "image", "create"},
        "settle": {"deploy"},
        "delete": {"claim"},
        "approve_adoption": {"claim"},
        "adopt": {"approve_adoption", "render_template"},
        "hibernate": {"claim"},
        "decide": {"claim"},
        "verify": {"settle", "deploy", "decide"},
        "report": {"verify", "update", "adopt", "hibernate", "delete", "decide", "claim"},
    }


LABEL_LENGTH_MAX = 18
"""Letters of a group's name that Airflow's grid shows beside its runs."""
GROUPS = {
    "preview": {
        "Deploy, update": {*("change_type", "render_template", "image", "create", "update", "deploy", "settle")},
        "Adopt, keep": {"approve_adoption", "adopt", "decide"},
        "Hibernate, delete": {"hibernate", "delete"},
    },
    "production": {
        "Deploy": {"change_type", "image", "deploy", "settle"},
        "Merge, resume": {"merge", "decide"},
    },
    "production.request": {"What it deploys": {"change_type", "image"}},
}


@pytest.mark.parametrize("kind", GROUPS)
def test_what_a_run_does_not_need_is_a_line_per_group_and_tasks_keep_their_names(parse: Parse, kind: str) -> None:
    production = {
        "deployment": "Production",
        "approval": "required",
        "pull_request": {"from": "staging", "into": "trunk"},
    }
    bag = parse(make_policy({"targets": {"production": production}}))
    assert bag.import_errors == {}
    dag: Any = bag.dags[f"shop.{kind}"]
    groups = [each for each in dag.task_group.children.values() if each.node_id not in dag.task_dict]
    assert {each.group_display_name: set(each.children) for each in groups} == GROUPS[kind]
    assert {name for tasks in GROUPS[kind].values() for name in tasks} <= dag.task_dict.keys()
    assert max(map(len, GROUPS[kind])) <= LABEL_LENGTH_MAX


def test_a_target_has_a_dag_of_its_own(parse: Parse) -> None:
    targets = {"staging": {"deployment": "Staging", "branch": "astro_deploy"}}
    bag = parse(make_policy({"name": "shop", "previews": None, "targets": targets}))
    assert bag.import_errors == {}
    assert list_ids(bag) == {"shop.control", "shop.staging", "shop.what_if"}
    dag: Any = bag.dags["shop.staging"]
    assert (dag.schedule, dag.max_active_runs) == (None, 1)
    assert {task_id: task.upstream_task_ids for task_id, task in dag.task_dict.items()} == {
        "claim": set(),
        "change_type": {"claim"},
        "decide": {"claim"},
        "image": {"change_type"},
        "deploy": {"change_type", "image"},
        "settle": {"deploy"},
        "merge": {"claim"},
        "verify": {"settle", "deploy"},
        "report": {"verify", "decide", "merge", "claim"},
    }
    assert list(dag.params) == ["action", "ref", "deploy_type", "reason", "wake", "dry_run"]


def test_claim_is_the_setup_of_report_the_teardown(parse: Parse) -> None:
    bag = parse(POLICY)
    claim, report = get_task(bag, "shop.preview", "claim"), get_task(bag, "shop.preview", "report")
    assert claim.is_setup
    assert report.is_teardown
    assert "claim" in report.upstream_task_ids
    assert report.on_failure_fail_dagrun is False
    assert [asset.name for asset in report.outlets] == ["deploy_ops.shop.fleet"]


def test_a_skipped_step_skips_no_other_and_a_failed_one_stops_the_run(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.preview"]
    rules = {task_id: task.trigger_rule.value for task_id, task in dag.task_dict.items()}
    assert rules.pop("report") == "all_done_setup_success"
    assert rules.pop("adopt") == "all_success"  # nobody asked means nobody said yes
    assert rules == {
        task_id: "all_success" if task.upstream_task_ids <= {"claim"} else "none_failed"
        for task_id, task in dag.task_dict.items()
        if task_id not in {"report", "adopt"}
    }


@pytest.mark.parametrize(
    ("verb", "kind", "count"), [(Verb.DEPLOY, ChangeType.DAGS, 4), (Verb.CREATE, ChangeType.IMAGE, 7)]
)
def test_few_tasks_start_before_a_deploy(parse: Parse, verb: Verb, kind: ChangeType, count: int) -> None:
    bag = parse(POLICY)
    passing = bag.dags["shop.control"].task_dict.keys()
    dag: Any = bag.dags["shop.preview"]
    before = dag.task_dict["deploy"].get_flat_relative_ids(upstream=True) - set(IDLE_TASKS[kind])
    assert len(passing) + len({each for each in before if verb in dag.task_dict[each].verbs}) == count


SOURCE = {"Pull request", "Commit"}
DEPLOYMENT = {"Deployment in Astro", "Its Airflow UI"}
LINKS = {
    "preview": {
        **dict.fromkeys(("deploy", "verify"), SOURCE | DEPLOYMENT),
        **dict.fromkeys(("update", "adopt", "hibernate"), DEPLOYMENT),
        "delete": {"Deployment in Astro"},
        "approve_adoption": {"Commit"},
        "decide": SOURCE,
    },
    "production": {
        **dict.fromkeys(("deploy", "verify"), SOURCE | DEPLOYMENT),
        **dict.fromkeys(("merge", "decide"), SOURCE),
    },
    "production.request": {"approve": SOURCE},
    "promotion": {"promote": {"Commit"}},
    "control": {},
    "cleanup": {},
    "what_if": {},
    "feedback": {},
}


def test_the_task_that_people_look_for_has_the_links_and_none_on_the_way_there(parse: Parse) -> None:
    bag = parse(ROOT / "include" / "deploy_ops.yaml")
    found = {
        dag_id: {
            task.task_id: {each.name for each in task.operator_extra_links}
            for task in dag.tasks
            if task.operator_extra_links and task.task_id != "dispatch"  # Airflow's own, to the run that it starts
        }
        for dag_id, dag in bag.dags.items()
    }
    assert found == {
        **{dag_id: {} for dag_id in INSTALLATION},
        **{f"data_platform.{kind}": links for kind, links in (LINKS | {"staging": LINKS["production"]}).items()},
    }


def test_calls_of_the_cli_share_a_pool(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.preview"]
    pooled = {task_id for task_id, task in dag.task_dict.items() if task.pool == CLI_POOL}
    assert pooled == {"create", "update", "adopt", "deploy", "delete", "hibernate"}


def test_of_all_dags_the_steps_that_may_call_the_cli_and_no_others_share_the_pool(parse: Parse) -> None:
    """Such a step ends the CLI with itself, which no other step has to."""
    previews = {"branches": ["dev*"], "template": "x.yaml", "merged_into": ["trunk"], "template_from": "production"}
    target = {"deployment": "Production", "branch": "trunk", "approval": "required"}
    bag = parse(make_policy({"previews": previews, "targets": {"production": target}}))
    tasks: list[tuple[str, Any]] = [(dag.dag_id, task) for dag in bag.dags.values() for task in dag.tasks]
    classes: dict[Any, Any] = {(dag, task.task_id): getattr(task, "operator_class", type(task)) for dag, task in tasks}
    callers = {step for step, made_of in classes.items() if made_of.on_kill is not BaseOperator.on_kill}
    assert callers == {(dag, task.task_id) for dag, task in tasks if task.pool == CLI_POOL}
    assert {dag for dag, _ in callers} == {"shop.preview", "shop.production", "shop.template", "orphans"}


def test_every_step_is_retried_and_can_remember(parse: Parse) -> None:
    dag: Any = parse(POLICY).dags["shop.preview"]
    assert dag.task_dict.keys() == PREVIEW_TASKS
    for task in dag.task_dict.values():  # a deferred task that loses its triggerer is cleaned up by a retry
        assert task.retries >= 1, task.task_id
        assert [asset.name for asset in task.inlets] == ["deploy_ops.shop.fleet"], task.task_id


def test_every_step_of_every_dag_ends_in_time_and_after_what_it_calls(parse: Parse) -> None:
    bag = parse(ROOT / "include" / "deploy_ops.yaml")
    tasks: list[Any] = [task for dag in bag.dags.values() for task in dag.tasks]
    assert len(tasks) > 40
    for task in tasks:
        assert timedelta(minutes=1) < task.execution_timeout <= timedelta(hours=4), task
    for task in tasks:
        if task.pool == CLI_POOL:
            calls = getattr(task, "long_calls", 1)
            called = getattr(getattr(task, "scope", None), "project", None)
            longest = called.cli_timeout_s if called else CLI_TIMEOUT_S
            assert task.execution_timeout > calls * timedelta(seconds=longest), task
            assert callable(task.on_kill)


def test_a_longer_time_for_the_cli_is_a_longer_time_for_its_steps_alone(parse: Parse) -> None:
    bag = parse(make_policy({"cli_timeout_s": 7200}))
    deploy, claim = get_task(bag, "shop.preview", "deploy"), get_task(bag, "shop.preview", "claim")
    assert deploy.execution_timeout > 3 * timedelta(hours=2)
    assert claim.execution_timeout == STEP_TIME_MAX


def test_an_invalid_project_is_left_out_and_told(parse: Parse) -> None:
    bag = parse(make_policy({"name": "bad", "poll_intervall_s": 5, "root": "x"}, {}))
    assert list_ids(bag) == {f"shop.{kind}" for kind in KINDS}
    error = find_error(bag, "policy_errors.py")
    assert "PolicyError" in error
    assert "projects[0].poll_intervall_s" in error
    assert "'bad'" in error
    assert "poll_interval_s" in error.partition("poll_intervall_s")[2]


ON_SCREEN = [
    ({"poll_interval_s": "often"}, "poll_interval_s", "found 'often', expected a number"),
    ({"poll_interval_s": 0}, "poll_interval_s", "found 0, expected a number above 0"),
    ({"trunc": "main"}, "trunc", "unknown key; did you mean 'trunk'?"),
    ({"repository": None}, "repository", "found nothing, expected text"),
    ({"limits": {"max_deletes": 10**9}}, "limits.max_deletes", "found 1000000000, expected a number of at most 100000"),
    ({"previews": {"branches": ["dev*"], "merged_into": ["main"]}}, "previews.template", "it is missing; add it"),
    (
        {"ignore": [["x"]], "image": ["ghcr.io/acme/x"]},
        "ignore[0]",
        "found a list, expected text",
    ),
]


@pytest.mark.parametrize(("changes", "path", "says"), ON_SCREEN, ids=[path for _, path, _ in ON_SCREEN])
def test_the_import_error_names_file_path_found_and_expected(
    parse: Parse, tmp_path: Path, changes: dict[str, Any], path: str, says: str
) -> None:
    bag = parse(make_policy({}, {"name": "bad", "root": "x", **changes}))
    error = find_error(bag, "policy_errors.py")
    line = f"{tmp_path / 'policy.yaml'}: projects[1].{path}: project 'bad': {says}"
    assert line in error.splitlines() or f"PolicyError: {line}" in error
    assert list_ids(bag) == {f"shop.{kind}" for kind in KINDS}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("control_plane: a\nmode: aply\nprojects: []\n", "mode: found 'aply', expected one of 'apply' or 'plan'"),
        ("control_plane: a\nproject: []\n", "project: unknown key; did you mean 'projects'?"),
        ("a: 1\na: 2\n", "line 2, column 1: key 'a' is given twice; remove one"),
        ("a: 1\nb: *x\n", "line 2, column 4: an alias is not read here, write the value out, or quote"),
        ("a: &x 1\n", "line 1, column 4: an anchor (&) is not read here; remove it, or quote a text with &"),
        ("[" * 5000, "line 1, column 65: it is nested deeper than 64; write it flatter"),
        ("\t- a\n", "line 1, column 1: while scanning for the next token, found character '\\t'"),
    ],
)
def test_the_import_error_of_a_file_that_says_nothing_names_the_place(
    parse: Parse, tmp_path: Path, policy: str, said: str
) -> None:
    bag = parse(policy)
    assert list_ids(bag) == set()
    assert f"{tmp_path / 'policy.yaml'}: {said}" in find_error(bag, "policy_errors.py")


def test_every_problem_of_the_file_is_told_at_once(parse: Parse) -> None:
    wrong: tuple[dict[str, Any], ...] = ({"name": "one", "root": "../x"}, {"name": "two", "trunk": 7}, {})
    error = find_error(parse(make_policy(*wrong)), "policy_errors.py")
    assert "projects[0].root" in error
    assert "projects[1].trunk" in error


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("control_plane: [", "policy.yaml"),
        ("projects: []\n", "control_plane"),
        ("control_plane: a\nmode: maybe\nprojects: []\n", "mode"),
    ],
)
def test_a_file_that_says_nothing_of_any_project_leaves_one_error(parse: Parse, policy: str, said: str) -> None:
    bag = parse(policy)
    assert list_ids(bag) == set()
    error = find_error(bag, "policy_errors.py")
    assert "PolicyError" in error
    assert said in error


def test_an_unreadable_file_is_told(parse: Parse, tmp_path: Path) -> None:
    bag = parse(tmp_path / "none.yaml")
    assert list_ids(bag) == set()
    assert "none.yaml: the policy cannot be read: No such file or directory" in find_error(bag, "policy_errors.py")


def test_only_a_gated_target_has_a_request_dag_whose_runs_wait_and_hold_nothing(parse: Parse) -> None:
    release = {"from": "astro_deploy", "into": "main"}
    targets = {
        "open": {"deployment": "Open", "branch": "staging"},
        "gated": {"deployment": "Gated", "pull_request": release, "approval": "required", "approval_timeout": "36h"},
    }
    bag = parse(make_policy({"name": "shop", "previews": None, "targets": targets}))
    assert bag.import_errors == {}
    assert list_ids(bag) == {"shop.control", "shop.what_if", "shop.open", "shop.gated", "shop.gated.request"}
    dag: Any = bag.dags["shop.gated.request"]
    assert dag.task_dict.keys() == {"prepare", "change_type", "image", "approve", "recheck", "dispatch", "report"}
    assert dag.max_active_runs >= 1000  # one that waits keeps no newer one from asking
    approve, report = dag.task_dict["approve"], dag.task_dict["report"]
    assert (approve.response_timeout, approve.defaults) == (timedelta(hours=36), ["Reject"])
    assert list(approve.params) == ["comment"]
    assert tuple(approve.template_fields) == ()  # the page holds what others wrote
    assert approve.retries >= 1  # an answer in the moment of parking is lost
    assert approve.execution_timeout < approve.response_timeout  # which is for the worker alone
    assert tuple(dag.task_dict["dispatch"].operator_class.template_fields) == ()
    assert report.is_teardown
    assert [asset.name for asset in report.outlets] == ["deploy_ops.shop.fleet"]
    assert dag.task_dict["prepare"].is_setup


def test_each_broken_file_of_a_team_is_told_and_the_others_projects_stay(parse: Parse, tmp_path: Path) -> None:
    document = yaml.safe_load(POLICY)
    (example,) = document.pop("projects")
    defaults = {key: value for key, value in example.items() if key not in {"name", "repository"}}
    teams = {name: {"repositories": ["acme/*"], "connections": ["astro_default"]} for name in ("etl", "ml", "web")}
    (tmp_path / "policy.d").mkdir()
    for name, text in {
        "etl": "projects: [{name: etl, repository: acme/etl}]",
        "ml": "projects: [",
        "web": "projects: [{name: web, repository: acme/web, trunc: main}]",
    }.items():
        (tmp_path / "policy.d" / f"{name}.yaml").write_text(text, encoding="utf-8")
    bag = parse(json.dumps({**document, "defaults": defaults, "teams": teams}))
    assert list_ids(bag) == {f"etl.{kind}" for kind in KINDS}
    error = find_error(bag, "policy_errors.py")
    assert f"{tmp_path / 'policy.d' / 'ml.yaml'}: line 1, column 12" in error
    assert f"{tmp_path / 'policy.d' / 'web.yaml'}: projects[0].trunc: project 'web': unknown key" in error
    (scope,) = read_scopes()
    assert scope.unread == (str(tmp_path / "policy.d" / "ml.yaml"),)
