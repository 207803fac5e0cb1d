"""`deployment inspect`, `delete`, `hibernate` and `wake-up`. Creating and updating live in `apply`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.cli.document import build_document, find_key, format_document
from sandbox.cli.errors import CliError
from sandbox.cli.flags import read_duration
from sandbox.cli.lookup import find_deployment
from sandbox.cli.terminal import ask, say

if TYPE_CHECKING:
    from sandbox.cli.flags import Line
    from sandbox.cli.session import Session

_NO_WORKSPACE = "failed to find a valid workspace: "


def run_inspect(session: Session, line: Line) -> None:
    """Print a Deployment's document, or one key of it."""
    workspace = session.resolve_workspace(line.get("workspace-id"), "")
    name = line.get("deployment-name")
    deployment = find_deployment(session, workspace, line.argument, name, is_quiet=line.has("clean-output"))
    if deployment is None:
        say(f"no Deployments found in workspace {workspace}")
        return
    document = build_document(deployment, is_template=line.has("template"))
    if not line.get("key"):
        say(format_document(document, is_json=line.get("output") == "json"))
        return
    try:
        say(find_key(document, line.get("key")))
    except KeyError as error:
        raise CliError(f"requested key {line.get('key')} not found in deployment") from error


def run_delete(session: Session, line: Line) -> None:
    """Delete a Deployment; without an answer to its question it does nothing, and that is no error."""
    workspace = session.resolve_workspace(line.get("workspace-id"), _NO_WORKSPACE.replace("workspace", "Workspace"))
    deployment = find_deployment(session, workspace, line.argument, line.get("deployment-name"))
    if deployment is None:
        say(f"no Deployments found in workspace {workspace} to delete")
        return
    question = f"\nAre you sure you want to delete the {deployment['name']} Deployment? (y/n) "
    if not line.has("force") and not ask(question):
        say("Canceling deployment deletion")
        return
    session.api.delete(f"/organizations/{deployment['organizationId']}/deployments/{deployment['id']}")
    say(f"\nSuccessfully deleted deployment {deployment['name']}")


def run_hibernate(session: Session, line: Line) -> None:
    """Send a development Deployment to sleep."""
    _run_override(session, line, "hibernate")


def run_wake_up(session: Session, line: Line) -> None:
    """Wake a development Deployment."""
    _run_override(session, line, "wake up")


def _run_override(session: Session, line: Line, action: str) -> None:
    workspace = session.resolve_workspace(line.get("workspace-id"), _NO_WORKSPACE)
    is_removal = line.has("remove-override")
    deployment = find_deployment(session, workspace, line.argument, line.get("deployment-name"))
    if deployment is None and is_removal:
        say(f"No Deployments with a hibernation override that can be removed found in Workspace {workspace}")
        return
    if deployment is None:
        say(f"no Deployments found in workspace {workspace} to {action}")
        return
    if not deployment["isDevelopmentMode"]:
        raise CliError("the Deployment specified is not a development Deployment")
    if _is_confirmed(deployment, line, action):
        path = f"/organizations/{deployment['organizationId']}/deployments/{deployment['id']}/hibernation-override"
        _remove_override(session, path) if is_removal else _override(session, path, line, action)


def _is_confirmed(deployment: dict[str, Any], line: Line, action: str) -> bool:
    removal = line.has("remove-override")
    what = "remove the override" if removal else f"override to {action}"
    if line.has("force") or ask(f"\nAre you sure you want to {what} for {deployment['name']} Deployment? (y/n) "):
        return True
    if removal:
        say("Canceling hibernation override removal")
    else:
        say(f"\nCanceling {action} override", end="")
    return False


def _remove_override(session: Session, path: str) -> None:
    session.api.delete(path)
    say("\nSuccessfully removed hibernation override\nIf set, hibernation schedule will resume immediately.")


def _override(session: Session, path: str, line: Line, action: str) -> None:
    until = _read_until(line)
    body: dict[str, Any] = {"isHibernating": action == "hibernate"}
    if until is None:
        session.api.post(path, body)
        say(f"\nSuccessfully overrode to {action} until further notice")
        say("Any configured hibernation schedules will not resume until override is removed.")
        return
    moment = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    session.api.post(path, {**body, "overrideUntil": moment})
    left = timedelta(seconds=round((until - datetime.now(UTC)).total_seconds()))
    say(f"\nSuccessfully overrode to {action} until {moment}\nIf set, hibernation schedule will resume in {left}.")


def _read_until(line: Line) -> datetime | None:
    if line.get("for"):
        return datetime.now(UTC) + timedelta(seconds=read_duration(line.get("for"), "for"))
    if not line.get("until"):
        return None
    try:
        return datetime.fromisoformat(line.get("until")).astimezone(UTC)
    except ValueError as error:
        raise CliError(f"cannot read --until {line.get('until')!r} as an RFC 3339 time") from error
