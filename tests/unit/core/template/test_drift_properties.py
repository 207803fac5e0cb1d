"""What a template renders, and the stand-in CLI creates or updates at the sandbox, does not differ from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.template.drift import find_drift
from include.deploy_ops.core.template.settings import read_settings
from include.deploy_ops.core.template.template import Template, dump_deployment, render_deployment
from sandbox.astro.catalog import describe_options
from sandbox.astro.documents import describe_deployment, describe_workspace
from sandbox.astro.fields import read_create, read_update, read_variables
from sandbox.astro.records import Deployment
from sandbox.cli.apply import run_create, run_update
from sandbox.cli.document import build_document
from sandbox.cli.flags import Line
from sandbox.identity import WORKSPACE_NAME
from sandbox.settings import Settings
from tests.unit.core.template.test_template_properties import BODIES, parse

if TYPE_CHECKING:
    import pytest

    from sandbox.cli.session import Session

SIZES = st.sampled_from(["SMALL", "small"])  # the sandbox asks for one, as Astro does


@dataclass
class Astro:
    """The sandbox's Astro without HTTP, as a session of the stand-in CLI: its API, and who asks."""

    path: str = "/organizations/o"
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def api(self) -> Astro:
        """Itself."""
        return self

    def resolve_workspace(self, *_: str) -> str:
        """Return the workspace of the context."""
        return "w"

    def list_all(self, path: str, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """Return workspaces, or Deployments."""
        return (
            [describe_workspace()]
            if path.endswith("/workspaces")
            else [self.describe(each) for each in self.deployments]
        )

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the options, or the Deployment."""
        return describe_options() if path.endswith("deployment-options") else self.describe(self.deployments[0])

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create the Deployment, or update it."""
        if path.endswith("/deployments"):
            self.deployments.append(Deployment(read_create(body)))
        else:
            (known,) = self.deployments
            known.spec, known.variables = read_update(body, known.spec), read_variables(body, known.variables)
        return self.describe(self.deployments[0])

    @staticmethod
    def describe(deployment: Deployment) -> dict[str, Any]:
        """Return it as the API does."""
        return describe_deployment(deployment, Settings(), "http://astro.example")

    def apply(self, template: Template, folder: pytest.TempPathFactory) -> dict[str, Any]:
        """Bring the one Deployment to the template by the CLI; return what was rendered."""
        document = render_deployment(template, name="shop-dev-x", description="mark", workspace_name=WORKSPACE_NAME)
        path = folder.getbasetemp() / "drift.yaml"
        path.write_text(dump_deployment(document))
        run = run_update if self.deployments else run_create
        run(cast("Session", self), Line(values={"deployment-file": str(path)}))
        body: dict[str, Any] = document["deployment"]
        return body

    def read(self) -> dict[str, Any]:
        """Return what Astro tells of the one Deployment."""
        return read_settings(self.describe(self.deployments[0]))


def complete(body: dict[str, Any], size: str) -> Template:
    body["configuration"]["scheduler_size"] = size
    return parse(body)


@given(BODIES, SIZES)
def test_what_is_created_does_not_differ(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any], size: str
) -> None:
    astro = Astro()
    template = complete(body, size)
    astro.apply(template, tmp_path_factory)
    assert find_drift(template.body, astro.read()) == ()


@given(BODIES, BODIES, SIZES)
def test_what_is_updated_differs_in_nothing_that_an_update_sends(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, Any], second: dict[str, Any], size: str
) -> None:
    astro = Astro()
    astro.apply(complete(first, size), tmp_path_factory)
    after = complete(second, size)
    astro.apply(after, tmp_path_factory)
    fixed = {"runtime_version", "cloud_provider", "region", "is_development_mode"}
    assert {each.name for each in find_drift(after.body, astro.read())} <= fixed


@given(BODIES, SIZES)
def test_what_is_read_is_what_inspect_prints(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any], size: str
) -> None:
    astro = Astro()
    astro.apply(complete(body, size), tmp_path_factory)
    printed = build_document(astro.describe(astro.deployments[0]))["deployment"]
    told = astro.read()
    for key, value in told["configuration"].items():
        assert key == "workload_identity" or printed["configuration"][key] == value
    assert [each["worker_type"] for each in told["worker_queues"]] == [
        each["worker_type"] for each in printed["worker_queues"]
    ]
    assert [(each["key"], each["is_secret"], each.get("value")) for each in told["environment_variables"]] == [
        (each["key"], each["is_secret"], each["value"]) for each in printed.get("environment_variables", ())
    ]
