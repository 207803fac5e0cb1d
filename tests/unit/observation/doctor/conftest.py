"""The fixture `doctored`: a project on the sandbox, all of whose checks stand well."""

from __future__ import annotations

import pytest

from tests.worlds.stages.doctor import Doctored
from tests.worlds.stages.stage import Stage


@pytest.fixture
def doctored(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Doctored:
    """Give the sandbox with its two long-lived Deployments, and a project that copies their images."""
    stage.renew(is_astro_empty=False)
    stage.change_project(image=("reuse", *stage.scope.project.image))
    return Doctored(stage, monkeypatch)
