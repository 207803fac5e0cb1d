"""The README keeps what it promises: every policy key is explained, every make target and file it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.deploy_ops.core.policy.keys import (
    Feedback,
    Limits,
    Notice,
    Policy,
    Previews,
    Project,
    Promotion,
    PullRequestSource,
    Target,
)
from include.deploy_ops.core.text.schema import StrictModel

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS = (Policy, Project, Previews, Promotion, Target, PullRequestSource, Limits, Feedback, Notice)
KEYS = sorted({field.alias or name for model in MODELS for name, field in model.model_fields.items()})


@pytest.mark.parametrize("key", KEYS)
def test_every_policy_key_is_explained(key: str) -> None:
    table = README[README.index("## Policy") :]
    assert re.search(rf"[`.]{key}`", table) or f"[].{key}." in table or f"{key}[]" in table


def test_the_models_are_the_policys() -> None:
    assert all(issubclass(model, StrictModel) for model in MODELS)


@pytest.mark.parametrize("target", re.findall(r"`make ([a-z]+)", README))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["include/deploy_ops.yaml", "dags/policy_errors.py", "packages.txt", "Dockerfile"])
def test_every_file_that_it_names_exists(name: str) -> None:
    assert f"`{name}`" in README
    assert (ROOT / name).exists()
