"""What a branch may bring along: the settings of its project, and DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.project_check import refuse_empty_dags, refuse_project_settings
from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path


def _write(project: Path, text: str) -> Path:
    path = project / ".astro" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["", "project:\n  name: data\n", "project.name: data\n", "projects: {cloud: 1}\n"])
def test_settings_of_the_project_alone_are_fine(tmp_path: Path, text: str) -> None:
    _write(tmp_path, text)
    refuse_project_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("cloud:\n  api:\n    protocol: http\n", "cloud.api.protocol"),
        ("project: {name: a}\nCloud.API.port: 1\n", "Cloud.API.port"),
        ("local: {enabled: true}\n", "local.enabled"),
        ("container: {binary: ./evil}\n", "container.binary"),
        ("container.binary: ./evil\n", "container.binary"),
        ("deploy: {git_metadata: false}\n", "deploy.git_metadata"),
        ("verbosity: debug\n", "verbosity"),
        ("SHOW_WARNINGS: false\n", "SHOW_WARNINGS"),
        ("skip_parse: true\n", "skip_parse"),
        ("cosmos_boost: {x: {}}\n", "cosmos_boost.x"),
        ("base: &b {deploy: {x: 1}}\n<<: *b\n", "deploy.x"),
        ('"deploy ": 1\n', "deploy "),
    ],
)
def test_setting_that_turns_the_cli_is_named(tmp_path: Path, text: str, key: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(PermanentError) as raised:
        refuse_project_settings(tmp_path)
    assert f".astro/config.yaml: '{key}' would change" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot be read"),
        ("- a\n", "holds list"),
        ("a: 1\n---\nb: 2\n", "cannot be read"),
        ("[" * 5000, "cannot be read"),
        ("a: 2026-13-45\n", "cannot be read"),
        ("!!python/object/apply:os.system [exit]\n", "cannot be read"),
    ],
)
def test_unreadable_settings_are_refused(tmp_path: Path, text: str, said: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(PermanentError, match=said):
        refuse_project_settings(tmp_path)


def test_missing_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"config\.yaml is missing"):
        refuse_project_settings(tmp_path)


@pytest.mark.parametrize("linked", [".astro", ".astro/config.yaml"])
def test_link_that_leaves_the_project_is_refused(tmp_path: Path, linked: str) -> None:
    outside = _write(tmp_path / "outside", "project: {name: a}\n")
    link = tmp_path / "project" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside if linked.endswith("yaml") else outside.parent)
    with pytest.raises(PermanentError, match="leaves the project"):
        refuse_project_settings(tmp_path / "project")


def test_link_within_the_project_is_followed(tmp_path: Path) -> None:
    _write(tmp_path, "").unlink()
    (tmp_path / "settings.yaml").write_text("deploy: {x: 1}\n")
    (tmp_path / ".astro" / "config.yaml").symlink_to("../settings.yaml")
    with pytest.raises(PermanentError, match=r"deploy\.x"):
        refuse_project_settings(tmp_path)


def test_circle_of_links_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, "")
    path.unlink()
    path.symlink_to("config.yaml")
    with pytest.raises(PermanentError, match="cannot be followed"):
        refuse_project_settings(tmp_path)


def test_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".astro" / "config.yaml").mkdir(parents=True)
    with pytest.raises(PermanentError, match="cannot be read"):
        refuse_project_settings(tmp_path)


def test_python_file_anywhere_below_dags_is_enough(tmp_path: Path) -> None:
    (tmp_path / "dags" / "sub").mkdir(parents=True)
    (tmp_path / "dags" / "sub" / "a.py").touch()
    refuse_empty_dags(tmp_path)


@pytest.mark.parametrize("names", [[], ["dags/"], ["dags/a.txt"], ["dags/a.py/"], ["a.py"]])
def test_dags_without_a_python_file_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    with pytest.raises(PermanentError, match="dags/ holds no Python file"):
        refuse_empty_dags(tmp_path)
