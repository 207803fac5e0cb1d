"""The policy of a stage's project as a file, as it lies in an Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.file import POLICY_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.worlds.stages.stage import Stage

POLICY = """\
control_plane: acme-test
projects:
  - name: shop
    repository: acme/data-platform
    ignore: ["*.md", docs/]
    image: [IMAGE]
    previews:
      branches: ["dev*"]
      exclude: [develop]
      template: deployments/preview.yaml
      merged_into: [staging, main]
      delete_after: 14d
    targets:
      production: {deployment: Production, pull_request: {from: astro_deploy, into: main}}
    limits: {max_deletes: 2}
    feedback: {comments: false, statuses: false, deployments: false}
"""


def put_policy(stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the policy by which the stage was set into a file that counts; return its text."""
    text = POLICY.replace("IMAGE", f'"{stage.scope.project.image[0]}"')
    path = folder / "include" / "policy.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv(POLICY_VARIABLE, str(path))
    return text
