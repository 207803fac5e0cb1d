"""What this release wants of its Airflow is what the Dockerfile gives it."""

from __future__ import annotations

import re
from pathlib import Path

from include.deploy_ops.core.doctor.wanted import CLI_VERSION, GIT_MIN, SETTINGS

ROOT = Path(__file__).parents[4]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_settings_are_those_of_the_dockerfile() -> None:
    set_there = dict(re.findall(r"^ENV (AIRFLOW__\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert {setting.variable: setting.value for setting in SETTINGS} == set_there
    assert len(set_there) == DOCKERFILE.count("AIRFLOW__")


def test_the_astro_cli_is_that_of_the_dockerfile() -> None:
    assert re.findall(r"^ARG ASTRO_CLI_VERSION=(\S+)$", DOCKERFILE, re.MULTILINE) == [CLI_VERSION]


def test_git_is_that_of_the_installation_page() -> None:
    assert f"Git {'.'.join(map(str, GIT_MIN))} or newer" in (ROOT / "docs/install.md").read_text(encoding="utf-8")
