"""An image deploy, from the build or the named image to the pushed one. DAGs and the record are `deploy`'s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cli import docker_api
from sandbox.cli.engine import Engine, find_engine, list_base_images
from sandbox.cli.errors import CliError, StopError
from sandbox.cli.ignore_file import ignoring_dags
from sandbox.cli.runtime_version import can_deploy
from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from sandbox.cli.session import Session

_INTEGRITY_TEST = Path(".astro/test_dag_integrity_default.py")
_LABEL = "io.astronomer.docker.runtime.version"


def ship_image(
    session: Session, deployment: dict[str, Any], remote: str, image_name: str, *, has_dags: bool, is_forced: bool
) -> None:
    """Build or tag the image, check its runtime version, and push it as `remote`.

    :raises CliError: if a step fails.
    :raises StopError: 1, if the image may not be deployed; why stands on stdout.
    """
    engine = _prepare(session, deployment, image_name)
    version = engine.read_version()
    if not version and session.config.is_on("show_warnings"):
        _refuse_unlabelled(image_name)
    options = session.api.get(f"{session.path}/deployment-options")
    supported = [release["version"] for release in options["runtimeReleases"]]
    if not can_deploy(version, deployment["runtimeVersion"], supported):
        say("Canceling deploy...")
        raise StopError(1)
    _test(session, has_dags=has_dags, is_forced=is_forced)
    say("Pushing image to Astronomer registry")
    engine.tag(engine.image, remote)
    engine.push(remote, session.config.setting("local.registry"), session.api.authorization)
    engine.remove(remote)


def _prepare(session: Session, deployment: dict[str, Any], image_name: str) -> Engine:
    if image_name:
        say("Skipping building image...")
        engine = find_engine(session.config, deployment["namespace"])
        engine.tag(image_name, engine.image)
        return engine
    say("Building image...")
    engine = find_engine(session.config, deployment["namespace"])
    if deployment["isDagDeployEnabled"]:
        with ignoring_dags():
            engine.build()
    else:
        engine.build()
    return engine


def _refuse_unlabelled(image_name: str) -> None:
    if image_name:
        say(
            f"WARNING! The image '{image_name}' does not appear to be based on Astro Runtime (the '{_LABEL}' label is "
            "missing). Ensure your image is built FROM quay.io/astronomer/astro-runtime to proceed."
        )
    else:
        say(
            f"WARNING! The image in your Dockerfile '{list_base_images()[-1]}' is not based on Astro Runtime and is "
            "not supported. Change your Dockerfile with an image that pulls from 'quay.io/astronomer/astro-runtime' "
            "to proceed."
        )
    say("Canceling deploy...")
    raise StopError(1)


def _test(session: Session, *, has_dags: bool, is_forced: bool) -> None:
    """Go through the gate of the DAG parse; a missing test counts as success, as with the real CLI."""
    if not has_dags:
        say("No DAGs found. Skipping testing...")
        return
    docker_api.ping()
    if is_forced:
        return
    say("Testing image...")
    if session.config.is_on("skip_parse"):
        why = "skip parse being set to true in either the config.yaml or local environment variables"
        say(f"Skipping parsing dags due to {why}")
    elif not _INTEGRITY_TEST.exists():
        path = Path.cwd() / _INTEGRITY_TEST
        why = "which is needed for `astro dev parse` does not exist. Please run `astro dev init` to create it"
        say(f"\nThe file {path} {why}")
    else:
        raise CliError("the stand-in runs no tests inside an image: use -f")
