"""The policy file: what it means, and that whatever is wrong is told with its path and takes no other project down."""

from __future__ import annotations

import ast
import copy
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.file import LoadedPolicy, fingerprint_policy, load_policy, read_policy
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.core.policy.rules import Rival, find_rivals

PROJECT: dict[str, Any] = {
    "name": "data_platform",
    "repository": "acme/data-platform",
    "root": "services/etl",
    "ignore": ["*.md", "docs/"],
    "also_watch": ["shared"],
    "image": ["ghcr.io/acme/data-platform:{sha}", "build"],
    "previews": {
        "branches": ["dev*"],
        "exclude": ["develop"],
        "template": "deployments/preview.yaml",
        "merged_into": ["staging", "main"],
        "overrides": {"configuration": {"is_development_mode": True}},
        "hibernate_after": "2d",
        "delete_after": "14d",
    },
    "promotion": {"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy", "copy": "all"},
    "targets": {
        "staging": {"deployment": "Staging", "branch": "astro_deploy"},
        "production": {
            "deployment": "Production",
            "pull_request": {"from": "astro_deploy", "into": "main"},
            "approval": "required",
            "approval_timeout": "36h",
            "forced": "skip",
            "merge": True,
        },
    },
    "limits": {"max_deletes": 3, "max_delete_fraction": 1},
}
OTHER: dict[str, Any] = {"name": "other", "repository": "acme/other", "image": ["build"]}


def load(*projects: object, **top: object) -> LoadedPolicy:
    document = {"control_plane": "acme-prod", "projects": list(projects), **top}
    return load_policy(yaml.safe_dump(document, sort_keys=False), "policy.yaml")


def change(path: str, value: object, project: dict[str, Any] = PROJECT) -> dict[str, Any]:
    """Return the project with one key set, at a dotted path."""
    changed = copy.deepcopy(project)
    *above, last = path.split(".")
    place = changed
    for key in above:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


def read_project(project: dict[str, Any]) -> Project:
    loaded = load(project)
    assert loaded.problems == ()
    return loaded.policy.projects[0]


def test_a_whole_policy_is_read_as_written() -> None:
    loaded = load(PROJECT, OTHER, mode="plan")
    assert loaded.is_complete
    assert (loaded.policy.mode, loaded.policy.control_plane) == ("plan", "acme-prod")
    project = loaded.policy.projects[0]
    assert project.previews is not None
    assert project.previews.delete_after == timedelta(days=14)
    assert project.promotion is not None
    assert (project.promotion.sources, project.promotion.copy_mode) == (("dev*",), "all")
    assert project.targets["production"].pull_request is not None
    assert project.targets["production"].pull_request.source == "astro_deploy"
    assert project.targets["staging"].branch == "astro_deploy"
    assert project.targets["production"].approval_timeout == timedelta(hours=36)
    assert project.targets["staging"].approval_timeout == timedelta(days=3)


def test_what_is_left_out_has_its_default() -> None:
    project = read_project(OTHER)
    assert (project.root, project.trunk, project.image) == (".", "main", ("build",))
    assert (project.poll_interval_s, project.registry_conn_id, project.previews) == (10, None, None)
    assert (project.limits.max_deletes, project.limits.max_delete_fraction) == (5, 0.25)
    assert project.prices is None
    assert load().policy.mode == "apply"


def test_prices_are_numbers_of_any_currency() -> None:
    written = {"currency": "USD", "small": 0.35, "extra_large": 2, "workers": {"A5": 0.13}}
    prices = read_project(change("prices", written)).prices
    assert prices is not None
    sizes = [prices.find_size(size) for size in ("SMALL", "MEDIUM", "LARGE", "EXTRA_LARGE", "HUGE", "")]
    assert sizes == [0.35, None, None, 2, None, None]
    assert [prices.find_worker(machine) for machine in ("A5", "A10", "")] == [0.13, 0, 0]
    assert prices.hibernating == 0


@pytest.mark.parametrize(
    ("branch", "is_wanted"),
    [
        ("dev", True),
        ("dev-x", True),
        ("dev/a/b", True),
        ("develop", False),
        ("Dev-x", False),
        ("my-dev", False),
        ("main", False),
    ],
)
def test_patterns_match_the_whole_name_and_exclude_wins(branch: str, is_wanted: bool) -> None:
    assert read_project(PROJECT).wants_preview(branch) is is_wanted
    assert not read_project(OTHER).wants_preview(branch)


def test_who_may_approve_and_who_is_who_is_read() -> None:
    changed = change("targets.production.approvers", {"users": ["7", "ada@acme.example"], "not_requester": True})
    changed = change(
        "targets.production.forced", "ask", change("people", {"Ada-L": "7", "renovate[bot]": "8"}, changed)
    )
    project = read_project(changed)
    approvers = project.targets["production"].approvers
    assert approvers is not None
    assert (approvers.users, approvers.not_requester) == (("7", "ada@acme.example"), True)
    assert project.people == {"Ada-L": "7", "renovate[bot]": "8"}
    assert read_project(PROJECT).targets["production"].approvers is None


def test_targets_that_wait_for_each_other_are_told() -> None:
    raw = change("targets.production.forced", "gates")
    for name, other in (("production", "staging"), ("staging", "production")):
        raw = change(f"targets.{name}.verify", {}, raw)
        raw = change(f"targets.{name}.requires", {"verified": other}, raw)
    assert [str(each.message) for each in load(raw).problems] == [
        f"project 'data_platform': '{other}' waits for it in turn; remove one of the two"
        for other in ("production", "staging")
    ]


APPROVERS, REQUIRES = "targets.production.approvers", "targets.production.requires"
WRONG = [
    (f"{APPROVERS}.users", [], f"{APPROVERS}.users", "at least one entry"),
    (f"{APPROVERS}.users", "ada", f"{APPROVERS}.users", "found 'ada', expected a list"),
    (f"{APPROVERS}.users", [7], f"{APPROVERS}.users[0]", "found 7, expected text; put it in quotes"),
    (f"{APPROVERS}.users", ["ada", "ada"], f"{APPROVERS}.users[1]", "stands in the list before"),
    (f"{APPROVERS}.user", ["ada"], f"{APPROVERS}.user", "did you mean 'users'?"),
    (APPROVERS, ["ada"], APPROVERS, "expected a mapping"),
    (REQUIRES, {"checks": ["a"]}, "targets.production.forced", "skip lets one deploy past the gates without"),
    ("targets.production.forced", "gates", "targets.production.forced", "there are no gates to wait for"),
    (APPROVERS, {}, APPROVERS, "it says nothing about who may approve"),
    (f"{APPROVERS}.not_requester", True, f"{APPROVERS}.not_requester", "forced: skip lets who asks deploy without"),
    ("targets.staging.approvers.users", ["ada"], "targets.staging.approvers", "nobody is asked about this target"),
    ("previews.verify", {"compare_with": "prod"}, "previews.verify.compare_with", "'prod' is no target of the project"),
    (
        "targets.staging.verify",
        {"compare_with": "staging"},
        "targets.staging.verify.compare_with",
        "'staging' is the target itself",
    ),
    (
        "previews.verify",
        {"on_failure": "rollback"},
        "previews.verify.on_failure",
        "'rollback' is for targets: remove it",
    ),
    ("targets.staging.verify", {"on_failure": "retry"}, "targets.staging.verify.on_failure", "'report' or 'rollback'"),
    ("previews.verify", {"unknown": "failure"}, "previews.verify.unknown", "expected one of 'pending' or 'success'"),
    ("previews.verify", {"timeout": 20}, "previews.verify.timeout", "a duration"),
    (REQUIRES, {}, REQUIRES, "it requires nothing; remove it"),
    (REQUIRES, {"soak": "2h"}, f"{REQUIRES}.soak", "nothing says where it soaks; add 'verified'"),
    (REQUIRES, {"verified": "production"}, f"{REQUIRES}.verified", "'production' is the target itself"),
    (REQUIRES, {"verified": "prod"}, f"{REQUIRES}.verified", "'prod' is no target of the project"),
    (REQUIRES, {"verified": "staging"}, f"{REQUIRES}.verified", "is never verified; add targets.staging.verify"),
    (REQUIRES, {"checks": "all"}, f"{REQUIRES}.checks", "a list of patterns for names of checks"),
    (REQUIRES, {"checks": [""]}, f"{REQUIRES}.checks", "a list of patterns for names of checks"),
    (
        REQUIRES,
        {"checks": ["ci", "deploy-ops/x"]},
        f"{REQUIRES}.checks",
        "'deploy-ops/x' is what Deploy Ops says itself",
    ),
    ("previews.requires", {}, "previews.requires.checks", "missing"),
    ("previews.requires", {"checks": []}, "previews.requires.checks", "a list of patterns for names of checks"),
    ("previews.requires", {"checks": ["ci"], "soak": "2h"}, "previews.requires.soak", "unknown key"),
    (REQUIRES, {"windows": {"allow": []}}, f"{REQUIRES}.windows.timezone", "missing"),
    (REQUIRES, {"windows": {"timezone": "Berlin"}}, f"{REQUIRES}.windows.timezone", "the name of a time zone"),
    (REQUIRES, {"windows": {"timezone": "../UTC"}}, f"{REQUIRES}.windows.timezone", "the name of a time zone"),
    (
        REQUIRES,
        {"windows": {"timezone": "UTC", "allow": ["Mon 9-16"]}},
        f"{REQUIRES}.windows.allow[0]",
        "weekdays and hours, such as",
    ),
    (
        REQUIRES,
        {"windows": {"timezone": "UTC", "allow": ["Fri 13:00-16:00"], "deny": ["Fri 12:00-24:00"]}},
        f"{REQUIRES}.windows",
        "no hour is left in which a deploy may begin",
    ),
    ("people", {"ada": "7", "Ada": "8"}, "people.Ada", "it is the same account as 'ada'"),
    ("people", {"a b": "7"}, "people['a b']", "a login of GitHub"),
    ("people", {"ada": ""}, "people.ada", "a text of one line"),
    ("previews.brnches", ["x"], "previews.brnches", "unknown key; did you mean 'branches'?"),
    ("zzz", 1, "zzz", "unknown key; known here: also_watch, astro_conn_id"),
    ("previews.branches", "dev*", "previews.branches", "found 'dev*', expected a list"),
    ("previews.branches", [], "previews.branches", "at least one entry"),
    ("previews.branches", [1], "previews.branches[0]", "found 1, expected text; put it in quotes"),
    ("previews.branches", ["dev*", "ma*"], "previews.branches[1]", "'ma*' matches 'main'"),
    ("previews.branches", ["astro?deploy"], "previews.branches[0]", "'astro?deploy' matches 'astro_deploy'"),
    ("previews.exclude", None, "previews.exclude", "found nothing, expected a list"),
    ("previews.merged_into", ["dev-main"], "previews.branches[0]", "'dev*' matches 'dev-main'"),
    ("previews.merged_into", [], "previews.merged_into", "at least one entry"),
    (
        "previews.merged_into",
        ["refs/heads/main"],
        "previews.merged_into[0]",
        "a branch without refs/heads/, such as main",
    ),
    ("previews.template", "/etc/passwd", "previews.template", "a path inside the repository"),
    ("previews.template", "../preview.yaml", "previews.template", "a path inside the repository"),
    ("previews.template", "services/etl/dags/p.yaml", "previews.template", "lies in services/etl/dags/"),
    ("previews.drift", "fix", "previews.drift", "expected one of 'report' or 'repair'"),
    ("targets.staging.template", "../p.yaml", "targets.staging.template", "a path inside the repository"),
    ("targets.staging.template", "services/etl/dags/p.yaml", "targets.staging.template", "lies in services/etl/dags/"),
    ("previews.hibernate_after", 2, "previews.hibernate_after", "found 2, expected a duration"),
    ("previews.hibernate_after", "14d", "previews.hibernate_after", "is not before delete_after"),
    ("previews.activity", [], "previews.activity", "expected at least one entry"),
    ("previews.activity", ["pushes"], "previews.activity[0]", "found 'pushes'"),
    ("previews.activity", ["runs"], "previews.activity", "write [deploys], or [deploys, runs]"),
    ("previews.activity", ["runs", "runs"], "previews.activity", "write [deploys], or [deploys, runs]"),
    ("previews.delete_notice", "14d", "previews.delete_notice", "is not shorter than delete_after"),
    ("previews.max_live", 0, "previews.max_live", "found 0, expected a number above 0"),
    ("previews.max_live", True, "previews.max_live", "found true, expected a whole number"),
    ("previews.overrides", {"configuraton": {}}, "previews.overrides.configuraton", "did you mean 'configuration'?"),
    (
        "previews.overrides.configuration.name",
        "x",
        "previews.overrides.configuration.name",
        "every preview gets its own",
    ),
    ("previews.overrides.configuration.executor", "celery", "previews.overrides.configuration.executor", "'CELERY'"),
    ("promotion.from", ["astro*"], "promotion.from[0]", "'astro*' matches 'astro_deploy'"),
    ("promotion.deploy_branch", "staging", "promotion.deploy_branch", "written by us alone"),
    ("promotion.copy", "some", "promotion.copy", "expected one of 'changes' or 'all'"),
    ("promotion.into", "a..b", "promotion.into", "a branch that Git allows"),
    ("targets.staging.branch", "dev-1", "previews.branches[0]", "'dev*' matches 'dev-1'"),
    ("targets.staging.pull_request", {"from": "a", "into": "b"}, "targets.staging", "found both"),
    ("targets.staging.merge", True, "targets.staging.merge", "only a target that deploys an open pull request"),
    ("targets.staging.on", "push", "targets.staging.on", "there is no 'pull_request'"),
    ("targets.production.on", "push", "targets.production.merge", "only a target that deploys an open pull request"),
    ("targets.production.approval", True, "targets.production.approval", "found true, expected one of 'required'"),
    ("targets.production.pull_request.from", "main", "targets.production.pull_request.into", "is 'from' too"),
    ("targets.control", {"deployment": "X", "branch": "x"}, "targets.control", "another DAG of the project"),
    ("targets.Odd-name", {"deployment": "X", "branch": "x"}, "targets.Odd-name", "found 'Odd-name', expected a name"),
    ("targets.empty", {"deployment": "X"}, "targets.empty", "found neither"),
    ("targets.twin", {"deployment": "Staging", "branch": "x"}, "targets.twin.deployment", "only one target may have"),
    ("name", "Data-Platform", "name", "found 'Data-Platform', expected a name of a-z"),
    ("name", "x" * 41, "name", "at most 40 long"),
    ("repository", "https://github.com/a/b", "repository", "a repository as owner/name"),
    ("repository", f"acme/{'x' * 140}", "repository", "a repository as owner/name"),
    ("targets.staging.deployment", "S" * 501, "targets.staging.deployment", "a text of at most 500 characters"),
    ("repository", "acme/x.git", "repository", "a repository as owner/name"),
    ("root", "../x", "root", "a path inside the repository"),
    ("also_watch", ["services/etl/include"], "also_watch[0]", "lies inside the root 'services/etl'"),
    ("also_watch", ["services"], "also_watch[0]", "holds the root"),
    ("ignore", ["dags/*.md"], "ignore[0]", "every change inside dags/ is deployed"),
    ("checkout.submodules", ["lib"], "checkout.submodules[0]", "a repository as owner/name"),
    ("checkout.submodules", ["https://x/acme/lib"], "checkout.submodules[0]", "a repository as owner/name"),
    ("checkout.lfs", "yes", "checkout.lfs", "found 'yes', expected true or false"),
    ("image", ["build", "build"], "image[1]", "'build' stands in the list before"),
    ("image", [], "image", "at least one entry"),
    ("image", ["build"], "previews.build", "name another source there, or add 'build: true' here"),
    ("previews.build", "yes", "previews.build", "found 'yes', expected true or false"),
    ("image", ["ghcr.io/acme/x:latest"], "image[0]", "{sha} in the tag"),
    ("limits.max_delete_fraction", 1.5, "limits.max_delete_fraction", "found 1.5"),
    ("limits.max_deletes", -1, "limits.max_deletes", "a number above 0"),
    ("prices.small", -0.1, "prices.small", "found -0.1"),
    ("prices.small", "0.35", "prices.small", "found '0.35', expected a number"),
    ("prices.small", float("nan"), "prices.small", "found"),
    ("prices.smal", 0.35, "prices.smal", "did you mean 'small'?"),
    ("prices.workers", {"A7": 1}, "prices.workers.A7", "expected one of 'A5'"),
    ("prices.workers.A5", float("inf"), "prices.workers.A5", "found"),
    ("notify", [{"notifier": "SmtpNotifier"}], "notify[0].notifier", "the dotted path of a class"),
    ("notify", [{"notifier": "a.B", "arguments": {"to-whom": 1}}], "notify[0].arguments.to-whom", "keyword argument"),
    (
        "notify",
        [{"notifier": "a.B", "on": ["sucess"]}],
        "notify[0].on[0]",
        "expected one of 'failure', 'approval', 'verification' or 'gates'",
    ),
    ("notify", [{"notifier": "a.B", "on": []}], "notify[0].on", "at least one entry"),
    ("notify", [{"notifier": "a.B", "to": "x"}], "notify[0].to", "unknown key"),
    ("poll_interval_s", 0, "poll_interval_s", "a number above 0"),
    ("poll_interval_s", "10s", "poll_interval_s", "found '10s', expected a number"),
    ("trunk", "HEAD", "trunk", "a branch that Git allows"),
]


@pytest.mark.parametrize(("key", "value", "path", "says"), WRONG, ids=[f"{key}={value}" for key, value, _, _ in WRONG])
def test_a_wrong_project_is_told_and_the_other_keeps_running(key: str, value: object, path: str, says: str) -> None:
    loaded = load(OTHER, change(key, value))
    told = [problem for problem in loaded.problems if problem.path == f"projects[1].{path}"]
    assert any(says in problem.message for problem in told), [str(problem) for problem in loaded.problems]
    assert [project.name for project in loaded.policy.projects] == ["other"]
    assert not loaded.is_complete


def test_a_root_at_the_top_leaves_nothing_to_watch_besides() -> None:
    loaded = load(change("also_watch", ["x"], OTHER))
    assert [problem.path for problem in loaded.problems] == ["projects[0].also_watch[0]"]


def test_a_missing_key_is_named_and_the_policy_is_not_whole() -> None:
    loaded = load({"name": "half", "image": ["build"]}, OTHER)
    assert [str(problem) for problem in loaded.problems] == [
        "projects[0].repository: project 'half': it is missing; add it"
    ]
    assert not loaded.is_complete  # so nothing may be concluded from what is not in it


def test_a_project_without_a_source_of_images_is_told_the_line_to_add() -> None:
    """It had `build` before there had to be one, and nothing is built in silence any more."""
    without = {key: value for key, value in PROJECT.items() if key != "image"}
    (problem,) = load(without, OTHER).problems
    assert problem.path == "projects[0].image"
    lines = re.findall(r"`(image: .+?)`", problem.message)
    assert lines == ['image: [reuse, "<registry>/<name>:{sha}"]', "image: [build]"]
    ci, build = (yaml.safe_load(line.replace("<registry>/<name>", "ghcr.io/acme/etl")) for line in lines)
    assert read_project(without | ci).image == ("reuse", "ghcr.io/acme/etl:{sha}")
    assert read_project(change("previews.build", value=True, project=without | build)).image == ("build",)


@pytest.mark.parametrize("image", [["build"], ["reuse", "build"], ["build", "ghcr.io/acme/etl:{sha}"]])
def test_previews_build_only_where_the_policy_says_so(image: list[str]) -> None:
    withheld = load(change("image", image))
    assert withheld.is_complete is (len(image) > 1)  # of the others, the sources beside `build` may serve
    assert [problem.path for problem in withheld.problems] == ["projects[0].previews.build"] * (len(image) == 1)
    built = read_project(change("image", image, change("previews.build", value=True)))
    assert built.previews is not None
    assert built.previews.build


def test_a_project_without_previews_builds_as_it_likes() -> None:
    assert read_project(OTHER).image == ("build",)


def test_two_projects_with_one_name_are_both_told_also_if_one_is_wrong_otherwise() -> None:
    loaded = load(PROJECT, {"name": "data_platform", "repository": "no"}, OTHER)
    clashes = [problem for problem in loaded.problems if "only one project may have this name" in problem.message]
    assert [problem.path for problem in clashes] == ["projects[0].name", "projects[1].name"]
    assert "projects[1].name" in clashes[0].message
    assert [project.name for project in loaded.policy.projects] == ["other"]


@pytest.mark.parametrize(
    ("second", "path"),
    [
        ({"name": "b", "repository": "Acme/Data-Platform", "image": ["reuse"], "root": "services/etl/"}, "root"),
        (
            {
                "name": "b",
                "image": ["reuse"],
                "repository": "acme/data-platform",
                "promotion": {"from": ["x*"], "into": "staging", "deploy_branch": "astro_deploy"},
            },
            "promotion.deploy_branch",
        ),
        (
            {
                "name": "b",
                "image": ["reuse"],
                "repository": "acme/b",
                "targets": {"live": {"deployment": "Production", "branch": "x"}},
            },
            "targets.live.deployment",
        ),
    ],
)
def test_what_two_projects_may_not_share_is_told_of_both(second: dict[str, Any], path: str) -> None:
    loaded = load(PROJECT, OTHER, second)
    assert f"projects[2].{path}" in {problem.path for problem in loaded.problems}
    assert {problem.path.partition(".")[0] for problem in loaded.problems} == {"projects[0]", "projects[2]"}
    assert [project.name for project in loaded.policy.projects] == ["other"]


def test_projects_of_one_repository_with_roots_of_their_own_live_together() -> None:
    assert load(change("root", "a", OTHER), change("name", "b", OTHER)).is_complete


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing, expected a mapping"),
        ("- 1", "found a list, expected a mapping"),
        ("control_plane: a\nprojects: []\ncontrol_plane: b", "line 3, column 1: key 'control_plane' is given twice"),
        ("projects: []", "control_plane: it is missing"),
        ("control_plane: a", "projects: it is missing"),
        ("control_plane: a\nprojects:", "projects: found nothing, expected a list"),
        ("control_plane: A b\nprojects: []", "control_plane: found 'A b', expected a name"),
        ("control_plane: a\nmode: dry\nprojects: []", "mode: found 'dry', expected one of 'apply' or 'plan'"),
        ("control_plane: a\nmod: plan\nprojects: []", "mod: unknown key; did you mean 'mode'?"),
        ("control_plane: a\nprojects: [{name: a, name: b}]", "line 2, column 22: key 'name' is given twice"),
        ("a: [", "policy.yaml: line 1"),
    ],
)
def test_a_file_of_which_nothing_can_be_said_is_an_error(text: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(text, "policy.yaml")
    assert str(caught.value).startswith("policy.yaml: ")
    assert says in str(caught.value)


def test_a_secret_in_the_overrides_is_refused_and_never_shown() -> None:
    for variable in (
        {"key": "PASSWORD", "is_secret": True, "value": "hunter2"},
        {"key": "PASSWORD", "is_secret": "yes", "value": "hunter2", "valeu": "hunter2"},
        "PASSWORD=hunter2",
    ):
        loaded = load(change("previews.overrides", {"environment_variables": [variable]}))
        assert loaded.problems
        assert "hunter2" not in "".join(map(str, loaded.problems))


def test_the_policy_of_the_repository_is_valid() -> None:
    assert read_policy(Path(__file__).parents[4] / "include" / "deploy_ops.yaml").is_complete


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml: the policy cannot be read: No such file"):
        read_policy(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"control_plane: \xe9")
    with pytest.raises(PolicyError, match="byte 15 is not"):
        read_policy(tmp_path / "latin.yaml")


CHANGES = {
    "root": "x",
    "ignore": ["x"],
    "also_watch": ["y"],
    "image": ["reuse"],
    "trunk": "trunk",
    "repository": "a/b",
    "registry_conn_id": "x",
    "previews.template": "x.yaml",
    "previews.overrides": {},
    "previews.build": True,
    "checkout": {"submodules": ["acme/lib"]},
    "checkout.lfs": True,
    "checkout.filters": ["nbstripout"],
}
NO_CHANGES = {
    "login_hosts": {"registry.example.com": ["auth.example.com"]},
    "checkout.submodules": [],
    "poll_interval_s": 1,
    "settle_timeout_s": 1,
    "limits.max_deletes": 9,
    "previews.branches": ["x*"],
    "previews.max_live": 1,
    "previews.delete_after": "15d",
    "targets.staging.deployment": "S",
    "previews.verify": {"compare_with": "production"},
    "targets.staging.verify": {},
    "targets.staging.requires": {"checks": ["ci/*"]},
    "previews.requires": {"checks": "required"},
    "previews.drift": "repair",
    "targets.staging.template": "deployments/staging.yaml",
    "previews.template_from": "production",
}


@pytest.mark.parametrize("key", [*CHANGES, *NO_CHANGES])
def test_the_fingerprint_changes_with_what_a_deploy_does_and_only_with_it(key: str) -> None:
    before = fingerprint_policy(read_project(PROJECT))
    after = fingerprint_policy(read_project(change(key, {**CHANGES, **NO_CHANGES}[key])))
    assert re.fullmatch(r"[0-9a-f]{12}", before)
    assert (before != after) is (key in CHANGES)


@pytest.mark.parametrize(("written", "meant"), [("production", "Production"), ("Blueprint", "Blueprint")])
def test_the_template_is_made_from_a_target_or_from_any_deployment_by_its_name(written: str, meant: str) -> None:
    document = change("previews.template_from", written)
    document["targets"]["production"]["deployment"] = "Production"
    assert read_project(document).template_source == meant
    assert read_project(PROJECT).template_source == ""


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("AIRFLOW_CONN_WAREHOUSE", "what begins with AIRFLOW_CONN_ is a connection, and is never copied"),
        ("airflow_conn_warehouse", "what begins with AIRFLOW_CONN_ is a connection, and is never copied"),
        ("API_TOKEN", "this one is named like a secret, and is never copied"),
        ("smtp_password", "this one is named like a secret, and is never copied"),
        ("AWS_ACCESS_KEY_ID", "this one is named like a secret, and is never copied"),
        ("AIRFLOW__CORE__SQL_ALCHEMY_CONN", "this one is named like a secret, and is never copied"),
        ("AIRFLOW__SECRETS__BACKEND", "this one is named like a secret, and is never copied"),
        ("A B", "the name of an environment variable"),
    ],
)
def test_a_policy_that_would_copy_a_secret_is_refused(key: str, says: str) -> None:
    document = change("previews.copy_variables", [key])
    document["previews"]["template_from"] = "production"
    (problem,) = load(document).problems
    assert problem.path == "projects[0].previews.copy_variables[0]"
    assert says in problem.message


def test_nothing_can_be_copied_from_nowhere() -> None:
    (problem,) = load(change("previews.copy_variables", ["STAGE"])).problems
    assert str(problem).endswith("nothing is copied from anywhere; add template_from, or remove it")


TOKENS = re.compile(
    r"\.?(?P<key>[A-Za-z0-9_-]+)|\[(?P<index>\d+)\]|\[(?P<odd>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\]"
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**6),
    st.floats(0, 2),
    st.text(max_size=6),
    st.sampled_from(["main", "dev*", "*", "astro_deploy", "staging", "build", "data_platform", "2d", ".", "services"]),
)
JUNK = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["from", "name", "a.b", "x"]), SCALARS, max_size=2),
)


def list_places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in entries for place in list_places(below, (*path, key)))]


@st.composite
def mutated_policies(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy({"control_plane": "a", "mode": "apply", "projects": [PROJECT, OTHER]})
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(list_places(document)[1:]))
        place: Any = document
        for key in above:
            place = place[key]
        match draw(st.sampled_from(["replace", "remove", "add", "rename"])):
            case "remove":
                del place[last]
            case "add" if isinstance(place[last], dict):
                place[last][draw(st.text(max_size=5))] = draw(JUNK)
            case "rename" if isinstance(place, dict):
                place[f"{last}x"] = place.pop(last)
            case _:
                place[last] = draw(JUNK)
    return document


def is_place(path: str, document: Any) -> bool:
    """Whether the path leads to a value in the document, or to a key that a mapping there lacks."""
    tokens = list(TOKENS.finditer(path))
    assert "".join(token.group() for token in tokens) == path
    for position, token in enumerate(tokens):
        key = (
            int(token["index"]) if token["index"] else ast.literal_eval(token["odd"]) if token["odd"] else token["key"]
        )
        if isinstance(document, dict) and key not in document:
            return position == len(tokens) - 1
        document = document[key]
    return True


@given(mutated_policies())
@settings(max_examples=150)
def test_whatever_is_wrong_is_told_with_a_path_of_the_file(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_style=None)
    try:
        loaded = load_policy(text, "policy.yaml")
    except PolicyError as error:
        for line in str(error).split("\n"):
            assert is_place(line.split(": ")[1], document), line
        return
    for problem in loaded.problems:
        assert is_place(problem.path, document), problem
    broken = {problem.path.partition("]")[0] for problem in loaded.problems}
    assert len(loaded.policy.projects) == len(document["projects"]) - len(broken)


def test_the_repositories_of_several_projects_are_known_also_of_wrong_ones() -> None:
    projects = [("a", "acme/one", ""), ("b", "Acme/One", ", nonsense: 1"), ("c", "acme/two", "")]
    text = "control_plane: x\nprojects:\n"
    text += "".join(
        f"  - {{name: {name}, repository: {where}, root: {name}{more}}}\n" for name, where, more in projects
    )
    assert load_policy(text, "policy.yaml").shared_repositories == {"acme/one"}


def test_targets_of_two_projects_that_may_be_one_deployment_know_of_each_other() -> None:
    targets = {"live": {"deployment": "Production", "branch": "x"}, "own": {"deployment": "Other", "branch": "x"}}
    loaded = load(
        PROJECT,
        {"name": "b", "repository": "acme/b", "image": ["reuse"], "astro_conn_id": "astro_b", "targets": targets},
        OTHER,
    )
    assert loaded.problems == ()
    first, second, third = loaded.policy.projects
    assert find_rivals(first, loaded.policy.projects) == (Rival("production", "b", "live", "astro_b"),)
    assert find_rivals(second, loaded.policy.projects) == (Rival("live", first.name, "production", "astro_default"),)
    assert find_rivals(third, loaded.policy.projects) == ()


VERIFY = "previews.verify.airflow_conn_id"


@pytest.mark.parametrize(
    ("conn_id", "what"),
    [
        ("prod_airflow", "the connection of target 'production' of project 'data_platform'"),
        ("Prod_Airflow", "the connection of target 'production' of project 'data_platform'"),
        ("other_airflow", "the connection of target 'live' of project 'other'"),
        ("astro_default", "the astro_conn_id of project"),
        ("github_other", "the github_conn_id of project 'other'"),
        ("ci_registry", "the registry_conn_id of project 'other'"),
    ],
)
def test_previews_are_never_asked_with_a_token_that_reaches_more(conn_id: str, what: str) -> None:
    target = {"deployment": "Live", "branch": "main", "verify": {"airflow_conn_id": "other_airflow"}}
    other = {**OTHER, "github_conn_id": "github_other", "registry_conn_id": "ci_registry", "targets": {"live": target}}
    project = change("targets.production.verify", {"airflow_conn_id": "prod_airflow"})
    loaded = load(change(VERIFY, conn_id, project), other)
    (problem,) = loaded.problems
    assert problem.path == f"projects[0].{VERIFY}"
    assert f"'{conn_id}' is {what}" in problem.message
    assert [each.name for each in loaded.policy.projects] == ["other"]


def test_a_token_reaches_more_also_where_the_project_that_it_serves_is_wrong() -> None:
    target = {"deployment": "Live", "branch": "main", "verify": {"airflow_conn_id": "other_airflow"}}
    loaded = load(change(VERIFY, "Other-Airflow"), {**OTHER, "wrong": 1, "targets": {"live": target, "bad": 7}})
    assert "is the connection of target 'live' of project 'other'" in "".join(map(str, loaded.problems))
    assert loaded.policy.projects == ()


def test_previews_may_have_a_connection_of_their_own() -> None:
    project = change("targets.production.verify", {"airflow_conn_id": "prod_airflow"})
    found = read_project(
        change("previews.verify", {"airflow_conn_id": "preview_airflow", "compare_with": "production"}, project)
    )
    assert found.find_verify("") == found.previews.verify  # type: ignore[union-attr]
    assert found.find_verify("production") == found.targets["production"].verify
    assert found.find_verify("staging") is None
    assert found.find_verify("gone") is None


def test_words_on_pull_requests_need_previews() -> None:
    bare = {**OTHER, "feedback": {"commands": True}}
    (problem,) = load(bare).problems
    assert "feedback.commands" in str(problem)
    assert "of which the project has none" in str(problem)
    assert not load({**PROJECT, "feedback": {"commands": True}}).problems
