"""The policy in several files: each team's stands or falls alone, inherits, and uses what the main file lets it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from include.deploy_ops.core.cleanup.orphans import find_orphans, require_whole
from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.file import LoadedPolicy, load_policy, read_policy
from include.deploy_ops.core.policy.teams import TeamText, inherit
from tests.unit.core.policy.test_file import OTHER, PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TOP: dict[str, Any] = {
    "control_plane": "acme-prod",
    "sources": {"connections": ["preview_*"], "variables": ["preview_*"]},
    "defaults": {"github_conn_id": "github_app", "astro_conn_id": "astro_main", "image": ["reuse"]},
    "teams": {
        "etl": {
            "repositories": ["acme/mono", "Acme/ETL-*"],
            "connections": ["etl_*"],
            "workspaces": ["ws-etl"],
            "notifiers": ["airflow.providers.smtp.*"],
            "sources": {"connections": ["preview_etl_*"], "variables": ["preview_etl_*"]},
        },
        "ml": {"repositories": ["acme/mono"]},
    },
}
ETL: dict[str, Any] = {"name": "etl", "repository": "acme/mono", "root": "etl"}
ML: dict[str, Any] = {"name": "ml", "repository": "acme/mono", "root": "ml"}
PREVIEWS: dict[str, Any] = {"branches": ["dev*"], "template": "p.yaml", "merged_into": ["main"]}
SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"


def write(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def load(top: dict[str, Any] | None = None, **teams: object) -> LoadedPolicy:
    """Load the main file and the teams' files, each as its projects or as its text."""
    texts = [
        TeamText(name, f"d/{name}.yaml", each if isinstance(each, str) else write({"projects": each}))
        for name, each in teams.items()
    ]
    return load_policy(write(TOP if top is None else top), "main.yaml", texts)


def tell(loaded: LoadedPolicy) -> list[str]:
    return loaded.describe_problems().split("\n") if loaded.problems else []


def list_names(loaded: LoadedPolicy) -> list[str]:
    return [each.name for each in loaded.policy.projects]


def test_projects_of_all_files_are_one_policy() -> None:
    loaded = load({**TOP, "projects": [OTHER]}, etl=[ETL], ml=[ML])
    assert loaded.is_complete, tell(loaded)
    assert list_names(loaded) == ["other", "etl", "ml"]
    assert loaded.teams["etl"].workspaces == ("ws-etl",)
    assert loaded.teams.keys() == {"etl", "ml"}


def test_a_project_inherits_and_what_it_says_itself_wins() -> None:
    own = {**ETL, "astro_conn_id": "etl_astro", "limits": {"max_deletes": 2}}
    loaded = load({**TOP, "defaults": {**TOP["defaults"], "limits": {"max_updates_per_pass": 9}}}, etl=[own])
    (project,) = loaded.policy.projects
    assert (project.github_conn_id, project.astro_conn_id) == ("github_app", "etl_astro")
    assert (project.limits.max_deletes, project.limits.max_updates_per_pass) == (2, 9)


def test_mappings_merge_lists_replace_and_null_removes() -> None:
    defaults = {"a": {"x": 1, "y": [1, 2]}, "b": 3, "c": {"z": 1}}
    before = copy.deepcopy(defaults)
    assert inherit(defaults, {"a": {"y": [3]}, "b": None, "c": 4, "d": None}) == {
        "a": {"x": 1, "y": [3]},
        "c": 4,
        "d": None,
    }
    assert defaults == before
    assert inherit(defaults, ["no project"]) == ["no project"]


def test_a_single_file_is_read_as_it_always_was() -> None:
    document = {"control_plane": "acme-prod", "projects": [PROJECT, OTHER]}
    alone, among = load_policy(write(document), "main.yaml"), load({**document, "teams": TOP["teams"]}, ml=[])
    assert alone.policy.projects == among.policy.projects
    assert not alone.teams
    with pytest.raises(PolicyError, match="projects: it is missing"):
        load_policy(write(TOP), "main.yaml")


BROKEN = {
    "a: [": "d/ml.yaml: line 1, column 5",
    "- 1": "d/ml.yaml: found a list, expected a mapping with projects",
    "": "d/ml.yaml: found nothing, expected a mapping with projects",
    "projects: 7": "d/ml.yaml: projects: found 7, expected a list",
    "{}": "d/ml.yaml: projects: it is missing",
    "projects: []\nmode: plan": "d/ml.yaml: mode: unknown key; it belongs into the policy's main file; move it there",
    "projects: [{name: a, name: b}]": "d/ml.yaml: line 1, column 22: key 'name' is given twice",
}


@pytest.mark.parametrize(("text", "says"), BROKEN.items())
def test_a_file_that_cannot_be_read_takes_out_its_own_projects_alone(text: str, says: str) -> None:
    loaded = load(etl=[ETL], ml=text)
    assert list_names(loaded) == ["etl"]
    (told,) = tell(loaded)
    assert told.startswith(says)
    assert loaded.unread == ("d/ml.yaml",)


def test_nothing_is_an_orphan_while_a_file_cannot_be_read() -> None:
    loaded = load(etl=[ETL], ml="a: [")
    with pytest.raises(PolicyError, match=r"has not left it(.|\n)*d/ml.yaml: line"):
        find_orphans(loaded, "astro_main", [])
    require_whole(load(etl=[ETL], ml=[ML]))


def test_a_wrong_project_is_told_with_its_file_and_key_and_is_no_unread_file() -> None:
    loaded = load(etl=[ETL], ml=[{**ML, "poll_intervall_s": 3}, {**ML, "name": "ml_two", "root": "two"}])
    assert tell(loaded) == [
        "d/ml.yaml: projects[0].poll_intervall_s: project 'ml': unknown key; did you mean 'poll_interval_s'?"
    ]
    assert list_names(loaded) == ["etl", "ml_two"]
    assert loaded.unread == ()


def test_a_name_that_is_used_twice_is_told_in_both_files() -> None:
    loaded = load(etl=[ETL], ml=[{**ML, "name": "ml_two", "root": "two"}, {**ML, "name": "etl"}])
    here, there = "d/etl.yaml: projects[0].name", "d/ml.yaml: projects[1].name"
    said = "project 'etl': only one project may have this name; found it at"
    assert tell(loaded) == [f"{here}: {said} {there} too", f"{there}: {said} {here} too"]
    assert list_names(loaded) == ["ml_two"]


@pytest.mark.parametrize("file", ["ml", "new"])
def test_what_a_file_may_not_have_takes_nothing_from_another(file: str) -> None:
    stolen = {**ETL, "repository": "acme/secret"} if file == "ml" else ETL
    theirs: dict[str, Any] = {file: [stolen, {**ML, "name": "ml_own"}]}
    loaded = load(etl=[ETL], **theirs)
    assert {problem.source for problem in loaded.problems} == {f"d/{file}.yaml"}
    assert list_names(loaded) == (["etl", "ml_own"] if file == "ml" else ["etl"])


def test_what_is_wrong_in_the_defaults_is_told_there_once() -> None:
    loaded = load({**TOP, "defaults": {**TOP["defaults"], "limits": {"max_deletez": 1}}}, etl=[ETL], ml=[ML])
    assert tell(loaded) == ["main.yaml: defaults.limits.max_deletez: unknown key; did you mean 'max_deletes'?"]
    with pytest.raises(PolicyError, match=r"main.yaml: defaults.name: each project has a name of its own"):
        load({**TOP, "defaults": {"name": "x"}}, etl=[ETL])


def test_a_file_without_a_word_on_what_it_may_use_is_told() -> None:
    loaded = load(etl=[ETL], new=[{**ML, "name": "new"}])
    assert tell(loaded) == [
        "d/new.yaml: 'teams' in main.yaml has no 'new'; add it there, with what this file's projects may use"
    ]
    assert (list_names(loaded), loaded.unread) == (["etl"], ())


def verify(conn_id: str) -> dict[str, Any]:
    return {"previews": {**PREVIEWS, "verify": {"airflow_conn_id": conn_id}}}


def notice(**arguments: object) -> dict[str, Any]:
    return {"notify": [{"notifier": SMTP, "arguments": arguments}]}


def environment(**parts: object) -> dict[str, Any]:
    return {"previews": {**PREVIEWS, "environment": parts}}


USED: list[tuple[dict[str, Any], str, str]] = [
    ({"repository": "acme/secret"}, "repository", "repositories"),
    ({"checkout": {"submodules": ["acme/mono", "acme/secret"]}}, "checkout.submodules[1]", "repositories"),
    ({"github_conn_id": "github_other"}, "github_conn_id", "connections"),
    ({"astro_conn_id": "astro_other"}, "astro_conn_id", "connections"),
    ({"registry_conn_id": "registry"}, "registry_conn_id", "connections"),
    (verify("production_airflow"), "previews.verify.airflow_conn_id", "connections"),
    (
        {"targets": {"live": {"deployment": "Live", "branch": "main", "verify": {"airflow_conn_id": "x"}}}},
        "targets.live.verify.airflow_conn_id",
        "connections",
    ),
    ({"notify": [{"notifier": "evil.Notifier"}]}, "notify[0].notifier", "notifiers"),
    (notice(smtp_conn_id="smtp_default"), "notify[0].arguments", "connections"),
    (notice(deep={"conn_id": ["smtp_default"]}), "notify[0].arguments", "connections"),
    (environment(connections={"w": "preview_ml"}), "previews.environment.connections.w", "sources.connections"),
    (environment(variables={"w": {"variable": "preview_ml"}}), "previews.environment.variables.w", "sources.variables"),
]


@pytest.mark.parametrize(("keys", "path", "key"), USED)
def test_a_teams_project_uses_only_what_the_main_file_lets_it(keys: dict[str, Any], path: str, key: str) -> None:
    (told,) = tell(load(etl=[{**ETL, **keys}]))
    assert told.startswith(f"d/etl.yaml: projects[0].{path}: project 'etl': ")
    assert f"no pattern of 'teams.etl.{key}'" in told
    inherited = {name: value for name, value in keys.items() if name != "repository"}
    if inherited and "previews" not in keys:
        assert load({**TOP, "defaults": {**TOP["defaults"], **inherited}}, etl=[ETL]).is_complete, "by its owner's word"


@pytest.mark.parametrize(
    "keys",
    [
        {"repository": "acme/etl-new", "astro_conn_id": "etl_astro", "registry_conn_id": "etl_registry"},
        verify("etl_airflow"),
        notice(smtp_conn_id="etl_smtp", subject="{{ deploy_ops.what }} of {{deploy_ops.project | e}}"),
        environment(connections={"w": "preview_etl_w"}, variables={"v": {"variable": "preview_etl_v"}}),
    ],
)
def test_what_it_may_use_it_uses(keys: dict[str, Any]) -> None:
    assert tell(load(etl=[{**ETL, **keys}])) == []


def test_without_defaults_the_usual_connections_need_a_word_too() -> None:
    loaded = load({**TOP, "defaults": {"image": ["reuse"]}}, etl=[ETL])
    assert [problem.path for problem in loaded.problems] == ["projects[0].github_conn_id", "projects[0].astro_conn_id"]


@pytest.mark.parametrize("conn_id", ["etl_/../production", "etl_x?", "etl_%2e%2e"])
def test_an_id_by_which_a_secrets_backend_finds_another_is_refused(conn_id: str) -> None:
    (told,) = tell(load(etl=[{**ETL, "astro_conn_id": conn_id}]))
    assert "by which a backend may find another" in told


@pytest.mark.parametrize("conn_id", ["etl_w", "ETL-W"])
def test_no_preview_gets_what_a_team_works_with_also_while_its_file_cannot_be_read(conn_id: str) -> None:
    top = {**TOP, "sources": {"connections": ["*"]}, "projects": [{**OTHER, "image": ["reuse"]}]}
    top["projects"][0] |= environment(connections={"w": conn_id})
    loaded = load(top, etl="a: [")
    assert "is one by which 'teams.etl.connections' lets the control plane work" in tell(loaded)[0]
    assert list_names(loaded) == []


@pytest.mark.parametrize("ml", [[ML], "a: ["])
def test_previews_are_asked_by_no_connection_by_which_another_team_may_reach_more(ml: object) -> None:
    teams = {**TOP["teams"], "ml": {"repositories": ["acme/mono"], "connections": ["etl_shared*"]}}
    loaded = load({**TOP, "teams": teams}, etl=[{**ETL, **verify("etl_shared_airflow")}], ml=ml)
    place = "d/etl.yaml: projects[0].previews.verify.airflow_conn_id: project 'etl': 'etl_shared_airflow' is one by"
    assert tell(loaded)[0].startswith(f"{place} which 'teams.ml.connections' lets other projects work")
    assert "etl" not in list_names(loaded)
    assert load({**TOP, "teams": teams}, etl=[{**ETL, **verify("etl_own_airflow")}], ml=[ML]).is_complete


def target(deployment: str) -> dict[str, Any]:
    return {"targets": {"production": {"branch": "main", "deployment": deployment}}}


@pytest.mark.parametrize("spoil", [{}, {"root": 3}], ids=["a valid project", "one that is wrong otherwise"])
def test_a_template_is_made_of_no_target_of_another_files_project(spoil: dict[str, Any]) -> None:
    etl = {**ETL, "previews": {**PREVIEWS, "template_from": "ML Production"}}
    assert load(etl=[etl], ml=[ML]).is_complete
    loaded = load(etl=[etl], ml=[{**ML, **target("ML Production"), **spoil}])
    place = "d/etl.yaml: projects[0].previews.template_from: project 'etl': 'ML Production' is the target 'production'"
    assert any(each.startswith(f"{place} of project 'ml', in another file") for each in tell(loaded))
    assert "etl" not in list_names(loaded)


def test_a_template_is_made_of_its_own_target_of_its_files_or_of_what_the_main_file_says() -> None:
    own = {**ETL, "previews": {**PREVIEWS, "template_from": "production"}, **target("ETL Production")}
    beside = {**copy.deepcopy(own), "name": "load", "root": "load", "targets": {}}
    beside["previews"]["template_from"] = "ETL Production"
    assert load(etl=[own, beside], ml=[{**ML, **target("ML Production")}]).is_complete
    rival = {**ML, "astro_conn_id": "ml_astro", **target("ETL Production")}
    teams = {**TOP["teams"], "ml": {**TOP["teams"]["ml"], "connections": ["ml_*"], "workspaces": ["ws-ml"]}}
    assert load({**TOP, "teams": teams}, etl=[own], ml=[rival]).is_complete
    top = {**TOP, "defaults": {**TOP["defaults"], "previews": {**PREVIEWS, "template_from": "ML Production"}}}
    assert load(top, etl=[ETL], ml=[{**ML, **target("ML Production")}]).is_complete


@pytest.mark.parametrize(
    "text",
    [
        "{{ conn.production.password }}",
        "{{ deploy_ops.what }} {{ var.value.key }}",
        "{% for c in [conn] %}{{ c.x.password }}{% endfor %}",
        "{{ deploy_ops.what.__class__ }}",
        "{{deploy_ops.what ~ conn.x.password}}",
        "{# #}{{ ti.task }}",
    ],
)
def test_a_teams_notice_reads_nothing_but_what_it_tells(text: str) -> None:
    (told,) = tell(load(etl=[{**ETL, **notice(html_content=text)}]))
    assert told.startswith("d/etl.yaml: projects[0].notify[0].arguments: project 'etl': a template reads all")
    assert load({**TOP, "defaults": {**TOP["defaults"], **notice(html_content=text)}}, etl=[ETL]).is_complete


def test_a_repository_is_shared_where_another_team_may_use_it_whatever_becomes_of_its_file() -> None:
    whole, broken = load(etl=[ETL], ml=[ML]), load(etl=[ETL], ml="a: [")
    assert whole.shared_repositories == broken.shared_repositories == {"acme/mono"}
    assert load(etl=[{**ETL, "repository": "acme/etl-own"}]).shared_repositories == frozenset()


def test_of_many_broken_files_each_is_told() -> None:
    wrong = [{**ML, "name": f"ml_{number}", "nonsense": 1} for number in range(60)]
    told = tell(load(etl=[{**each, "name": f"{each['name']}_e"} for each in wrong], ml=wrong))
    assert {line.partition(":")[0] for line in told} == {"d/etl.yaml", "d/ml.yaml"}
    assert len(told) == 52
    assert "d/ml.yaml: 35 problems more; mend those above first" in told


# The files themselves


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a main file and two teams' files beside it."""
    (tmp_path / "policy.yaml").write_text(write(TOP), encoding="utf-8")
    beside = tmp_path / "policy.d"
    beside.mkdir()
    (beside / "etl.yaml").write_text(write({"projects": [ETL]}), encoding="utf-8")
    (beside / "ml.yaml").write_text(write({"projects": [ML]}), encoding="utf-8")
    return tmp_path


def test_the_teams_files_lie_beside_the_main_one(folder: Path) -> None:
    (folder / "policy.d" / "README.md").write_text("no policy", encoding="utf-8")
    (folder / "policy.d" / ".etl.yaml").write_text("an editor's", encoding="utf-8")
    loaded = read_policy(folder / "policy.yaml")
    assert (list_names(loaded), loaded.is_complete) == (["etl", "ml"], True)


def spoil_bytes(path: Path) -> None:
    path.write_bytes(b"projects: [\xff]")


def spoil_kind(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.yaml")


def spoil_name(path: Path) -> None:
    path.rename(path.with_suffix(".yml"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_bytes, "ml.yaml: the policy is no UTF-8 text: byte 11 is not"),
        (spoil_kind, "ml.yaml: the policy cannot be read: it is no file"),
        (spoil_link, "ml.yaml: the policy cannot be read: No such file"),
        (spoil_name, "ml.yml: its name does not end in .yaml, so nobody reads it; rename it"),
    ],
)
def test_what_cannot_be_read_of_a_file_is_told_and_takes_no_other_down(folder: Path, spoil: Any, says: str) -> None:
    spoil(folder / "policy.d" / "ml.yaml")
    loaded = read_policy(folder / "policy.yaml")
    assert list_names(loaded) == ["etl"]
    assert says in tell(loaded)[0]
    assert len(loaded.unread) == 1


def test_a_folder_that_is_none_is_told(folder: Path) -> None:
    for each in (folder / "policy.d").iterdir():
        each.unlink()
    (folder / "policy.d").rmdir()
    (folder / "policy.d").write_text("", encoding="utf-8")
    loaded = read_policy(folder / "policy.yaml")
    assert tell(loaded) == [f"{folder / 'policy.d'}: the policy cannot be read: Not a directory"]
